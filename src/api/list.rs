//! JSON arrays, written page by page: a long list costs the memory of one page, and no query is
//! open while a client reads.

use std::future::Future;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures_util::stream;
use serde::Serialize;

use crate::answer;
use crate::error::ApiError;

/// A part of a list: its members, and where the next page starts; `None` after the last page.
pub struct Page<K> {
    members: Vec<u8>,
    next: Option<K>,
}

impl<K> Page<K> {
    /// Writes the members of a page.
    pub fn new(
        members: impl IntoIterator<Item = impl Serialize>,
        next: Option<K>,
    ) -> Result<Self, ApiError> {
        let mut text = Vec::new();
        for member in members {
            if !text.is_empty() {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &member).map_err(|_| ApiError::Internal)?;
        }
        Ok(Self {
            members: text,
            next,
        })
    }
}

/// Answers with the list whose pages `fetch` gives, each from where the last one ended.
///
/// # Errors
/// That of the first page. A later one that fails cuts the connection, so that nobody takes half a
/// list for a whole.
pub async fn answer<K, F, P>(mut fetch: F) -> Result<HttpResponse, ApiError>
where
    K: 'static,
    F: FnMut(Option<K>) -> P + 'static,
    P: Future<Output = Result<Page<K>, ApiError>>,
{
    let Page { members, next } = fetch(None).await?;
    let mut text = Vec::with_capacity(members.len() + 2);
    text.push(b'[');
    let is_empty = members.is_empty();
    text.extend(members);
    let mut response = HttpResponse::Ok();
    answer::headers(&mut response);
    let Some(next) = next else {
        text.push(b']');
        return Ok(response.body(text));
    };
    let rest = stream::try_unfold(
        (Some(next), fetch, is_empty),
        async |(next, mut fetch, first)| {
            let Some(next) = next else {
                return Ok::<_, ApiError>(None);
            };
            let Page { members, next } = fetch(Some(next)).await?;
            let mut text = Vec::with_capacity(members.len() + 2);
            if !first && !members.is_empty() {
                text.push(b',');
            }
            let first = first && members.is_empty();
            text.extend(members);
            if next.is_none() {
                text.push(b']');
            }
            Ok(Some((Bytes::from(text), (next, fetch, first))))
        },
    );
    let start = stream::iter([Ok(Bytes::from(text))]);
    Ok(response.streaming(futures_util::StreamExt::chain(start, rest)))
}

//! JSON arrays, written page by page: a long list costs the memory of one page, about 64 KiB, and no
//! query is open while a client reads. Other requests get through between two pages.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::sleep;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream;
use serde::Serialize;

use crate::answer;
use crate::app::App;
use crate::error::ApiError;

/// A part of a list: its members, and where the next page starts; `None` after the last page.
pub struct Page<K> {
    members: Vec<u8>,
    next: Option<K>,
}

/// A page ends when its text is longer than this, in bytes.
const PAGE_LENGTH: usize = 64 * 1024;
/// Before each page but the first.
const PAUSE: Duration = Duration::from_millis(1);

impl<K> Page<K> {
    /// Writes rows, each with its place in the list; `None` is a row that does not belong into it.
    /// `more` says whether there are rows after these.
    pub fn new<T: Serialize>(
        rows: impl IntoIterator<Item = (K, Option<T>)>,
        more: bool,
    ) -> Result<Self, ApiError> {
        let mut members = Vec::new();
        let mut last = None;
        let mut rows = rows.into_iter().peekable();
        while let Some((place, row)) = rows.next() {
            if let Some(row) = row {
                if !members.is_empty() {
                    members.push(b',');
                }
                serde_json::to_writer(&mut members, &row).map_err(|_| ApiError::Internal)?;
            }
            if members.len() > PAGE_LENGTH && (more || rows.peek().is_some()) {
                return Ok(Self {
                    members,
                    next: Some(place),
                });
            }
            last = Some(place);
        }
        Ok(Self {
            members,
            next: last.filter(|_| more),
        })
    }
}

/// Answers with the list whose pages `fetch` gives, each from where the last one ended.
///
/// Of all lists one at a time begins its next page, after a pause, so that all together write at most
/// one in a millisecond or two. Else a few long ones would take all the time of a worker, and who asks
/// it for something short would wait for a page of each.
///
/// # Errors
/// That of the first page. A later one that fails cuts the connection, so that nobody takes half a
/// list for a whole.
pub async fn answer<K, F, P>(
    app: web::Data<Arc<App>>,
    mut fetch: F,
) -> Result<HttpResponse, ApiError>
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
        move |(next, mut fetch, first)| {
            let app = app.clone();
            async move {
                let Some(next) = next else {
                    return Ok::<_, ApiError>(None);
                };
                let turn = app.list_turn.lock().await;
                sleep(PAUSE).await;
                // Not while the database is asked: one that is slow would hold up all lists.
                drop(turn);
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
            }
        },
    );
    let start = stream::iter([Ok(Bytes::from(text))]);
    Ok(response.streaming(futures_util::StreamExt::chain(start, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_length_or_with_its_rows() {
        let long = "x".repeat(PAGE_LENGTH);
        let page = |rows: &[Option<&str>], more| {
            let rows = rows.iter().copied().enumerate();
            let Page { members, next } = Page::new(rows, more).unwrap();
            let members: Vec<String> =
                serde_json::from_str(&format!("[{}]", String::from_utf8(members).unwrap()))
                    .unwrap();
            (members.len(), next)
        };
        for (rows, more, expected) in [
            (vec![], false, (0, None)),
            (vec![Some("a"), None, Some("b")], false, (2, None)),
            (vec![Some("a"), Some("b"), None], true, (2, Some(2))),
            (vec![Some(long.as_str()), Some("b")], false, (1, Some(0))),
            (vec![Some(long.as_str())], true, (1, Some(0))),
            (vec![Some(long.as_str())], false, (1, None)),
            (vec![None, None], true, (0, Some(1))),
        ] {
            assert_eq!(page(&rows, more), expected, "{} rows", rows.len());
        }
    }
}

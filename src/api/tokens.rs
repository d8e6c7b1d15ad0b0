//! `/api/users/{user}/tokens`.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::body::{Body, not_days};
use super::list::{self, Page};
use super::path::{TokenPath, UserPath};
use super::users::find;
use crate::answer::{empty_object, ok};
use crate::app::App;
use crate::change::{self, Actor, NewTokenRequest};
use crate::error::ApiError;
use crate::policy::{self, Module, Operation};
use crate::store::{self, Token};
use crate::token::PlainToken;
use crate::user::{Caller, User, UserId};
use crate::view::TokenView;

const PAGE: u32 = 256;

/// `GET …/tokens`.
pub async fn list(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
) -> Result<HttpResponse, ApiError> {
    let user = reach(&caller, &app, &id, Operation::Read)?.number;
    list::answer(app.clone(), move |after| {
        let app = app.clone();
        async move {
            let tokens = app
                .read(move |database| store::tokens_of_user(database, user, after, PAGE))
                .await?;
            let rows = tokens
                .iter()
                .map(|token| (token.number, Some(view(token, &app))));
            Page::new(rows, tokens.len() == PAGE as usize)
        }
    })
    .await
}

/// `GET …/tokens/{token}`.
pub async fn show(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
    TokenPath(token): TokenPath,
) -> Result<HttpResponse, ApiError> {
    let user = reach(&caller, &app, &id, Operation::Read)?.number;
    let token = token.ok_or(ApiError::NotFound("token"))?;
    let found = app
        .read(move |database| store::token_by_id(database, user, token))
        .await?;
    let found = found.ok_or(ApiError::NotFound("token"))?;
    Ok(ok(&view(&found, &app)))
}

/// `POST …/tokens`: the one answer in which the plain token stands.
pub async fn create(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let fields = body.object()?;
    let name = fields.required_name("name")?;
    let lifetime = fields
        .lifetime("expires_in")?
        .ok_or_else(|| not_days("expires_in"))?;
    reach(&caller, &app, &id, Operation::Create)?;
    let plain = generate()?;
    let request = NewTokenRequest {
        hash: plain.hash(),
        name,
        lifetime,
    };
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::create_token(database, now, actor, &id, request);
    let token = app.writer.submit(change).await?;
    Ok(ok(&Generated {
        plain_token: plain.expose(),
        personal_access_token: view(&token, &app),
    }))
}

/// `DELETE …/tokens/{token}`: refused from this answer on.
pub async fn delete(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
    TokenPath(token): TokenPath,
) -> Result<HttpResponse, ApiError> {
    reach(&caller, &app, &id, Operation::Delete)?;
    let token = token.ok_or(ApiError::NotFound("token"))?;
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::revoke_token(database, now, actor, &id, token);
    app.writer.submit(change).await?;
    Ok(empty_object())
}

/// A new token; the error is logged.
pub(super) fn generate() -> Result<PlainToken, ApiError> {
    PlainToken::generate().map_err(|error| {
        log::error!("the operating system gives no randomness: {error}");
        ApiError::Internal
    })
}

/// Permission, then the user, then the target rule.
fn reach(
    caller: &Caller,
    app: &App,
    id: &UserId,
    operation: Operation,
) -> Result<Arc<User>, ApiError> {
    policy::permit(&caller.user, Module::Pats, operation)?;
    let target = find(app, id)?;
    policy::reach_tokens(&caller.user, &target)?;
    Ok(target)
}

#[derive(Serialize)]
struct Generated<'a> {
    plain_token: &'a str,
    personal_access_token: TokenView<'a>,
}

/// What the row says, and what memory knows better: the last use.
fn view<'a>(token: &'a Token, app: &App) -> TokenView<'a> {
    TokenView::new(token, app.index.last_used(&token.hash).or(token.last_used))
}

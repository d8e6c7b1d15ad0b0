//! `/api/users`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::body::{Body, invalid_text};
use super::list::{self, Page};
use super::path::UserPath;
use crate::answer::{empty_object, ok};
use crate::app::App;
use crate::change::{self, Actor, NewUserRequest, UserUpdate};
use crate::error::ApiError;
use crate::policy::{self, Denied, Module, Operation};
use crate::user::{Caller, Name, Role, TextFault, User, UserId, parse_groups};
use crate::view::UserView;

const PAGE: usize = 256;

/// `GET /api/users`: everybody, or only oneself where the role may not read users.
pub async fn list(
    caller: Caller,
    app: web::Data<Arc<App>>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let wanted = service_user_filter(request.query_string())?;
    let fits = move |user: &User| wanted.is_none_or(|wanted| user.is_service == wanted);
    if policy::permit(&caller.user, Module::Users, Operation::Read).is_err() {
        let own = fits(&caller.user).then(|| view(&caller.user, &caller));
        return Ok(ok(&own.as_slice()));
    }
    list::answer(app.clone(), move |after| {
        let users = app.index.users_after(after, PAGE);
        let rows = users.iter().map(|user| {
            let row = fits(user).then(|| view(user, &caller));
            (user.number, row)
        });
        std::future::ready(Page::new(rows, users.len() == PAGE))
    })
    .await
}

/// `GET /api/users/current`: the human who asks, with their permissions.
pub async fn current(caller: Caller) -> Result<HttpResponse, ApiError> {
    if caller.user.is_service {
        return Err(Denied::ServiceUser.into());
    }
    Ok(ok(&UserView::current(&caller.user)))
}

/// `POST /api/users`: a service user, or a human who is invited until their first login.
pub async fn create(
    caller: Caller,
    app: web::Data<Arc<App>>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let fields = body.object()?;
    let is_service = fields.flag("is_service_user")?;
    let auto_groups = fields.strings("auto_groups")?.unwrap_or_default();
    for field in ["name", "email", "id", "issuer"] {
        fields.text(field)?;
    }
    let role = fields.role()?;
    if role == Role::Owner {
        let message = "the role owner is given by transfer only: put it on another user";
        return Err(ApiError::Invalid(message.into()));
    }
    policy::permit(&caller.user, Module::Users, Operation::Create)?;
    let auto_groups = groups(&auto_groups)?;
    let request = if is_service {
        NewUserRequest {
            id: None,
            issuer: "".into(),
            role,
            auto_groups,
            is_service,
            name: fields.name("name")?,
            email: Name::empty(),
        }
    } else {
        NewUserRequest {
            issuer: issuer(&app, fields.text("issuer")?)?,
            name: fields.required_name("name")?,
            email: fields.required_email()?,
            id: fields.text("id")?.map(new_user_id).transpose()?,
            role,
            auto_groups,
            is_service,
        }
    };
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::create_user(database, now, actor, request);
    let user = app.writer.submit(change).await?;
    Ok(ok(&view(&user, &caller)))
}

/// `PUT /api/users/{user}`: puts role, groups and block in place.
pub async fn update(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let target = find(&app, &id)?;
    let fields = body.object()?;
    let auto_groups = fields
        .strings("auto_groups")?
        .ok_or(ApiError::BadRequest("auto_groups is missing".into()))?;
    // A real client leaves it out to unblock.
    let is_blocked = fields.flag("is_blocked")?;
    let role = fields.role()?;
    policy::permit(&caller.user, Module::Users, Operation::Update)?;
    policy::change_user(&caller.user, &target, role, is_blocked)?;
    let auto_groups = groups(&auto_groups)?;
    let update = UserUpdate {
        role,
        auto_groups,
        is_blocked,
    };
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::update_user(database, now, actor, &id, update);
    let user = app.writer.submit(change).await?;
    Ok(ok(&view(&changed(&app, user), &caller)))
}

/// `DELETE /api/users/{user}`: with all their tokens.
pub async fn delete(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
) -> Result<HttpResponse, ApiError> {
    if caller.user.id == id {
        return Err(change::Refused::OwnDeletion.into());
    }
    policy::permit(&caller.user, Module::Users, Operation::Delete)?;
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::delete_user(database, now, actor, &id);
    app.writer.submit(change).await?;
    Ok(empty_object())
}

/// `POST /api/users/{user}/approve`: lets a pending user in.
pub async fn approve(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
) -> Result<HttpResponse, ApiError> {
    policy::permit(&caller.user, Module::Users, Operation::Update)?;
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::approve_user(database, now, actor, &id);
    let user = app.writer.submit(change).await?;
    Ok(ok(&view(&changed(&app, user), &caller)))
}

/// `DELETE /api/users/{user}/reject`: deletes a pending user.
pub async fn reject(
    caller: Caller,
    app: web::Data<Arc<App>>,
    UserPath(id): UserPath,
) -> Result<HttpResponse, ApiError> {
    policy::permit(&caller.user, Module::Users, Operation::Delete)?;
    let actor = Actor::from(&caller);
    let change = move |database: &_, now| change::reject_user(database, now, actor, &id);
    app.writer.submit(change).await?;
    Ok(empty_object())
}

/// What a change answers with. Logins that are not in the database yet are in memory.
fn changed(app: &App, mut user: User) -> User {
    let known = app.index.user(user.number);
    user.last_login = user
        .last_login
        .max(known.and_then(|known| known.last_login));
    user
}

/// The user of a path, from memory.
pub(super) fn find(app: &App, id: &UserId) -> Result<Arc<User>, ApiError> {
    app.index.user_by_id(id).ok_or(ApiError::NotFound("user"))
}

fn groups(ids: &[&str]) -> Result<Box<[Box<str>]>, ApiError> {
    parse_groups(ids.iter().copied()).map_err(|fault| match fault {
        TextFault::TooMany => invalid_text("auto_groups", fault),
        fault => invalid_text("a group id in auto_groups", fault),
    })
}

fn new_user_id(text: &str) -> Result<UserId, ApiError> {
    UserId::parse_new(text).map_err(|fault| invalid_text("id", fault))
}

/// The issuer whose JWTs a new human is: the first one, unless it is named; none where none is
/// configured.
fn issuer(app: &App, name: Option<&str>) -> Result<Box<str>, ApiError> {
    let verifier = app.issuers.current();
    let issuers = verifier.issuers();
    let found = match name.filter(|name| !name.is_empty()) {
        None => issuers.iter().next(),
        Some(name) => {
            let unknown = ApiError::Invalid("issuer is not a configured issuer".into());
            Some(issuers.by_name(name).ok_or(unknown)?)
        }
    };
    Ok(found.map_or("".into(), |issuer| issuer.settings.name.clone()))
}

fn service_user_filter(query: &str) -> Result<Option<bool>, ApiError> {
    let wrong = || ApiError::Invalid("service_user must be true or false, once".into());
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| wrong())?;
    let mut values = pairs.iter().filter(|(name, _)| name == "service_user");
    let Some((_, value)) = values.next() else {
        return Ok(None);
    };
    match (value.as_str(), values.next()) {
        ("true", None) => Ok(Some(true)),
        ("false", None) => Ok(Some(false)),
        _ => Err(wrong()),
    }
}

fn view<'a>(user: &'a User, caller: &Caller) -> UserView<'a> {
    UserView::new(user, user.number == caller.user.number)
}

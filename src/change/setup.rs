//! The first owner: at the first start, by `bootstrap`, or by `POST /api/setup`.

use rusqlite::Connection;

use super::tokens::{self, NewTokenRequest};
use super::{Changed, Refused};
use crate::clock::Timestamp;
use crate::index::Effect;
use crate::store::{self, Activity, Initiator, NewAuditEvent, NewUser, Origin};
use crate::user::{Name, Role, User, UserId};

/// What the first owner is made of.
#[derive(Clone, Debug)]
pub struct FirstOwner {
    /// The id and the issuer whose JWTs are the owner; else a fresh id, and nobody's JWTs are.
    pub identity: Option<(UserId, Box<str>)>,
    /// Not empty.
    pub name: Name,
    /// May be empty.
    pub email: Name,
    /// Their first token, if they want one.
    pub token: Option<NewTokenRequest>,
}

/// Makes the owner of a database that has none.
///
/// # Errors
/// [`Refused::SetupDone`] where there is an owner: of two at once, one is second.
pub fn first_owner(
    connection: &Connection,
    now: Timestamp,
    request: FirstOwner,
) -> Result<Changed<User>, Refused> {
    if store::owner(connection)?.is_some() {
        return Err(Refused::SetupDone);
    }
    if store::email_is_taken(connection, &request.email)? {
        return Err(Refused::EmailTaken);
    }
    let (id, issuer) = request
        .identity
        .unwrap_or_else(|| (UserId::generate(), "".into()));
    if store::user_by_id(connection, id.as_str())?.is_some() {
        return Err(Refused::IdTaken);
    }
    let user = store::insert_user(
        connection,
        NewUser {
            id,
            issuer,
            origin: Origin::Api,
            name: request.name,
            email: request.email,
            role: Role::Owner,
            auto_groups: Box::new([]),
            is_service: false,
            is_pending: false,
            is_invited: false,
            created_at: now,
        },
    )?;
    let initiator = Initiator::system();
    let event = NewAuditEvent {
        at: now,
        activity: Activity::UserCreated,
        initiator: &initiator,
        target: &user,
        token: None,
        meta: &[
            ("username", user.name.as_str()),
            ("email", user.email.as_str()),
            ("role", user.role.as_str()),
        ],
    };
    store::insert_audit(connection, &event)?;
    let mut effects = vec![Effect::SetUser(user.clone())];
    if let Some(request) = request.token {
        let token = tokens::insert(connection, now, &initiator, &user, None, request)?;
        effects.push(Effect::AddToken((&token).into()));
    }
    Ok(Changed {
        value: user,
        effects,
    })
}

//! What a login with a JWT changes: a new user, their role, the end of an invitation, the audit trail.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::users::audit;
use super::{Changed, Refused};
use crate::clock::Timestamp;
use crate::index::{Effect, login_is_due};
use crate::jwt::{UnknownUsers, Verified};
use crate::policy;
use crate::store::{self, Activity, Initiator, NewUser, Origin};
use crate::user::{Role, User};

/// A login that comes later than this after the one before is an event of the audit trail.
const AUDIT_AFTER: Duration = Duration::from_secs(12 * 60 * 60);

/// A JWT that passed every check, as far as it can change the rows.
#[derive(Clone)]
pub struct Login(pub Arc<Verified>);

impl Login {
    /// Whether a user is who the JWT speaks of: its issuer's, and no machine.
    pub fn is_of(&self, user: &User) -> bool {
        !user.is_service && *user.issuer == *self.0.issuer.settings.name
    }

    /// The role that the JWT decides, if it decides: never the owner's, and not where a newer JWT,
    /// this one itself or a person has given the role. Of two JWTs of one second the lesser role counts.
    pub fn role_for(&self, user: &User) -> Option<Role> {
        let role = self.0.role.filter(|_| user.role != Role::Owner)?;
        let issued_at = self.0.issued_at?;
        let decides = match user.role_issued_at {
            None => true,
            Some(last) => last < issued_at || (last == issued_at && user.role < role),
        };
        decides.then_some(role)
    }

    /// Whether a user keeps their role.
    pub fn keeps_role(&self, user: &User) -> bool {
        self.role_for(user).is_none_or(|role| role == user.role)
    }

    /// Whether it changes more of a user than the time of the last login.
    pub fn is_due(&self, user: &User, now: Timestamp) -> bool {
        user.is_invited || self.role_for(user).is_some() || is_audited(user, now)
    }

    /// Whether somebody who is no user becomes one.
    pub fn creates(&self) -> bool {
        self.0.issuer.settings.unknown_users != UnknownUsers::Reject
    }
}

fn is_audited(user: &User, now: Timestamp) -> bool {
    user.last_login
        .is_none_or(|last| now.since(last) > AUDIT_AFTER)
}

/// What came of a login.
#[derive(Debug)]
pub struct LoggedIn {
    /// As they are from now on.
    pub user: User,
    /// Whether it stands in the audit trail.
    pub is_audited: bool,
}

/// Takes a login into the rows. A user who may not pass stays as they are: the door refuses them.
///
/// # Errors
/// [`Refused::UnknownUser`] for an id that is another's, or nobody's where the issuer's
/// `unknown_users` says reject.
pub fn log_in(
    connection: &Connection,
    now: Timestamp,
    login: &Login,
) -> Result<Changed<LoggedIn>, Refused> {
    let Some(before) = store::user_by_id(connection, login.0.user_id.as_str())? else {
        return join(connection, now, login);
    };
    if !login.is_of(&before) {
        return Err(Refused::UnknownUser);
    }
    if policy::admit(&before).is_err() {
        return Ok(Changed {
            value: LoggedIn {
                user: before,
                is_audited: false,
            },
            effects: Vec::new(),
        });
    }
    enter(connection, now, login, before)
}

/// The first login of somebody whom nobody has made.
fn join(
    connection: &Connection,
    now: Timestamp,
    login: &Login,
) -> Result<Changed<LoggedIn>, Refused> {
    let Login(jwt) = login;
    let is_pending = match jwt.issuer.settings.unknown_users {
        UnknownUsers::Reject => return Err(Refused::UnknownUser),
        UnknownUsers::Create => false,
        UnknownUsers::CreatePending => true,
    };
    let user = store::insert_user(
        connection,
        NewUser {
            id: jwt.user_id.clone(),
            issuer: jwt.issuer.settings.name.clone(),
            origin: Origin::Jwt,
            name: jwt.name.clone(),
            email: jwt.email.clone(),
            role: Role::User,
            auto_groups: Box::new([]),
            is_service: false,
            is_pending,
            is_invited: false,
            created_at: now,
        },
    )?;
    audit(
        connection,
        now,
        Activity::UserJoined,
        &Initiator::from(&user),
        &user,
        None,
    )?;
    if is_pending {
        return Ok(Changed {
            effects: vec![Effect::SetUser(user.clone())],
            value: LoggedIn {
                user,
                is_audited: true,
            },
        });
    }
    enter(connection, now, login, user)
}

fn enter(
    connection: &Connection,
    now: Timestamp,
    login: &Login,
    before: User,
) -> Result<Changed<LoggedIn>, Refused> {
    let decided = login.role_for(&before);
    let after = User {
        role: decided.unwrap_or(before.role),
        role_issued_at: decided.and(login.0.issued_at).or(before.role_issued_at),
        is_invited: false,
        last_login: before
            .last_login
            .filter(|last| !login_is_due(*last, now))
            .or(Some(now)),
        ..before.clone()
    };
    store::save_login(connection, &after)?;
    let is_audited = is_audited(&before, now);
    if is_audited {
        audit(
            connection,
            now,
            Activity::Login,
            &Initiator::from(&after),
            &after,
            None,
        )?;
    }
    if after.role != before.role {
        let role = Some(("role", after.role.as_str()));
        audit(
            connection,
            now,
            Activity::RoleUpdated,
            &Initiator::system(),
            &after,
            role,
        )?;
    }
    Ok(Changed {
        effects: vec![Effect::SetUser(after.clone())],
        value: LoggedIn {
            user: after,
            is_audited,
        },
    })
}

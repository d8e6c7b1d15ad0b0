//! Making, changing, approving and deleting users.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;

use super::{Actor, Changed, Judge, Refused, find_user};
use crate::clock::Timestamp;
use crate::index::Effect;
use crate::policy::{self, Denied, Module, Operation};
use crate::store::{self, Activity, Initiator, NewAuditEvent, NewUser, Origin};
use crate::user::{Name, Role, User, UserId};

/// What a user is made of.
#[derive(Clone, Debug)]
pub struct NewUserRequest {
    /// Chosen by the asker, or generated.
    pub id: Option<UserId>,
    /// Name of the issuer whose JWTs are this user, or empty.
    pub issuer: Box<str>,
    /// Never owner.
    pub role: Role,
    /// Group ids.
    pub auto_groups: Box<[Box<str>]>,
    /// A machine.
    pub is_service: bool,
    /// May be empty for a machine.
    pub name: Name,
    /// Empty for a machine.
    pub email: Name,
}

/// What can be changed of a user: all of it is put in place.
#[derive(Clone, Debug)]
pub struct UserUpdate {
    /// The role from now on.
    pub role: Role,
    /// The groups from now on.
    pub auto_groups: Box<[Box<str>]>,
    /// Blocked from now on, or not.
    pub is_blocked: bool,
}

/// Makes a user. One made through the API is invited until their first login; one made at the
/// command line is active.
///
/// # Errors
/// [`Refused`], in the order: permission, id taken, e-mail taken.
pub fn create_user(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    request: NewUserRequest,
) -> Result<Changed<User>, Refused> {
    let judge = Judge::of(connection, now, actor)?;
    judge.permit(Module::Users, Operation::Create)?;
    if request.role == Role::Owner {
        return Err(Denied::OwnerRole.into());
    }
    let id = request.id.unwrap_or_else(UserId::generate);
    if store::user_by_id(connection, id.as_str())?.is_some() {
        return Err(Refused::IdTaken);
    }
    if store::email_is_taken(connection, &request.email)? {
        return Err(Refused::EmailTaken);
    }
    let new = NewUser {
        id,
        issuer: request.issuer,
        origin: Origin::Api,
        name: request.name,
        email: request.email,
        role: request.role,
        auto_groups: request.auto_groups,
        is_service: request.is_service,
        is_pending: false,
        is_invited: !request.is_service && actor != Actor::System,
        created_at: now,
    };
    let user = store::insert_user(connection, new)?;
    let activity = if user.is_service {
        Activity::ServiceUserCreated
    } else {
        Activity::UserCreated
    };
    audit(connection, now, activity, &judge.initiator, &user, None)?;
    Ok(set_user(user))
}

/// Puts role, groups and block on a user. Making another the owner makes the owner an admin.
///
/// # Errors
/// [`Refused`], in the order: unknown user, permission, the rules of [`policy::change_user`].
pub fn update_user(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    id: &UserId,
    update: UserUpdate,
) -> Result<Changed<User>, Refused> {
    let judge = Judge::of(connection, now, actor)?;
    let before = find_user(connection, id)?;
    judge.permit(Module::Users, Operation::Update)?;
    match &judge.caller {
        Some(caller) => policy::change_user(caller, &before, update.role, update.is_blocked)?,
        None => policy::change_owner(&before, update.role, update.is_blocked)?,
    }
    let mut effects = Vec::new();
    if update.role == Role::Owner && before.role != Role::Owner {
        effects.extend(demote_owner(connection, now, &judge.initiator)?);
    }
    let after = User {
        role: update.role,
        role_issued_at: decided_by_hand(&before, update.role, now),
        auto_groups: update.auto_groups,
        is_blocked: update.is_blocked,
        ..before.clone()
    };
    store::update_user(connection, &after)?;
    audit_update(connection, now, &judge.initiator, &before, &after)?;
    effects.push(Effect::SetUser(after.clone()));
    Ok(Changed {
        value: after,
        effects,
    })
}

/// Lets a pending user in.
///
/// # Errors
/// [`Refused`], in the order: permission, unknown user, not pending.
pub fn approve_user(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    id: &UserId,
) -> Result<Changed<User>, Refused> {
    let (judge, user) = pending(connection, now, actor, id, Operation::Update)?;
    store::approve_user(connection, user.number)?;
    let user = User {
        is_pending: false,
        is_blocked: false,
        ..user
    };
    audit(
        connection,
        now,
        Activity::UserApproved,
        &judge.initiator,
        &user,
        None,
    )?;
    Ok(set_user(user))
}

/// Deletes a pending user.
///
/// # Errors
/// [`Refused`], in the order: permission, unknown user, not pending.
pub fn reject_user(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    id: &UserId,
) -> Result<Changed<()>, Refused> {
    let (judge, user) = pending(connection, now, actor, id, Operation::Delete)?;
    remove(
        connection,
        now,
        Activity::UserRejected,
        &judge.initiator,
        &user,
    )
}

/// Deletes a user and their tokens.
///
/// # Errors
/// [`Refused`], in the order: oneself, permission, unknown user, owner.
pub fn delete_user(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    id: &UserId,
) -> Result<Changed<()>, Refused> {
    let judge = Judge::of(connection, now, actor)?;
    if judge.caller.as_ref().is_some_and(|caller| caller.id == *id) {
        return Err(Refused::OwnDeletion);
    }
    judge.permit(Module::Users, Operation::Delete)?;
    let user = find_user(connection, id)?;
    if user.role == Role::Owner {
        return Err(Denied::OwnerDeleted.into());
    }
    let activity = if user.is_service {
        Activity::ServiceUserDeleted
    } else {
        Activity::UserDeleted
    };
    remove(connection, now, activity, &judge.initiator, &user)
}

fn pending(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    id: &UserId,
    operation: Operation,
) -> Result<(Judge, User), Refused> {
    let judge = Judge::of(connection, now, actor)?;
    judge.permit(Module::Users, operation)?;
    let user = find_user(connection, id)?;
    if !user.is_pending {
        return Err(Refused::NotPending);
    }
    Ok((judge, user))
}

fn remove(
    connection: &Connection,
    now: Timestamp,
    activity: Activity,
    initiator: &Initiator,
    user: &User,
) -> Result<Changed<()>, Refused> {
    let hashes = store::hashes_of_user(connection, user.number)?;
    store::delete_user(connection, user.number)?;
    audit(connection, now, activity, initiator, user, None)?;
    let tokens = hashes.into_iter().map(Effect::DropToken);
    Ok(Changed {
        value: (),
        // The user first: from then on none of the tokens passes.
        effects: std::iter::once(Effect::DropUser(user.number))
            .chain(tokens)
            .collect(),
    })
}

/// A role that somebody gives is newer than every JWT that was issued before, and than the one that
/// decided, whose issuer's clock may be ahead.
fn decided_by_hand(before: &User, role: Role, now: Timestamp) -> Option<Timestamp> {
    let just_after = |last: Timestamp| last.plus(Duration::from_micros(1));
    match role == before.role {
        true => before.role_issued_at,
        false => before.role_issued_at.map(just_after).max(Some(now)),
    }
}

fn demote_owner(
    connection: &Connection,
    now: Timestamp,
    initiator: &Initiator,
) -> Result<Option<Effect>, Refused> {
    let Some(owner) = store::owner(connection)? else {
        return Ok(None);
    };
    let owner = User {
        role: Role::Admin,
        role_issued_at: decided_by_hand(&owner, Role::Admin, now),
        ..owner
    };
    store::update_user(connection, &owner)?;
    let role = ("role", Role::Admin.as_str());
    audit(
        connection,
        now,
        Activity::RoleUpdated,
        initiator,
        &owner,
        Some(role),
    )?;
    Ok(Some(Effect::SetUser(owner)))
}

fn audit_update(
    connection: &Connection,
    now: Timestamp,
    initiator: &Initiator,
    before: &User,
    after: &User,
) -> rusqlite::Result<()> {
    let write = |activity, detail| audit(connection, now, activity, initiator, after, detail);
    if before.role != after.role {
        let activity = match after.role {
            Role::Owner => Activity::OwnerTransferred,
            _ => Activity::RoleUpdated,
        };
        write(activity, Some(("role", after.role.as_str())))?;
    }
    if before.is_blocked != after.is_blocked {
        let activity = match after.is_blocked {
            true => Activity::UserBlocked,
            false => Activity::UserUnblocked,
        };
        write(activity, None)?;
    }
    let groups = |user: &'_ User| BTreeSet::from_iter(user.auto_groups.iter().cloned());
    let (old, new) = (groups(before), groups(after));
    for group in old.difference(&new) {
        write(Activity::GroupRemoved, Some(("group", group)))?;
    }
    for group in new.difference(&old) {
        write(Activity::GroupAdded, Some(("group", group)))?;
    }
    Ok(())
}

pub(super) fn audit(
    connection: &Connection,
    at: Timestamp,
    activity: Activity,
    initiator: &Initiator,
    target: &User,
    detail: Option<(&str, &str)>,
) -> rusqlite::Result<()> {
    let mut meta = vec![
        ("name", target.name.as_str()),
        ("username", target.name.as_str()),
        ("email", target.email.as_str()),
    ];
    meta.extend(detail);
    store::insert_audit(
        connection,
        &NewAuditEvent {
            at,
            activity,
            initiator,
            target,
            token: None,
            meta: &meta,
        },
    )
}

fn set_user(user: User) -> Changed<User> {
    Changed {
        effects: vec![Effect::SetUser(user.clone())],
        value: user,
    }
}

//! Making and revoking tokens.

use rusqlite::Connection;

use super::{Actor, Changed, Judge, Missing, Refused, find_user};
use crate::clock::Timestamp;
use crate::index::Effect;
use crate::policy::{self, Module, Operation};
use crate::store::{self, Activity, Initiator, NewAuditEvent, NewToken, Token};
use crate::token::{Lifetime, TokenHash};
use crate::user::{Name, User, UserId};
use crate::xid::Xid;

/// What a token is made of. The plain text stays with whoever shows it.
#[derive(Clone, Debug)]
pub struct NewTokenRequest {
    /// Of the plain text.
    pub hash: TokenHash,
    /// What its maker calls it; not empty.
    pub name: Name,
    /// How long it is good.
    pub lifetime: Lifetime,
}

/// Makes a token for a user.
///
/// # Errors
/// [`Refused`], in the order: permission, unknown user, target rule.
pub fn create_token(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    user: &UserId,
    request: NewTokenRequest,
) -> Result<Changed<Token>, Refused> {
    let judge = Judge::of(connection, now, actor)?;
    let target = reach(connection, &judge, user, Operation::Create)?;
    let maker = judge.caller.as_ref().filter(|_| !judge.is(&target));
    let created_by = maker.map(|maker| maker.id.clone());
    let token = insert(
        connection,
        now,
        &judge.initiator,
        &target,
        created_by,
        request,
    )?;
    Ok(Changed {
        effects: vec![Effect::AddToken((&token).into())],
        value: token,
    })
}

/// Adds the token's row and its audit event.
pub(super) fn insert(
    connection: &Connection,
    now: Timestamp,
    initiator: &Initiator,
    target: &User,
    created_by: Option<UserId>,
    request: NewTokenRequest,
) -> Result<Token, Refused> {
    let new = NewToken {
        hash: request.hash,
        user: target.number,
        name: request.name,
        created_by,
        created_at: now,
        expires_at: request.lifetime.end(now),
    };
    let token = store::insert_token(connection, &new)?;
    audit(
        connection,
        now,
        Activity::TokenCreated,
        initiator,
        target,
        &token,
    )?;
    Ok(token)
}

/// Deletes a user's token: it is refused from the moment of the answer on.
///
/// # Errors
/// [`Refused`], in the order: permission, unknown user, target rule, unknown token.
pub fn revoke_token(
    connection: &Connection,
    now: Timestamp,
    actor: Actor,
    user: &UserId,
    id: Xid,
) -> Result<Changed<()>, Refused> {
    let judge = Judge::of(connection, now, actor)?;
    let target = reach(connection, &judge, user, Operation::Delete)?;
    let token = store::token_by_id(connection, target.number, id)?
        .ok_or(Refused::NotFound(Missing::Token))?;
    store::delete_token(connection, token.number)?;
    audit(
        connection,
        now,
        Activity::TokenDeleted,
        &judge.initiator,
        &target,
        &token,
    )?;
    Ok(Changed {
        value: (),
        effects: vec![Effect::DropToken(token.hash)],
    })
}

fn reach(
    connection: &Connection,
    judge: &Judge,
    user: &UserId,
    operation: Operation,
) -> Result<User, Refused> {
    judge.permit(Module::Pats, operation)?;
    let target = find_user(connection, user)?;
    if let Some(caller) = &judge.caller {
        policy::reach_tokens(caller, &target)?;
    }
    Ok(target)
}

fn audit(
    connection: &Connection,
    at: Timestamp,
    activity: Activity,
    initiator: &Initiator,
    target: &User,
    token: &Token,
) -> rusqlite::Result<()> {
    let event = NewAuditEvent {
        at,
        activity,
        initiator,
        target,
        token: Some(token.number),
        meta: &[
            ("name", token.name.as_str()),
            ("username", target.name.as_str()),
        ],
    };
    store::insert_audit(connection, &event)
}

//! Every change of users and tokens: judged from the rows, made, and written into the audit trail,
//! all in the transaction that the caller of these functions has open.
//!
//! The server runs them in its write queue, the command line on its own connection.

mod login;
mod setup;
mod tokens;
mod users;

pub use login::{LoggedIn, Login, log_in};
pub use setup::{FirstOwner, first_owner};
pub use tokens::{NewTokenRequest, create_token, revoke_token};
pub use users::{
    NewUserRequest, UserUpdate, approve_user, create_user, delete_user, reject_user, update_user,
};

use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::index::Effect;
use crate::policy::{self, Denied, Module, Operation};
use crate::store::{self, Initiator, StoreError};
use crate::user::{Caller, Credential, User, UserId, UserNumber};

/// Who asks for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A caller of the API, by row numbers: what they may do now is read from the rows.
    Caller(UserNumber, Credential),
    /// Whoever can write the database file: the command line and the first start.
    System,
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self::Caller(caller.user.number, caller.credential)
    }
}

/// A change that was made, and what it does to the index once it is committed.
#[derive(Debug)]
pub struct Changed<T> {
    /// What the asker gets.
    pub value: T,
    /// For [`crate::index::Index::apply`], in this order.
    pub effects: Vec<Effect>,
}

/// What is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Missing {
    User,
    Token,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The credential was revoked, or expired, since the door.
    #[error("the credential is not good any more")]
    CredentialGone,
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such thing.
    #[error("{} not found", match .0 { Missing::User => "user", Missing::Token => "token" })]
    NotFound(Missing),
    /// Nobody deletes themselves.
    #[error("users can't delete themselves")]
    OwnDeletion,
    /// The JWT that was shown passes no more.
    #[error("the JWT has expired")]
    JwtExpired,
    /// A good JWT of somebody who is no user, or not this issuer's.
    #[error("unknown user")]
    UnknownUser,
    /// There is nothing to approve or reject.
    #[error("user is not pending approval")]
    NotPending,
    /// Another user has the id.
    #[error("a user with this id exists already")]
    IdTaken,
    /// Another user was created with the address.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// There is an owner.
    #[error("setup was done already")]
    SetupDone,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Who asks, as the rows have them now.
struct Judge {
    initiator: Initiator,
    caller: Option<User>,
}

impl Judge {
    /// Reads the asker's rows: blocked or revoked a moment ago, in the same batch even, is refused.
    fn of(connection: &Connection, now: Timestamp, actor: Actor) -> Result<Self, Refused> {
        let number = match actor {
            Actor::System => {
                return Ok(Self {
                    initiator: Initiator::system(),
                    caller: None,
                });
            }
            Actor::Caller(number, Credential::Token(token)) => {
                store::token_by_number(connection, token)?
                    .filter(|token| now < token.expires_at)
                    .ok_or(Refused::CredentialGone)?;
                number
            }
            Actor::Caller(number, Credential::Jwt(until)) if now < until => number,
            Actor::Caller(_, Credential::Jwt(_)) => return Err(Refused::JwtExpired),
        };
        let user = store::user_by_number(connection, number)?;
        let user = user.ok_or(match actor {
            Actor::Caller(_, Credential::Jwt(_)) => Refused::UnknownUser,
            _ => Refused::CredentialGone,
        })?;
        policy::admit(&user)?;
        Ok(Self {
            initiator: Initiator::from(&user),
            caller: Some(user),
        })
    }

    fn permit(&self, module: Module, operation: Operation) -> Result<(), Denied> {
        match &self.caller {
            Some(caller) => policy::permit(caller, module, operation),
            None => Ok(()),
        }
    }

    fn is(&self, user: &User) -> bool {
        self.caller
            .as_ref()
            .is_some_and(|caller| caller.number == user.number)
    }
}

fn find_user(connection: &Connection, id: &UserId) -> Result<User, Refused> {
    store::user_by_id(connection, id.as_str())?.ok_or(Refused::NotFound(Missing::User))
}

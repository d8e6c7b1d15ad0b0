//! What users and tokens look like as JSON: in the API, and with `--json` on the command line.

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::policy::{self, Module, Operation};
use crate::store::Token;
use crate::user::{Role, User};

/// A user as NetBird's clients expect it: none of these fields is ever null.
#[derive(Serialize)]
pub struct UserView<'a> {
    id: &'a str,
    email: &'a str,
    name: &'a str,
    role: Role,
    status: &'static str,
    last_login: LastLogin,
    auto_groups: &'a [Box<str>],
    is_current: bool,
    is_service_user: bool,
    is_blocked: bool,
    pending_approval: bool,
    issued: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    idp_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions<'a>>,
}

/// What a user may do, module by module.
#[derive(Serialize)]
struct Permissions<'a> {
    is_restricted: bool,
    modules: Modules<'a>,
}

struct Modules<'a>(&'a User);

struct Operations<'a>(&'a User, Module);

impl Serialize for Modules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let module = |module: Module| (module.as_str(), Operations(self.0, module));
        serializer.collect_map(Module::ALL.map(module))
    }
}

impl Serialize for Operations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let operation = |operation: Operation| {
            let is_allowed = policy::permit(self.0, self.1, operation).is_ok();
            (operation.as_str(), is_allowed)
        };
        serializer.collect_map(Operation::ALL.map(operation))
    }
}

impl<'a> UserView<'a> {
    /// A user; `is_current` where it is the one who asks.
    pub fn new(user: &'a User, is_current: bool) -> Self {
        Self {
            id: user.id.as_str(),
            email: user.email.as_str(),
            name: user.name.as_str(),
            role: user.role,
            status: user.status(),
            last_login: LastLogin(user.last_login),
            auto_groups: &user.auto_groups,
            is_current,
            is_service_user: user.is_service,
            is_blocked: user.is_blocked,
            pending_approval: user.is_pending,
            issued: "api",
            idp_id: &user.issuer,
            permissions: None,
        }
    }

    /// The user who asks, with their permissions.
    pub fn current(user: &'a User) -> Self {
        Self {
            permissions: Some(Permissions {
                is_restricted: false,
                modules: Modules(user),
            }),
            ..Self::new(user, true)
        }
    }
}

/// Never null or absent: the zero time stands for never, or a real client crashes.
struct LastLogin(Option<Timestamp>);

impl Serialize for LastLogin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(time) => time.serialize(serializer),
            None => serializer.serialize_str(Timestamp::NEVER),
        }
    }
}

/// A token's record as NetBird's clients expect it.
#[derive(Serialize)]
pub struct TokenView<'a> {
    id: &'a str,
    name: &'a str,
    expiration_date: Timestamp,
    created_by: &'a str,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Timestamp>,
}

impl<'a> TokenView<'a> {
    /// A token; `last_used` is left out until the first use.
    pub fn new(token: &'a Token, last_used: Option<Timestamp>) -> Self {
        Self {
            id: token.id.as_str(),
            name: token.name.as_str(),
            expiration_date: token.expires_at,
            created_by: token.created_by.as_str(),
            created_at: token.created_at,
            last_used,
        }
    }
}

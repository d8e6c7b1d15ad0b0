//! What users and tokens look like as JSON: in the API, and with `--json` on the command line.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::policy::{self, Module, Operation};
use crate::schema;
use crate::store::Token;
use crate::user::{Role, User};

/// A user as NetBird's clients expect it: none of these fields is ever null.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView<'a> {
    #[schemars(schema_with = "schema::user_id")]
    id: &'a str,
    /// Empty for a service user.
    email: &'a str,
    name: &'a str,
    #[schemars(schema_with = "schema::role")]
    role: Role,
    #[schemars(schema_with = "schema::status")]
    status: &'static str,
    #[schemars(schema_with = "schema::last_login")]
    last_login: LastLogin,
    auto_groups: &'a [Box<str>],
    is_current: bool,
    is_service_user: bool,
    is_blocked: bool,
    pending_approval: bool,
    #[schemars(extend("const" = ISSUED))]
    issued: &'static str,
    /// The issuer whose JWTs are this user; left out for a user of tokens only.
    #[serde(skip_serializing_if = "str::is_empty")]
    idp_id: &'a str,
    /// Of the user who asks, in `/api/users/current` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Permissions<'a>")]
    permissions: Option<Permissions<'a>>,
}

const ISSUED: &str = "api";

/// What a user may do, module by module.
#[derive(Serialize, JsonSchema)]
struct Permissions<'a> {
    is_restricted: bool,
    #[schemars(schema_with = "schema::modules")]
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
            issued: ISSUED,
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
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PersonalAccessToken")]
pub struct TokenView<'a> {
    #[schemars(schema_with = "schema::token_id")]
    id: &'a str,
    name: &'a str,
    #[schemars(schema_with = "schema::timestamp")]
    expiration_date: Timestamp,
    /// The id of the user who made it.
    created_by: &'a str,
    #[schemars(schema_with = "schema::timestamp")]
    created_at: Timestamp,
    /// Left out until the first use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timestamp")]
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

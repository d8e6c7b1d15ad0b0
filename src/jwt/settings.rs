//! What the configuration says of an issuer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Algorithm;
use crate::user::Role;

/// One `[[issuer]]`. Has no `Debug`: a key in it may be a shared secret.
#[derive(Clone)]
pub struct IssuerSettings {
    /// Unique; what users are bound to.
    pub name: Box<str>,
    /// The claim `iss`, to the byte. Unique.
    pub issuer: Box<str>,
    /// One of them must be in `aud`. Not empty.
    pub audiences: Vec<Box<str>>,
    /// A JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Keys named one by one. Where there is no `jwks_file` there is one at least.
    pub keys: Vec<KeySettings>,
    /// What a key may be pinned to. Not empty, all of them symmetric or none.
    pub algorithms: Vec<Algorithm>,
    /// Whether the keys are shared secrets, all of them.
    pub allow_symmetric: bool,
    /// Claim with the user's id.
    pub user_id_claim: Box<str>,
    /// Claim with the display name of a new user.
    pub name_claim: Box<str>,
    /// Claim with the e-mail address of a new user.
    pub email_claim: Box<str>,
    /// Whether an address is believed without `email_verified: true`.
    pub trust_email: bool,
    /// By how much the clocks may differ, 0 to 300 s.
    pub leeway: Duration,
    /// How far ahead `exp` may be.
    pub max_age: Duration,
    /// What becomes of somebody who is not a user yet.
    pub unknown_users: UnknownUsers,
    /// Where the role comes from, if not from here.
    pub role_claim: Option<RoleClaim>,
    /// Values of `typ` that are accepted, besides none at all.
    pub typ: Vec<Box<str>>,
}

impl IssuerSettings {
    /// The files that its keys are read from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let keys = self.keys.iter().filter_map(|key| match &key.source {
            KeySource::PemFile(path) => Some(path),
            KeySource::Pem(_) | KeySource::Jwk(_) => None,
        });
        self.jwks_file.iter().chain(keys).map(PathBuf::as_path)
    }
}

/// One `[[issuer.key]]`. Has no `Debug`: it may be a shared secret.
#[derive(Clone)]
pub struct KeySettings {
    /// File and line, for messages.
    pub place: String,
    /// The key's id.
    pub kid: Option<Box<str>>,
    /// What the key is for.
    pub algorithm: Option<Algorithm>,
    /// The key.
    pub source: KeySource,
}

/// Where a key stands.
#[derive(Clone)]
pub enum KeySource {
    /// A file with a public key in PEM.
    PemFile(PathBuf),
    /// A public key in PEM.
    Pem(Zeroizing<String>),
    /// A JSON Web Key.
    Jwk(Zeroizing<String>),
}

/// What becomes of somebody whose JWT is good and who is not a user yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownUsers {
    /// 401.
    #[default]
    Reject,
    /// They become a user.
    Create,
    /// They become a user who waits for an approval.
    CreatePending,
}

/// How a claim decides the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleClaim {
    /// Its name.
    pub claim: Box<str>,
    /// From a value of the claim to a role; never owner.
    pub map: BTreeMap<Box<str>, Role>,
    /// The mightiest that it gives; never owner.
    pub max: Role,
}

impl RoleClaim {
    /// The mightiest role that a value of the claim stands for, at most `max`; `user` where none
    /// does, or where the claim is missing or neither a string nor an array.
    pub fn decide(&self, claims: &Map<String, Value>) -> Role {
        let values = match claims.get(&*self.claim) {
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        let roles = values
            .iter()
            .filter_map(Value::as_str)
            .filter_map(|value| self.map.get(value));
        // The mightiest role stands first in the order of the enum.
        let role = roles.min().copied().unwrap_or(Role::User);
        role.max(self.max)
    }

    /// How [`Self::decide`] comes to its role, for the person who wonders.
    pub fn explain(&self, claims: &Map<String, Value>) -> String {
        let name = &self.claim;
        let without_max = Self {
            max: Role::Owner,
            ..self.clone()
        };
        let (role, decided) = (without_max.decide(claims), self.decide(claims));
        let found = match claims.get(&**name) {
            None => format!("{name} is absent, so user"),
            Some(Value::Object(_)) => format!("{name} is an object, which is not read, so user"),
            Some(value) => {
                let values = value
                    .as_array()
                    .map_or(std::slice::from_ref(value), Vec::as_slice);
                let mut values = values.iter().filter_map(Value::as_str);
                match values.any(|value| self.map.contains_key(value)) {
                    true => format!("{name} is {value}: {role}"),
                    false => format!("{name} is {value}: role_map has none of it, so user"),
                }
            }
        };
        match role == decided {
            true => found,
            false => format!("{found}, but at most {decided} (max_role)"),
        }
    }
}

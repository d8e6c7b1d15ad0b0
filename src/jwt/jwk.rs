//! JSON Web Keys (RFC 7517, 7518, 8037), read strictly.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::Family;
use super::key::{Key, Wanted};
use super::key_fault::KeyFault;
use super::material::{Curve, Material};
use crate::json::{JsonFault, parse_object};

/// What only a private key has, of any type.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];
/// How much of an unknown name is shown.
const SHOWN: usize = 40;
const KID_LIMIT: usize = 255;

/// A JSON object that may hold a secret: wiped from memory when dropped.
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeyFault> {
        parse_object(text).map(Self).map_err(|fault| match fault {
            JsonFault::Empty => KeyFault::Empty,
            JsonFault::Syntax => KeyFault::Syntax,
            JsonFault::NotAnObject => KeyFault::NotAnObject,
            JsonFault::DuplicateName => KeyFault::DuplicateName,
        })
    }

    /// The keys of a set.
    pub(super) fn keys(&self) -> Result<&Vec<Value>, KeyFault> {
        match self.0.get("keys") {
            None if self.0.contains_key("jwks_uri") => Err(KeyFault::Discovery),
            keys => keys.and_then(Value::as_array).ok_or(KeyFault::NoKeys),
        }
    }

    /// As a key by itself.
    pub(super) fn key(&self, wanted: &Wanted) -> Result<Key, KeyFault> {
        Jwk(&self.0).key(wanted)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A key of a set, judged for an issuer.
pub(super) fn key(value: &Value, wanted: &Wanted) -> Result<Key, KeyFault> {
    let members = value.as_object().ok_or(KeyFault::NotAnObject)?;
    Jwk(members).key(wanted)
}

/// Its id for a message, if it has one that can be shown.
pub(super) fn kid(value: &Value) -> Option<&str> {
    value.get("kid")?.as_str().filter(|kid| is_kid(kid))
}

/// Whether a text may be the id of a key.
pub(super) fn is_kid(text: &str) -> bool {
    (1..=KID_LIMIT).contains(&text.len()) && !text.chars().any(char::is_control)
}

struct Jwk<'a>(&'a Map<String, Value>);

impl<'a> Jwk<'a> {
    /// The order matters: a private key is refused whatever else it is, then comes what is not for
    /// us, and only what is left must be well-formed.
    fn key(&self, wanted: &Wanted) -> Result<Key, KeyFault> {
        if PRIVATE.iter().any(|member| self.0.contains_key(*member)) {
            return Err(KeyFault::Private);
        }
        let family = self.family()?;
        self.is_for_signatures()?;
        let algorithm = wanted.pin(family, self.optional("alg")?)?;
        let kid = wanted.kid(self.optional("kid")?)?;
        Key::judge(kid, algorithm, &self.material(family)?)
    }

    fn family(&self) -> Result<Family, KeyFault> {
        match self.required("kty")? {
            "RSA" => Ok(Family::Rsa),
            "oct" => Ok(Family::Symmetric),
            kty @ ("EC" | "OKP") => match (kty, self.required("crv")?) {
                ("EC", "P-256") => Ok(Family::P256),
                ("EC", "P-384") => Ok(Family::P384),
                ("OKP", "Ed25519") => Ok(Family::Ed25519),
                (_, crv) => Err(KeyFault::Crv(shown(crv))),
            },
            kty => Err(KeyFault::Kty(shown(kty))),
        }
    }

    fn is_for_signatures(&self) -> Result<(), KeyFault> {
        match self.optional("use")? {
            None | Some("sig") => {}
            Some(purpose) => return Err(KeyFault::Use(shown(purpose))),
        }
        let Some(operations) = self.0.get("key_ops") else {
            return Ok(());
        };
        let operations = operations.as_array().ok_or(KeyFault::KeyOps)?;
        if !operations.iter().all(Value::is_string) {
            return Err(KeyFault::KeyOps);
        }
        if !operations.iter().any(|operation| operation == "verify") {
            return Err(KeyFault::NotForVerify);
        }
        Ok(())
    }

    fn material(&self, family: Family) -> Result<Material, KeyFault> {
        let coordinates = |curve| {
            Ok(Material::Ec {
                curve,
                x: self.bytes("x")?.to_vec(),
                y: self.bytes("y")?.to_vec(),
            })
        };
        match family {
            Family::Rsa => Ok(Material::rsa(&self.bytes("n")?, &self.bytes("e")?)),
            Family::P256 => coordinates(Curve::P256),
            Family::P384 => coordinates(Curve::P384),
            Family::Ed25519 => Ok(Material::Ed25519 {
                x: self.bytes("x")?.to_vec(),
            }),
            Family::Symmetric => Ok(Material::Symmetric(self.bytes("k")?)),
        }
    }

    fn bytes(&self, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        let text = self.required(member)?;
        // As long as it can become: a buffer that grew would leave a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        match URL_SAFE_NO_PAD.decode_vec(text, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(KeyFault::NotBase64(member)),
        }
    }

    fn required(&self, member: &'static str) -> Result<&'a str, KeyFault> {
        self.optional(member)?.ok_or(KeyFault::Missing(member))
    }

    fn optional(&self, member: &'static str) -> Result<Option<&'a str>, KeyFault> {
        match self.0.get(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(KeyFault::NotAString(member)),
        }
    }
}

/// As much of a name as a message needs; `Debug` of it escapes the rest.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

//! What is refused, what is skipped, what is taken, and what it verifies.

mod choice;
mod files;
mod forged;
mod issuing;
mod memory;
mod order;
mod pem;
mod refused;
mod secrecy;
mod signatures;
mod skipped;
mod taken;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::jwt::{
    Algorithm, Issuer, IssuerSet, IssuerSettings, KeySettings, KeySource, Loaded, UnknownUsers,
};

/// RFC 7515 A.2.
const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPME\
    zP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS\
    5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyx\
    XFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn rsa() -> Value {
    json!({"kty": "RSA", "n": N, "e": "AQAB"})
}

/// RFC 7515 A.3.
fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// RFC 8037 A.2.
fn ed25519() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn oct(bytes: usize) -> Value {
    json!({"kty": "oct", "k": base64(&vec![7; bytes])})
}

/// A key with members added or replaced.
fn with(mut key: Value, members: Value) -> Value {
    let added = members.as_object().unwrap().clone();
    key.as_object_mut().unwrap().extend(added);
    key
}

fn without(mut key: Value, member: &str) -> Value {
    key.as_object_mut().unwrap().remove(member).unwrap();
    key
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The issuer `home` with names of algorithms, and no key yet.
fn home(algorithms: &str) -> IssuerSettings {
    let algorithms = algorithms.split_whitespace();
    let algorithms: Vec<_> = algorithms
        .map(|name| Algorithm::parse(name).unwrap())
        .collect();
    IssuerSettings {
        name: "home".into(),
        issuer: "https://id.example".into(),
        audiences: vec!["netbird".into()],
        jwks_file: None,
        keys: Vec::new(),
        allow_symmetric: algorithms[0].as_str().starts_with("HS"),
        algorithms,
        user_id_claim: "sub".into(),
        name_claim: "name".into(),
        email_claim: "email".into(),
        trust_email: false,
        leeway: Duration::ZERO,
        max_age: Duration::from_secs(3600),
        unknown_users: UnknownUsers::Reject,
        role_claim: None,
        typ: Vec::new(),
    }
}

/// A key named by itself.
fn named(source: KeySource) -> KeySettings {
    KeySettings {
        place: "auth.toml, line 7".into(),
        kid: None,
        algorithm: None,
        source,
    }
}

fn jwk(key: &Value) -> KeySource {
    KeySource::Jwk(key.to_string().into())
}

/// Reads one issuer; a fault as its text.
fn load(settings: IssuerSettings) -> Result<Loaded, String> {
    IssuerSet::load(vec![settings]).map_err(|fault| fault.to_string())
}

/// Reads an issuer with this text in `keys.json`, which stands in no message with its folder.
fn load_text(mut settings: IssuerSettings, text: impl AsRef<[u8]>) -> Result<Loaded, String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, text).unwrap();
    settings.jwks_file = Some(path);
    let prefix = format!("{}/", folder.path().display());
    let mut loaded = load(settings).map_err(|fault| fault.replace(&prefix, ""))?;
    for warning in &mut loaded.warnings {
        *warning = warning.replace(&prefix, "");
    }
    Ok(loaded)
}

fn load_keys(settings: IssuerSettings, keys: &[Value]) -> Result<Loaded, String> {
    load_text(settings, json!({ "keys": keys }).to_string())
}

/// The one issuer.
fn only(loaded: &Loaded) -> &Issuer {
    loaded.set.by_name("home").unwrap()
}

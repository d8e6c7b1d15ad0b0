//! `[[issuer]]` and `[[issuer.key]]`. Nothing is read of the files that are named there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ConfigError;
use super::reader::Reader;
use super::table::{Kind, Table};
use super::value::{self, Fault, Given};
use crate::jwt::{
    Algorithm, Family, IssuerSettings, KeySettings, KeySource, RoleClaim, UnknownUsers,
};
use crate::user::Role;

/// In the order of `netbird-auth.toml`, which shows all of them.
pub(super) static ISSUER: Kind = Kind {
    path: "issuer",
    keys: &[
        "name",
        "issuer",
        "audiences",
        "jwks_file",
        "algorithms",
        "allow_symmetric",
        "typ",
        "leeway_seconds",
        "max_age_days",
        "user_id_claim",
        "name_claim",
        "email_claim",
        "trust_email",
        "unknown_users",
        "role_claim",
        "role_map",
        "max_role",
        "key",
    ],
};

/// As [`ISSUER`].
pub(super) static KEY: Kind = Kind {
    path: "issuer.key",
    keys: &["kid", "algorithm", "pem_file", "pem", "jwk"],
};

const PUBLIC: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
const SYMMETRIC: [Algorithm; 1] = [Algorithm::Hs256];
const TYP: [&str; 2] = ["JWT", "at+jwt"];
const DAY: u64 = 24 * 60 * 60;

/// Reads every issuer.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<IssuerSettings>, ConfigError> {
    let mut issuers: Vec<IssuerSettings> = Vec::new();
    let mut places: Vec<String> = Vec::new();
    for table in reader.tables(&ISSUER)? {
        let issuer = read_one(&table)?;
        // Users are bound to the name, and the issuer of a JWT is found by its `iss`.
        for (other, place) in issuers.iter().zip(&places) {
            let taken = format!("must differ from that of the [[issuer]] in {place}");
            if other.name == issuer.name {
                return Err(table.fault("name", &taken));
            }
            if other.issuer == issuer.issuer {
                return Err(table.fault("issuer", &taken));
            }
        }
        places.push(table.place().to_owned());
        issuers.push(issuer);
    }
    Ok(issuers)
}

#[rustfmt::skip]
fn read_one(table: &Table<'_>) -> Result<IssuerSettings, ConfigError> {
    let allow_symmetric = table.get("allow_symmetric", false, value::boolean)?;
    let leeway = table.get("leeway_seconds", 30, value::integer(0..=300))?;
    let max_age: u64 = table.get("max_age_days", 30, value::integer(1..=3650))?;
    let settings = IssuerSettings {
        name: table.required("name", name)?,
        issuer: table.required("issuer", value::line)?,
        audiences: table.required("audiences", audiences)?,
        jwks_file: table.optional("jwks_file", value::path)?,
        keys: table.tables(&KEY)?.iter().map(read_key).collect::<Result<_, _>>()?,
        algorithms: read_algorithms(table, allow_symmetric)?,
        allow_symmetric,
        user_id_claim: table.get("user_id_claim", "sub".into(), value::line)?,
        name_claim: table.get("name_claim", "name".into(), value::line)?,
        email_claim: table.get("email_claim", "email".into(), value::line)?,
        trust_email: table.get("trust_email", false, value::boolean)?,
        leeway: Duration::from_secs(leeway),
        max_age: Duration::from_secs(max_age * DAY),
        unknown_users: table.get("unknown_users", UnknownUsers::Reject, unknown_users)?,
        role_claim: read_role_claim(table)?,
        typ: table.get("typ", TYP.map(Into::into).into(), value::lines)?,
    };
    if settings.jwks_file.is_none() && settings.keys.is_empty() {
        return Err(table.fault_of_all("has no key: give it a `jwks_file` or an [[issuer.key]]"));
    }
    Ok(settings)
}

fn read_algorithms(table: &Table<'_>, symmetric: bool) -> Result<Vec<Algorithm>, ConfigError> {
    let default: &[Algorithm] = if symmetric { &SYMMETRIC } else { &PUBLIC };
    let key = "algorithms";
    let found = table.get(key, default.to_vec(), algorithms)?;
    // A public key that is taken for a shared secret lets anybody sign (RFC 8725 §2.1).
    let is_other = |algorithm: &Algorithm| (algorithm.family() == Family::Symmetric) != symmetric;
    if !found.iter().any(is_other) {
        return Ok(found);
    }
    let message = if symmetric {
        "must be HS256, HS384 and HS512 only, since `allow_symmetric` is true: shared secrets and \
         public keys are not mixed in one [[issuer]]"
    } else {
        "may have HS256, HS384 and HS512 only where `allow_symmetric` is true, and then no other \
         beside them"
    };
    Err(table.fault(key, message))
}

fn read_role_claim(table: &Table<'_>) -> Result<Option<RoleClaim>, ConfigError> {
    let claim = table.optional("role_claim", value::line)?;
    let map = table.optional("role_map", role_map)?;
    let max = table.optional("max_role", |given| role(given.text()?))?;
    let without = |key, other| Err(table.fault(key, &format!("is of no use without `{other}`")));
    match (claim, map, max) {
        (Some(claim), Some(map), max) => {
            let max = max.unwrap_or(Role::Admin);
            Ok(Some(RoleClaim { claim, map, max }))
        }
        (Some(_), None, _) => without("role_claim", "role_map"),
        (None, Some(_), _) => without("role_map", "role_claim"),
        (None, None, Some(_)) => without("max_role", "role_claim"),
        (None, None, None) => Ok(None),
    }
}

fn read_key(table: &Table<'_>) -> Result<KeySettings, ConfigError> {
    let file: Option<PathBuf> = table.optional("pem_file", value::path)?;
    let pem = table.optional("pem", secret)?;
    let jwk = table.optional("jwk", secret)?;
    let source = match (file, pem, jwk) {
        (Some(file), None, None) => KeySource::PemFile(file),
        (None, Some(pem), None) => KeySource::Pem(pem),
        (None, None, Some(jwk)) => KeySource::Jwk(jwk),
        (None, None, None) => {
            return Err(table.fault_of_all("must have one of `pem_file`, `pem` and `jwk`"));
        }
        _ => return Err(table.fault_of_all("must have only one of `pem_file`, `pem` and `jwk`")),
    };
    Ok(KeySettings {
        place: table.place().to_owned(),
        kid: table.optional("kid", value::line)?,
        algorithm: table.optional("algorithm", |given| algorithm(given.text()?))?,
        source,
    })
}

fn name(given: Given<'_>) -> Result<Box<str>, Fault> {
    value::name(given).map(Into::into)
}

fn audiences(given: Given<'_>) -> Result<Vec<Box<str>>, Fault> {
    not_empty(value::lines(given)?)
}

fn algorithms(given: Given<'_>) -> Result<Vec<Algorithm>, Fault> {
    let found = not_empty(value::each(given, algorithm)?)?;
    for (index, algorithm) in found.iter().enumerate() {
        if found.iter().take(index).any(|other| other == algorithm) {
            return Err(format!("has {algorithm} twice"));
        }
    }
    Ok(found)
}

fn algorithm(name: &str) -> Result<Algorithm, Fault> {
    Algorithm::parse(name).map_err(|fault| format!("is refused: {fault}"))
}

fn unknown_users(given: Given<'_>) -> Result<UnknownUsers, Fault> {
    match given.text()? {
        "reject" => Ok(UnknownUsers::Reject),
        "create" => Ok(UnknownUsers::Create),
        "create_pending" => Ok(UnknownUsers::CreatePending),
        _ => Err("must be reject, create or create_pending".to_owned()),
    }
}

fn role_map(given: Given<'_>) -> Result<BTreeMap<Box<str>, Role>, Fault> {
    let mut map = BTreeMap::new();
    for (key, name) in given.pairs()? {
        if key.is_empty() {
            return Err("must not have an empty key".to_owned());
        }
        let role = role(name).map_err(|fault| format!("of `{key}` {fault}"))?;
        map.insert(key.into(), role);
    }
    if map.is_empty() {
        return Err(value::EMPTY.to_owned());
    }
    Ok(map)
}

/// Any role but owner: it moves by a transfer only.
fn role(name: &str) -> Result<Role, Fault> {
    let role = Role::parse(name).filter(|role| *role != Role::Owner);
    role.ok_or_else(|| {
        let roles = Role::ALL.iter().filter(|role| **role != Role::Owner);
        let names: Vec<&str> = roles.map(|role| role.as_str()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// A key may be a shared secret, so this copy of it is wiped.
fn secret(given: Given<'_>) -> Result<Zeroizing<String>, Fault> {
    let text = given.text()?;
    if text.trim().is_empty() {
        return Err(value::EMPTY.to_owned());
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn not_empty<T>(list: Vec<T>) -> Result<Vec<T>, Fault> {
    if list.is_empty() {
        return Err(value::EMPTY.to_owned());
    }
    Ok(list)
}

//! JSON bodies, read field by field as the handlers do.

use netbird_auth::api::Fields;
use netbird_auth::api::bodies::{first_owner, new_token, new_user, user_update};
use netbird_auth::clock::Timestamp;
use netbird_auth::error::ApiError;
use netbird_auth::json::{JsonFault, parse_object};
use netbird_auth::token::Lifetime;
use netbird_auth::user::{MOST_GROUPS, Name, Role, parse_groups};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A body.
pub fn run(data: &[u8]) {
    strictly(data);
    if let Ok(fields) = Fields::parse(data) {
        for read in [user, update, token, setup] {
            if let Err(fault) = read(&fields) {
                // Texts of our own: nothing of the body is in them.
                let text = fault.to_string();
                assert!(text.len() < 200 && text.is_ascii(), "{text}");
            }
        }
    }
}

/// As `serde_json` reads it, but for names that stand twice.
fn strictly(data: &[u8]) {
    let known = serde_json::from_slice::<Value>(data);
    match parse_object(data) {
        Ok(object) => {
            let value = Value::Object(object);
            assert_eq!(known.ok().as_ref(), Some(&value));
            let Members(all) = serde_json::from_slice(data).unwrap();
            assert_eq!(all, members(&value), "a name stands twice");
            // What it was read as is clean too. Numbers with a fraction may lose their last bit on the way.
            let text = serde_json::to_vec(&value).unwrap();
            let again = parse_object(&text).map(Value::Object);
            assert_eq!(again.ok(), serde_json::from_slice(&text).ok());
        }
        Err(JsonFault::Empty) => assert!(data.is_empty()),
        Err(JsonFault::NotAnObject) => assert!(!known.unwrap().is_object()),
        Err(JsonFault::Syntax) => assert!(known.is_err()),
        // Whatever follows the second name is not looked at.
        Err(JsonFault::DuplicateName) => {}
    }
}

/// How many names stand in a text, those that stand there twice counted twice.
struct Members(usize);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Members(0))
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Members(below)) = items.next_element()? {
            self.0 += below;
        }
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some((_, Members(below))) = items.next_entry::<IgnoredAny, Members>()? {
            self.0 += below + 1;
        }
        Ok(self)
    }
}

fn members(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.values().map(|value| members(value) + 1).sum(),
        Value::Array(items) => items.iter().map(members).sum(),
        _ => 0,
    }
}

fn user(fields: &Fields) -> Result<(), ApiError> {
    let is_service = new_user::IS_SERVICE_USER.of(fields)?;
    groups(&new_user::GROUPS.of(fields)?);
    for field in new_user::TEXTS {
        field.of(fields)?;
    }
    let role = new_user::ROLE.of(fields)?;
    assert!(Role::ALL.contains(&role) && role != Role::Owner);
    if is_service {
        name(&new_user::ANY_NAME.of(fields)?);
        return Ok(());
    }
    if let Some(id) = new_user::ID.of(fields)? {
        assert_eq!(Some(id.as_str()), text(fields, "id"));
        assert!(!["", "current", "sys", "-", ".", ".."].contains(&id.as_str()));
        assert!(id.as_str().len() <= 255);
    }
    person(fields)
}

fn person(fields: &Fields) -> Result<(), ApiError> {
    let shown = new_user::NAME.of(fields)?;
    assert_eq!(text(fields, "name"), Some(shown.as_str()));
    assert!(!shown.as_str().is_empty());
    name(&shown);
    let email = new_user::EMAIL.of(fields)?;
    let (before, behind) = email.as_str().split_once('@').unwrap();
    assert!(!before.is_empty() && !behind.is_empty());
    name(&email);
    Ok(())
}

fn update(fields: &Fields) -> Result<(), ApiError> {
    groups(&user_update::GROUPS.of(fields)?);
    user_update::IS_BLOCKED.of(fields)?;
    let role = user_update::ROLE.of(fields)?;
    let given = text(fields, "role").unwrap();
    assert_eq!(given.to_ascii_lowercase(), role.as_str());
    Ok(())
}

fn token(fields: &Fields) -> Result<(), ApiError> {
    name(&new_token::NAME.of(fields)?);
    days(fields, "expires_in", new_token::EXPIRES_IN.of(fields)?);
    Ok(())
}

fn setup(fields: &Fields) -> Result<(), ApiError> {
    person(fields)?;
    first_owner::CREATE_PAT.of(fields)?;
    if let Some(lifetime) = first_owner::PAT_EXPIRE_IN.of(fields)? {
        days(fields, "pat_expire_in", lifetime);
    }
    Ok(())
}

fn days(fields: &Fields, field: &str, lifetime: Lifetime) {
    let days = fields.get(field).and_then(Value::as_i64).unwrap();
    assert!((1..=365).contains(&days));
    let end = lifetime.end(Timestamp::from_micros(0)).micros();
    assert_eq!(end, days * 86_400_000_000);
}

fn groups(ids: &[&str]) {
    if let Ok(groups) = parse_groups(ids.iter().copied()) {
        assert!(groups.len() <= MOST_GROUPS && groups.len() == ids.len());
        assert!(
            groups
                .iter()
                .zip(ids)
                .all(|(kept, given)| **kept == **given)
        );
        assert!(groups.iter().all(|id| (1..=255).contains(&id.len())));
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn name(name: &Name) {
    let text = name.as_str();
    assert!(text.len() <= 255 && !text.chars().any(char::is_control));
}

//! JSON bodies, read field by field as the handlers do.

use netbird_auth::api::Fields;
use netbird_auth::error::ApiError;
use netbird_auth::json::{JsonFault, parse_object};
use netbird_auth::user::{MOST_GROUPS, Name, Role, UserId, parse_groups};
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
    fields.flag("is_service_user")?;
    groups(fields)?;
    for field in ["name", "email", "id", "issuer"] {
        fields.text(field)?;
    }
    assert!(Role::ALL.contains(&fields.role()?));
    name(&fields.name("name")?);
    if let Some(Ok(id)) = fields.text("id")?.map(UserId::parse_new) {
        assert_eq!(Some(id.as_str()), fields.text("id")?);
        assert!(!["", "current", "sys", "-", ".", ".."].contains(&id.as_str()));
        assert!(id.as_str().len() <= 255);
    }
    person(fields)
}

fn person(fields: &Fields) -> Result<(), ApiError> {
    let shown = fields.required_name("name")?;
    assert_eq!(fields.text("name")?, Some(shown.as_str()));
    assert!(!shown.as_str().is_empty());
    name(&shown);
    let email = fields.required_email()?;
    let (before, behind) = email.as_str().split_once('@').unwrap();
    assert!(!before.is_empty() && !behind.is_empty());
    name(&email);
    Ok(())
}

fn update(fields: &Fields) -> Result<(), ApiError> {
    groups(fields)?;
    fields.flag("is_blocked")?;
    let role = fields.role()?;
    let text = fields.text("role")?.unwrap();
    assert_eq!(text.to_ascii_lowercase(), role.as_str());
    Ok(())
}

fn token(fields: &Fields) -> Result<(), ApiError> {
    name(&fields.required_name("name")?);
    days(fields, "expires_in")
}

fn setup(fields: &Fields) -> Result<(), ApiError> {
    person(fields)?;
    fields.flag("create_pat")?;
    days(fields, "pat_expire_in")
}

fn days(fields: &Fields, field: &str) -> Result<(), ApiError> {
    use netbird_auth::clock::Timestamp;
    let Some(lifetime) = fields.lifetime(field)? else {
        return Ok(());
    };
    let days = fields.get(field).and_then(Value::as_i64).unwrap();
    assert!((1..=365).contains(&days));
    let end = lifetime.end(Timestamp::from_micros(0)).micros();
    assert_eq!(end, days * 86_400_000_000);
    Ok(())
}

fn groups(fields: &Fields) -> Result<(), ApiError> {
    let ids = fields.strings("auto_groups")?.unwrap_or_default();
    if let Ok(groups) = parse_groups(ids.iter().copied()) {
        assert!(groups.len() <= MOST_GROUPS && groups.len() == ids.len());
        assert!(groups.iter().zip(ids).all(|(kept, given)| **kept == *given));
        assert!(groups.iter().all(|id| (1..=255).contains(&id.len())));
    }
    Ok(())
}

fn name(name: &Name) {
    let text = name.as_str();
    assert!(text.len() <= 255 && !text.chars().any(char::is_control));
}

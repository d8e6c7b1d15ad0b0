//! Bodies of requests that nothing is wrong with, and looking into answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A new service user.
pub fn service(name: &str) -> Value {
    json!({"name": name, "role": "user", "is_service_user": true, "auto_groups": []})
}

/// A new human.
pub fn human(email: &str) -> Value {
    json!({"name": "Ann", "email": email, "role": "user", "is_service_user": false, "auto_groups": []})
}

/// The names of an object's fields.
pub fn keys(object: &Value) -> BTreeSet<&str> {
    let object = object.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

/// A time of the API: RFC 3339, UTC, `Z`, six fractional digits.
#[track_caller]
pub fn time_of(value: &Value) -> OffsetDateTime {
    let text = value.as_str().unwrap();
    let fraction = text.split_once('.').unwrap().1.strip_suffix('Z').unwrap();
    assert_eq!(fraction.len(), 6, "{text}");
    assert!(text.contains('T'), "{text}");
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

//! What single values look like on the wire, as JSON Schema (draft 2020-12): made of the lists and
//! limits that the parsers use.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::policy::{Module, Operation};
use crate::store::Activity;
use crate::token::TOKEN_LENGTH;
use crate::user::{LONGEST_TEXT, Role, STATUSES};
use crate::xid;

/// What no id and no name has, for a set of a pattern (Unicode category Cc).
pub const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// A schema of an object in JSON; of anything else, the schema that refuses nothing.
pub fn of(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

/// A text of a person: of so many characters at least.
pub fn text(least: usize) -> Schema {
    of(json!({
        "type": "string",
        "minLength": least,
        "maxLength": LONGEST_TEXT,
        "pattern": format!("^[^{CONTROL}]*$"),
        "description": format!("At most {LONGEST_TEXT} bytes of UTF-8, without control characters."),
    }))
}

/// A user's id.
pub fn user_id(_: &mut SchemaGenerator) -> Schema {
    text(1)
}

/// A token's id.
pub fn token_id(_: &mut SchemaGenerator) -> Schema {
    of(json!({
        "type": "string",
        "pattern": format!("^[0-9a-v]{{{}}}$", xid::LENGTH),
        "examples": ["9m4e2mr0ui3e8a215n4g"],
    }))
}

/// A personal access token.
pub fn plain_token(_: &mut SchemaGenerator) -> Schema {
    let rest = TOKEN_LENGTH - "nbp_".len();
    of(json!({ "type": "string", "pattern": format!("^nbp_[0-9A-Za-z]{{{rest}}}$") }))
}

/// A moment.
pub fn timestamp(_: &mut SchemaGenerator) -> Schema {
    of(json!({
        "type": "string",
        "format": "date-time",
        "examples": ["2026-01-31T12:00:00.000000Z"],
    }))
}

/// A last login.
pub fn last_login(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = timestamp(generator);
    let about = format!("{} where there was none.", Timestamp::NEVER);
    schema.insert("description".to_owned(), about.into());
    schema
}

/// A role, as the server writes it.
pub fn role(_: &mut SchemaGenerator) -> Schema {
    words(Role::ALL.map(Role::as_str))
}

/// What `status` of a user may be.
pub fn status(_: &mut SchemaGenerator) -> Schema {
    words(STATUSES)
}

/// What happened. Not only what this version writes: the file may have been a later one's.
pub fn activity_code(_: &mut SchemaGenerator) -> Schema {
    let known: Vec<&str> = Activity::codes().collect();
    of(json!({ "type": "string", "examples": known }))
}

/// What a user may do, module by module.
pub fn modules(_: &mut SchemaGenerator) -> Schema {
    let operations = Operation::ALL.map(|operation| (operation.as_str(), flag()));
    let operations = object(operations);
    object(Module::ALL.map(|module| (module.as_str(), operations.clone())))
}

/// One of a few words.
pub fn words(words: impl IntoIterator<Item = &'static str>) -> Schema {
    let words: Vec<&str> = words.into_iter().collect();
    of(json!({ "type": "string", "enum": words }))
}

fn flag() -> Schema {
    of(json!({ "type": "boolean" }))
}

/// An object of which every member is there.
fn object(members: impl IntoIterator<Item = (&'static str, Schema)>) -> Schema {
    let members: Map<String, Value> = members
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema.into()))
        .collect();
    let names: Vec<&String> = members.keys().collect();
    of(json!({ "type": "object", "required": names, "properties": members }))
}

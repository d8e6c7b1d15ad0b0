//! Members that are texts.

use schemars::Schema;
use serde_json::{Value, json};

use super::{Kind, invalid_text, or_null, wrong_type};
use crate::error::ApiError;
use crate::schema::{self, CONTROL, of};
use crate::user::{Name, RESERVED_IDS, UserId};

/// Any string.
pub enum Text {}

impl Kind for Text {
    type Read<'a> = Option<&'a str>;
    const REQUIRED: bool = false;

    fn read<'a>(name: &str, value: Option<&'a Value>) -> Result<Option<&'a str>, ApiError> {
        let text = value.map(|value| value.as_str().ok_or_else(|| wrong_type(name, "a string")));
        text.transpose()
    }

    fn schema() -> Schema {
        of(json!({ "type": ["string", "null"] }))
    }
}

/// A name that may be empty, as it is where it is absent.
pub enum AnyName {}

impl Kind for AnyName {
    type Read<'a> = Name;
    const REQUIRED: bool = false;

    fn read(name: &str, value: Option<&Value>) -> Result<Name, ApiError> {
        let text = Text::read(name, value)?.unwrap_or_default();
        Name::parse(text).map_err(|fault| invalid_text(name, fault))
    }

    fn schema() -> Schema {
        or_null(schema::text(0))
    }
}

/// A name that says something.
pub enum SomeName {}

impl Kind for SomeName {
    type Read<'a> = Name;
    const REQUIRED: bool = true;

    fn read(name: &str, value: Option<&Value>) -> Result<Name, ApiError> {
        let text = Text::read(name, value)?.unwrap_or_default();
        Name::parse_non_empty(text).map_err(|fault| invalid_text(name, fault))
    }

    fn schema() -> Schema {
        schema::text(1)
    }
}

/// An e-mail address: something, `@`, something.
pub enum Email {}

impl Kind for Email {
    type Read<'a> = Name;
    const REQUIRED: bool = true;

    fn read(name: &str, value: Option<&Value>) -> Result<Name, ApiError> {
        let text = Text::read(name, value)?.unwrap_or_default();
        Name::parse_email(text).map_err(|fault| invalid_text(name, fault))
    }

    fn schema() -> Schema {
        let mut schema = schema::text(3);
        let pattern = format!("^[^@{CONTROL}]+@[^{CONTROL}]+$");
        schema.insert("pattern".to_owned(), pattern.into());
        schema
    }
}

/// The id of a user to be, if it is chosen.
pub enum NewId {}

impl Kind for NewId {
    type Read<'a> = Option<UserId>;
    const REQUIRED: bool = false;

    fn read(name: &str, value: Option<&Value>) -> Result<Option<UserId>, ApiError> {
        let id = Text::read(name, value)?.map(UserId::parse_new);
        let id = id.transpose();
        id.map_err(|fault| invalid_text(name, fault))
    }

    fn schema() -> Schema {
        let mut schema = or_null(schema::text(1));
        schema.insert("not".to_owned(), json!({ "enum": RESERVED_IDS }));
        schema
    }
}

//! The members of requests. Each is declared once, and what is declared both reads it and tells of it
//! in the document.

mod role;
mod text;

pub use role::{AnyRole, NewRole};
pub use text::{AnyName, Email, NewId, SomeName, Text};

use std::marker::PhantomData;

use schemars::Schema;
use serde_json::{Value, json};

use crate::api::body::Fields;
use crate::error::ApiError;
use crate::openapi::Property;
use crate::schema::{self, of};
use crate::token::Lifetime;
use crate::user::{MOST_GROUPS, TextFault};

/// A member of a request's JSON object.
pub struct Field<K> {
    name: &'static str,
    about: &'static str,
    kind: PhantomData<fn() -> K>,
}

/// What a member may be: how it is read, and how that is told.
pub trait Kind {
    /// What is read.
    type Read<'a>;
    /// Whether it must be there. `null` is as good as absent.
    const REQUIRED: bool;
    /// Reads it; `None` where it is absent or `null`.
    ///
    /// # Errors
    /// 400 or 422, with the member's name.
    fn read<'a>(name: &str, value: Option<&'a Value>) -> Result<Self::Read<'a>, ApiError>;
    /// Tells of it.
    fn schema() -> Schema;
}

impl<K: Kind> Field<K> {
    /// A declaration.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        let kind = PhantomData;
        Self { name, about, kind }
    }

    /// The member of an object.
    ///
    /// # Errors
    /// As [`Kind::read`].
    pub fn of<'a>(&self, fields: &'a Fields) -> Result<K::Read<'a>, ApiError> {
        K::read(self.name, fields.get(self.name))
    }

    /// For the document.
    pub const fn told(&self) -> Property {
        Property {
            name: self.name,
            about: self.about,
            required: K::REQUIRED,
            schema: K::schema,
        }
    }
}

/// True or false; absent is false.
pub enum Flag {}

impl Flag {
    /// Of a shape that is the one where it is true.
    pub const fn yes(field: &Field<Self>) -> Property {
        Property {
            required: true,
            schema: || of(json!({ "const": true })),
            ..field.told()
        }
    }

    /// Of a shape that is the one where it is not.
    pub const fn no(field: &Field<Self>) -> Property {
        Property {
            schema: || of(json!({ "enum": [false, null] })),
            ..field.told()
        }
    }
}

impl Kind for Flag {
    type Read<'a> = bool;
    const REQUIRED: bool = false;

    fn read(name: &str, value: Option<&Value>) -> Result<bool, ApiError> {
        let value = value.unwrap_or(&Value::Bool(false));
        let flag = value.as_bool();
        flag.ok_or_else(|| wrong_type(name, "true or false"))
    }

    fn schema() -> Schema {
        of(json!({ "type": ["boolean", "null"] }))
    }
}

/// Ids of groups, as far as they are strings.
pub enum Groups {}

impl Groups {
    fn schema() -> Schema {
        of(json!({ "type": "array", "maxItems": MOST_GROUPS, "items": schema::text(1) }))
    }
}

impl Kind for Groups {
    type Read<'a> = Vec<&'a str>;
    const REQUIRED: bool = false;

    fn read<'a>(name: &str, value: Option<&'a Value>) -> Result<Vec<&'a str>, ApiError> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        let strings = || value.as_array()?.iter().map(Value::as_str).collect();
        let strings: Option<Vec<&str>> = strings();
        strings.ok_or_else(|| wrong_type(name, "a list of strings"))
    }

    fn schema() -> Schema {
        or_null(Self::schema())
    }
}

/// As [`Groups`], and there.
pub enum AllGroups {}

impl Kind for AllGroups {
    type Read<'a> = Vec<&'a str>;
    const REQUIRED: bool = true;

    fn read<'a>(name: &str, value: Option<&'a Value>) -> Result<Vec<&'a str>, ApiError> {
        if value.is_none() {
            return Err(ApiError::BadRequest(format!("{name} is missing").into()));
        }
        Groups::read(name, value)
    }

    fn schema() -> Schema {
        Groups::schema()
    }
}

/// A number of days, or none.
pub enum SomeDays {}

impl Kind for SomeDays {
    type Read<'a> = Option<Lifetime>;
    const REQUIRED: bool = false;

    fn read(name: &str, value: Option<&Value>) -> Result<Option<Lifetime>, ApiError> {
        let days = value.map(|value| {
            let days = value.as_i64().and_then(Lifetime::days);
            days.ok_or_else(|| not_days(name))
        });
        days.transpose()
    }

    fn schema() -> Schema {
        or_null(Days::schema())
    }
}

/// A number of days.
pub enum Days {}

impl Kind for Days {
    type Read<'a> = Lifetime;
    const REQUIRED: bool = true;

    fn read(name: &str, value: Option<&Value>) -> Result<Lifetime, ApiError> {
        SomeDays::read(name, value)?.ok_or_else(|| not_days(name))
    }

    fn schema() -> Schema {
        let (least, most) = (Lifetime::DAYS.start(), Lifetime::DAYS.end());
        of(json!({
            "type": "integer", "minimum": least, "maximum": most,
            "description": "Days, written without a decimal point.",
        }))
    }
}

/// 422 for a text that can't be what it should.
pub fn invalid_text(field: &str, fault: TextFault) -> ApiError {
    ApiError::Invalid(format!("{field} {fault}").into())
}

fn wrong_type(name: &str, expected: &str) -> ApiError {
    ApiError::BadRequest(format!("{name} must be {expected}").into())
}

fn not_days(name: &str) -> ApiError {
    let (least, most) = (Lifetime::DAYS.start(), Lifetime::DAYS.end());
    let message = format!("{name} must be a whole number of days from {least} to {most}");
    ApiError::Invalid(message.into())
}

fn or_null(mut schema: Schema) -> Schema {
    if let Some(known) = schema.remove("type") {
        schema.insert("type".to_owned(), json!([known, "null"]));
    }
    schema
}

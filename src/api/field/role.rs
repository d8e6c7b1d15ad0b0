//! Members that are roles.

use schemars::Schema;
use serde_json::{Value, json};

use super::{Kind, Text};
use crate::error::ApiError;
use crate::schema::of;
use crate::user::Role;

/// A role.
pub enum AnyRole {}

impl AnyRole {
    fn schema(roles: &[Role]) -> Schema {
        let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let any_case = |letter: char| match letter {
            '_' => "_".to_owned(),
            letter => format!("[{}{letter}]", letter.to_ascii_uppercase()),
        };
        let patterns = words
            .iter()
            .map(|word| word.chars().map(any_case).collect());
        let patterns: Vec<String> = patterns.collect();
        of(json!({
            "type": "string",
            "anyOf": [{ "enum": words }, { "pattern": format!("^({})$", patterns.join("|")) }],
            "description": "In any letter case.",
        }))
    }
}

impl Kind for AnyRole {
    type Read<'a> = Role;
    const REQUIRED: bool = true;

    fn read(name: &str, value: Option<&Value>) -> Result<Role, ApiError> {
        let text = Text::read(name, value)?
            .ok_or_else(|| ApiError::Invalid(format!("{name} is missing").into()))?;
        Role::parse(text).ok_or_else(|| {
            let known = Role::ALL.map(Role::as_str).join(", ");
            ApiError::Invalid(format!("{name} must be one of {known}").into())
        })
    }

    fn schema() -> Schema {
        Self::schema(&Role::ALL)
    }
}

/// A role of a new user.
pub enum NewRole {}

impl Kind for NewRole {
    type Read<'a> = Role;
    const REQUIRED: bool = true;

    fn read(name: &str, value: Option<&Value>) -> Result<Role, ApiError> {
        match AnyRole::read(name, value)? {
            Role::Owner => Err(ApiError::Invalid(
                "the role owner is given by transfer only: put it on another user".into(),
            )),
            role => Ok(role),
        }
    }

    fn schema() -> Schema {
        let roles = Role::ALL.into_iter().filter(|role| *role != Role::Owner);
        AnyRole::schema(&roles.collect::<Vec<_>>())
    }
}

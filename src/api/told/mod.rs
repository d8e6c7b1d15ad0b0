//! What each route says of itself in the document.

mod server;
mod tokens;
mod users;

pub use server::{ALIVE, DOCUMENT, INSTANCE, LIST_EVENTS, READY, SETUP, VERIFY};
pub use tokens::{CREATE_TOKEN, DELETE_TOKEN, LIST_TOKENS, SHOW_TOKEN};
pub use users::{
    APPROVE_USER, CREATE_USER, CURRENT_USER, DELETE_USER, LIST_USERS, REJECT_USER, UPDATE_USER,
};

use schemars::{Schema, SchemaGenerator};
use serde_json::json;

use crate::openapi::Answer;
use crate::schema::of;

/// What a DELETE answers.
const EMPTY: Answer = Answer::Json("It is gone.", empty);

fn empty(_: &mut SchemaGenerator) -> Schema {
    of(json!({ "type": "object", "maxProperties": 0 }))
}

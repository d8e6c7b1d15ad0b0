//! The document that tells of the API: OpenAPI 3.1, put together from what each route says of itself
//! and from the schemas of the types that are written and read.

mod answers;
mod body;
mod document;

pub use body::{Property, RequestBody, Shape};
pub use document::document;

use actix_web::http::StatusCode;
use schemars::{Schema, SchemaGenerator};

/// What a route says of itself.
pub struct Operation {
    /// Unique in the document.
    pub id: &'static str,
    /// The group that it stands in.
    pub tag: &'static str,
    /// A few words.
    pub summary: &'static str,
    /// What else there is to know.
    pub about: &'static str,
    /// Whom it lets in.
    pub door: Door,
    /// Of the query and the head. Those of the path are told by their names.
    pub parameters: &'static [Parameter],
    /// What is sent.
    pub body: Option<&'static RequestBody>,
    /// What comes back with 200.
    pub answer: Answer,
    /// What else comes back: what the door, the path and the body do not bring by themselves.
    pub refusals: &'static [(StatusCode, &'static str)],
    /// Where an answer leads.
    pub links: &'static [Link],
}

/// Whom a route lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Everybody, and no credential is looked at.
    Open,
    /// Known users.
    Closed,
    /// Everybody or known users: the rules of forward-auth say which.
    ByRule,
}

/// What comes back with 200.
pub enum Answer {
    /// JSON.
    Json(&'static str, fn(&mut SchemaGenerator) -> Schema),
    /// No body, and these headers.
    Headers(&'static str, &'static [(&'static str, &'static str)]),
}

/// Of the query or the head.
pub struct Parameter {
    /// `query` or `header`.
    pub place: &'static str,
    /// As it is sent.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it says.
    pub about: &'static str,
    /// What it may be.
    pub schema: fn() -> Schema,
}

/// From an answer to an operation that takes something of it.
pub struct Link {
    /// The operation's id.
    pub to: &'static str,
    /// Its parameters, each with where it comes from.
    pub parameters: &'static [(&'static str, &'static str)],
}

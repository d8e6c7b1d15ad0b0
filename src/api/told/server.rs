//! Of everything but users and tokens.

use actix_web::http::StatusCode;
use schemars::Schema;
use serde_json::json;

use crate::api::bodies::first_owner;
use crate::api::events::EventView;
use crate::api::health::Health;
use crate::api::setup::{Instance, SetUp};
use crate::openapi::{Answer, Door, Operation, Parameter};
use crate::schema::of;

pub const ALIVE: Operation = Operation {
    id: "alive",
    tag: "health",
    summary: "Whether the process answers",
    about: "It always says yes.",
    door: Door::Open,
    parameters: &[],
    body: None,
    answer: HEALTH,
    refusals: &[],
    links: &[],
};

pub const READY: Operation = Operation {
    id: "ready",
    tag: "health",
    summary: "Whether changes can be written",
    about: "As of the last one that was tried. `warnings` are what needs attention and keeps no request from being answered.",
    door: Door::Open,
    parameters: &[],
    body: None,
    answer: HEALTH,
    refusals: &[(
        StatusCode::SERVICE_UNAVAILABLE,
        "The last change could not be written; `message` says why.",
    )],
    links: &[],
};

const HEALTH: Answer = Answer::Json("It is well.", |generator| {
    generator.subschema_for::<Health>()
});

pub const DOCUMENT: Operation = Operation {
    id: "openapi",
    tag: "document",
    summary: "This document",
    about: "The same for everybody.",
    door: Door::Open,
    parameters: &[],
    body: None,
    answer: Answer::Json("OpenAPI 3.1.", |_| {
        of(json!({
            "type": "object",
            "required": ["openapi", "info", "paths", "components"],
            "properties": { "openapi": { "type": "string", "pattern": "^3\\.1\\." } },
        }))
    }),
    refusals: &[],
    links: &[],
};

pub const INSTANCE: Operation = Operation {
    id: "instance",
    tag: "setup",
    summary: "Whether there is no owner yet",
    about: "NetBird's dashboard asks it first.",
    door: Door::Open,
    parameters: &[],
    body: None,
    answer: Answer::Json("Whether somebody must set it up.", |generator| {
        generator.subschema_for::<Instance>()
    }),
    refusals: &[],
    links: &[],
};

pub const SETUP: Operation = Operation {
    id: "setup",
    tag: "setup",
    summary: "Make the first owner",
    about: "Works once, while there is none.",
    door: Door::Open,
    parameters: &[],
    body: Some(&first_owner::BODY),
    answer: Answer::Json("The owner.", |generator| {
        generator.subschema_for::<SetUp<'_>>()
    }),
    refusals: &[
        (
            StatusCode::CONFLICT,
            "Another user was created with the e-mail address.",
        ),
        (
            StatusCode::PRECONDITION_FAILED,
            "There is an owner; the body was not looked at.",
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "A member is missing or can't be what it is.",
        ),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "The database can't be written now.",
        ),
    ],
    links: &[],
};

pub const LIST_EVENTS: Operation = Operation {
    id: "listEvents",
    tag: "events",
    summary: "List what was changed",
    about: "Newest first, at most 10 000.",
    door: Door::Closed,
    parameters: &[],
    body: None,
    answer: Answer::Json("The audit trail.", |generator| {
        generator.subschema_for::<Vec<EventView<'_>>>()
    }),
    refusals: &[],
    links: &[],
};

pub const VERIFY: Operation = Operation {
    id: "verify",
    tag: "forward-auth",
    summary: "Whether a request may pass",
    about: "A reverse proxy asks it about a request to somebody else's site. Any method is answered as GET is, and \
            a body is passed by. The credential may also stand in `X-Api-Key` or in Basic authentication. The \
            headers may have other names in the configuration.",
    door: Door::ByRule,
    parameters: &[
        header("X-Forwarded-Method", "The method of that request.", || {
            of(json!({ "type": "string", "pattern": "^[A-Z]{1,32}$" }))
        }),
        header("X-Forwarded-Proto", "Its scheme.", || {
            of(json!({ "type": "string", "enum": ["http", "https", "ws", "wss"] }))
        }),
        header(
            "X-Forwarded-Host",
            "Its host, with or without a port.",
            || of(json!({ "type": "string", "pattern": HOST, "examples": ["grafana.home.arpa"] })),
        ),
        header(
            "X-Forwarded-Uri",
            "Its path and query, as they were sent.",
            || of(json!({ "type": "string", "pattern": "^/[!-~]*$", "examples": ["/api/x?a=b"] })),
        ),
    ],
    body: None,
    answer: Answer::Headers(
        "It may pass. The proxy puts these headers into the request.",
        &[
            ("Remote-User", "The user's id, or `-`."),
            ("Remote-Name", "The user's name, or `-`."),
            ("Remote-Email", "The user's e-mail address, or `-`."),
            ("Remote-Groups", "The user's role and groups, or `-`."),
            ("X-Netbird-Auth-Token-Id", "The token's id, or `-`."),
        ],
    ),
    refusals: &[],
    links: &[],
};

/// A name or an address, and maybe a port.
const HOST: &str =
    r"^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_-]{1,63}(\.[0-9A-Za-z_-]{1,63})*\.?)(:[0-9]+)?$";

const fn header(name: &'static str, about: &'static str, schema: fn() -> Schema) -> Parameter {
    Parameter {
        place: "header",
        name,
        required: true,
        about,
        schema,
    }
}

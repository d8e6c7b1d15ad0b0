//! The whole document.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Door, Operation, answers};
use crate::error;
use crate::schema;

const ABOUT: &str = "\
NetBird-compatible users and personal access tokens, and the question of a reverse proxy whether a \
request may pass.

A success is always 200, a creation too. Every 4xx and 5xx to a request whose head can be read has the \
JSON of `Error`; beside what the operations tell, an unknown path is 404, and a method that a path does not have is 405 with `Allow`, \
both whatever the credential. A head that can't be read is 400 without a body, and one that does not \
arrive in time is 408. HEAD is answered where GET is, and a CORS preflight with 204.

In requests, unknown members and unknown parameters of the query don't matter, a member that is \
`null` is as if it were absent, and Content-Type is not looked at. Texts are limited in bytes of \
UTF-8, which JSON Schema can't say.";

/// The document of these operations, each with its path and method.
pub fn document<'a>(
    operations: impl IntoIterator<Item = (&'a str, &'a str, &'a Operation)>,
) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|all| {
        all.definitions_path = "/components/schemas".into();
        all.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    error::schema(&mut generator);
    let mut paths: Map<String, Value> = Map::new();
    for (path, method, operation) in operations {
        let told = value(path, operation, &mut generator);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.to_ascii_lowercase(), told);
        }
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "headers": answers::headers(&mut generator),
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Token`, a space, and a personal access token: `Token nbp_…`",
                },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JWT of a configured issuer, or a personal access token.",
                },
            },
        },
    })
}

fn value(path: &str, operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = of_path(path, generator);
    let has_ids = !parameters.is_empty();
    parameters.extend(operation.parameters.iter().map(|parameter| {
        json!({
            "in": parameter.place,
            "name": parameter.name,
            "required": parameter.required,
            "description": parameter.about,
            "schema": (parameter.schema)(),
        })
    }));
    let mut told = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.about,
        "security": security(operation.door),
        "parameters": parameters,
        "responses": answers::of(operation, has_ids, generator),
    });
    if let (Some(body), Some(told)) = (operation.body, told.as_object_mut()) {
        told.insert("requestBody".to_owned(), body.value(generator));
    }
    told
}

fn of_path(path: &str, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?;
        name.strip_suffix('}')
    });
    let mut all = Vec::new();
    for name in names {
        let (about, schema) = match name {
            "user" => ("A user's id, percent-encoded.", schema::user_id(generator)),
            _ => ("A token's id.", schema::token_id(generator)),
        };
        all.push(json!({
            "in": "path", "name": name, "required": true, "description": about, "schema": schema,
        }));
    }
    all
}

fn security(door: Door) -> Value {
    match door {
        Door::Open => json!([]),
        Door::Closed => json!([{ "token": [] }, { "bearer": [] }]),
        Door::ByRule => json!([{}, { "token": [] }, { "bearer": [] }]),
    }
}

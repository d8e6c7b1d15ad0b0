//! `/openapi.json`: whole, and true of what the server answers.

use std::collections::BTreeSet;

use netbird_auth::api::routes;
use serde_json::{Value, json};

use crate::support::{Crowd, Response, Server, VERIFY, eventually, fresh_token, original};

/// The document, and what it says.
pub struct Document(pub Value);

impl Document {
    pub fn of(server: &Server) -> Self {
        Self(server.anonymous().get("/openapi.json").ok())
    }

    /// What is told of a route.
    #[track_caller]
    pub fn operation(&self, method: &str, path: &str) -> &Value {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not told");
        operation
    }

    /// Whether a value is as a schema of the document says.
    pub fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let schema = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        schema
            .validate(value)
            .map_err(|error| format!("{} at {}: {value}", error, error.instance_path()))
    }

    /// Checks that an answer of a route is told: its status, its headers and its body.
    #[track_caller]
    pub fn assert_tells(&self, method: &str, path: &str, answer: &Response) {
        let status = answer.status.to_string();
        let told = &self.operation(method, path)["responses"][&status];
        assert!(told.is_object(), "{method} {path}: {status} is not told");
        for name in told["headers"].as_object().unwrap().keys() {
            let is_there = !answer.headers_of(&name.to_lowercase()).is_empty();
            assert!(is_there, "{method} {path}: {status} without {name}");
        }
        match told.get("content") {
            None => assert_eq!(answer.body, b"", "{method} {path}"),
            Some(content) => {
                let schema = &content["application/json"]["schema"];
                if let Err(error) = self.fits(schema, &answer.json()) {
                    panic!("{method} {path} {status}: {error}");
                }
            }
        }
    }
}

#[test]
fn the_document_is_openapi_3_1_and_names_every_route() {
    let server = Server::start();
    let answer = server.anonymous().get("/openapi.json");
    let told = answer.ok();
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert!(told["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(told["info"]["title"], env!("CARGO_PKG_NAME"));
    assert_eq!(told["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["servers"], json!([{"url": "/"}]));
    let mut known = BTreeSet::from([("get".to_owned(), VERIFY.to_owned())]);
    for (path, methods) in routes() {
        for (method, ..) in methods {
            known.insert((method.as_str().to_lowercase(), path.to_owned()));
        }
    }
    let (mut named, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (path, methods) in told["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            named.insert((method.clone(), path.clone()));
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = parameters.iter().filter(|all| all["in"] == "path");
            let in_path: Vec<_> = in_path.map(|all| all["name"].as_str().unwrap()).collect();
            let in_pattern = path.split('/').filter_map(|part| part.strip_prefix('{'));
            let in_pattern: Vec<_> = in_pattern.map(|part| part.trim_end_matches('}')).collect();
            assert_eq!(in_path, in_pattern, "{path}");
        }
    }
    assert_eq!(named, known);
    let mut links = 0;
    each(&told, &mut |value| {
        if let Some(id) = value.get("operationId").and_then(Value::as_str) {
            assert!(ids.contains(id), "a link leads to {id}");
            links += 1;
        }
    });
    assert!(links > ids.len(), "no links were seen");
}

#[test]
fn every_reference_leads_somewhere() {
    let told = Document::of(&Server::start()).0;
    let (mut schemas, mut seen) = (BTreeSet::new(), 0);
    each(&told, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(told.pointer(pointer).is_some(), "{reference}");
            schemas.extend(reference.strip_prefix("#/components/schemas/"));
            seen += 1;
        }
    });
    assert!(seen > 100, "only {seen} references");
    let known = told["components"]["schemas"].as_object().unwrap();
    let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    assert_eq!(known, schemas, "every schema is of use");
}

#[test]
fn every_schema_is_one() {
    let told = Document::of(&Server::start());
    for name in told.0["components"]["schemas"].as_object().unwrap().keys() {
        let schema = &told.0["components"]["schemas"][name];
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| {
            panic!("{name}: {error}");
        });
        let at = json!({"$ref": format!("#/components/schemas/{name}")});
        assert!(told.fits(&at, &Value::Null).is_err(), "{name} admits null");
    }
}

#[test]
fn the_answers_are_as_the_document_says() {
    let crowd = Crowd::new();
    for id in ["ann", "bob"] {
        crowd.user(id, "user", false);
        crowd.mark(id, "is_pending");
    }
    let token = crowd.member("root", "admin", false);
    let server = crowd.start_guarding("[[forward_auth.rule]]\nhost = \"a.home.arpa\"\n", &[]);
    let told = Document::of(&server);
    let (root, nobody) = (server.client(&token), server.anonymous());
    let machine = json!({"role": "user", "is_service_user": true, "name": "machine"});
    let machine = root.post("/api/users", machine).ok();
    let tokens = format!("/api/users/{}/tokens", machine["id"].as_str().unwrap());
    let new_token = json!({"name": "first", "expires_in": 1});
    let made = root.post(&tokens, new_token.clone()).ok();
    let one = made["personal_access_token"]["id"].as_str().unwrap();
    let one = format!("{tokens}/{one}");
    let user = "/api/users/{user}";
    let (all, each) = (format!("{user}/tokens"), format!("{user}/tokens/{{token}}"));
    let update = json!({"role": "auditor", "auto_groups": ["a"]});
    let human = json!({"role": "user", "name": "Eve", "email": "eve@home.arpa", "id": "eve"});
    let none = Value::Null;
    let mut statuses = BTreeSet::new();
    for (method, pattern, path, body) in [
        ("GET", "/healthz", "/healthz", &none),
        ("GET", "/readyz", "/readyz", &none),
        ("GET", "/openapi.json", "/openapi.json", &none),
        ("GET", "/api/instance", "/api/instance", &none),
        ("POST", "/api/setup", "/api/setup", &none),
        ("GET", "/api/users", "/api/users", &none),
        ("GET", "/api/users", "/api/users?service_user=1", &none),
        ("POST", "/api/users", "/api/users", &human),
        ("POST", "/api/users", "/api/users", &human),
        ("POST", "/api/users", "/api/users", &none),
        ("POST", "/api/users", "/api/users", &update),
        ("GET", "/api/users/current", "/api/users/current", &none),
        ("PUT", user, "/api/users/eve", &update),
        ("PUT", user, "/api/users/nobody", &update),
        ("PUT", user, "/api/users/%ff", &update),
        ("DELETE", user, "/api/users/eve", &none),
        ("DELETE", user, "/api/users/root", &none),
        (
            "POST",
            "/api/users/{user}/approve",
            "/api/users/ann/approve",
            &none,
        ),
        (
            "POST",
            "/api/users/{user}/approve",
            "/api/users/ann/approve",
            &none,
        ),
        (
            "DELETE",
            "/api/users/{user}/reject",
            "/api/users/bob/reject",
            &none,
        ),
        ("GET", &all, &tokens, &none),
        ("POST", &all, &tokens, &new_token),
        ("POST", &all, "/api/users/ann/tokens", &new_token),
        ("GET", &each, &one, &none),
        ("DELETE", &each, &one, &none),
        ("GET", &each, &one, &none),
        ("GET", "/api/events/audit", "/api/events/audit", &none),
    ] {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        for client in [&nobody, &root] {
            let answer = client.send(method, path, &[], text.as_bytes());
            told.assert_tells(method, pattern, &answer);
            statuses.insert(answer.status);
        }
    }
    for (host, client) in [("a", &root), ("b", &root), ("a", &nobody)] {
        let line = format!("GET {host}.home.arpa/");
        let answer = client.send("GET", VERIFY, &original(&line), b"");
        told.assert_tells("GET", VERIFY, &answer);
        statuses.insert(answer.status);
    }
    let expected = [200, 400, 401, 403, 404, 409, 412, 422];
    assert_eq!(statuses, expected.into());
}

#[test]
fn what_is_too_much_is_told() {
    let server = Server::start_with(&[
        ("LIMITS__FAILURE_BURST", "1"),
        ("LIMITS__FAILURES_PER_SECOND", "1"),
        ("LIMITS__BODY_TIMEOUT", "1"),
    ]);
    let told = Document::of(&server);
    let (route, owner) = ("/api/users", &server.owner);
    let long = format!("{route}?{}", "q".repeat(9000));
    let large = [("X-Large", &*"x".repeat(20_000))];
    let unsent = [("Content-Length", "9")];
    let body = vec![b' '; 100_000];
    let stranger = server.client(&fresh_token());
    // Each second brings one more.
    let limited = eventually("a source is told to wait", || {
        let answer = stranger.send("POST", route, &[], b"");
        (answer.status != 401).then_some(answer)
    });
    for (status, answer) in [
        (408, owner.send("POST", route, &unsent, b"")),
        (413, owner.send("POST", route, &[], &body)),
        (414, owner.send("POST", &long, &[], b"")),
        (429, limited),
        (431, owner.send("POST", route, &large, b"")),
    ] {
        assert_eq!(answer.status, status);
        told.assert_tells("POST", route, &answer);
    }
}

#[test]
fn what_needs_a_credential_is_told() {
    let server = Server::start();
    let told = Document::of(&server);
    for (path, methods) in routes() {
        for (method, ..) in methods {
            let asked = path.replace("{user}", "nobody").replace("{token}", "none");
            let answer = server.anonymous().send(method.as_str(), &asked, &[], b"");
            let security = &told.operation(method.as_str(), path)["security"];
            let is_open = security.as_array().unwrap().is_empty();
            assert_eq!(is_open, answer.status != 401, "{method} {path}");
        }
    }
}

/// Goes through everything in a JSON text.
fn each<'a>(value: &'a Value, look: &mut impl FnMut(&'a Value)) {
    look(value);
    match value {
        Value::Array(all) => all.iter().for_each(|value| each(value, look)),
        Value::Object(all) => all.values().for_each(|value| each(value, look)),
        _ => {}
    }
}

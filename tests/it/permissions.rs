//! Who may call what: every route × caller × target, allowed and denied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Client, Crowd, Response, Server};

/// Whom the `{user}` of a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The path names nobody.
    Nobody,
    Oneself,
    Human,
    Service,
    Owner,
    Unknown,
}
use Target::{Human, Nobody, Oneself, Owner, Service, Unknown};

/// Callers: a role is a human of that role, with `*` a service user of that role.
const HUMANS: &str = "owner admin network_admin auditor user billing_admin";
const EVERYBODY: &str = "owner admin network_admin auditor user billing_admin \
                         admin* network_admin* auditor* user* billing_admin*";
/// A service user passes every read.
const READERS: &str = "owner admin network_admin auditor \
                       admin* network_admin* auditor* user* billing_admin*";
const MANAGERS: &str = "owner admin admin*";
const TOKEN_MAKERS: &str = "owner admin network_admin admin* network_admin*";
const NONE: &str = "";

/// Who is not named gets 403.
type Row = (
    &'static str,
    &'static str,
    &'static [(Target, &'static str, u16)],
);

const OPEN: &[(&str, &str)] = &[
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/api/instance"),
    ("POST", "/api/setup"),
];

const TABLE: &[Row] = &[
    ("GET", "/api/users", &[(Nobody, EVERYBODY, 200)]),
    ("POST", "/api/users", &[(Nobody, MANAGERS, 200)]),
    ("GET", "/api/users/current", &[(Nobody, HUMANS, 200)]),
    (
        "PUT",
        "/api/users/{user}",
        &[
            (Oneself, MANAGERS, 200),
            (Human, MANAGERS, 200),
            (Service, MANAGERS, 200),
            (Unknown, EVERYBODY, 404),
        ],
    ),
    (
        "DELETE",
        "/api/users/{user}",
        &[
            (Oneself, EVERYBODY, 422),
            (Human, MANAGERS, 200),
            (Service, MANAGERS, 200),
            (Unknown, MANAGERS, 404),
            (Owner, "owner", 422),
        ],
    ),
    (
        "POST",
        "/api/users/{user}/approve",
        &[
            (Oneself, MANAGERS, 422),
            (Human, MANAGERS, 200),
            (Service, MANAGERS, 200),
            (Unknown, MANAGERS, 404),
            (Owner, MANAGERS, 422),
        ],
    ),
    (
        "DELETE",
        "/api/users/{user}/reject",
        &[
            (Oneself, MANAGERS, 422),
            (Human, MANAGERS, 200),
            (Service, MANAGERS, 200),
            (Unknown, MANAGERS, 404),
            (Owner, MANAGERS, 422),
        ],
    ),
    (
        "GET",
        "/api/users/{user}/tokens",
        &[
            (Oneself, READERS, 200),
            (Human, NONE, 200),
            (Service, MANAGERS, 200),
            (Unknown, READERS, 404),
            (Owner, "owner", 200),
        ],
    ),
    (
        "POST",
        "/api/users/{user}/tokens",
        &[
            (Oneself, TOKEN_MAKERS, 200),
            (Human, NONE, 200),
            (Service, MANAGERS, 200),
            (Unknown, TOKEN_MAKERS, 404),
            (Owner, "owner", 200),
        ],
    ),
    (
        "GET",
        "/api/users/{user}/tokens/{token}",
        &[
            (Oneself, READERS, 200),
            (Human, NONE, 200),
            (Service, MANAGERS, 200),
            (Unknown, READERS, 404),
        ],
    ),
    (
        "DELETE",
        "/api/users/{user}/tokens/{token}",
        &[
            (Oneself, TOKEN_MAKERS, 200),
            (Human, NONE, 200),
            (Service, MANAGERS, 200),
            (Unknown, TOKEN_MAKERS, 404),
        ],
    ),
    ("GET", "/api/events/audit", &[(Nobody, READERS, 200)]),
];

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// The server with its callers, each with targets of its own for every row that changes one.
struct Stage {
    server: Server,
    clients: BTreeMap<String, (Client, String)>,
    /// Ids of a token for each user that a path names.
    tokens: BTreeMap<String, String>,
}

fn target_id(caller: &str, row: usize, target: Target) -> String {
    format!("{target:?} for {caller} in {row}")
}

fn encoded(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl Stage {
    fn set() -> Self {
        let crowd = Crowd::new();
        let sql = "UPDATE users SET id = 'owner' WHERE role = 'owner'";
        assert_eq!(crowd.database.execute(sql, ()).unwrap(), 1);
        let (mut plain, mut tokens) = (BTreeMap::new(), BTreeMap::new());
        for caller in words(EVERYBODY) {
            if caller != "owner" {
                crowd.user(caller, caller.trim_end_matches('*'), caller.ends_with('*'));
            }
            plain.insert(caller.to_owned(), crowd.token(caller, "first").0);
            tokens.insert(caller.to_owned(), crowd.token(caller, "second").1);
            for (number, (_, path, _)) in TABLE.iter().enumerate() {
                for target in [Human, Service] {
                    let id = target_id(caller, number, target);
                    crowd.user(&id, "user", target == Service);
                    if path.ends_with("approve") || path.ends_with("reject") {
                        crowd.mark(&id, "is_pending");
                    }
                    tokens.insert(id.clone(), crowd.token(&id, "first").1);
                }
            }
        }
        let server = crowd.start();
        let clients = plain
            .into_iter()
            .map(|(caller, token)| (caller.clone(), (server.client(&token), caller)))
            .collect();
        Self {
            server,
            clients,
            tokens,
        }
    }

    fn ask(&self, caller: &str, number: usize, target: Target) -> Response {
        let (method, path, _) = TABLE[number];
        let (client, own_id) = &self.clients[caller];
        let id = match target {
            Oneself => own_id.clone(),
            Owner => self.server.owner_id.clone(),
            Human | Service => target_id(caller, number, target),
            Nobody | Unknown => "nobody".to_owned(),
        };
        let token = self.tokens.get(&id);
        let path = path
            .replace("{user}", &encoded(&id))
            .replace("{token}", token.map_or("00000000000000000000", |id| id));
        let role = match target {
            Oneself => caller.trim_end_matches('*'),
            _ => "user",
        };
        request(client, method, &path, role)
    }
}

/// A request that nothing is wrong with but who makes it.
fn request(client: &Client, method: &str, path: &str, role: &str) -> Response {
    let body = match (method, path) {
        ("POST", "/api/users") => json!({"role": role, "is_service_user": true, "name": "made"}),
        ("POST", _) if path.ends_with("/tokens") => json!({"name": "made", "expires_in": 1}),
        ("PUT", _) => json!({"role": role, "auto_groups": ["group"], "is_blocked": false}),
        _ => Value::Null,
    };
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    client.send(method, path, &[], text.as_bytes())
}

#[test]
fn each_route_has_a_row_in_the_table() {
    let routes: BTreeSet<(String, String)> = netbird_auth::api::routes()
        .into_iter()
        .flat_map(|(path, methods)| {
            methods
                .into_iter()
                .map(move |(method, ..)| (method.to_string(), path.to_owned()))
        })
        .collect();
    let rows = TABLE.iter().map(|(method, path, _)| (method, path));
    let open = OPEN.iter().map(|(method, path)| (method, path));
    let table: BTreeSet<(String, String)> = rows
        .chain(open)
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(routes, table);
}

#[test]
fn each_route_lets_pass_whom_the_table_names_and_nobody_else() {
    let stage = Stage::set();
    let mut wrong = Vec::new();
    for (number, (method, path, targets)) in TABLE.iter().enumerate() {
        for (target, passing, then) in *targets {
            for caller in words(EVERYBODY) {
                let expected = match words(passing).contains(&caller) {
                    true => *then,
                    false => 403,
                };
                let answer = stage.ask(caller, number, *target);
                if answer.status != expected {
                    let (status, text) = (answer.status, answer.text());
                    wrong.push(format!(
                        "{method} {path} by {caller} on {target:?}: {status}, not {expected}: {text}"
                    ));
                }
                if answer.status == 403 {
                    assert_eq!(answer.error(403), "forbidden");
                    assert!(!answer.refused(403).is_empty());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_may_not_read_users_sees_only_themselves() {
    let stage = Stage::set();
    for caller in words(EVERYBODY) {
        let (client, id) = &stage.clients[caller];
        let seen = client.get("/api/users").ok();
        let seen = seen.as_array().unwrap();
        match words(READERS).contains(&caller) {
            true => assert!(seen.len() > 200, "{caller} sees {}", seen.len()),
            false => {
                let ids: Vec<_> = seen.iter().map(|user| user["id"].clone()).collect();
                assert_eq!(ids, [json!(id)], "{caller}");
            }
        }
    }
}

#[test]
fn blocked_and_pending_users_pass_no_route() {
    let crowd = Crowd::new();
    let mut callers = Vec::new();
    for (column, reason) in [
        ("is_blocked", "user is blocked"),
        ("is_pending", "user is pending approval"),
    ] {
        for is_service in [false, true] {
            let id = format!("{column} {is_service}");
            callers.push((crowd.member(&id, "admin", is_service), id.clone(), reason));
            crowd.mark(&id, column);
        }
    }
    let server = crowd.start();
    for (token, id, reason) in callers {
        for scheme in ["Token", "Bearer"] {
            let client = Client {
                address: server.address,
                authorization: Some(format!("{scheme} {token}")),
            };
            for (method, path, _) in TABLE {
                let path = path
                    .replace("{user}", &encoded(&id))
                    .replace("{token}", "00000000000000000000");
                let answer = request(&client, method, &path, "admin");
                assert_eq!(answer.refused(403), reason, "{method} {path}");
                assert_eq!(answer.error(403), "forbidden");
                let challenges = answer.headers_of("www-authenticate");
                assert!(
                    challenges[0].contains(reason),
                    "{method} {path}: {challenges:?}"
                );
                assert_eq!(challenges[1], "Token realm=\"netbird-auth\"");
            }
        }
    }
}

#[test]
fn no_route_of_the_table_answers_without_a_credential() {
    let server = Server::start();
    let nobody = server.anonymous();
    for (method, path, _) in TABLE {
        // Judged before the path's ids and the body.
        for user in ["nobody", &server.owner_id, "%ff"] {
            let path = path.replace("{user}", user).replace("{token}", "none");
            for body in ["", "{", r#"{"role":"owner"}"#] {
                let answer = nobody.send(method, &path, &[], body.as_bytes());
                assert_eq!(answer.refused(401), "missing credentials");
                assert_eq!(answer.error(401), "unauthorized", "{method} {path}");
            }
            if *method == "GET" {
                assert_eq!(nobody.send("HEAD", &path, &[], b"").status, 401, "{path}");
            }
        }
    }
}

#[test]
fn an_open_route_asks_for_no_credential_and_minds_no_bad_one() {
    let server = Server::start();
    let mut nobody = server.anonymous();
    for authorization in [None, Some("Token nbp_nonsense"), Some("Basic eDp5")] {
        nobody.authorization = authorization.map(str::to_owned);
        for (method, path) in OPEN {
            let expected = if *path == "/api/setup" { 412 } else { 200 };
            let answer = nobody.send(method, path, &[], br#"{"email":"a@home.arpa","name":"a"}"#);
            assert_eq!(answer.status, expected, "{method} {path}");
        }
    }
}

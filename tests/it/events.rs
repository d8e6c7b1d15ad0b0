//! `/api/events/audit`: what is told of which change.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::support::{Client, Crowd, Server, human, id_of, keys, service, time_of};

const KEYS: [&str; 9] = [
    "id",
    "timestamp",
    "activity",
    "activity_code",
    "initiator_id",
    "initiator_name",
    "initiator_email",
    "target_id",
    "meta",
];

fn events(client: &Client) -> Vec<Value> {
    let list = client.get("/api/events/audit").ok();
    list.as_array().unwrap().clone()
}

/// Who reads the trail, and how far they have read.
struct Reader<'a> {
    server: &'a Server,
    read: Cell<usize>,
}

impl<'a> Reader<'a> {
    fn new(server: &'a Server) -> Self {
        let read = Cell::new(events(&server.owner).len());
        Self { server, read }
    }

    /// The events since the last look, oldest first.
    fn new_events(&self) -> Vec<Value> {
        let all = events(&self.server.owner);
        let new = all.len() - self.read.replace(all.len());
        all.into_iter().take(new).rev().collect()
    }

    /// Checks that since the last look exactly these events came, as code and target.
    #[track_caller]
    fn tells(&self, expected: &[(&str, &str)], initiator: &str) -> Vec<Value> {
        let new = self.new_events();
        let told: Vec<(&str, &str)> = new
            .iter()
            .map(|event| {
                (
                    event["activity_code"].as_str().unwrap(),
                    event["target_id"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, expected);
        for event in &new {
            assert_eq!(event["initiator_id"], initiator);
        }
        new
    }
}

#[test]
fn each_change_is_told_by_exactly_the_event_of_its_kind() {
    let crowd = Crowd::new();
    let token = crowd.member("ann", "admin", false);
    for id in ["in", "out"] {
        crowd.user(id, "user", false);
        crowd.mark(id, "is_pending");
    }
    let server = crowd.start();
    let (owner, owner_id) = (&server.owner, server.owner_id.as_str());
    let ann = server.client(&token);
    let reader = Reader::new(&server);

    let machine = id_of(&owner.post("/api/users", service("ci")).ok());
    reader.tells(&[("service.user.create", &machine)], owner_id);
    let person = id_of(&ann.post("/api/users", human("bob@home.arpa")).ok());
    let told = reader.tells(&[("user.create", &person)], "ann");
    assert_eq!(told[0]["initiator_name"], "ann");
    assert_eq!(told[0]["initiator_email"], "ann@home.arpa");

    let tokens = format!("/api/users/{machine}/tokens");
    let made = owner
        .post(&tokens, json!({"name": "deploy", "expires_in": 1}))
        .ok();
    let told = reader.tells(&[("personal.access.token.create", &machine)], owner_id);
    assert_eq!(told[0]["meta"]["name"], "deploy");
    let plain = made["plain_token"].as_str().unwrap();
    assert!(
        !told[0].to_string().contains(&plain[4..]),
        "the token is told"
    );
    let one = format!("{tokens}/{}", id_of(&made["personal_access_token"]));
    ann.delete(&one).ok();
    let told = reader.tells(&[("personal.access.token.delete", &machine)], "ann");
    assert_eq!(told[0]["meta"]["name"], "deploy");

    let path = format!("/api/users/{machine}");
    for (role, groups, is_blocked, codes) in [
        ("user", json!([]), false, vec![]),
        ("auditor", json!([]), false, vec!["user.role.update"]),
        ("auditor", json!([]), true, vec!["user.block"]),
        ("auditor", json!([]), true, vec![]),
        ("auditor", json!([]), false, vec!["user.unblock"]),
        (
            "admin",
            json!([]),
            true,
            vec!["user.role.update", "user.block"],
        ),
        (
            "user",
            json!([]),
            false,
            vec!["user.role.update", "user.unblock"],
        ),
    ] {
        let body = json!({"role": role, "auto_groups": groups, "is_blocked": is_blocked});
        ann.put(&path, body).ok();
        let expected: Vec<_> = codes
            .into_iter()
            .map(|code| (code, machine.as_str()))
            .collect();
        for event in reader.tells(&expected, "ann") {
            if event["activity_code"] == "user.role.update" {
                assert_eq!(event["meta"]["role"], role);
            }
        }
    }

    owner.send("POST", "/api/users/in/approve", &[], b"").ok();
    reader.tells(&[("user.approve", "in")], owner_id);
    owner.delete("/api/users/out/reject").ok();
    reader.tells(&[("user.reject", "out")], owner_id);
    owner.delete(&path).ok();
    reader.tells(&[("service.user.delete", &machine)], owner_id);
    owner.delete(&format!("/api/users/{person}")).ok();
    let told = reader.tells(&[("user.delete", &person)], owner_id);
    assert_eq!(told[0]["meta"]["email"], "bob@home.arpa");
}

#[test]
fn a_transfer_is_told_of_both_users() {
    let crowd = Crowd::new();
    crowd.user("ann", "user", false);
    let server = crowd.start();
    let reader = Reader::new(&server);
    let body = json!({"role": "owner", "auto_groups": []});
    server.owner.put("/api/users/ann", body).ok();
    let expected = [
        ("user.role.update", server.owner_id.as_str()),
        ("transferred.owner.role", "ann"),
    ];
    reader.tells(&expected, &server.owner_id);
}

#[test]
fn each_group_given_or_taken_is_told() {
    let crowd = Crowd::new();
    crowd.user("ci", "user", true);
    let server = crowd.start();
    let reader = Reader::new(&server);
    for (groups, expected) in [
        (
            json!(["a", "b"]),
            vec![("user.group.add", "a"), ("user.group.add", "b")],
        ),
        (json!(["b", "a"]), vec![]),
        (
            json!(["b", "c"]),
            vec![("user.group.delete", "a"), ("user.group.add", "c")],
        ),
        (
            json!([]),
            vec![("user.group.delete", "b"), ("user.group.delete", "c")],
        ),
    ] {
        let body = json!({"role": "user", "auto_groups": groups});
        server.owner.put("/api/users/ci", body).ok();
        let new = reader.new_events();
        let told: Vec<(&str, &str)> = new
            .iter()
            .map(|event| {
                (
                    event["activity_code"].as_str().unwrap(),
                    event["meta"]["group"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, expected);
    }
}

#[test]
fn an_event_has_all_nine_keys_and_the_newest_stands_first() {
    let server = Server::start();
    for name in ["", "a", "👩‍🚀 <b>"] {
        let id = id_of(&server.owner.post("/api/users", service(name)).ok());
        server.owner.delete(&format!("/api/users/{id}")).ok();
    }
    // What the command line and the first start did is told too.
    server.human("auditor");
    let all = events(&server.owner);
    assert_eq!(
        all.len(),
        9,
        "two of the first start, six, and one of the command line"
    );
    for event in &all {
        assert_eq!(keys(event), KEYS.into(), "{event}");
        for (key, value) in event.as_object().unwrap() {
            match key.as_str() {
                "meta" => assert!(value.as_object().unwrap().values().all(Value::is_string)),
                "activity" | "activity_code" | "id" | "initiator_id" | "target_id" => {
                    assert_ne!(value.as_str().unwrap(), "", "{key}");
                }
                _ => assert!(value.is_string(), "{key}"),
            }
        }
        time_of(&event["timestamp"]);
    }
    let number = |event: &Value| event["id"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(all.is_sorted_by(|a, b| number(a) > number(b)));
    assert!(all.is_sorted_by_key(|event| std::cmp::Reverse(time_of(&event["timestamp"]))));
    let unknown: Vec<_> = all
        .iter()
        .filter(|event| event["activity"] == event["activity_code"])
        .collect();
    assert!(unknown.is_empty(), "a text for people: {unknown:?}");
}

#[test]
fn the_trail_shows_the_newest_10_000() {
    let crowd = Crowd::new();
    crowd
        .database
        .execute_batch(
            "WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 10050)
             INSERT INTO audit_events (at, activity_code, initiator_id, initiator_name,
                                       initiator_email, target_id, meta, user)
             SELECT n, 'user.block', 'sys', '', '', n, '{}', 1 FROM count",
        )
        .unwrap();
    let server = crowd.start();
    let all = events(&server.owner);
    let targets: Vec<u32> = all
        .iter()
        .map(|event| event["target_id"].as_str().unwrap().parse().unwrap())
        .collect();
    let expected: Vec<u32> = (51..=10_050).rev().collect();
    assert_eq!(targets.len(), 10_000);
    assert!(targets == expected, "not the newest, or not in order");
}

#[test]
fn the_trail_is_read_by_who_may_read_events() {
    let crowd = Crowd::new();
    let members = [
        ("admin", false, 200),
        ("auditor", false, 200),
        ("user", false, 403),
        ("billing_admin", false, 403),
        ("user", true, 200),
    ]
    .map(|(role, is_service, status)| {
        (
            crowd.member(&format!("{role} {is_service}"), role, is_service),
            status,
        )
    });
    let server = crowd.start();
    for (token, status) in members {
        let answer = server.client(&token).get("/api/events/audit?account=other");
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[test]
fn what_was_refused_or_only_read_is_not_told() {
    let crowd = Crowd::new();
    let reader = crowd.member("reader", "auditor", false);
    crowd.user("ann", "user", false);
    let server = crowd.start();
    let reader = server.client(&reader);
    let owner_path = format!("/api/users/{}", server.owner_id);
    let before = events(&server.owner);
    let put = json!({"role": "admin", "auto_groups": [], "is_blocked": true});
    reader.post("/api/users", service("ci")).error(403);
    reader.put("/api/users/ann", put.clone()).error(403);
    reader.delete("/api/users/ann").error(403);
    reader.delete("/api/users/reader").error(422);
    reader
        .post(
            "/api/users/reader/tokens",
            json!({"name": "a", "expires_in": 1}),
        )
        .error(403);
    server.owner.post("/api/users", json!({})).error(422);
    server
        .owner
        .post("/api/users", human("ann@home.arpa"))
        .error(409);
    server.owner.put(&owner_path, put.clone()).error(403);
    server.owner.put("/api/users/nobody", put).error(404);
    server.owner.delete(&owner_path).error(422);
    server
        .owner
        .send("POST", "/api/users/ann/approve", &[], b"")
        .error(422);
    server
        .owner
        .post(
            "/api/users/ann/tokens",
            json!({"name": "a", "expires_in": 1}),
        )
        .error(403);
    server
        .owner
        .post(
            "/api/users/ann/tokens",
            json!({"name": "a", "expires_in": 0}),
        )
        .error(422);
    let no_token = format!("{owner_path}/tokens/00000000000000000000");
    server.owner.delete(&no_token).error(404);
    server
        .anonymous()
        .post("/api/users", service("ci"))
        .error(401);
    for path in [
        "/api/users",
        "/api/users/current",
        &format!("{owner_path}/tokens"),
    ] {
        server.owner.get(path).ok();
    }
    assert_eq!(events(&server.owner), before);
}

#[test]
fn no_event_is_changed_or_deleted_even_by_hand() {
    let server = Server::start();
    let database = server.database();
    for sql in [
        "UPDATE audit_events SET initiator_id = 'nobody'",
        "UPDATE audit_events SET at = at",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE number = (SELECT max(number) FROM audit_events)",
    ] {
        let error = database.execute(sql, ()).unwrap_err().to_string();
        assert!(error.contains("audit events can't be"), "{sql}: {error}");
    }
    assert!(!events(&server.owner).is_empty());
}

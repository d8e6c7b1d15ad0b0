//! `/api/users`, reading: the list, `current`, and what a user looks like.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Crowd, Server, human, id_of, keys, service};

/// All keys of a user; `idp_id` is for those of an issuer, `permissions` for `/users/current`.
const KEYS: [&str; 12] = [
    "id",
    "email",
    "name",
    "role",
    "status",
    "last_login",
    "auto_groups",
    "is_current",
    "is_service_user",
    "is_blocked",
    "pending_approval",
    "issued",
];

const ROLES: [&str; 6] = [
    "owner",
    "admin",
    "network_admin",
    "auditor",
    "user",
    "billing_admin",
];

fn ids(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(id_of).collect()
}

#[test]
fn a_user_has_exactly_the_fields_of_the_contract() {
    let server = Server::start();
    let machine = server.owner.post("/api/users", service("ci")).ok();
    let expected = json!({
        "id": machine["id"], "email": "", "name": "ci", "role": "user", "status": "active",
        "last_login": "0001-01-01T00:00:00Z", "auto_groups": [], "is_current": false,
        "is_service_user": true, "is_blocked": false, "pending_approval": false, "issued": "api",
    });
    assert_eq!(machine, expected);
    let person = server.owner.post("/api/users", human("ann@home.arpa")).ok();
    let expected = json!({
        "id": person["id"], "email": "ann@home.arpa", "name": "Ann", "role": "user",
        "status": "invited", "last_login": "0001-01-01T00:00:00Z", "auto_groups": [],
        "is_current": false, "is_service_user": false, "is_blocked": false,
        "pending_approval": false, "issued": "api",
    });
    assert_eq!(person, expected);
    let put = json!({"role": "user", "auto_groups": [], "is_blocked": true});
    let path = format!("/api/users/{}", id_of(&person));
    let blocked = server.owner.put(&path, put).ok();
    assert_eq!(blocked["status"], "blocked", "blocked wins over invited");
    let all = server.owner.get("/api/users").ok();
    assert_eq!(all.as_array().unwrap().len(), 3);
    for user in all.as_array().unwrap() {
        assert_eq!(keys(user), KEYS.into());
        assert!(
            user.as_object()
                .unwrap()
                .values()
                .all(|value| !value.is_null())
        );
        assert_eq!(user["is_current"], id_of(user) == server.owner_id);
    }
}

#[test]
fn the_list_is_filtered_by_service_user_and_by_nothing_else() {
    let server = Server::start();
    let machine = id_of(&server.owner.post("/api/users", service("ci")).ok());
    let person = id_of(&server.owner.post("/api/users", human("a@home.arpa")).ok());
    let humans = BTreeSet::from([server.owner_id.clone(), person.clone()]);
    let machines = BTreeSet::from([machine.clone()]);
    let all: BTreeSet<_> = humans.union(&machines).cloned().collect();
    for (query, expected) in [
        ("", &all),
        ("?", &all),
        ("?service_user=true", &machines),
        ("?service_user=false", &humans),
        ("?account=other", &all),
        ("?account=", &all),
        ("?account=%ff&unknown", &all),
        ("?account=a&service_user=true&account=b", &machines),
    ] {
        let answer = server.owner.get(&format!("/api/users{query}")).ok();
        assert_eq!(&ids(&answer), expected, "{query}");
    }
    for query in ["yes", "2", "", "truee", "null", "%ff"] {
        let path = format!("/api/users?service_user={query}");
        server.owner.get(&path).error(422);
    }
}

#[test]
fn who_sees_only_themselves_is_filtered_too() {
    let crowd = Crowd::new();
    let token = crowd.member("ann", "user", false);
    let machine = crowd.member("ci", "user", true);
    let server = crowd.start();
    let ann = server.client(&token);
    for (query, expected) in [
        ("", vec!["ann"]),
        ("?service_user=false", vec!["ann"]),
        ("?service_user=true", vec![]),
    ] {
        let seen = ann.get(&format!("/api/users{query}")).ok();
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(ids(&seen), expected, "{query}");
    }
    assert_eq!(ann.get("/api/users?service_user=true").text(), "[]");
    ann.get("/api/users?service_user=maybe").error(422);
    let all = server.client(&machine).get("/api/users").ok();
    assert_eq!(all.as_array().unwrap().len(), 3, "a service user reads all");
}

#[test]
fn current_is_the_human_who_asks_with_their_permissions() {
    let crowd = Crowd::new();
    let tokens = ROLES.map(|role| match role {
        "owner" => (role, String::new()),
        role => (role, crowd.member(role, role, false)),
    });
    let machine = crowd.member("ci", "admin", true);
    let server = crowd.start();
    for (role, token) in tokens {
        let client = match role {
            "owner" => server.owner.clone(),
            _ => server.client(&token),
        };
        let current = client.get("/api/users/current?account=other").ok();
        let mut expected = BTreeSet::from(KEYS);
        expected.insert("permissions");
        assert_eq!(keys(&current), expected);
        assert_eq!(current["role"], role);
        assert_eq!(current["is_current"], true);
        let permissions = &current["permissions"];
        assert_eq!(keys(permissions), ["is_restricted", "modules"].into());
        assert_eq!(permissions["is_restricted"], false);
        // CONTRACT §5, as the letters of CRUD.
        let (users, pats, accounts, others) = match role {
            "owner" => ("CRUD", "CRUD", "CRUD", Some("CRUD")),
            "admin" => ("CRUD", "CRUD", "R", Some("CRUD")),
            "network_admin" => ("R", "CRUD", "R", None),
            "auditor" => ("R", "R", "R", Some("R")),
            _ => ("", "", "", Some("")),
        };
        for (module, operations) in permissions["modules"].as_object().unwrap() {
            let expected = match module.as_str() {
                "users" => Some(users),
                "pats" => Some(pats),
                "accounts" => Some(accounts),
                _ => others,
            };
            let known = ["create", "delete", "read", "update"];
            assert_eq!(keys(operations), known.into(), "{role} {module}");
            let allowed: String = ["create", "read", "update", "delete"]
                .iter()
                .filter(|operation| operations[**operation] == true)
                .map(|operation| operation[..1].to_uppercase())
                .collect();
            assert!(
                expected.is_none_or(|expected| expected == allowed),
                "{role} {module}"
            );
        }
        for module in ["users", "pats", "accounts", "events"] {
            assert!(permissions["modules"][module].is_object(), "{module}");
        }
    }
    server.client(&machine).get("/api/users/current").error(403);
}

/// Users with so many groups that each is most of a page, as raw request bytes ask for them.
#[test]
fn a_list_of_many_pages_is_whole_in_both_versions_of_http() {
    let crowd = Crowd::new();
    let groups: Vec<String> = (0..200).map(|number| format!("{number:0>250}")).collect();
    let expected: Vec<String> = (0..20).map(|number| format!("user-{number}")).collect();
    for id in &expected {
        crowd.user(id, "user", true);
        crowd
            .database
            .execute(
                "UPDATE users SET auto_groups = ?1 WHERE id = ?2",
                [json!(groups).to_string(), id.clone()],
            )
            .unwrap();
    }
    let server = crowd.start();
    let authorization = server.owner.authorization.as_deref().unwrap();
    for (version, is_chunked) in [("1.1", true), ("1.0", false)] {
        let request = format!(
            "GET /api/users?service_user=true HTTP/{version}\r\nHost: test\r\nConnection: close\r\n\
             Authorization: {authorization}\r\n\r\n"
        );
        let answer = server.owner.raw(request.as_bytes()).unwrap();
        assert_eq!(answer.header("transfer-encoding").is_some(), is_chunked);
        let listed = answer.ok();
        let listed: Vec<String> = listed.as_array().unwrap().iter().map(id_of).collect();
        assert_eq!(listed, expected, "HTTP/{version}");
    }
}

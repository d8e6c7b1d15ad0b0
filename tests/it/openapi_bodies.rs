//! A body passes where the document says so, and nowhere else.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::openapi::Document;
use crate::support::{Client, Server, id_of};

/// Each value in each member's place: some pass in some, and none in all.
fn values() -> Vec<Value> {
    let longest = "é".repeat(127) + "e";
    let mut values = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(-1),
        json!(0),
        json!(1),
        json!(365),
        json!(366),
        json!(1.5),
        json!(u64::MAX),
        json!({}),
        json!([]),
        json!(["a"]),
        json!([""]),
        json!([1]),
        json!([null]),
        json!(["a\u{0}"]),
        json!(["a".repeat(256)]),
        json!(vec!["a"; 256]),
        json!(vec!["a"; 257]),
        json!(longest),
        json!("a".repeat(255)),
        json!("a".repeat(256)),
        json!(format!("a@{}", "a".repeat(253))),
        json!(format!("a@{}", "a".repeat(254))),
    ];
    for text in [
        "",
        "a",
        "1",
        "true",
        "a\nb",
        "a\n",
        "\u{7f}",
        "\u{9f}",
        "\u{a0}",
        "👩‍🚀",
        "current",
        "sys",
        "-",
        ".",
        "..",
        "a@b",
        "a@b@c",
        "@b",
        "a@",
        "@",
        "a@\n",
        "owner",
        "OWNER",
        "Admin",
        "network_admin",
        "network-admin",
        "user ",
        "user\n",
        "billing_ADMIN",
    ] {
        values.push(json!(text));
    }
    values
}

/// A body with each of its members, told or not, left out and replaced, and what is no such body.
fn variants(base: &Value, names: &[&str]) -> Vec<Value> {
    let mut all = vec![
        base.clone(),
        json!(null),
        json!([]),
        json!("a"),
        json!(1),
        json!({}),
    ];
    for name in names {
        for value in values() {
            let mut body = base.clone();
            body[name] = value;
            all.push(body);
        }
        let mut body = base.clone();
        body.as_object_mut().unwrap().remove(*name);
        all.push(body);
    }
    all
}

struct Case<'a> {
    method: &'a str,
    pattern: &'a str,
    path: &'a str,
}

/// Sends a body, and compares the outcome with what the document says of it.
#[track_caller]
fn compare(told: &Document, client: &Client, case: &Case<'_>, body: &Value) -> bool {
    let Case {
        method,
        pattern,
        path,
    } = *case;
    let content = &told.operation(method, pattern)["requestBody"]["content"];
    let verdict = told.fits(&content["application/json"]["schema"], body);
    let answer = client.send(method, path, &[], body.to_string().as_bytes());
    told.assert_tells(method, pattern, &answer);
    let outcome = answer.status;
    match &verdict {
        // Passed by what the document tells of the body: the rest is who is asked about.
        Ok(()) => assert!(matches!(outcome, 200 | 403), "{outcome} for {body}"),
        Err(error) => assert!(matches!(outcome, 400 | 422), "{outcome} for {error}"),
    }
    outcome == 200
}

#[test]
fn a_body_passes_exactly_where_the_document_says_so() {
    let server = Server::start();
    let told = Document::of(&server);
    let machine = server.service_user("user");
    let (user, tokens) = (
        format!("/api/users/{machine}"),
        format!("/api/users/{machine}/tokens"),
    );
    let create = Case {
        method: "POST",
        pattern: "/api/users",
        path: "/api/users",
    };
    let update = Case {
        method: "PUT",
        pattern: "/api/users/{user}",
        path: &user,
    };
    let new_token = Case {
        method: "POST",
        pattern: "/api/users/{user}/tokens",
        path: &tokens,
    };
    let new_user = [
        "role",
        "auto_groups",
        "is_service_user",
        "name",
        "email",
        "id",
        "other",
    ];
    let service =
        json!({"role": "user", "auto_groups": ["a"], "is_service_user": true, "name": "a"});
    let human = json!({"role": "user", "auto_groups": [], "name": "a", "email": "a@home.arpa"});
    let changed = json!({"role": "user", "auto_groups": ["a"], "is_blocked": false});
    let token = json!({"name": "a", "expires_in": 1});
    for (case, base, names) in [
        (&create, service, &new_user[..]),
        (&create, human, &new_user),
        (
            &update,
            changed,
            &["role", "auto_groups", "is_blocked", "other"],
        ),
        (&new_token, token, &["name", "expires_in", "other"]),
    ] {
        let mut passed = 0;
        for body in variants(&base, names) {
            passed += usize::from(compare(&told, &server.owner, case, &body));
            // Else the next one would be refused for its id or its e-mail address.
            server.delete_all_but(&machine);
        }
        assert!(passed > 10, "{passed} of {} passed", case.path);
    }
}

impl Server {
    fn delete_all_but(&self, id: &str) {
        for user in self.owner.get("/api/users").ok().as_array().unwrap() {
            let user_id = id_of(user);
            if user_id != id && user_id != self.owner_id {
                let encoded: String = user_id.bytes().map(|byte| format!("%{byte:02X}")).collect();
                self.owner.delete(&format!("/api/users/{encoded}")).ok();
            }
        }
    }
}

#[test]
fn the_first_owner_is_made_exactly_where_the_document_says_so() {
    let empty = || {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Server::start_in(folder, &["--no-bootstrap"], String::new())
    };
    let mut server = empty();
    let told = Document::of(&server);
    let case = Case {
        method: "POST",
        pattern: "/api/setup",
        path: "/api/setup",
    };
    let with = json!({"email": "a@home.arpa", "name": "a", "create_pat": true, "pat_expire_in": 1});
    let without = json!({"email": "a@home.arpa", "name": "a"});
    let mut passed = 0;
    for body in variants(&with, &["create_pat", "pat_expire_in"])
        .into_iter()
        .chain(variants(&without, &["pat_expire_in"]).into_iter().take(20))
    {
        if compare(&told, &server.anonymous(), &case, &body) {
            passed += 1;
            server = empty();
        }
    }
    for body in variants(&without, &["email", "name"]) {
        let content = &told.operation("POST", "/api/setup")["requestBody"]["content"];
        let schema = &content["application/json"]["schema"];
        // One that passes costs a server, and is read as the others above.
        if told.fits(schema, &body).is_err() {
            assert!(!compare(&told, &server.anonymous(), &case, &body));
        }
    }
    assert!(passed > 10, "{passed} passed");
}

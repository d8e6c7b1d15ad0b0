//! `/api/instance` and `/api/setup`: the first owner over HTTP.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Server, keys, time_of};

/// A server without an owner.
fn empty() -> Server {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    Server::start_in(folder, &["--no-bootstrap"], String::new())
}

fn ann() -> Value {
    json!({"email": "ann@home.arpa", "name": "Ann 👩‍🚀", "password": "correct horse battery"})
}

fn is_required(server: &Server) -> bool {
    let answer = server.anonymous().get("/api/instance").ok();
    assert_eq!(keys(&answer), ["setup_required"].into());
    answer["setup_required"].as_bool().unwrap()
}

fn owners(server: &Server) -> u32 {
    let sql = "SELECT count(*) FROM users WHERE role = 'owner'";
    server
        .database()
        .query_row(sql, (), |row| row.get(0))
        .unwrap()
}

#[test]
fn setup_makes_the_owner_once() {
    let server = empty();
    let nobody = server.anonymous();
    assert!(is_required(&server));
    let made = nobody.post("/api/setup", ann()).ok();
    assert_eq!(
        keys(&made),
        ["user_id", "email"].into(),
        "no token unless asked for"
    );
    assert_eq!(made["email"], "ann@home.arpa");
    assert!(!is_required(&server));
    let mut other = ann();
    other["email"] = json!("bob@home.arpa");
    for body in [ann(), other] {
        nobody.post("/api/setup", body).error(412);
    }
    assert_eq!(owners(&server), 1);
    let id = made["user_id"].as_str().unwrap();
    let token = server.token_of(id);
    let current = server.client(&token).get("/api/users/current").ok();
    assert_eq!(current["id"], id);
    assert_eq!(
        (&current["role"], &current["status"]),
        (&json!("owner"), &json!("active"))
    );
    assert_eq!(current["name"], "Ann 👩‍🚀");
    for file in std::fs::read_dir(server.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let kept = bytes.windows(13).any(|window| window == b"correct horse");
        assert!(!kept, "the password was kept");
    }
}

#[test]
fn the_token_of_setup_works_and_lives_as_long_as_asked() {
    for (body, days) in [
        (json!({"create_pat": true, "pat_expire_in": 1}), 1),
        (json!({"create_pat": true, "pat_expire_in": 365}), 365),
    ] {
        let server = empty();
        let mut request = ann();
        for (key, value) in body.as_object().unwrap() {
            request[key] = value.clone();
        }
        let answer = server.anonymous().post("/api/setup", request);
        let made = answer.ok();
        assert_eq!(
            keys(&made),
            ["user_id", "email", "personal_access_token"].into()
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let client = server.client(made["personal_access_token"].as_str().unwrap());
        let current = client.get("/api/users/current").ok();
        assert_eq!(current["id"], made["user_id"]);
        assert_eq!(
            (&current["role"], &current["email"]),
            (&json!("owner"), &json!("ann@home.arpa"))
        );
        let path = format!("/api/users/{}/tokens", made["user_id"].as_str().unwrap());
        let list = client.get(&path).ok();
        let lifetime = time_of(&list[0]["expiration_date"]) - time_of(&list[0]["created_at"]);
        assert_eq!(lifetime, time::Duration::days(days));
        assert_eq!(list[0]["created_by"], made["user_id"]);
        let told = client.get("/api/events/audit").ok();
        let codes: Vec<_> = told
            .as_array()
            .unwrap()
            .iter()
            .map(|event| &event["activity_code"])
            .collect();
        assert_eq!(codes, ["personal.access.token.create", "user.create"]);
    }
}

#[test]
fn a_setup_that_is_refused_makes_nobody_and_may_be_tried_again() {
    let server = empty();
    let nobody = server.anonymous();
    for body in [
        "",
        "{",
        "null",
        "[]",
        "1",
        r#""text""#,
        r#"{"email":"a@home.arpa","name":"a"} x"#,
    ] {
        nobody
            .send("POST", "/api/setup", &[], body.as_bytes())
            .error(400);
    }
    for (field, value, status) in [
        ("email", json!(null), 422),
        ("email", json!(""), 422),
        ("email", json!("no address"), 422),
        ("name", json!(null), 422),
        ("name", json!(""), 422),
        ("name", json!("a\nb"), 422),
        ("name", json!("é".repeat(128)), 422),
        ("pat_expire_in", json!(0), 422),
        ("pat_expire_in", json!(-1), 422),
        ("pat_expire_in", json!(366), 422),
        ("pat_expire_in", json!(1.5), 422),
        ("pat_expire_in", json!("30"), 422),
        ("pat_expire_in", json!(u64::MAX), 422),
        ("create_pat", json!("true"), 400),
    ] {
        let mut body = ann();
        body["create_pat"] = json!(true);
        body["pat_expire_in"] = json!(30);
        body[field] = value.clone();
        let answer = nobody.post("/api/setup", body);
        assert_eq!(answer.status, status, "{field} {value}: {}", answer.text());
    }
    assert!(is_required(&server));
    assert_eq!(owners(&server), 0);
    let sql = "SELECT count(*) FROM audit_events";
    let told = server
        .database()
        .query_row(sql, (), |row| row.get::<_, u32>(0));
    assert_eq!(told.unwrap(), 0, "a refusal is not told");
    nobody.post("/api/setup", ann()).ok();
}

#[test]
fn what_is_of_no_meaning_is_not_looked_at() {
    for password in [json!(null), json!(""), json!(5), json!(["a"])] {
        let mut body = ann();
        body["password"] = password;
        empty().anonymous().post("/api/setup", body).ok();
    }
    // pat_expire_in is of no meaning where no token is asked for.
    let without =
        json!({"email": "ann@home.arpa", "name": "Ann", "unknown": 1, "pat_expire_in": 0});
    empty().anonymous().post("/api/setup", without).ok();
}

#[test]
fn of_eight_racing_setups_one_makes_the_owner() {
    let server = empty();
    let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let racing: [_; 8] = std::array::from_fn(|number| {
            let nobody = server.anonymous();
            scope.spawn(move || {
                let email = format!("{number}@home.arpa");
                let body =
                    json!({"email": email, "name": "a", "create_pat": true, "pat_expire_in": 1});
                let answer = nobody.post("/api/setup", body);
                (answer.status, answer.json())
            })
        });
        racing.map(|thread| thread.join().unwrap()).into()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(lost.iter().all(|(status, _)| *status == 412), "{answers:?}");
    assert_eq!(owners(&server), 1);
    let (_, made) = won[0];
    let client = server.client(made["personal_access_token"].as_str().unwrap());
    let all = client.get("/api/users").ok();
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(all[0]["id"], made["user_id"]);
}

#[test]
fn a_server_with_an_owner_asks_for_no_setup() {
    let server = Server::start();
    assert!(!is_required(&server));
    server.anonymous().post("/api/setup", ann()).error(412);
    assert_eq!(owners(&server), 1);
    let server = server.restart();
    assert!(!is_required(&server));
    server.anonymous().post("/api/setup", ann()).error(412);
}

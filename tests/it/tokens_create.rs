//! `POST /api/users/{user}/tokens`.

use serde_json::json;

use crate::support::{Connection, Crowd, Server, eventually, id_of, time_of};
use crate::tokens::{body, listed, tokens_path};

#[test]
fn making_a_token_is_checked_in_the_order_of_the_contract() {
    let crowd = Crowd::new();
    let auditor = crowd.member("auditor", "auditor", false);
    crowd.user("ann", "user", false);
    crowd.user("machine", "user", true);
    let server = crowd.start();
    let auditor = server.client(&auditor);
    let good = r#"{"name":"a","expires_in":1}"#;
    for (user, body, auditor_gets, owner_gets) in [
        ("nobody", "", 400, 400),
        ("nobody", "{", 400, 400),
        ("nobody", "null", 400, 400),
        ("nobody", "[]", 400, 400),
        ("nobody", "{}", 422, 422),
        ("nobody", r#"{"name":"","expires_in":1}"#, 422, 422),
        ("nobody", r#"{"expires_in":1}"#, 422, 422),
        ("nobody", r#"{"name":"a","expires_in":0}"#, 422, 422),
        ("nobody", r#"{"name":"a"}"#, 422, 422),
        ("nobody", good, 403, 404),
        ("ann", "{", 400, 400),
        ("ann", r#"{"name":"a","expires_in":366}"#, 422, 422),
        ("ann", good, 403, 403),
        ("machine", good, 403, 200),
        (
            "machine",
            r#"{"name":"a","expires_in":1,"x":[1]}"#,
            403,
            200,
        ),
    ] {
        for (client, expected) in [(&auditor, auditor_gets), (&server.owner, owner_gets)] {
            let path = format!("/api/users/{user}/tokens");
            let answer = client.send("POST", &path, &[], body.as_bytes());
            assert_eq!(answer.status, expected, "{user} {body}: {}", answer.text());
            if expected != 200 {
                answer.error(expected);
            }
        }
    }
}

#[test]
fn a_token_lives_a_whole_number_of_days_from_1_to_365() {
    let server = Server::start();
    let path = tokens_path(&server);
    for (days, status) in [
        ("1", 200),
        ("30", 200),
        ("365", 200),
        ("0", 422),
        ("-1", 422),
        ("-30", 422),
        ("366", 422),
        ("1.5", 422),
        ("\"30\"", 422),
        ("null", 422),
        ("true", 422),
        ("[30]", 422),
        ("9223372036854775808", 422),
        ("18446744073709551617", 422),
    ] {
        let body = format!(r#"{{"name":"ci","expires_in":{days}}}"#);
        let answer = server.owner.send("POST", &path, &[], body.as_bytes());
        assert_eq!(answer.status, status, "{days}: {}", answer.text());
        if status == 200 {
            let record = &answer.json()["personal_access_token"];
            let lifetime = time_of(&record["expiration_date"]) - time_of(&record["created_at"]);
            let days = days.parse().unwrap();
            assert_eq!(lifetime, time::Duration::days(days));
        }
    }
    server.owner.post(&path, json!({"name": "ci"})).error(422);
    let all = server.owner.get(&path).ok();
    assert_eq!(
        all.as_array().unwrap().len(),
        4,
        "what was refused made no token"
    );
}

#[test]
fn names_are_kept_as_they_are_or_refused_and_may_stand_twice() {
    let server = Server::start();
    let path = tokens_path(&server);
    let longest = "é".repeat(127) + "x";
    for name in ["ci", "ci", "👩‍🚀 مرحبا", "<b>&amp;\"'\\", &longest] {
        let body = json!({"name": name, "expires_in": 1});
        let made = server.owner.post(&path, body).ok();
        assert_eq!(made["personal_access_token"]["name"], name);
    }
    for name in ["", "a\0", "a\nb", "\u{7f}", "\u{85}", &"é".repeat(128)] {
        let body = json!({"name": name, "expires_in": 1});
        server.owner.post(&path, body).error(422);
    }
}

#[test]
fn a_token_of_a_service_user_names_its_maker() {
    let crowd = Crowd::new();
    let admin = crowd.member("admin|1", "admin", false);
    let machine = crowd.member("machine", "network_admin", true);
    let server = crowd.start();
    for (token, maker) in [(admin, "admin|1"), (machine, "machine")] {
        let client = server.client(&token);
        let made = client.post("/api/users/machine/tokens", body(1)).ok();
        let record = &made["personal_access_token"];
        assert_eq!(record["created_by"], maker);
        assert_eq!(
            listed(&client, "machine", &id_of(record)).as_ref(),
            Some(record)
        );
        let plain = made["plain_token"].as_str().unwrap();
        let seen = server
            .client(plain)
            .get("/api/users?service_user=true")
            .ok();
        assert_eq!(
            (&seen[0]["id"], &seen[0]["is_current"]),
            (&json!("machine"), &json!(true))
        );
    }
}

#[test]
fn a_token_that_expires_while_the_body_arrives_makes_nothing() {
    let crowd = Crowd::new();
    crowd.user("machine", "admin", true);
    let (plain, id) = crowd.token("machine", "first");
    let server = crowd.start();
    let client = server.client(&plain);
    let body = br#"{"name":"late","expires_in":1}"#;
    let (most, last) = body.split_at(body.len() - 1);
    let head = format!(
        "POST /api/users/machine/tokens HTTP/1.1\r\nHost: a\r\nAuthorization: Token {plain}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = Connection::open(server.address);
    connection.send(&[head.as_bytes(), most].concat());
    eventually("it is past the door", || {
        let token = listed(&server.owner, "machine", &id)?;
        token["last_used"].is_string().then_some(())
    });
    let expire = "UPDATE tokens SET expires_at = created_at WHERE id = ?1";
    assert_eq!(server.database().execute(expire, [&id]).unwrap(), 1);
    eventually("it has expired", || {
        (client.get("/api/users").status == 401).then_some(())
    });
    connection.send(last);
    connection.answer(false).refused(401);
    let tokens = server.owner.get("/api/users/machine/tokens").ok();
    assert_eq!(tokens.as_array().unwrap().len(), 1, "{tokens}");
}

//! Bodies that are wrong: a clear error, the next request works, and nothing is changed.

use serde_json::{Value, json};

use crate::support::{Connection, Response, Server, eventually, id_of};

pub const GOOD_TOKEN: &str = r#"{"name":"a","expires_in":1}"#;

/// A request as bytes, with the owner's token.
pub fn request(server: &Server, method: &str, path: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let owner = server.owner.authorization.as_deref().unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {owner}\r\n{more}");
    [head.as_bytes(), b"\r\n", body].concat()
}

pub fn with_length(server: &Server, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", body.len());
    request(server, method, path, &length, body)
}

/// How many users, tokens and events there are.
pub fn rows(server: &Server) -> [u32; 3] {
    ["users", "tokens", "audit_events"].map(|table| {
        let count = format!("SELECT count(*) FROM {table}");
        let database = server.database();
        database.query_row(&count, (), |row| row.get(0)).unwrap()
    })
}

/// A request, and a good one behind it: on the same connection, unless the answer ended that.
pub fn ask(server: &Server, connection: &mut Connection, bytes: &[u8]) -> Response {
    connection.send(bytes);
    let answer = connection.answer(bytes.starts_with(b"HEAD"));
    if answer.header("connection") == Some("close") {
        *connection = Connection::open(server.address);
    }
    connection.send(&request(server, "GET", "/api/users", "", b""));
    connection.answer(false).ok();
    answer
}

pub fn own_tokens(server: &Server) -> String {
    format!("/api/users/{}/tokens", server.owner_id)
}

#[test]
fn what_is_no_json_object_is_400_everywhere_and_changes_nothing() {
    let server = Server::start();
    let machine = server.service_user("user");
    let before = rows(&server);
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let deep = nested(32_000);
    let deep_unknown = format!(r#"{{"name":"a","expires_in":1,"x":{}}}"#, nested(32_000));
    let utf_16: Vec<u8> = GOOD_TOKEN
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let bodies: &[&[u8]] = &[
        b"",
        b" ",
        b"\"\"",
        b"{",
        b"nonsense",
        b"{\"name\":\"a\",\"expires_in\":1",
        b"{\"name\":\"a\",\"expires_in\":1}}",
        b"{\"name\":\"a\",\"expires_in\":1} x",
        b"{\"name\":\"a\",\"expires_in\":1}{}",
        b"{\"name\":\"a\",\"expires_in\":1}\0",
        b"{\"name\":\"a\",\"expires_in\":1,}",
        b"{\"name\":\"a\",\"expires_in\":01}",
        b"{\"name\":\"a\",\"expires_in\":NaN}",
        b"{\"name\":\"a\",\"expires_in\":1e999}",
        b"{\"name\":\"a\" /* b */,\"expires_in\":1}",
        b"{'name':'a','expires_in':1}",
        b"{name:\"a\",\"expires_in\":1}",
        b"{\"name\":\"a\nb\",\"expires_in\":1}",
        b"{\"name\":\"\\x41\",\"expires_in\":1}",
        b"{\"name\":\"a\",\"name\":\"b\",\"expires_in\":1}",
        b"{\"name\":\"a\",\"n\\u0061me\":\"a\",\"expires_in\":1}",
        b"{\"name\":\"a\",\"expires_in\":1,\"x\":{\"y\":1,\"y\":1}}",
        b"\xef\xbb\xbf{\"name\":\"a\",\"expires_in\":1}",
        b"{\"name\":\"\\ud800\",\"expires_in\":1}",
        b"{\"name\":\"\\udc00\\ud800\",\"expires_in\":1}",
        b"{\"name\":\"\xed\xa0\x80\",\"expires_in\":1}",
        b"{\"name\":\"\xff\",\"expires_in\":1}",
        &utf_16,
        b"null",
        b"[]",
        b"[{\"name\":\"a\",\"expires_in\":1}]",
        b"1",
        b"true",
        b"\"a\"",
        deep.as_bytes(),
        deep_unknown.as_bytes(),
    ];
    let mut connection = Connection::open(server.address);
    for (method, path) in [
        ("POST", own_tokens(&server)),
        ("POST", "/api/users".to_owned()),
        ("PUT", format!("/api/users/{machine}")),
    ] {
        for body in bodies {
            println!("{method} {path} {:.60}", String::from_utf8_lossy(body));
            let bytes = with_length(&server, method, &path, body);
            let message = ask(&server, &mut connection, &bytes).error(400);
            assert!(message.starts_with(char::is_lowercase), "{message}");
        }
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn each_field_of_a_wrong_type_or_value_is_refused_by_its_name() {
    let server = Server::start();
    let machine = server.service_user("user");
    let tokens = ("POST", own_tokens(&server));
    let users = ("POST", "/api/users".to_owned());
    let user = ("PUT", format!("/api/users/{machine}"));
    let good_token = json!({"name": "a", "expires_in": 1});
    let good_machine = json!({"name": "a", "role": "user", "is_service_user": true});
    let good_human = json!({"name": "a", "role": "user", "email": "a@home.arpa"});
    let good_user = json!({"role": "user", "auto_groups": [], "is_blocked": false});
    let before = rows(&server);
    let big = json!([
        0,
        -1,
        1.5,
        366,
        "30",
        null,
        9_223_372_036_854_775_808_u64,
        true,
        [],
        {}
    ]);
    let long = "x".repeat(256);
    let not_text = json!([5, true, [], {}]);
    let not_name = json!([
        "",
        null,
        long,
        "a\nb",
        "a\u{0}",
        "\u{7f}",
        "a\u{85}b",
        "\u{1b}[31m"
    ]);
    let not_flag = json!(["true", 1, 0, "", [], {}]);
    let not_groups = json!(["g", 5, true, {}, [5], [null], ["g", []]]);
    let not_role = json!([
        "",
        null,
        "root",
        "owner ",
        "network-admin",
        "owner",
        "OWNER"
    ]);
    let table = [
        (&tokens, &good_token, "expires_in", &big, 422),
        (&tokens, &good_token, "name", &not_text, 400),
        (&tokens, &good_token, "name", &not_name, 422),
        (&users, &good_machine, "role", &not_text, 400),
        (&users, &good_machine, "role", &not_role, 422),
        (&users, &good_human, "role", &not_role, 422),
        (&users, &good_machine, "is_service_user", &not_flag, 400),
        (&users, &good_machine, "auto_groups", &not_groups, 400),
        (&users, &good_machine, "name", &not_text, 400),
        (&users, &good_human, "name", &not_name, 422),
        (&users, &good_human, "email", &not_name, 422),
        (&users, &good_human, "email", &not_text, 400),
        (&users, &good_human, "id", &not_text, 400),
        (&user, &good_user, "role", &not_text, 400),
        (&user, &good_user, "role", &json!(["", null, "root"]), 422),
        (&user, &good_user, "is_blocked", &not_flag, 400),
        (&user, &good_user, "auto_groups", &not_groups, 400),
        (&user, &good_user, "auto_groups", &json!([null]), 400),
    ];
    let mut connection = Connection::open(server.address);
    for ((method, path), good, field, values, status) in table {
        for value in values.as_array().unwrap() {
            let mut body = good.clone();
            body[field] = value.clone();
            println!("{method} {path} {body}");
            let bytes = with_length(&server, method, path, body.to_string().as_bytes());
            let message = ask(&server, &mut connection, &bytes).error(status);
            assert!(message.contains(field), "{message}");
            assert!(message.starts_with(char::is_lowercase), "{message}");
        }
        // A field that is left out, too, but where it has a default.
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        if values != &not_text && values != &not_flag && (*method, field) != ("POST", "auto_groups")
        {
            let bytes = with_length(&server, method, path, body.to_string().as_bytes());
            ask(&server, &mut connection, &bytes).error(status);
        }
    }
    assert_eq!(rows(&server), before);
}

#[test]
fn names_of_up_to_255_bytes_are_kept_as_they_are() {
    let server = Server::start();
    let emoji = "👩‍🚀".repeat(23) + "🚀é"; // 23 × 11 is 253 bytes.
    let emoji = &emoji[..253];
    let kept = [
        "a",
        &"x".repeat(255),
        emoji,
        &"é".repeat(127),
        "مرحبا \u{202e}abc\u{202c} שלום",
        "<script>alert(1)</script>&amp;\"'",
        "'; DROP TABLE users; --",
        "  a\u{a0}b  ",
        "\u{fffd}\u{feff}\u{10ffff}",
        "e\u{301} and é",
    ];
    let mut made = Vec::new();
    for name in kept {
        let body = json!({"name": name, "expires_in": 1});
        let token = server.owner.post(&own_tokens(&server), body).ok();
        let id = id_of(&token["personal_access_token"]);
        let shown = server.owner.get(&format!("{}/{id}", own_tokens(&server)));
        assert_eq!(shown.ok()["name"], name);
        let body = json!({"name": name, "role": "user", "is_service_user": true});
        made.push(server.owner.post("/api/users", body).ok());
        assert_eq!(made.last().unwrap()["name"], name);
    }
    let before = rows(&server);
    for name in ["x".repeat(256), "é".repeat(128), "👩".repeat(64)] {
        let body = json!({"name": name, "expires_in": 1});
        server.owner.post(&own_tokens(&server), body).error(422);
        let body = json!({"name": name, "role": "user", "is_service_user": true});
        server.owner.post("/api/users", body).error(422);
    }
    assert_eq!(rows(&server), before);
    let server = server.restart();
    let shown = server.owner.get("/api/users?service_user=true").ok();
    assert_eq!(shown, Value::from(made));
}

#[test]
fn an_empty_body_or_two_quotes_will_do_where_none_is_needed() {
    let server = Server::start();
    for body in [b"".as_slice(), b"\"\"", b"{}"] {
        let pending = || {
            let user = server.service_user("user");
            let database = server.database();
            let pend = "UPDATE users SET is_pending = 1 WHERE id = ?1";
            assert_eq!(database.execute(pend, [&user]), Ok(1));
            eventually("the user is pending", || {
                let users = server.owner.get("/api/users").ok();
                let users = users.as_array().unwrap();
                let found = users.iter().find(|shown| shown["id"] == user.as_str())?;
                (found["pending_approval"] == true).then_some(())
            });
            format!("/api/users/{user}")
        };
        let send = |method, path: &str| server.owner.send(method, path, &[], body).ok();
        let path = pending();
        assert_eq!(send("POST", &format!("{path}/approve"))["status"], "active");
        assert_eq!(send("DELETE", &format!("{}/reject", pending())), json!({}));
        assert_eq!(send("DELETE", &path), json!({}));
        send("GET", "/api/users");
        let made = json!({"name": "a", "expires_in": 1});
        let made = server.owner.post(&own_tokens(&server), made).ok();
        let id = id_of(&made["personal_access_token"]);
        let path = format!("{}/{id}", own_tokens(&server));
        assert_eq!(send("DELETE", &path), json!({}));
    }
}

#[test]
fn content_type_unknown_fields_and_white_space_do_not_matter() {
    let server = Server::start();
    let body = b" \r\n{ \"name\" : \"a\",\t\"expires_in\":1, \"color\": {\"deep\": [null]} }\n ";
    for kind in [
        "application/json",
        "text/plain; charset=utf-16",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "",
        "???",
    ] {
        let headers = [("Content-Type", kind)];
        let made = server
            .owner
            .send("POST", &own_tokens(&server), &headers, body);
        assert_eq!(made.ok()["personal_access_token"]["name"], "a", "{kind}");
    }
}

//! `/api/users/{user}/tokens`: reading, using and revoking.

use netbird_auth::clock::Timestamp;
use netbird_auth::token::PlainToken;
use netbird_auth::xid::Xid;
use serde_json::{Value, json};

use crate::support::{Client, Crowd, Server, fresh_token, human, id_of, keys, time_of};

pub fn body(days: u32) -> Value {
    json!({"name": "ci", "expires_in": days})
}

pub fn tokens_path(server: &Server) -> String {
    format!("/api/users/{}/tokens", server.owner_id)
}

/// The record of one token in a user's list.
pub fn listed(client: &Client, user: &str, token: &str) -> Option<Value> {
    let list = client.get(&format!("/api/users/{user}/tokens")).ok();
    let found = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == token);
    found.cloned()
}

#[test]
fn a_token_is_made_shown_listed_used_and_revoked() {
    let server = Server::start();
    let path = tokens_path(&server);
    let answer = server.owner.post(&path, body(30));
    let made = answer.ok();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(keys(&made), ["plain_token", "personal_access_token"].into());
    let plain = made["plain_token"].as_str().unwrap();
    assert!(
        PlainToken::parse(plain).is_ok(),
        "40 characters that verify"
    );
    let record = &made["personal_access_token"];
    let expected = ["id", "name", "expiration_date", "created_by", "created_at"];
    assert_eq!(
        keys(record),
        expected.into(),
        "no last_used before the first use"
    );
    assert_eq!(record["name"], "ci");
    assert_eq!(record["created_by"], json!(server.owner_id));
    let id = id_of(record);
    assert!(Xid::parse(&id).is_some(), "{id}");

    let one = format!("{path}/{id}?account=other");
    let (shown, list) = (server.owner.get(&one), server.owner.get(&path));
    assert_eq!(&shown.ok(), record);
    assert_eq!(list.ok()[1], *record);
    for answer in [shown, list] {
        assert!(!answer.text().contains(plain), "shown again");
        assert!(
            !answer.text().contains(&plain[4..34]),
            "its secret is shown"
        );
    }
    let client = server.client(plain);
    assert_eq!(
        client.get("/api/users/current").ok()["id"],
        json!(server.owner_id)
    );

    let gone = server.owner.send("DELETE", &one, &[], br#""""#);
    assert_eq!(gone.ok(), json!({}));
    let refused = client.get("/api/users/current");
    let never_made = server.client(&fresh_token()).get("/api/users/current");
    assert_eq!(refused.refused(401), "unknown or revoked token");
    assert_eq!(
        refused.json(),
        never_made.json(),
        "revoked or never made: nobody can tell"
    );
    for answer in [server.owner.get(&one), server.owner.delete(&one)] {
        assert!(answer.error(404).contains("not found"));
    }
}

#[test]
fn reading_and_revoking_are_checked_in_the_order_of_the_contract() {
    let crowd = Crowd::new();
    let powerless = crowd.member("powerless", "user", false);
    crowd.user("ann", "user", false);
    crowd.user("machine", "user", true);
    let (_, of_ann) = crowd.token("ann", "a");
    let (_, of_machine) = crowd.token("machine", "a");
    let server = crowd.start();
    let powerless = server.client(&powerless);
    for (method, user, token, owner_gets) in [
        ("GET", "nobody", of_ann.as_str(), 404),
        ("GET", "ann", &of_ann, 403),
        ("GET", "ann", &of_machine, 403),
        ("GET", "ann", "no xid", 403),
        ("GET", "machine", &of_ann, 404),
        ("GET", "machine", "no xid", 404),
        ("GET", "machine", "", 404),
        ("GET", "machine", "00000000000000000000", 404),
        ("GET", "machine", "0000000000000000000W", 404),
        ("GET", "machine", &of_machine.to_uppercase(), 404),
        ("GET", "machine", &of_machine[1..], 404),
        ("GET", "machine", &of_machine, 200),
        ("DELETE", "nobody", &of_machine, 404),
        ("DELETE", "ann", &of_ann, 403),
        ("DELETE", "ann", &of_machine, 403),
        ("DELETE", "machine", &of_ann, 404),
        ("DELETE", "machine", "no xid", 404),
        ("DELETE", "machine", &of_machine, 200),
        ("DELETE", "machine", &of_machine, 404),
    ] {
        let path = format!("/api/users/{user}/tokens/{}", token.replace(' ', "%20"));
        if !token.is_empty() {
            powerless.send(method, &path, &[], b"").error(403);
        }
        let answer = server.owner.send(method, &path, &[], b"");
        assert_eq!(answer.status, owner_gets, "{method} {path}");
        if owner_gets == 404 {
            assert!(answer.error(404).contains("not found"), "{method} {path}");
        }
    }
}

#[test]
fn the_last_use_is_known_at_once() {
    let crowd = Crowd::new();
    crowd.user("machine", "user", true);
    let (plain, id) = crowd.token("machine", "a");
    let (_, other) = crowd.token("machine", "b");
    let server = crowd.start();
    let shown = |id: &str| listed(&server.owner, "machine", id).unwrap();
    let client = server.client(&plain);
    assert!(shown(&id).get("last_used").is_none());
    let mut last = None;
    for _ in 0..20 {
        client.get("/api/users").ok();
        let used = time_of(&shown(&id)["last_used"]);
        assert!(last < Some(used), "a later use is later");
        let path = format!("/api/users/machine/tokens/{id}");
        assert_eq!(time_of(&server.owner.get(&path).ok()["last_used"]), used);
        last = Some(used);
    }
    assert!(
        shown(&other).get("last_used").is_none(),
        "another token's use"
    );
    let server = server.restart();
    let kept = listed(&server.owner, "machine", &id).unwrap();
    assert_eq!(Some(time_of(&kept["last_used"])), last, "kept over a stop");
}

#[test]
fn a_revoked_token_is_refused_on_the_very_next_request_and_the_others_pass() {
    let server = Server::start();
    let path = tokens_path(&server);
    let make = || server.owner.post(&path, body(1)).ok();
    let stays = make()["plain_token"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        let made = make();
        let client = server.client(made["plain_token"].as_str().unwrap());
        client.get("/api/users").ok();
        let one = format!("{path}/{}", id_of(&made["personal_access_token"]));
        // A token may revoke itself.
        assert_eq!(client.delete(&one).ok(), json!({}));
        assert_eq!(
            client.get("/api/users").refused(401),
            "unknown or revoked token"
        );
        assert_eq!(client.delete(&one).refused(401), "unknown or revoked token");
    }
    server.client(&stays).get("/api/users").ok();
}

#[test]
fn of_racing_revocations_one_finds_the_token() {
    let server = Server::start();
    let path = tokens_path(&server);
    let made = server.owner.post(&path, body(1)).ok();
    let one = format!("{path}/{}", id_of(&made["personal_access_token"]));
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let racing: [_; 4] =
            std::array::from_fn(|_| scope.spawn(|| server.owner.delete(&one).status));
        racing.map(|thread| thread.join().unwrap()).into()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404]);
}

#[test]
fn every_spelling_of_an_id_reaches_the_same_user() {
    let ids = ["google-oauth2|123456", "a/b", "a+b c", "100%7C", "😀"];
    let crowd = Crowd::new();
    let members = ids.map(|id| {
        crowd.user(id, "auditor", false);
        (id, crowd.token(id, id))
    });
    let server = crowd.start();
    for (id, (plain, token)) in members {
        let client = server.client(&plain);
        let every = |form: fn(u8) -> String| id.bytes().map(form).collect::<String>();
        let mut spellings = vec![
            every(|byte| format!("%{byte:02X}")),
            every(|byte| format!("%{byte:02x}")),
            every(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            }),
        ];
        if id == ids[0] {
            spellings.push(id.to_owned());
        }
        for spelling in spellings {
            let list = client.get(&format!("/api/users/{spelling}/tokens")).ok();
            assert_eq!(list[0]["name"], id, "{spelling}");
            assert_eq!(list[0]["id"], json!(token));
            let path = format!("/api/users/{spelling}/tokens/{token}");
            assert_eq!(client.get(&path).ok()["created_by"], id, "{spelling}");
        }
    }
    // And not that of another: decoded once, and to the letter.
    for spelling in [
        "google-oauth2%257C123456",
        "a%252Fb",
        "a%20b%20c",
        "100%257c",
        "A%2FB",
    ] {
        let path = format!("/api/users/{spelling}/tokens");
        server.owner.get(&path).error(404);
    }
    // One made by request is found by the same spellings.
    let mut made = human("new@home.arpa");
    made["id"] = json!("new|1/2");
    server.owner.post("/api/users", made).ok();
    let put = json!({"role": "admin", "auto_groups": []});
    for spelling in ["new%7C1%2F2", "new|1%2f2", "%6Eew%7c1%2F2"] {
        let answer = server
            .owner
            .put(&format!("/api/users/{spelling}"), put.clone());
        assert_eq!(answer.ok()["id"], "new|1/2", "{spelling}");
    }
}

#[test]
fn a_long_list_arrives_whole_and_in_order() {
    let crowd = Crowd::new();
    crowd.user("machine", "user", true);
    for count in [0, 1, 255, 256, 257, 512, 700] {
        let id = format!("machine-{count}");
        crowd.user(&id, "user", true);
        for number in 0..count {
            crowd.token(&id, &number.to_string());
        }
    }
    let server = crowd.start();
    for count in [0, 1, 255, 256, 257, 512, 700] {
        let list = server
            .owner
            .get(&format!("/api/users/machine-{count}/tokens"))
            .ok();
        let names: Vec<&str> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["name"].as_str().unwrap())
            .collect();
        let expected: Vec<String> = (0..count).map(|number: u32| number.to_string()).collect();
        assert_eq!(names, expected);
    }
    assert_eq!(server.owner.get("/api/users/machine-0/tokens").text(), "[]");
}

#[test]
fn an_expired_token_is_refused_and_still_listed() {
    let crowd = Crowd::new();
    crowd.user("machine", "admin", true);
    let (plain, id) = crowd.token("machine", "old");
    let now = Timestamp::now().micros();
    let sql = "UPDATE tokens SET expires_at = ?1 WHERE id = ?2";
    crowd.database.execute(sql, (now, &id)).unwrap();
    let server = crowd.start();
    let answer = server.client(&plain).get("/api/users");
    assert_eq!(answer.refused(401), "expired token");
    let record = listed(&server.owner, "machine", &id).unwrap();
    assert!(record.get("last_used").is_none(), "a refusal is no use");
}

//! `/auth/verify`: who it is, told to the app in five headers.

use rusqlite::params;
use serde_json::json;

use crate::support::{Crowd, Idp, Response, VERIFY, original};

const SITE: &str = "[[forward_auth.rule]]\nhost = \"app.home.arpa\"\n";
const APP: &str = "GET app.home.arpa/x";
const PUBLIC: &str = "\n[[forward_auth.rule]]\nhost = \"pub.home.arpa\"\npublic = true\n";

/// A user, and the four headers that tell of them.
type Row = (
    [&'static str; 3],
    &'static [&'static str],
    [&'static str; 4],
);

const ROWS: [Row; 12] = [
    (
        ["ann", "Ann Smith", "ann@home.arpa"],
        &[],
        ["ann", "Ann Smith", "ann@home.arpa", "user"],
    ),
    (
        ["auth0|5f7c", "", ""],
        &["g1", "g2"],
        ["auth0|5f7c", "-", "-", "user,g1,g2"],
    ),
    (
        ["Zoë", "Jürgen €", "ö@home.arpa"],
        &["später", "日"],
        [
            "Zo%C3%AB",
            "J%C3%BCrgen %E2%82%AC",
            "%C3%B6@home.arpa",
            "user,sp%C3%A4ter,%E6%97%A5",
        ],
    ),
    (
        ["a,b", "x,y", "a,b@c"],
        &["g,h", ",", "admin,owner"],
        ["a%2Cb", "x%2Cy", "a%2Cb@c", "user,g%2Ch,%2C,admin%2Cowner"],
    ),
    (
        ["100%", "%41", "%@%"],
        &["%2C"],
        ["100%25", "%2541", "%25@%25", "user,%252C"],
    ),
    (
        [" x ", "  y z  ", " @ "],
        &[" ", " g"],
        ["%20x%20", "%20 y z %20", "%20@%20", "user,%20,%20g"],
    ),
    (["-", "-", "-@-"], &["-"], ["%2D", "%2D", "-@-", "user,%2D"]),
    (
        ["--", "a-", "--@-"],
        &["-a"],
        ["--", "a-", "--@-", "user,-a"],
    ),
    (
        ["a\"b\\c", "<b>'&;=", "\"x\"@y"],
        &["a;b=c"],
        ["a\"b\\c", "<b>'&;=", "\"x\"@y", "user,a;b=c"],
    ),
    (
        ["\u{a0}x\u{2028}", "\u{202e}x", "a@\u{200b}"],
        &[],
        ["%C2%A0x%E2%80%A8", "%E2%80%AEx", "a@%E2%80%8B", "user"],
    ),
    (
        ["admin", "owner", "bob@x"],
        &["admin"],
        ["admin", "owner", "bob@x", "user,admin"],
    ),
    (
        ["ann:x@y/z?#", "~`!$^*()[]{}", "a+b@c"],
        &["a b"],
        ["ann:x@y/z?#", "~`!$^*()[]{}", "a+b@c", "user,a b"],
    ),
];

#[test]
fn whatever_a_user_is_called_stands_there_as_printable_ascii_and_never_empty() {
    let crowd = Crowd::new();
    let tokens = ROWS.map(|([id, name, email], groups, _)| {
        let token = crowd.member(id, "user", false);
        let groups = json!(groups).to_string();
        let sql = "UPDATE users SET name = ?1, email = ?2, auto_groups = ?3 WHERE id = ?4";
        crowd
            .database
            .execute(sql, params![name, email, groups, id])
            .unwrap();
        token
    });
    let server = crowd.start_guarding(SITE, &[]);
    for (([id, ..], _, expected), token) in ROWS.into_iter().zip(&tokens) {
        let answer = server.verify_as(APP, token);
        assert_eq!(answer.identity()[..4], expected, "{id:?}");
        assert_eq!(
            answer.text(),
            "",
            "a body would cost the proxy its connection"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn the_longest_texts_and_lists_are_told_whole() {
    let crowd = Crowd::new();
    let token = crowd.member("ann", "network_admin", false);
    let name = "\u{20ac}".repeat(85);
    let groups: Vec<String> = (0..100)
        .map(|number| format!("{number},{}", "g".repeat(50)))
        .collect();
    let sql = "UPDATE users SET name = ?1, auto_groups = ?2 WHERE id = 'ann'";
    crowd
        .database
        .execute(sql, params![name, json!(groups).to_string()])
        .unwrap();
    let server = crowd.start_guarding(SITE, &[]);
    let answer = server.verify_as(APP, &token);
    let [_, said, _, list, _] = answer.identity();
    assert_eq!(said, "%E2%82%AC".repeat(85));
    let encoded: Vec<String> = groups
        .iter()
        .map(|group| group.replace(',', "%2C"))
        .collect();
    assert_eq!(list, format!("network_admin,{}", encoded.join(",")));
}

#[test]
fn the_role_stands_before_the_groups_and_a_machine_has_no_address() {
    let crowd = Crowd::new();
    let roles = ["admin", "network_admin", "auditor", "user", "billing_admin"];
    let tokens = roles.map(|role| {
        crowd.user(&format!("h-{role}"), role, false);
        crowd.user(&format!("m-{role}"), role, true);
        let of = |id: String| (crowd.token(&id, "first"), id);
        (of(format!("h-{role}")), of(format!("m-{role}")), role)
    });
    let server = crowd.start_guarding(SITE, &[]);
    for (human, machine, role) in tokens {
        for ((token, token_id), id) in [&human, &machine] {
            let email = match id.starts_with('h') {
                true => format!("{id}@home.arpa"),
                false => "-".to_owned(),
            };
            let answer = server.verify_as(APP, token);
            let expected = [id.as_str(), id, &email, role, token_id];
            assert_eq!(answer.identity(), expected);
        }
        // The same that the API lists.
        let ((token, _), id) = &machine;
        let listed = server.owner.get(&format!("/api/users/{id}/tokens")).ok();
        let said = server.verify_as(APP, token);
        assert_eq!(listed[0]["id"], json!(said.identity()[4]));
    }
    // The owner's, who is made by the first start.
    let owner = server.owner.authorization.clone().unwrap();
    let answer = server.verify(APP, &[("Authorization", &owner)]);
    assert_eq!(answer.identity()[0], server.owner_id);
    assert_eq!(answer.identity()[3], "owner");
}

#[test]
fn of_two_tokens_it_is_the_id_of_the_one_that_came() {
    let crowd = Crowd::new();
    crowd.user("bot", "user", true);
    let tokens = ["a", "b", "c"].map(|name| crowd.token("bot", name));
    let server = crowd.start_guarding(SITE, &[]);
    for (token, id) in &tokens {
        let more = [
            ("X-Api-Key", token.as_str()),
            ("X-Netbird-Auth-Token-Id", "x"),
        ];
        for headers in [&more[..], &[("Authorization", &format!("Token {token}"))]] {
            assert_eq!(server.verify(APP, headers).identity()[4], id);
        }
    }
    let path = format!("/api/users/bot/tokens/{}", tokens[1].1);
    server.owner.delete(&path).ok();
    assert_eq!(
        server.verify_as(APP, &tokens[2].0).identity()[4],
        tokens[2].1
    );
    server.verify_as(APP, &tokens[1].0).names_nobody();
}

/// The address counts where the issuer vouches for it.
#[test]
fn a_jwt_has_no_token_id_and_an_address_only_where_it_is_believed() {
    let home = Idp::new("home", "ES256").with("unknown_users = \"create\"");
    let open = Idp::new("open", "ES256").with("unknown_users = \"create\"\ntrust_email = true");
    let wait = Idp::new("wait", "ES256").with("unknown_users = \"create_pending\"");
    let server = Crowd::new().start_guarding(&format!("{SITE}{PUBLIC}"), &[&home, &open, &wait]);
    let table = [
        (
            &home,
            "a",
            json!({"email": "a@x", "email_verified": true}),
            "a@x",
        ),
        (
            &home,
            "b",
            json!({"email": "b@x", "email_verified": false}),
            "-",
        ),
        (&home, "c", json!({"email": "c@x"}), "-"),
        (&home, "d", json!({}), "-"),
        (&open, "e", json!({"email": "e@x"}), "e@x"),
    ];
    for (idp, id, claims, email) in table {
        let jwt = idp.jwt_with(id, claims);
        for _ in 0..2 {
            let answer = server.verify_as(APP, &jwt);
            let [user, _, said, groups, token] = answer.identity();
            assert_eq!([user, said, groups, token], [id, email, "user", "-"]);
        }
        assert_eq!(server.find_user(id).unwrap()["status"], "active");
    }
    assert_eq!(
        server.verify_as(APP, &wait.jwt("w")).verdict(),
        "403 user is pending approval"
    );
    // Nobody comes in as nobody.
    let verdict = server.verify_as(APP, &home.jwt("-")).verdict();
    assert!(verdict.starts_with("401 "), "{verdict}");
    assert!(server.find_user("-").is_none());
    let body = json!({
        "id": "-", "issuer": "home", "name": "x", "email": "x@y", "role": "user",
        "is_service_user": false, "auto_groups": [],
    });
    server.owner.post("/api/users", body).error(422);
    // A public rule looks at nobody's JWT, and makes nobody.
    let answer = server.verify_as("GET pub.home.arpa/", &home.jwt("z"));
    assert_eq!(answer.identity(), ["-"; 5]);
    assert!(server.find_user("z").is_none());
}

#[test]
fn renamed_headers_take_the_place_of_the_usual_ones_with_and_without_somebody() {
    let crowd = Crowd::new();
    let (ann, id) = {
        crowd.user("ann", "user", false);
        crowd.token("ann", "first")
    };
    let settings = format!(
        "[forward_auth]\nuser_header = \"X-Webauth-User\"\nname_header = \"X-Webauth-Name\"\n\
         email_header = \"X-WEBAUTH-Email\"\ngroups_header = \"x-webauth-groups\"\n\
         token_id_header = \"X-Token\"\n{SITE}{PUBLIC}"
    );
    let server = crowd.start_guarding(&settings, &[]);
    let names = [
        "x-webauth-user",
        "x-webauth-name",
        "x-webauth-email",
        "x-webauth-groups",
        "x-token",
    ];
    let values = |answer: &Response| names.map(|name| answer.header(name).map(str::to_owned));
    let said = |texts: [&str; 5]| texts.map(|text| Some(text.to_owned()));
    let answer = server.verify_as(APP, &ann);
    assert_eq!(
        values(&answer),
        said(["ann", "ann", "ann@home.arpa", "user", &id])
    );
    answer.names_nobody();
    let answer = server.verify("GET pub.home.arpa/", &[]);
    assert_eq!(values(&answer), said(["-"; 5]));
    answer.names_nobody();
    let answer = server.verify(APP, &[]);
    assert_eq!(answer.status, 401);
    assert_eq!(values(&answer), [const { None }; 5]);
    // Asked with HEAD they are the same.
    let headers = [&original(APP)[..], &[("X-Api-Key", ann.as_str())]].concat();
    let answer = server.anonymous().send("HEAD", VERIFY, &headers, b"");
    assert_eq!(answer.status, 200);
    assert_eq!(values(&answer)[0].as_deref(), Some("ann"));
}

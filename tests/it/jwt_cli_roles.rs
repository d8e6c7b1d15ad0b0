//! `jwt inspect`: the role that a JWT gives, and the user whom it would make.

use serde_json::{Value, json};

use crate::jwt_cli::{folder_with_ann, inspect, run};
use crate::support::{Idp, fresh_token, now};

const MAP: &str = "role_claim = \"groups\"\nunknown_users = \"create\"\n\
                   role_map = { \"a\" = \"admin\", \"n\" = \"network_admin\" }";

#[test]
fn how_the_claim_decides_the_role_is_told() {
    let home = Idp::new("home", "ES256").with(MAP);
    let less = Idp::new("less", "EdDSA")
        .with(MAP)
        .with("max_role = \"auditor\"");
    let none = Idp::new("none", "ES384");
    let folder = folder_with_ann(&[&home, &less, &none]);
    let table: [(&Idp, Value, Option<&str>); 9] = [
        (&home, json!({}), Some("groups is absent, so user")),
        (
            &home,
            json!({"groups": {"a": 1}}),
            Some("groups is an object, which is not read, so user"),
        ),
        (
            &home,
            json!({"groups": ["/a"]}),
            Some("groups is [\"/a\"]: role_map has none of it, so user"),
        ),
        (
            &home,
            json!({"groups": 1}),
            Some("groups is 1: role_map has none of it, so user"),
        ),
        (
            &home,
            json!({"groups": ["n", "a"]}),
            Some("groups is [\"n\",\"a\"]: admin"),
        ),
        (
            &home,
            json!({"groups": "n"}),
            Some("groups is \"n\": network_admin"),
        ),
        (
            &less,
            json!({"groups": "a"}),
            Some("groups is \"a\": admin, but at most auditor (max_role)"),
        ),
        (&none, json!({"groups": "a"}), None),
        (&home, json!({"groups": "a", "aud": "x"}), None),
    ];
    for (idp, claims, role) in table {
        let said = inspect(folder.path(), &idp.jwt_with("eve", claims));
        let told = said
            .out
            .lines()
            .find_map(|line| line.strip_prefix("role     "));
        assert_eq!(told, role, "{}", said.out);
    }
}

#[test]
fn the_user_whom_a_login_would_make_is_told_as_a_whole() {
    let home = Idp::new("home", "ES256").with(MAP);
    let trusting =
        Idp::new("trusting", "EdDSA").with("unknown_users = \"create\"\ntrust_email = true");
    let folder = folder_with_ann(&[&home, &trusting]);
    let email = "eve@home.arpa";
    let table: [(&Idp, Value, &str); 5] = [
        (
            &home,
            json!({"name": "Eve", "email": email, "email_verified": true, "groups": "a"}),
            "(Eve, eve@home.arpa) with the role admin",
        ),
        (
            &home,
            json!({"email": email, "email_verified": "true"}),
            "(eve, without an address: email_verified is not true) with the role user",
        ),
        (
            &home,
            json!({"name": "Eve", "email": "eve", "email_verified": true}),
            "(Eve, without an address: email is no address) with the role user",
        ),
        (
            &home,
            json!({"name": "Eve"}),
            "(Eve, without an address: email is absent) with the role user",
        ),
        (
            &trusting,
            json!({"email": email}),
            "(eve, eve@home.arpa) with the role user",
        ),
    ];
    for (idp, claims, whom) in table {
        let said = inspect(folder.path(), &idp.jwt_with("eve", claims));
        let told = format!("it would pass, and make the user eve {whom}\n");
        assert_eq!((said.code, said.err), (Some(0), told));
    }
}

#[test]
fn a_role_that_was_given_later_is_told_to_hold() {
    let home = Idp::new("home", "ES256").with(MAP);
    let folder = folder_with_ann(&[&home]);
    let folder = folder.path();
    let given = run(folder, &["user", "update", "ann", "--role", "user"], b"");
    assert_eq!(given.code, Some(0), "{}", given.err);
    let jwt = |age: i64| home.jwt_with("ann", json!({"groups": "a", "iat": now() - age}));
    let older = inspect(folder, &jwt(60));
    assert!(
        older
            .err
            .starts_with("it would pass, as ann with the role user, which was given later at 20")
            && older
                .err
                .ends_with(" and holds against admin of this JWT\n"),
        "{}",
        older.err
    );
    let newer = inspect(folder, &jwt(-10));
    assert_eq!(newer.err, "it would pass, as ann with the role admin\n");
    let owner = run(folder, &["user", "update", "ann", "--role", "owner"], b"");
    assert_eq!(owner.code, Some(0), "{}", owner.err);
    let owner = inspect(folder, &jwt(-10));
    assert_eq!(
        owner.err,
        "it would pass, as ann with the role owner, which no JWT takes away\n"
    );
}

#[test]
fn a_token_of_this_program_is_told_apart_and_not_repeated() {
    let folder = folder_with_ann(&[&Idp::new("home", "ES256")]);
    let token = fresh_token();
    for text in [
        token.clone(),
        format!("Bearer {token}\n"),
        format!("token {token}"),
        "nbp_".to_owned(),
    ] {
        let said = inspect(folder.path(), &text);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{text}");
        assert!(
            said.err.contains("this is a token, not a JWT"),
            "{}",
            said.err
        );
        assert!(!said.err.contains("nbp_"), "{}", said.err);
    }
}

//! `explain` called wrongly, without what it needs, and beside a running server.

use std::fs;

use crate::support::{Crowd, Idp, fresh_token};
use crate::verify::RULES;
use crate::verify_explain::{credential, explain, site};

#[test]
fn what_can_be_no_request_is_a_wrong_call_and_what_is_not_there_a_failure() {
    let server = site("");
    let folder = server.folder.path();
    let good = "https://app.home.arpa/x";
    let url = "--url must be such as https://grafana.home.arpa/api/x";
    let method = "--method must be in upper-case letters, such as GET";
    for (arguments, code, text) in [
        (&["--url", "app.home.arpa/x"][..], 2, url),
        (&["--url", ""], 2, url),
        (&["--url", "https://"], 2, url),
        (&["--url", "https:///x"], 2, url),
        (&["--url", "ftp://app.home.arpa/"], 2, url),
        (&["--url", "HTTPS://app.home.arpa/"], 2, url),
        (&["--url", "https://me@app.home.arpa/"], 2, url),
        (&["--url", "https://app.home.arpa:0/"], 2, url),
        (&["--url", "https://*.home.arpa/"], 2, url),
        (&["--url", "https://app.home.arpa/a b"], 2, url),
        (&["--url", good, "--method", "get"], 2, method),
        (&["--url", good, "--method", ""], 2, method),
        (&["--url", good, "--method", "M-SEARCH"], 2, method),
        (
            &["--url", good, "--client", "home"],
            2,
            "--client <ADDRESS>",
        ),
        (
            &["--url", good, "--client", "10.0.0.0/8"],
            2,
            "--client <ADDRESS>",
        ),
        (&[], 2, "--url"),
        (&["--url", good, "--token", "x"], 2, "--token"),
        (
            &["--url", good, "--token-file", "nowhere"],
            1,
            "the file of --token-file can't be read",
        ),
        (
            &["--url", good, "--token-file", "."],
            1,
            "the file of --token-file is not a regular file",
        ),
    ] {
        let said = explain(folder, arguments);
        assert_eq!(said.code, Some(code), "{arguments:?} {}", said.err);
        assert!(said.err.contains(text), "{arguments:?} {}", said.err);
        assert!(!said.out.contains("200"), "{arguments:?} {}", said.out);
    }
    fs::write(folder.join("empty"), "").unwrap();
    fs::write(
        folder.join("two"),
        format!("{0} {0}", credential(&server, "ann")),
    )
    .unwrap();
    for file in ["empty", "two"] {
        let said = explain(folder, &["--url", good, "--token-file", file]);
        assert_eq!(
            said.err, "netbird-auth: 401: it does not pass: malformed token\n",
            "{file}"
        );
        assert_eq!(said.code, Some(4));
    }
    // A token, pasted where it does not belong, is not repeated.
    let token = credential(&server, "ann");
    for option in ["--url", "--method", "--client", "--token"] {
        let arguments = ["--url", good, option, &token];
        let said = explain(
            folder,
            if option == "--url" {
                &arguments[2..]
            } else {
                &arguments
            },
        );
        assert_eq!(said.code, Some(2), "{option}");
        assert!(
            !said.err.contains(&token[4..]) && !said.out.contains(&token[4..]),
            "{option}"
        );
    }
    let query = format!("{good}?token={token}");
    assert!(
        !explain(folder, &["--url", &query])
            .out
            .contains(&token[4..])
    );
}

/// What needs no credential needs no database; what does is told that there is none.
#[test]
fn without_a_database_it_says_what_can_be_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("netbird-auth.toml"), RULES).unwrap();
    fs::write(folder.path().join("token"), fresh_token()).unwrap();
    let said = explain(
        folder.path(),
        &["--url", "https://pub.home.arpa/", "--token-file", "token"],
    );
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = explain(folder.path(), &["--url", "https://app.home.arpa/"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    let said = explain(
        folder.path(),
        &["--url", "https://app.home.arpa/", "--token-file", "token"],
    );
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("test.db"), "{}", said.err);
    assert!(!folder.path().join("test.db").exists(), "it was made");
}

/// It looks, and leaves no mark: neither a login nor a use nor a user.
#[test]
fn it_changes_nothing() {
    let idp = Idp::new("home", "ES256").with("unknown_users = \"create\"");
    let crowd = Crowd::new();
    crowd.jwt_user("jay", "home", "user", 100_000);
    let token = crowd.member("bot", "user", true);
    let server = crowd.start_guarding(RULES, &[&idp]);
    let folder = server.folder.path();
    for (name, credential) in [
        ("bot", token.clone()),
        ("jay", idp.jwt("jay")),
        ("new", idp.jwt("new")),
    ] {
        fs::write(folder.join(name), credential).unwrap();
    }
    let before = server.find_user("jay").unwrap();
    for (file, code) in [("bot", 0), ("jay", 0), ("new", 4)] {
        let said = explain(
            folder,
            &["--url", "https://app.home.arpa/", "--token-file", file],
        );
        assert_eq!(said.code, Some(code), "{file} {}", said.err);
    }
    assert!(server.find_user("new").is_none());
    assert_eq!(server.find_user("jay").unwrap(), before);
    let listed = server.owner.get("/api/users/bot/tokens").ok();
    assert_eq!(listed[0].get("last_used"), None);
}

//! `explain`: the same verdict as the server's, without one.

use std::fs;
use std::path::Path;

use crate::jwt_cli::{Said, run};
use crate::support::{Crowd, Idp, Server, fresh_token, original};
use crate::verify::RULES;

/// Who asks, by the file with the credential.
const FILES: [&str; 8] = [
    "ann", "bob", "bot", "jay", "blocked", "unknown", "broken", "foreign",
];

pub fn explain(folder: &Path, arguments: &[&str]) -> Said {
    run(folder, &[&["explain"], arguments].concat(), b"")
}

/// A server, and a folder in which everybody of [`FILES`] has a file.
pub fn site(settings: &str) -> Server {
    let home = Idp::new("home", "ES256");
    let crowd = Crowd::new();
    let mut credentials: Vec<String> = [("ann", "user"), ("bob", "admin"), ("bot", "user")]
        .map(|(id, role)| crowd.member(id, role, id == "bot"))
        .into();
    crowd.jwt_user("jay", "home", "user", 0);
    credentials.push(home.jwt("jay"));
    credentials.push(crowd.member("blocked", "admin", false));
    crowd.mark("blocked", "is_blocked");
    credentials.push(fresh_token());
    credentials.push("nbp_x".to_owned());
    credentials.push(Idp::new("foreign", "ES256").jwt("jay"));
    let server = crowd.start_guarding(&format!("{settings}{RULES}"), &[&home]);
    for (name, credential) in FILES.iter().zip(credentials) {
        fs::write(
            server.folder.path().join(name),
            format!(" {credential}\r\n\n"),
        )
        .unwrap();
    }
    server
}

pub fn credential(server: &Server, who: &str) -> String {
    let text = fs::read_to_string(server.folder.path().join(who)).unwrap();
    text.trim().to_owned()
}

/// A request, the client's address and who asks; with `+`, a preflight.
type Row = (&'static str, &'static str, Option<&'static str>);

const ROWS: [Row; 28] = [
    ("GET pub.home.arpa/", "", None),
    ("GET pub.home.arpa/", "", Some("unknown")),
    ("PUT PUB.home.arpa:8443/x/../y", "", None),
    ("GET app.home.arpa/open/x?y", "", Some("ann")),
    ("GET app.home.arpa/x", "", None),
    ("GET app.home.arpa/x", "", Some("ann")),
    ("GET app.home.arpa/x", "", Some("jay")),
    ("GET app.home.arpa/x", "", Some("blocked")),
    ("GET app.home.arpa/x", "", Some("unknown")),
    ("GET app.home.arpa/x", "", Some("broken")),
    ("GET app.home.arpa/x", "", Some("foreign")),
    ("GET app.home.arpa/admin", "", Some("ann")),
    ("GET app.home.arpa/admin", "", Some("bob")),
    ("POST app.home.arpa/open/..%2fadmin", "", None),
    ("POST app.home.arpa/open/..%2fadmin", "", Some("ann")),
    ("POST app.home.arpa/open/..%2fadmin", "", Some("bob")),
    ("GET ann.home.arpa/", "", Some("bob")),
    ("GET bots.home.arpa/", "", Some("bot")),
    ("GET bots.home.arpa/", "", Some("jay")),
    ("GET lan.home.arpa/", "", Some("ann")),
    ("GET lan.home.arpa/", "10.9.9.9", Some("ann")),
    ("GET lan.home.arpa/", "::ffff:10.9.9.9", Some("jay")),
    ("GET lan.home.arpa/", "203.0.113.1", Some("ann")),
    ("GET lan.home.arpa/", "10.9.9.9", None),
    ("PUT api.home.arpa/x", "", Some("bob")),
    ("OPTIONS api.home.arpa/x", "+", None),
    ("OPTIONS api.home.arpa/x", "", Some("bob")),
    ("GET other.home.arpa/x", "", Some("bob")),
];

#[test]
fn it_comes_to_the_servers_own_verdict_and_shows_no_credential() {
    for (settings, default) in [
        ("", "deny"),
        (
            "[forward_auth]\ndefault = \"authenticated\"\n",
            "authenticated",
        ),
    ] {
        let server = site(settings);
        for (line, client, who) in ROWS {
            let (method, rest) = line.split_once(' ').unwrap();
            let url = format!("https://{rest}");
            let mut arguments = vec!["--url", &url, "--method", method];
            let mut headers = original(line).to_vec();
            match client {
                "" => {}
                "+" => {
                    arguments.push("--preflight");
                    headers.extend([
                        ("Origin", "https://x"),
                        ("Access-Control-Request-Method", "PUT"),
                    ]);
                }
                client => {
                    arguments.extend(["--client", client]);
                    headers.push(("X-Forwarded-For", client));
                }
            }
            let key = who.map(|who| credential(&server, who));
            if let (Some(who), Some(key)) = (who, &key) {
                arguments.extend(["--token-file", who]);
                headers.push(("X-Api-Key", key));
            }
            let told = server
                .anonymous()
                .send("GET", "/auth/verify", &headers, b"")
                .verdict();
            let said = explain(server.folder.path(), &arguments);
            let shown = format!(
                "{line} {client} {who:?} {default}: {told}\n{}{}",
                said.out, said.err
            );
            match told.split_once(' ').unwrap() {
                ("200", "-") => {
                    assert_eq!(said.code, Some(0), "{shown}");
                    assert!(
                        said.out.ends_with("200: it passes without a credential\n"),
                        "{shown}"
                    );
                }
                ("200", user) => {
                    assert_eq!(said.code, Some(0), "{shown}");
                    assert!(said.out.ends_with("200: it passes\n"), "{shown}");
                    assert!(said.out.contains(&format!("user    {user}\n")), "{shown}");
                }
                (status, reason) => {
                    assert_eq!(said.code, Some(4), "{shown}");
                    let expected = format!("netbird-auth: {status}: it does not pass: {reason}\n");
                    assert_eq!(said.err, expected, "{shown}");
                    assert!(!said.out.contains("200"), "{shown}");
                }
            }
            for key in key.iter().filter(|key| key.len() > 8) {
                for piece in key.as_bytes().windows(8) {
                    let piece = str::from_utf8(piece).unwrap();
                    assert!(!shown.contains(piece), "{shown}");
                }
            }
        }
    }
}

#[test]
fn it_tells_rule_by_rule_what_each_has_to_do_with_the_request() {
    let server = site("");
    let folder = server.folder.path();
    let url = "https://App.home.arpa/x/..%2fadmin?y";
    let said = explain(
        folder,
        &["--url", url, "--token-file", "bob", "--client", "10.1.1.1"],
    );
    let expected = "method  GET\n\
        host    app.home.arpa\n\
        path    unclear: it matches no rule with a path, and has to satisfy each that it may mean\n\
        client  10.1.1.1\n\
        rule 1 is for another host\n\
        rule 2 is for a path that may be meant: it opens nothing\n\
        rule 3 is for a path that may be meant: it opens nothing\n\
        rule 4 matches\n\
        a user must satisfy rule 3\n\
        a user must satisfy rule 4\n\
        user    bob\n\
        role    admin\n\
        groups  -\n\
        200: it passes\n";
    assert_eq!((said.out.as_str(), said.code), (expected, Some(0)));
    for (arguments, lines) in [
        (
            &["--url", "http://app.home.arpa/%61dmin"][..],
            &[
                "path    /admin",
                "rule 2 is for another path",
                "rule 3 matches",
            ][..],
        ),
        (
            &["--url", "https://api.home.arpa", "--method", "PUT"],
            &[
                "path    /",
                "rule 9 is for other methods",
                "rule 10 is for another host",
                "no rule matches; the default is deny",
            ],
        ),
        (
            &["--url", "wss://[::1]:1/"],
            &["host    [::1]", "client  127.0.0.1"],
        ),
    ] {
        let said = explain(folder, arguments);
        assert_eq!(said.code, Some(4));
        for line in lines {
            assert!(
                said.out.lines().any(|known| known == *line),
                "{line}: {}",
                said.out
            );
        }
        assert_eq!(
            said.err,
            "netbird-auth: 401: it does not pass: missing credentials\n"
        );
    }
}

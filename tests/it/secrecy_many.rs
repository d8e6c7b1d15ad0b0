//! A thousand tokens and some JWTs, made and used in every way at the level `trace`: none of them, and no secret of
//! one, is in anything that the server leaves.

use std::collections::HashSet;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Client, Idp, Response, Server, fresh_token, write_issuers};

const TOKENS: usize = 1_000;
/// The secret characters of a token: as many as are looked for of a JWT's signature.
const LENGTH: usize = 30;

/// Whatever must be found nowhere.
#[derive(Default)]
struct Secrets(HashSet<Vec<u8>>);

impl Secrets {
    fn add_token(&mut self, plain: &str) {
        self.0.insert(plain.as_bytes()[4..4 + LENGTH].to_vec());
    }

    /// Its claims are no secret, but they are of no use in a log either.
    fn add_jwt(&mut self, jwt: &str) {
        for part in jwt.split('.').skip(1) {
            self.0.insert(part.as_bytes()[..LENGTH].to_vec());
        }
    }

    #[track_caller]
    fn assert_not_in(&self, place: &str, bytes: &[u8]) {
        let found = bytes.windows(LENGTH).position(|part| self.0.contains(part));
        assert_eq!(found, None, "a secret stands in {place}");
    }
}

#[test]
fn none_of_a_thousand_tokens_is_left_anywhere() {
    let idp = Idp::new("acme", "ES256").with("unknown_users = \"create\"");
    let folder = std::sync::Arc::new(TempDir::new().unwrap());
    write_issuers(folder.path(), &[&idp]);
    let mut secrets = Secrets::default();
    let owner = fresh_token();
    secrets.add_token(&owner);
    let backups = folder.path().join("backups");
    let settings = [
        ("BOOTSTRAP__TOKEN", owner.as_str()),
        ("LOG__LEVEL", "trace"),
        ("METRICS__LISTEN", "127.0.0.1:0"),
        ("BACKUP__DIRECTORY", backups.to_str().unwrap()),
    ];
    let server = Server::start_prepared(folder.clone(), &settings, owner.clone());
    let answered = |answer: &Response, secrets: &Secrets| {
        let text = format!(
            "{:?} {}",
            answer.headers,
            String::from_utf8_lossy(&answer.body)
        );
        secrets.assert_not_in("an answer", text.as_bytes());
    };
    // All of them first, each of which stands in its own answer.
    let user = server.service_user("auditor");
    let path = format!("/api/users/{user}/tokens");
    let make = |_| {
        let made = server
            .owner
            .post(&path, json!({"name": "one", "expires_in": 1}))
            .ok();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (
            text(&made["plain_token"]),
            text(&made["personal_access_token"]["id"]),
        )
    };
    let made: Vec<(String, String)> = (0..TOKENS).map(make).collect();
    for (plain, _) in &made {
        secrets.add_token(plain);
    }
    let good: Vec<String> = (0..5).map(|n| idp.jwt(&format!("user-{n}"))).collect();
    let expired = idp.jwt_with("ann", json!({"iat": 1, "exp": 2}));
    let forged = Idp::new("acme", "ES256").jwt("ann");
    let jwts: Vec<String> = good.iter().cloned().chain([expired, forged]).collect();
    for jwt in &jwts {
        secrets.add_jwt(jwt);
    }
    let verify = |client: &Client| {
        let authorization = client.authorization.as_deref().unwrap();
        server.verify("GET a.example/", &[("Authorization", authorization)])
    };
    for (number, (plain, id)) in made.iter().enumerate() {
        let client = server.client(plain);
        let answer = match number % 5 {
            // Used, asked about, revoked and then used, misspelled, and where no token belongs.
            0 => client.get("/api/users/current"),
            1 => verify(&client),
            2 => {
                server.owner.delete(&format!("{path}/{id}")).ok();
                client.get("/api/users")
            }
            3 => server
                .client(&format!("{}!", &plain[..39]))
                .get("/api/users"),
            _ => server
                .owner
                .get(&format!("/api/users/{plain}?token={plain}")),
        };
        answered(&answer, &secrets);
    }
    for jwt in &jwts {
        let client = server.bearer(jwt);
        answered(&client.get("/api/users/current"), &secrets);
        answered(&verify(&client), &secrets);
        answered(&server.owner.get(&format!("/api/users/{jwt}")), &secrets);
    }
    let copy = folder.path().join("copy.db");
    server.run_command(&["backup", copy.to_str().unwrap()]);
    server.log_line("made the backup");
    let line = server.log_line("metrics on http://");
    let scraper = Client {
        address: line.split_once("http://").unwrap().1.parse().unwrap(),
        authorization: None,
    };
    secrets.assert_not_in("the metrics", &scraper.get("/metrics").body);
    secrets.assert_not_in(
        "the audit trail",
        &server.owner.get("/api/events/audit").body,
    );
    let mut seen = Vec::new();
    let mut look = |secrets: &Secrets| {
        for folder in [folder.path(), &backups] {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    secrets
                        .assert_not_in(&path.display().to_string(), &std::fs::read(&path).unwrap());
                    let name = path.file_name().unwrap().to_str().unwrap();
                    seen.push(name.rsplit_once('.').map_or("", |(_, end)| end).to_owned());
                }
            }
        }
    };
    // While it runs there is the write-ahead log.
    look(&secrets);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    look(&secrets);
    for kind in ["db", "db-wal", "blake3", "toml", "json"] {
        assert!(
            seen.iter().any(|seen| seen == kind),
            "{kind} is not among {seen:?}"
        );
    }
    assert!(log.iter().any(|line| line.contains("TRACE")));
    secrets.assert_not_in("the log", log.join("\n").as_bytes());
    assert!(Path::new(&copy).exists());
}

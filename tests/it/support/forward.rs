//! Asking `/auth/verify` as a reverse proxy does.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Connection, Crowd, Idp, Response, Server};

pub const VERIFY: &str = "/auth/verify";
const IDENTITY: [&str; 5] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-netbird-auth-token-id",
];

/// What a proxy sends of a request, from `GET host/path`.
pub fn original(line: &str) -> [(&str, &str); 4] {
    let (method, rest) = line.split_once(' ').unwrap();
    let (host, uri) = rest.split_at(rest.find('/').unwrap());
    [
        ("X-Forwarded-Method", method),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", host),
        ("X-Forwarded-Uri", uri),
    ]
}

/// An `Authorization` of RFC 7617.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

impl Crowd {
    /// The server, with everybody in, that guards sites by these settings and believes these issuers.
    pub fn start_guarding(self, settings: &str, idps: &[&Idp]) -> Server {
        let path = self.database.path().unwrap().to_owned();
        let folder = Path::new(&path).parent().unwrap();
        let issuers: String = idps.iter().map(|idp| idp.toml()).collect();
        std::fs::write(
            folder.join("netbird-auth.toml"),
            format!("{settings}\n{issuers}"),
        )
        .unwrap();
        for idp in idps {
            idp.write_jwks(folder, &[idp.key.jwk()]);
        }
        self.start()
    }
}

impl Server {
    /// Asks about `GET host/path`, with what the client sent along.
    pub fn verify(&self, line: &str, more: &[(&str, &str)]) -> Response {
        let headers = [&original(line)[..], more].concat();
        self.anonymous().send("GET", VERIFY, &headers, b"")
    }

    /// The same, with a token.
    pub fn verify_as(&self, line: &str, token: &str) -> Response {
        self.verify(line, &[("Authorization", &format!("Bearer {token}"))])
    }
}

impl Connection {
    /// One question among others; a body goes along where there is one.
    #[track_caller]
    pub fn verify(&mut self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut head = format!("{method} {VERIFY} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let bytes = [head.as_bytes(), b"\r\n", body].concat();
        self.send(&bytes);
        self.answer(method == "HEAD")
    }
}

impl Response {
    /// Id, name, e-mail address, groups and token's id, each of which stands there once.
    #[track_caller]
    pub fn identity(&self) -> [&str; 5] {
        assert_eq!(self.status, 200, "{}", self.text());
        let values = IDENTITY.map(|name| self.header(name).expect(name));
        for value in values {
            assert!(!value.is_empty(), "{values:?}");
            assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
        values
    }

    /// In short: `200` and the id, or status and reason of a refusal, which names nobody and tells
    /// the reason twice.
    #[track_caller]
    pub fn verdict(&self) -> String {
        if self.status == 200 {
            assert!(self.headers_of("www-authenticate").is_empty());
            return format!("200 {}", self.identity()[0]);
        }
        self.names_nobody();
        assert!(matches!(self.status, 401 | 403), "{self:?}");
        let reason = self.refused(self.status);
        let challenge = self.headers_of("www-authenticate").join(", ");
        let description = format!("error_description=\"{reason}\"");
        assert!(challenge.contains(&description), "{challenge}");
        format!("{} {reason}", self.status)
    }

    /// That none of the identity headers is there.
    #[track_caller]
    pub fn names_nobody(&self) {
        for name in IDENTITY {
            assert!(self.headers_of(name).is_empty(), "{name}: {self:?}");
        }
    }
}

//! Many tokens, each with what must come of it.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Idp, Response, Server, fresh_token, write_issuers};

/// What stands for "it passes" among reasons.
pub const PASSES: &str = "passes";
/// A claim that no answer and no log may show.
const MARK: &str = "shown-to-nobody";

/// Tokens of an issuer's user, each with what comes of it.
pub struct Tokens<'a> {
    pub idp: &'a Idp,
    pub user: &'static str,
    pub all: Vec<(String, &'static str)>,
}

impl<'a> Tokens<'a> {
    /// Of `ann`.
    pub fn of(idp: &'a Idp) -> Self {
        Self {
            idp,
            user: "ann",
            all: Vec::new(),
        }
    }

    pub fn header(&self, further: Value) -> String {
        merged(self.idp.key.header(), further)
    }

    pub fn claims(&self, further: Value) -> String {
        merged(self.idp.claims(self.user, json!({"mark": MARK})), further)
    }

    pub fn token(&mut self, token: impl Into<String>, outcome: &'static str) {
        self.all.push((token.into(), outcome));
    }

    /// Signed with exactly this header and payload.
    pub fn signed(&mut self, header: &str, payload: &str, outcome: &'static str) {
        self.token(self.idp.key.sign(header, payload), outcome);
    }

    pub fn with_header(&mut self, further: Value, outcome: &'static str) {
        self.signed(&self.header(further), &self.claims(json!({})), outcome);
    }

    pub fn with_claims(&mut self, further: Value, outcome: &'static str) {
        self.signed(&self.header(json!({})), &self.claims(further), outcome);
    }

    /// A header text of its own, good claims.
    pub fn header_text(&mut self, header: &str, outcome: &'static str) {
        self.signed(header, &self.claims(json!({})), outcome);
    }

    /// A good token of so many bytes.
    pub fn of_length(&self, length: usize, in_header: bool) -> String {
        let rest = "x".repeat(length * 3 / 4 - 400);
        for (few, many) in (0..4).flat_map(|few| (0..400).map(move |many| (few, many))) {
            let pads = ["p".repeat(few), format!("{rest}{}", "x".repeat(many))];
            let (header, payload) = (
                &pads[usize::from(in_header)],
                &pads[usize::from(!in_header)],
            );
            let header = self.header(json!({ "pad": header }));
            let payload = self.claims(json!({ "pad": payload }));
            let size = |bytes: usize| (bytes * 4).div_ceil(3);
            if size(header.len()) + size(payload.len()) + size(64) + 2 == length {
                return self.idp.key.sign(&header, &payload);
            }
        }
        panic!("no token of {length} bytes");
    }

    /// Asks with every token; what is refused is told nowhere but in its reason.
    #[track_caller]
    pub fn judge(self, server: &Server) {
        for (token, outcome) in &self.all {
            let answer = server.bearer(token).get("/api/users/current");
            let shown = readable(token);
            match *outcome {
                PASSES => {
                    assert_eq!(answer.status, 200, "{} {shown}", answer.text());
                    assert_eq!(answer.json()["id"], self.user, "{shown}");
                }
                reason => {
                    assert_eq!(answer.refused(401), reason, "{shown}");
                    assert_challenge(&answer, reason);
                    let said = format!("{:?} {}", answer.headers, answer.text());
                    assert_silent(&said, [token.as_str()]);
                }
            }
        }
    }
}

fn merged(mut object: Value, further: Value) -> String {
    let further = further.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(further);
    object.to_string()
}

/// The parts of a token, for a message.
fn readable(token: &str) -> String {
    let parts = token.split('.').map(|part| {
        let text = URL_SAFE_NO_PAD.decode(part).ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        text.unwrap_or_else(|| part.to_owned())
    });
    let text: String = parts.collect::<Vec<_>>().join(" . ");
    text.chars().take(600).collect()
}

#[track_caller]
pub fn assert_challenge(answer: &Response, reason: &str) {
    let bearer = format!(
        "Bearer realm=\"netbird-auth\", error=\"invalid_token\", error_description=\"{reason}\""
    );
    let challenges = answer.headers_of("www-authenticate");
    assert_eq!(
        challenges,
        [bearer.as_str(), "Token realm=\"netbird-auth\""]
    );
}

/// No eight bytes in a row of a token stand in a text, and nothing of what it says.
#[track_caller]
fn assert_silent<'a>(text: &str, tokens: impl IntoIterator<Item = &'a str>) {
    assert!(!text.contains(MARK), "{text}");
    let said: HashSet<&[u8]> = text.as_bytes().windows(8).collect();
    for token in tokens {
        let told = token
            .as_bytes()
            .windows(8)
            .find(|bytes| said.contains(bytes));
        assert_eq!(told, None, "{text}");
    }
}

/// A server at the level `trace`, with `ann` of the first issuer.
pub fn talkative(idps: &[&Idp]) -> Server {
    let folder = Arc::new(TempDir::new().unwrap());
    write_issuers(folder.path(), idps);
    let token = fresh_token();
    let settings = [
        ("BOOTSTRAP__TOKEN", token.as_str()),
        ("LOG__LEVEL", "trace"),
    ];
    let server = Server::start_prepared(folder, &settings, token.clone());
    server.invite("ann", &idps[0].name, "user");
    server
}

/// Asks with every token, and looks for them in the whole log of the server.
#[track_caller]
pub fn judge_and_stop(server: Server, tokens: Tokens<'_>) {
    let all: Vec<String> = tokens.all.iter().map(|(token, _)| token.clone()).collect();
    tokens.judge(&server);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(log.len() > 2, "{log:?}");
    assert_silent(&log.join("\n"), all.iter().map(String::as_str));
}

//! `/auth/verify`: where a credential may stand, among those of the app's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::credentials::{block, expire};
use crate::support::{Crowd, Idp, Server, eventually, fresh_token};

const SITE: &str = "[[forward_auth.rule]]\nhost = \"app.home.arpa\"\n";
const APP: &str = "GET app.home.arpa/x";
const MISSING: &str = "401 missing credentials";
const TWO: &str = "401 more than one credential";
const DOUBLED: &str = "401 more than one authorization header";
const MALFORMED: &str = "401 malformed token";
const CHECKSUM: &str = "401 bad token checksum";

/// `ann` with her token, `bob` with his, and `jay`, whom an issuer knows, with a JWT.
struct Three {
    server: Server,
    ann: String,
    bob: String,
    jay: String,
}

impl Three {
    fn new(settings: &str, idp: &Idp) -> Self {
        let crowd = Crowd::new();
        let (ann, bob) = (
            crowd.member("ann", "user", false),
            crowd.member("bob", "admin", false),
        );
        crowd.jwt_user("jay", "home", "user", 0);
        let server = crowd.start_guarding(&format!("{settings}{SITE}"), &[idp]);
        let jay = idp.jwt("jay");
        Self {
            server,
            ann,
            bob,
            jay,
        }
    }

    /// What comes of `Authorization` and `X-Api-Key` lines, in which `A`, `B` and `J` stand for the
    /// credentials of ann, bob and jay.
    #[track_caller]
    fn judge(&self, table: &[(&[&str], &str)]) {
        for (lines, expected) in table {
            let filled: Vec<String> = lines.iter().map(|line| self.filled(line)).collect();
            let headers: Vec<_> = filled
                .iter()
                .map(|line| line.split_once(": ").unwrap())
                .collect();
            let answer = self.server.verify(APP, &headers);
            assert_eq!(answer.verdict(), *expected, "{lines:?}");
            let said = format!("{:?} {}", answer.headers, answer.text());
            for secret in [&self.ann[4..], &self.bob[4..], &self.jay] {
                assert!(!said.contains(secret), "{lines:?}");
            }
        }
    }

    /// `Basic(user:password)` is written as RFC 7617 has it.
    fn filled(&self, line: &str) -> String {
        let fill = |text: &str| {
            let text = text.replace("{A}", &self.ann).replace("{B}", &self.bob);
            text.replace("{J}", &self.jay)
        };
        match line.split_once('(') {
            Some((start, pair)) => {
                let pair = fill(pair.strip_suffix(')').unwrap());
                format!("{start} {}", STANDARD.encode(pair))
            }
            None => fill(line),
        }
    }
}

#[test]
fn a_token_and_a_jwt_count_in_every_place_and_nothing_else_of_it_does() {
    let home = Idp::new("home", "ES256");
    let three = Three::new("", &home);
    three.judge(&[
        (&[], MISSING),
        (&["Authorization: Token {A}"], "200 ann"),
        (&["Authorization: tOKEN {A}"], "200 ann"),
        (&["Authorization: Bearer {A}"], "200 ann"),
        (&["Authorization: BEARER {A}"], "200 ann"),
        (&["authorization:  \tBearer {A}\t "], "200 ann"),
        (&["Authorization: Bearer {J}"], "200 jay"),
        (&["Authorization: Token {J}"], "200 jay"),
        (&["Authorization: Basic(x:{A})"], "200 ann"),
        (&["Authorization: bASIC(x:{A})"], "200 ann"),
        (&["Authorization: Basic(:{A})"], "200 ann"),
        (&["Authorization: Basic(x:{J})"], "200 jay"),
        (&["Authorization: Basic(\u{fc}@\u{20ac}:{A})"], "200 ann"),
        // Whose name it is means nothing.
        (&["Authorization: Basic(bob:{A})"], "200 ann"),
        (&["Authorization: Basic({B}:{A})"], "200 ann"),
        (&["X-Api-Key: {A}"], "200 ann"),
        (&["x-api-KEY:  \t{A} "], "200 ann"),
        (&["X-Api-Key: {J}"], "200 jay"),
        // A name is no credential, and half a pair is none.
        (&["Authorization: Basic({A}:)"], MISSING),
        (&["Authorization: Basic({A}:x)"], MISSING),
        (&["Authorization: Basic({A})"], MISSING),
        (&["Authorization: Basic(:)"], MISSING),
        (&["Authorization: Basic()"], MISSING),
        (&["Authorization: Basic"], MISSING),
        (&["Authorization: Basic {A}"], MISSING),
        (&["Authorization: Basic x:{A}"], MISSING),
        (&["Authorization: Basic  eDp4"], MISSING),
        (&["Authorization: Basic *"], MISSING),
        (&["Authorization: {A}"], MISSING),
        (&["Authorization: Bearer"], MISSING),
        (&["Authorization: Bearer  {A}"], MISSING),
        (&["Authorization: Bearer\t{A}"], MISSING),
        (&["Authorization: Tokens {A}"], MISSING),
        (&["Authorization: Digest {A}"], MISSING),
        (&["X-Api-Key: Bearer {A}"], MISSING),
        (&["X-Api-Key: Token {J}"], MISSING),
        (&["X-Api-Key: x {A}"], MISSING),
        // One that begins like ours has its reason.
        (&["Authorization: Basic(x:{A}:x)"], MALFORMED),
        (&["Authorization: Basic(x:{A} )"], MALFORMED),
        (&["Authorization: Bearer {A}, Bearer {A}"], MALFORMED),
        (&["Authorization: Bearer {A} x"], MALFORMED),
        (&["X-Api-Key: {A}, {A}"], MALFORMED),
    ]);
}

#[test]
fn the_first_well_formed_one_counts_and_two_different_ones_are_refused() {
    let home = Idp::new("home", "ES256");
    let three = Three::new("", &home);
    let last = if three.ann.ends_with('0') { "1" } else { "0" };
    let misspelled = format!("{}{last}", &three.ann[..39]);
    let foreign = Idp::new("foreign", "ES256").jwt("ann");
    let unknown = fresh_token();
    let [bad_bearer, bad_key] =
        ["Authorization: Bearer", "X-Api-Key:"].map(|start| format!("{start} {misspelled}"));
    let [foreign_bearer, unknown_bearer] =
        [&foreign, &unknown].map(|text| format!("Authorization: Bearer {text}"));
    let unknown_key = format!("X-Api-Key: {unknown}");
    let key = "X-Api-Key: {A}";
    let header = "Authorization: Bearer {A}";
    three.judge(&[
        // The same in two places is one.
        (&[header, key], "200 ann"),
        (&["Authorization: Basic(x:{A})", key], "200 ann"),
        (&["Authorization: Bearer {J}", "X-Api-Key: {J}"], "200 jay"),
        // It can't be told who asks.
        (&["Authorization: Bearer {B}", key], TWO),
        (&["Authorization: Basic(x:{B})", key], TWO),
        (&["Authorization: Bearer {J}", key], TWO),
        (&["X-Api-Key: {J}", header], TWO),
        (&[&unknown_bearer, key], TWO),
        (&[header, &unknown_key], TWO),
        (&[&foreign_bearer, key], TWO),
        (&[header, header], DOUBLED),
        (&[header, "Authorization: Bearer {B}"], DOUBLED),
        (&[header, "Authorization: Basic(app:secret)"], DOUBLED),
        (&["Authorization: x", "Authorization: y"], DOUBLED),
        (&["Authorization: x", "Authorization: y", key], DOUBLED),
        (&[key, "X-Api-Key: {B}"], TWO),
        // An app's own keys are passed by, of whatever form.
        (&[header, "X-Api-Key: aaaa.bbbb.cccc"], "200 ann"),
        (&[header, "X-Api-Key: .."], "200 ann"),
        (&[header, "X-Api-Key: eyJ4IjoxfQ.e30.AA"], "200 ann"),
        (&["Authorization: Bearer abcd.efgh.ijkl", key], "200 ann"),
        (&[key, key], "200 ann"),
        (&["X-Api-Key: x", key], "200 ann"),
        (&[header, "X-Api-Key: x", "X-Api-Key: y"], "200 ann"),
        // What is wrong in one place does not spoil the other.
        (&["Authorization: Bearer nbp_", key], "200 ann"),
        (&[&bad_bearer, key], "200 ann"),
        (&["Authorization: Basic(x:nbp_x)", key], "200 ann"),
        (&["Authorization: Bearer eyJ", key], "200 ann"),
        (&["Authorization: Bearer {B}", "X-Api-Key: nbp_"], "200 bob"),
        (&["Authorization: Bearer {J}", &bad_key], "200 jay"),
        // Alone it has its reason, the first one where both are wrong.
        (&["Authorization: Bearer nbp_"], MALFORMED),
        (&["Authorization: Token NBP_x"], MISSING),
        (&["Authorization: Basic(x:nbp_x)"], MALFORMED),
        (&["X-Api-Key: nbp_"], MALFORMED),
        (&[&bad_bearer], CHECKSUM),
        (&[&bad_key], CHECKSUM),
        (&["Authorization: Bearer nbp_", &bad_key], MALFORMED),
        (&[&bad_bearer, "X-Api-Key: nbp_"], CHECKSUM),
        (
            &["Authorization: Bearer eyJ"],
            "401 malformed JWT: not three parts",
        ),
        (&["X-Api-Key: eyJ.*.x"], "401 malformed JWT: not base64url"),
        (&[&unknown_bearer], "401 unknown or revoked token"),
        (&[&unknown_key], "401 unknown or revoked token"),
        (&[&foreign_bearer], "401 unknown issuer"),
        // The app's own is passed by.
        (&["Authorization: Basic(app:secret)", key], "200 ann"),
        (&["Authorization: Bearer glsa_ZGVtbw", key], "200 ann"),
        (
            &["Authorization: Digest username=\"x\", nonce=\"y\"", key],
            "200 ann",
        ),
        (&["Authorization: Negotiate YII=", key], "200 ann"),
        (
            &["Authorization: AWS4-HMAC-SHA256 Credential=x/y", key],
            "200 ann",
        ),
        (&["Authorization: opaque", key], "200 ann"),
        (&["Authorization: ", key], "200 ann"),
        (&[header, "X-Api-Key: app-key-1"], "200 ann"),
        (&["Authorization: Bearer {J}", "X-Api-Key: "], "200 jay"),
        (&["Authorization: Basic(app:secret)"], MISSING),
        (
            &["Authorization: Bearer glsa_ZGVtbw", "X-Api-Key: app-key-1"],
            MISSING,
        ),
    ]);
}

#[test]
fn the_further_header_is_the_one_that_the_configuration_names_or_none() {
    let home = Idp::new("home", "ES256");
    let none = Three::new("[forward_auth]\napi_key_header = \"\"\n", &home);
    none.judge(&[
        (&["X-Api-Key: {A}"], MISSING),
        (&["X-Api-Key: {A}", "X-Api-Key: {B}"], MISSING),
        (&["X-Api-Key: {A}", "Authorization: Bearer {B}"], "200 bob"),
        (&["X-Api-Key: {A}", "Authorization: Bearer {J}"], "200 jay"),
    ]);
    let other = Three::new(
        "[forward_auth]\napi_key_header = \"X-NetBird-Token\"\n",
        &home,
    );
    other.judge(&[
        (&["X-NetBird-Token: {A}"], "200 ann"),
        (&["x-netbird-token: {J}"], "200 jay"),
        (&["X-Api-Key: {A}"], MISSING),
        (&["X-Api-Key: {A}", "X-Netbird-Token: {B}"], "200 bob"),
        (&["X_NetBird_Token: {A}"], MISSING),
    ]);
}

#[test]
fn whoever_may_not_pass_is_refused_at_once_and_told_why() {
    let crowd = Crowd::new();
    let token = crowd.member("ann", "user", false);
    for id in ["blocked", "pending", "deleted"] {
        crowd.user(id, "user", false);
    }
    let [blocked, pending, deleted] =
        ["blocked", "pending", "deleted"].map(|id| crowd.token(id, "first").0);
    crowd.user("bot", "user", true);
    let (revoked, revoked_id) = crowd.token("bot", "first");
    let (expired, _) = crowd.token("ann", "third");
    crowd.mark("pending", "is_pending");
    let server = crowd.start_guarding(SITE, &[]);
    let ask = |token: &str| server.verify_as(APP, token).verdict();
    assert_eq!(ask(&pending), "403 user is pending approval");
    for (token, id) in [
        (&token, "ann"),
        (&blocked, "blocked"),
        (&deleted, "deleted"),
        (&revoked, "bot"),
        (&expired, "ann"),
    ] {
        assert_eq!(ask(token), format!("200 {id}"));
    }
    let unknown = "401 unknown or revoked token";
    block(&server, "blocked", true);
    assert_eq!(ask(&blocked), "403 user is blocked");
    block(&server, "blocked", false);
    assert_eq!(ask(&blocked), "200 blocked");
    server.owner.delete("/api/users/deleted").ok();
    assert_eq!(ask(&deleted), unknown);
    let path = format!("/api/users/bot/tokens/{revoked_id}");
    server.owner.delete(&path).ok();
    assert_eq!(ask(&revoked), unknown);
    assert_eq!(ask(&fresh_token()), unknown);
    expire(&server, &expired);
    assert_eq!(ask(&expired), "401 expired token");
    // Made at the command line meanwhile.
    let made = server.run_command(&["token", "create", "--user", "ann"]);
    eventually("it passes", || {
        (ask(made.trim()) == "200 ann").then_some(())
    });
    assert_eq!(ask(&token), "200 ann");
}

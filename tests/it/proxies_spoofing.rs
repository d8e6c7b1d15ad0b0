//! The files of `deploy/` in the real proxies: a client that names headers as the proxy does.

use crate::support::{HOST, Kind, Seen, Site, with_each_proxy};

with_each_proxy! {
    what_a_client_says_of_who_it_is_never_reaches_the_app,
    what_a_client_says_of_who_it_is_never_reaches_the_app_on_a_public_path,
    what_a_client_says_of_its_request_never_changes_the_verdict,
    what_a_client_says_of_its_request_twice_never_changes_the_verdict,
    a_client_address_that_the_client_claims_is_not_believed,
    a_method_that_the_client_claims_is_not_believed,
    a_header_that_the_client_declares_to_be_of_the_connection_is_not_lost,
    what_follows_a_body_tells_the_app_nothing_of_who_it_is,
    the_app_is_told_the_address_host_and_scheme_that_the_proxy_saw,
}

/// Names of the identity headers that apps may read: letter case, CGI's `_`, and what is one to PHP.
const SPELLINGS: [&str; 21] = [
    "Remote-User",
    "remote-user",
    "REMOTE-USER",
    "Remote_User",
    "REMOTE_USER",
    "Remote-Name",
    "remote_name",
    "Remote-Email",
    "Remote_Email",
    "Remote-Groups",
    "remote-groups",
    "REMOTE_GROUPS",
    "X-Netbird-Auth-Token-Id",
    "x-netbird-auth-token-id",
    "X_NETBIRD_AUTH_TOKEN_ID",
    "X-Netbird_Auth-Token-Id",
    "X-Netbird-Auth_Token_Id",
    "Remote.User",
    "remote+groups",
    "X.Netbird.Auth.Token.Id",
    "x.netbird-auth_token-id",
];

/// Sent as spoofs; none of it may arrive.
const SPOOF: &str = "spoofed";

#[track_caller]
fn has_no_spoof(seen: &Seen, what: &str) {
    let found = seen.headers.iter().find(|(_, value)| value.contains(SPOOF));
    assert_eq!(found, None, "{what}");
}

fn spoofs_never_arrive(site: &Site, token: Option<&str>, path: &str, identity: [&str; 5]) {
    let ask = |spoofs: &[(&str, &str)]| {
        let mut headers = spoofs.to_vec();
        let authorization = token.map(|token| format!("Token {token}"));
        headers.extend(
            authorization
                .as_ref()
                .map(|value| ("Authorization", value.as_str())),
        );
        let outcome = site.get(path, &headers);
        let seen = outcome.passed();
        has_no_spoof(seen, &format!("{spoofs:?}"));
        seen.is_of(identity);
    };
    for name in SPELLINGS {
        ask(&[(name, SPOOF)]);
        ask(&[(name, SPOOF), (name, SPOOF)]);
    }
    let all = SPELLINGS.map(|name| (name, SPOOF));
    ask(&all);
    // A name that is no name: the whole request is refused, or the header dropped.
    let outcome = site.get(
        "/public",
        &[("Remote-User?", SPOOF), ("Remote-User ", SPOOF)],
    );
    match site.kind {
        Kind::Nginx if !outcome.seen.is_empty() => has_no_spoof(outcome.passed(), "no name"),
        _ => outcome.stopped(400),
    }
}

fn what_a_client_says_of_who_it_is_never_reaches_the_app(site: &Site) {
    let (token, id) = &site.ann;
    let identity = [
        "ann",
        "%C3%84nn%2C the first",
        "ann@home.arpa",
        "user,g1,a%2Cb",
        id,
    ];
    spoofs_never_arrive(site, Some(token), "/", identity);
    let jwt = site.idp.jwt("jo");
    let authorization = format!("Bearer {jwt}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("X-Netbird-Auth-Token-Id", SPOOF),
    ];
    let outcome = site.get("/", &headers);
    outcome
        .passed()
        .is_of(["jo", "jo", "jo@home.arpa", "user", "-"]);
}

fn what_a_client_says_of_who_it_is_never_reaches_the_app_on_a_public_path(site: &Site) {
    spoofs_never_arrive(site, None, "/public", ["-"; 5]);
    spoofs_never_arrive(site, Some(&site.ann.0), "/public", ["-"; 5]);
}

/// What proxies and apps tell each other of a request, with what would open everything.
const CLAIMS: [(&str, &str); 18] = [
    ("X-Forwarded-Uri", "/public"),
    ("x-forwarded-uri", "/public"),
    ("X_Forwarded_Uri", "/public"),
    ("X-Forwarded-Host", "open.home.arpa"),
    ("x-forwarded-host", "open.home.arpa"),
    ("X-Forwarded-Method", "OPTIONS"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Prefix", "/public"),
    ("X-Forwarded-Server", "open.home.arpa"),
    ("X-Original-URL", "/public"),
    ("X-Original-URI", "/public"),
    ("X-Original-Method", "OPTIONS"),
    ("X-Rewrite-URL", "/public"),
    ("X-HTTP-Method-Override", "OPTIONS"),
    ("X-Auth-Request-Redirect", "/public"),
    ("Forwarded", "for=10.0.0.7;host=open.home.arpa;proto=https"),
    ("X-Real-IP", "10.0.0.7"),
];

/// Without a credential 401, without the role 403, and where it passes, as if nothing had been said.
#[track_caller]
fn verdict_stays(site: &Site, claims: &[(&str, &str)]) {
    site.get("/admin", claims).stopped(401);
    site.get("/", claims).stopped(401);
    site.as_ann("/admin", claims).stopped(403);
    let (token, root) = (&site.ann.0, &site.root.0);
    site.with_token(token, "PUT", "/far", claims).stopped(403);
    site.with_token(token, "PUT", "/near", claims).passed();
    let outcome = site.with_token(root, "GET", "/admin", claims);
    assert_eq!(outcome.passed().target, "/admin");
    assert_eq!(outcome.passed().method, "GET");
    assert_eq!(outcome.passed().all("Remote-User"), ["root"]);
}

fn what_a_client_says_of_its_request_never_changes_the_verdict(site: &Site) {
    for claim in CLAIMS {
        verdict_stays(site, &[claim]);
    }
    verdict_stays(site, &CLAIMS);
}

fn what_a_client_says_of_its_request_twice_never_changes_the_verdict(site: &Site) {
    for claim in CLAIMS {
        verdict_stays(site, &[claim, claim]);
    }
    let twice: Vec<_> = CLAIMS.iter().chain(&CLAIMS).copied().collect();
    verdict_stays(site, &twice);
}

fn a_client_address_that_the_client_claims_is_not_believed(site: &Site) {
    for claims in [
        &[("X-Forwarded-For", "10.0.0.7")][..],
        &[("x-forwarded-for", "10.0.0.7, 127.0.0.1")],
        &[
            ("X-Forwarded-For", "10.0.0.7"),
            ("X-Forwarded-For", "10.0.0.7"),
        ],
        &[("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "10.0.0.7")],
        &[("X_Forwarded_For", "10.0.0.7")],
        &[("X-Forwarded-For", "")],
    ] {
        verdict_stays(site, claims);
        let outcome = site.as_ann("/", claims);
        assert_eq!(
            outcome.passed().all("X-Forwarded-For").first(),
            Some(&"127.0.0.1")
        );
    }
}

fn a_method_that_the_client_claims_is_not_believed(site: &Site) {
    let preflight = [
        ("Origin", "https://a.example"),
        ("Access-Control-Request-Method", "GET"),
        ("X-Forwarded-Method", "OPTIONS"),
    ];
    site.get("/api", &preflight).stopped(401);
    site.send("POST", "/feed", &[("X-Forwarded-Method", "GET")], b"")
        .stopped(401);
    site.send("POST", "/feed", &[("X-HTTP-Method-Override", "GET")], b"")
        .stopped(401);
    // What really is one passes, and nothing else with its method.
    let outcome = site.send("OPTIONS", "/api", &preflight[..2], b"");
    outcome.passed().is_of(["-"; 5]);
    site.send("OPTIONS", "/api", &[("X-Forwarded-Method", "GET")], b"")
        .stopped(401);
}

fn a_header_that_the_client_declares_to_be_of_the_connection_is_not_lost(site: &Site) {
    let (token, id) = &site.ann;
    for name in [
        "Remote-User",
        "remote-groups",
        "X-Netbird-Auth-Token-Id",
        "X-Forwarded-Uri",
        "X-Forwarded-Host",
        "X-Forwarded-Method",
        "X-Forwarded-Proto",
        "X-Forwarded-For",
    ] {
        let value = format!("close, {name}");
        let claims = [("Connection", value.as_str())];
        verdict_stays(site, &claims);
        let outcome = site.as_ann("/", &claims);
        let identity = [
            "ann",
            "%C3%84nn%2C the first",
            "ann@home.arpa",
            "user,g1,a%2Cb",
            id,
        ];
        outcome.passed().is_of(identity);
    }
    // No more than 401 comes of a credential that is declared so.
    let authorization = format!("Token {token}");
    for value in ["close, Authorization", "Authorization, close"] {
        let headers = [("Connection", value), ("Authorization", &authorization)];
        for seen in site.get("/", &headers).seen {
            seen.is_of([
                "ann",
                "%C3%84nn%2C the first",
                "ann@home.arpa",
                "user,g1,a%2Cb",
                id,
            ]);
            seen.has_no_credential();
        }
    }
}

fn what_follows_a_body_tells_the_app_nothing_of_who_it_is(site: &Site) {
    let token = &site.ann.0;
    let text = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nAuthorization: Token {token}\r\n\
         Trailer: Remote-User\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nRemote-User: {SPOOF}\r\n\r\n"
    );
    let outcome = site.raw(text.as_bytes());
    let seen = outcome.passed();
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.all("Remote-User"), ["ann"]);
    assert!(!seen.trailers.contains(SPOOF), "{}", seen.trailers);
}

fn the_app_is_told_the_address_host_and_scheme_that_the_proxy_saw(site: &Site) {
    let claims = [
        ("X-Forwarded-For", "10.0.0.7"),
        ("X-Forwarded-Host", "open.home.arpa"),
        ("X-Forwarded-Proto", "https"),
    ];
    let outcome = site.as_ann("/", &claims);
    let seen = outcome.passed();
    assert_eq!(seen.all("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(seen.all("X-Forwarded-Host"), [HOST]);
    assert_eq!(seen.all("X-Forwarded-Proto"), ["http"]);
    assert_eq!(seen.all("Host"), [HOST]);
}

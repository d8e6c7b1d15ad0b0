//! `/auth/verify`: places where other gates look for a credential, the request, the client or the user,
//! and where nothing counts here.

use crate::support::{Connection, VERIFY, basic, original};
use crate::verify::guarded;

const APP: &str = "GET app.home.arpa/x";
const MISSING: &str = "401 missing credentials";

/// GHSA-7rh7-c77v-6434 (oauth2-proxy): rules for what needs no login were matched against the path
/// together with the query, where a client can write anything.
#[test]
fn nothing_counts_that_stands_in_a_query_a_cookie_or_another_header() {
    let (server, tokens) = guarded();
    let ann = &tokens[0].1;
    for name in [
        "token",
        "access_token",
        "api_key",
        "x-api-key",
        "Authorization",
        "q",
    ] {
        for prefix in ["", "Bearer%20", "Token+"] {
            let query = format!("?{name}={prefix}{ann}");
            for line in [
                format!("{APP}{query}"),
                format!("{APP}?a&b{query}"),
                format!("{APP}/{ann}"),
            ] {
                assert_eq!(server.verify(&line, &[]).verdict(), MISSING, "{line}");
            }
            let path = format!("{VERIFY}{query}");
            let answer = server.anonymous().send("GET", &path, &original(APP), b"");
            assert_eq!(answer.verdict(), MISSING, "{path}");
        }
    }
    let cookie = format!("token={ann}; nbp={ann}; Authorization={ann}");
    for (name, value) in [
        ("Cookie", cookie.as_str()),
        ("Cookie", ann),
        ("Proxy-Authorization", &format!("Bearer {ann}")),
        ("X-Forwarded-Authorization", &format!("Bearer {ann}")),
        ("X-Original-Authorization", &format!("Bearer {ann}")),
        ("X-Forwarded-Access-Token", ann),
        ("X-Auth-Token", ann),
        ("Api-Key", ann),
        ("X_Api_Key", ann),
        ("Sec-WebSocket-Protocol", ann),
        ("Referer", &format!("https://x:{ann}@app.home.arpa/")),
        ("Remote-User", "ann"),
        ("X-Netbird-Auth-Token-Id", ann),
    ] {
        assert_eq!(
            server.verify(APP, &[(name, value)]).verdict(),
            MISSING,
            "{name}"
        );
        let headers = [(name, value), ("Authorization", &basic("x", &tokens[1].1))];
        assert_eq!(server.verify(APP, &headers).verdict(), "200 bob", "{name}");
    }
    for line in [
        "GET app.home.arpa/x?/open",
        "GET app.home.arpa/?path=/open/",
        "GET app.home.arpa/x?#/open",
    ] {
        assert_eq!(server.verify(line, &[]).verdict(), MISSING, "{line}");
    }
}

/// CVE-2026-34457 (GHSA-5hvv-m4w4-gf6v, oauth2-proxy): where a user agent for health checks was
/// configured, whoever sent its name passed, whatever the path was. CVE-2026-25748
/// (GHSA-fj56-5763-j8pp, authentik): a session cookie that can't be read let its sender pass, without
/// a header that says who it is.
#[test]
fn no_user_agent_of_a_health_check_and_no_broken_cookie_changes_a_verdict() {
    let (server, tokens) = guarded();
    let ann = format!("Bearer {}", tokens[0].1);
    for more in [
        ("User-Agent", ""),
        ("User-Agent", "GoogleHC/1.0"),
        ("User-Agent", "kube-probe/1.30"),
        ("User-Agent", "ELB-HealthChecker/2.0"),
        ("User-Agent", "Mozilla/5.0"),
        ("Cookie", "authentik_proxy_x=\"; _oauth2_proxy=%00; session"),
        ("Cookie", "=;;;"),
    ] {
        for path in [
            "/",
            "/ping",
            "/ready",
            "/healthz",
            "/robots.txt",
            "/oauth2/auth",
        ] {
            let line = format!("GET app.home.arpa{path}");
            assert_eq!(
                server.verify(&line, &[more]).verdict(),
                MISSING,
                "{more:?} {path}"
            );
            let headers = [more, ("Authorization", ann.as_str())];
            assert_eq!(
                server.verify(&line, &headers).verdict(),
                "200 ann",
                "{more:?} {path}"
            );
        }
        let line = "GET other.home.arpa/healthz";
        let verdict = server
            .verify(line, &[more, ("Authorization", &ann)])
            .verdict();
        assert!(verdict.starts_with("403 no forward_auth rule"), "{verdict}");
    }
}

/// Headers in which other gates look for the request, the client or the user. GHSA-6384-m2mw-rf54
/// (CVE-2026-35051) and GHSA-5m6w-wvh7-57vm (CVE-2026-39858), both Traefik: `X-Forwarded-Prefix` and
/// spellings with underscores reached the gate as the client had sent them.
const ELSEWHERE: [&str; 34] = [
    "X-Original-URL",
    "X-Original-Uri",
    "X-Original-Method",
    "X-Original-Host",
    "X-Original-Proto",
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-Prefix",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Path",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Rewrite-URL",
    "X-Url",
    "X-Host",
    "X-Scheme",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-HTTP-Host-Override",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Envoy-Original-Path",
    "X_Forwarded_Method",
    "X_Forwarded_Host",
    "X_Forwarded_Uri",
    "X_Forwarded_For",
    "Remote-User",
    "Remote-Groups",
];

#[test]
fn no_other_header_changes_a_verdict() {
    let (server, tokens) = guarded();
    let [ann, carl] = [0, 2].map(|who: usize| format!("Bearer {}", tokens[who].1));
    let not = |rule: u8| {
        format!("403 forward_auth rule {rule} does not admit this user, of the role user")
    };
    let table = [
        (
            "GET app.home.arpa/x",
            "",
            "401 missing credentials".to_owned(),
        ),
        ("GET app.home.arpa/x", &ann, "200 ann".to_owned()),
        ("GET app.home.arpa/open", "", "200 -".to_owned()),
        ("GET app.home.arpa/admin", &ann, not(3)),
        ("GET ann.home.arpa/", &carl, not(5)),
        (
            "GET lan.home.arpa/",
            &carl,
            "403 forward_auth rule 8 does not admit this client address".to_owned(),
        ),
        (
            "PUT api.home.arpa/",
            &carl,
            "403 no forward_auth rule matches PUT on api.home.arpa with this path".to_owned(),
        ),
    ];
    let values = [
        "",
        "/open",
        "/admin",
        "GET",
        "https",
        "pub.home.arpa",
        "https://pub.home.arpa/open",
        "10.0.0.1",
        "443",
        "for=10.0.0.1;host=pub.home.arpa;proto=https",
        "ann",
        "admin",
    ];
    let mut connection = Connection::open(server.address);
    for name in ELSEWHERE {
        for value in values {
            for (line, authorization, expected) in &table {
                let more = [("Authorization", *authorization), (name, value)];
                let headers = [&original(line)[..], &more].concat();
                let verdict = connection.verify("GET", &headers, b"").verdict();
                assert_eq!(verdict, *expected, "{line} with {name}: {value}");
            }
        }
    }
}

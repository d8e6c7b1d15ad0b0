//! `/auth/verify`: what is judged is what a trusted proxy says in four headers, and nothing else.

use crate::support::{Crowd, VERIFY, original};
use crate::verify::{RULES, guarded};

const UNTRUSTED: &str = "403 the peer is none of the trusted proxies";
const NAMES: [&str; 4] = [
    "X-Forwarded-Method",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Uri",
];

/// CVE-2026-40575 (GHSA-7x63-xv5r-3p2x, oauth2-proxy): `X-Forwarded-Uri` was believed whoever had
/// sent it, so a client chose the path that the rules were asked about.
#[test]
fn only_a_trusted_proxy_may_ask_whatever_it_shows() {
    let preflight = [
        ("Origin", "https://x"),
        ("Access-Control-Request-Method", "PUT"),
    ];
    for (proxies, is_trusted) in [
        ("\"10.0.0.0/8\", \"::1\"", false),
        ("\"127.0.0.2\"", false),
        ("", false),
        ("\"10.0.0.0/8\", \"127.0.0.1\"", true),
    ] {
        let crowd = Crowd::new();
        let ann = format!("Bearer {}", crowd.member("ann", "user", false));
        let settings = format!("[server]\ntrusted_proxies = [{proxies}]\n{RULES}");
        let server = crowd.start_guarding(&settings, &[]);
        let shown = [("Authorization", ann.as_str())];
        for (line, sent, trusted) in [
            ("GET app.home.arpa/x", &shown[..], "200 ann"),
            ("GET app.home.arpa/x", &[], "401 missing credentials"),
            ("GET pub.home.arpa/", &[], "200 -"),
            ("GET pub.home.arpa/", &shown, "200 -"),
            ("OPTIONS api.home.arpa/", &preflight, "200 -"),
        ] {
            for from in [
                &[][..],
                &[("X-Forwarded-For", "10.0.0.1")],
                &[("X-Real-IP", "10.0.0.1"), ("Forwarded", "for=10.0.0.1")],
            ] {
                let expected = if is_trusted { trusted } else { UNTRUSTED };
                let verdict = server.verify(line, &[sent, from].concat()).verdict();
                assert_eq!(verdict, expected, "[{proxies}] {line} {sent:?} {from:?}");
            }
        }
        // Whoever is not trusted is not told what is wrong either.
        if !is_trusted {
            assert_eq!(server.anonymous().get(VERIFY).verdict(), UNTRUSTED);
        }
        // The API is for everybody.
        assert_eq!(server.owner.get("/api/users").status, 200);
    }
}

#[test]
fn each_of_the_four_stands_there_exactly_once_and_can_be_understood() {
    let (server, tokens) = guarded();
    let ann = ("Authorization", format!("Bearer {}", tokens[0].1));
    let ann = (ann.0, ann.1.as_str());
    let ask = |headers: &[(&str, &str)]| {
        let headers = [headers, &[ann]].concat();
        server
            .anonymous()
            .send("GET", VERIFY, &headers, b"")
            .verdict()
    };
    let long_method = "A".repeat(33);
    let label = format!("{}.home.arpa", "a".repeat(64));
    let long_host = format!("{}home.arpa", "a.".repeat(125));
    let malformed: [&[&str]; 4] = [
        &[
            "",
            "get",
            "Get",
            "G ET",
            "GET,GET",
            "GET/",
            "G3T",
            "M-SEARCH",
            "G\u{c9}T",
            "*",
            &long_method,
        ],
        &[
            "",
            "HTTPS",
            "ftp",
            "https,http",
            "https://",
            "http ,",
            "wsss",
            "\u{e9}",
        ],
        &[
            "",
            ".",
            "*",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a,b",
            "x@app.home.arpa",
            "app.home.arpa:0",
            "app.home.arpa:65536",
            "app.home.arpa:x",
            "app.home.arpa:443:1",
            "app..home.arpa",
            ".home.arpa",
            "app.home.arpa..",
            "*.home.arpa",
            "[::1",
            "[x]",
            "[::1]x",
            "::1",
            "\u{e4}pp.home.arpa",
            "app.home.arpa, pub.home.arpa",
            "app%2ehome.arpa",
            "https://app.home.arpa",
            &label,
            &long_host,
        ],
        &[
            "",
            "*",
            "x",
            "?x",
            "#",
            "open",
            "https://app.home.arpa/open",
            "//app/open x",
            "/a b",
            "/a\tb",
            "\\open",
        ],
    ];
    for base in ["GET app.home.arpa/x", "GET pub.home.arpa/"] {
        let whole = original(base);
        for (place, name) in NAMES.into_iter().enumerate() {
            let once = format!("403 {name} must stand in the proxy's request exactly once");
            let mut rest = whole.to_vec();
            let taken = rest.remove(place);
            assert_eq!(ask(&rest), once, "{name} is missing");
            for second in [taken.1, "", "GET", "/open", "pub.home.arpa"] {
                let doubled = [&whole[..], &[(name, second)]].concat();
                assert_eq!(ask(&doubled), once, "{name} {second:?} is doubled");
            }
            for value in malformed[place] {
                let mut headers = whole;
                headers[place].1 = value;
                assert_eq!(
                    ask(&headers),
                    format!("403 {name} can't be understood"),
                    "{value:?}"
                );
            }
        }
        let bytes = [
            original_lines(&whole[..3]).as_slice(),
            b"X-Forwarded-Uri: /\xff\xfe\r\n",
            format!("Authorization: {}\r\n", ann.1).as_bytes(),
        ]
        .concat();
        let request = [
            format!("GET {VERIFY} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n").as_bytes(),
            &bytes,
            b"\r\n",
        ]
        .concat();
        // Bytes are no text, and may mean any path: it has to satisfy the rule for /admin too.
        let verdict = server.anonymous().raw(&request).unwrap().verdict();
        let expected = match base {
            "GET pub.home.arpa/" => "200 -",
            _ => "403 forward_auth rule 3 does not admit this user, of the role user",
        };
        assert_eq!(verdict, expected);
    }
    // The first that is wrong is told, and nothing is asked for before all are right.
    let verdict = server.verify("get */x", &[]).verdict();
    assert_eq!(verdict, "403 X-Forwarded-Method can't be understood");
    assert_eq!(
        server.anonymous().get(VERIFY).verdict(),
        format!(
            "403 {} must stand in the proxy's request exactly once",
            NAMES[0]
        )
    );
    for proto in ["http", "https", "ws", "wss"] {
        let mut headers = original("GET app.home.arpa/x");
        headers[1].1 = proto;
        assert_eq!(ask(&headers), "200 ann", "{proto}");
    }
}

fn original_lines(headers: &[(&str, &str)]) -> Vec<u8> {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    lines.collect::<String>().into_bytes()
}

/// GHSA-328g-jx67-v94g (CVE-2026-77560, tinyauth): the list of who may use an app was looked up by the
/// host letter by letter, so that another spelling of it found no list.
#[test]
fn a_host_has_one_spelling_to_the_rules() {
    let (server, tokens) = guarded();
    for host in [
        "ann.home.arpa",
        "ANN.home.arpa",
        "aNN.Home.ARPA",
        "ann.home.arpa.",
        "Ann.home.arpa:443",
        "ANN.HOME.ARPA.:8443",
    ] {
        for (uri, carl) in [("/", 5), ("/x/../y", 5)] {
            let line = format!("GET {host}{uri}");
            assert_eq!(
                server.verify_as(&line, &tokens[0].1).verdict(),
                "200 ann",
                "{line}"
            );
            let expected =
                format!("403 forward_auth rule {carl} does not admit this user, of the role user");
            assert_eq!(
                server.verify_as(&line, &tokens[2].1).verdict(),
                expected,
                "{line}"
            );
        }
    }
}

/// GHSA-68wm-pfjf-wqp6 (CVE-2021-32637, Authelia): a request target that could not be parsed, which
/// nginx handed on as it was, got past the door instead of being refused.
#[test]
fn a_target_that_is_hard_to_read_opens_nothing() {
    let (server, tokens) = guarded();
    for uri in [
        "/open%",
        "/open%zz",
        "/open/%2e%2e/admin",
        "/open/..",
        "/open/.",
        "/open//",
        "/open\\..\\admin",
        "/open;x",
        "/open%3b",
        "/open%00",
        "/open%0a",
        "/open%ff",
        "/%2fopen",
        "/open%5c",
        "/open%2f",
        "/open%23",
        "/open%25",
        "//open",
        "/./open",
        "/x/%2E%2E/open",
        "/open#?",
        "/open\u{e9}%ff",
    ] {
        let line = format!("GET app.home.arpa{uri}");
        let expected = [
            (None, "401 missing credentials"),
            (
                Some(0),
                "403 forward_auth rule 3 does not admit this user, of the role user",
            ),
            (Some(1), "200 bob"),
        ];
        for (who, expected) in expected {
            let answer = match who {
                None => server.verify(&line, &[]),
                Some(who) => server.verify_as(&line, &tokens[who].1),
            };
            assert_eq!(answer.verdict(), expected, "{line}");
        }
    }
}

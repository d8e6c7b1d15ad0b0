//! Which hosts and paths a rule is for.

use super::original::parsed;
use super::*;

#[test]
fn a_host_is_exact_or_below_another() {
    /// A pattern, hosts that it fits, and hosts that it doesn't.
    type Row = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    );
    let table: [Row; 7] = [
        (
            "home.arpa",
            &[
                "home.arpa",
                "HOME.arpa",
                "home.arpa.",
                "home.arpa:443",
                "home.arpa.:8080",
            ],
            &["a.home.arpa", "home.arp", "home.arpa.evil", "xhome.arpa"],
        ),
        ("Home.ARPA", &["home.arpa", "Home.Arpa"], &["a.home.arpa"]),
        (
            "*.home.arpa",
            &[
                "a.home.arpa",
                "A.B.HOME.arpa",
                "a.home.arpa.:1",
                "_x.home.arpa",
            ],
            &[
                "home.arpa",
                "evil-home.arpa",
                "ahome.arpa",
                "a.home.arpa.evil",
                "arpa",
            ],
        ),
        ("*.Home.Arpa", &["a.home.arpa"], &["home.arpa"]),
        ("localhost", &["localhost:3000"], &["localhost.localdomain"]),
        (
            "[::1]",
            &["[::1]", "[::1]:8443", "[0:0:0:0:0:0:0:1]"],
            &["[::2]", "127.0.0.1"],
        ),
        ("10.0.0.1", &["10.0.0.1", "10.0.0.1:80"], &["10.0.0.10"]),
    ];
    for (pattern, fits, others) in table {
        let settings = settings(&[pattern], Unmatched::Deny);
        let hosts = fits.iter().map(|host| (host, true));
        for (host, expected) in hosts.chain(others.iter().map(|host| (host, false))) {
            let original = parsed("GET", "https", host, "/").unwrap();
            let found = matches!(plan(&settings, &original, Some(CLIENT)), Plan::Rules(_));
            assert_eq!(found, expected, "{pattern} {host}");
        }
    }
}

#[test]
fn what_is_no_host_is_no_pattern() {
    let long = format!("{}.a", "a".repeat(64));
    let many = "a.".repeat(127) + "a";
    for text in [
        "",
        ".",
        "*",
        "*.",
        "*a",
        "*home.arpa",
        "a*.b",
        "a.*",
        "a.*.b",
        "*.*.a",
        "**.a",
        ".a",
        "a.",
        "a..b",
        "*.a.",
        "*..a",
        "a:80",
        "*.a:80",
        "a b",
        " a",
        "https://a",
        "a/b",
        "ann@a",
        "a,b",
        "ä.b",
        "a%2e",
        "::1",
        "[::1",
        "[::1]:80",
        "[0::1]",
        "*.[::1]",
        "[fe80::1%25eth0]",
        "[a]",
        &long,
        &many,
    ] {
        assert_eq!(HostPattern::parse(text), Err(PatternFault::Host), "{text}");
    }
    assert!(HostPattern::parse(&many[2..]).is_ok());
    assert!(HostPattern::parse(&long[1..]).is_ok());
}

#[test]
fn a_prefix_is_of_whole_segments() {
    let all = &["/", "/api", "/%20", "/a?b"];
    let table: [(&str, &[&str], &[&str]); 6] = [
        ("/", all, &[]),
        (
            "/api",
            &["/api", "/api/", "/api/x", "/api?x", "/%61pi", "/api/?/../"],
            &["/", "/apis", "/ap", "/API", "/x/api", "/api-x", "/api%20"],
        ),
        ("/api/", &["/api", "/api/", "/api/x"], &["/apis", "/"]),
        (
            "/a/b",
            &["/a/b", "/a/b/", "/a/b/c"],
            &["/a", "/a/", "/a/bc"],
        ),
        ("/ä", &["/ä", "/%C3%a4/"], &["/a", "/%C3%A9"]),
        ("/a+b,c:d@e", &["/a+b,c:d@e"], &["/a%20b,c:d@e"]),
    ];
    for (prefix, fits, others) in table {
        let settings = settings(&[&format!("a {prefix}")], Unmatched::Deny);
        let paths = fits.iter().map(|path| (path, true));
        for (path, expected) in paths.chain(others.iter().map(|path| (path, false))) {
            let found = plan(&settings, &original(&format!("GET a{path}")), Some(CLIENT));
            let found = matches!(found, Plan::Rules(_));
            assert_eq!(found, expected, "{prefix} {path}");
        }
    }
    let parse = |text| PathPrefix::parse(text).unwrap();
    assert_eq!(parse("/api"), parse("/api/"));
    assert_ne!(parse("/api"), parse("/"));
}

#[test]
fn what_is_no_plain_path_is_no_prefix() {
    for text in [
        "",
        "api",
        "*",
        "/*",
        "/api/*",
        "/*/../a",
        "//",
        "//a",
        "/a//",
        "/a//b",
        "/.",
        "/..",
        "/a/./b",
        "/a/..",
        "/a?b",
        "/?",
        "/a#b",
        "/a;b",
        "/a\\b",
        "/%61",
        "/a%20b",
        "/%",
        "/a b",
        "/a\n",
        "/\u{7f}",
        "http://a/b",
    ] {
        assert_eq!(PathPrefix::parse(text), Err(PatternFault::Path), "{text}");
    }
    for text in ["/.well-known", "/...", "/a..b"] {
        assert!(PathPrefix::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn methods_are_compared_letter_by_letter_and_none_is_all() {
    let table = [
        ("a GET", "GET", true),
        ("a GET,PUT", "PUT", true),
        ("a GET", "HEAD", false),
        ("a GET", "GETS", false),
        ("a", "PROPFIND", true),
    ];
    for (rule, method, expected) in table {
        let settings = settings(&[rule], Unmatched::Deny);
        let original = original(&format!("{method} a/"));
        let found = matches!(plan(&settings, &original, Some(CLIENT)), Plan::Rules(_));
        assert_eq!(found, expected, "{rule} {method}");
    }
}

//! What a proxy's words are understood as.

use super::*;

pub(super) fn parsed(
    method: &str,
    proto: &str,
    host: &str,
    uri: &str,
) -> Result<Original, OriginalFault> {
    let [method, proto, host, uri] = [method, proto, host, uri].map(str::as_bytes);
    Original::parse(method, proto, host, uri, false)
}

/// The path of a request with a URI.
fn path(uri: &[u8]) -> Option<Box<str>> {
    let original = Original::parse(b"GET", b"https", b"a", uri, false);
    original.unwrap().path
}

#[test]
fn the_four_headers_are_understood() {
    let original = parsed(
        "PROPFIND",
        "wss",
        "Cloud.Home.arpa.:8443",
        "/%61/b%20c/?x=%2f/../",
    )
    .unwrap();
    let expected = Original {
        method: "PROPFIND".into(),
        host: "cloud.home.arpa".into(),
        path: Some("/a/b c/".into()),
        is_preflight: false,
    };
    assert_eq!(original, expected);
    for proto in ["http", "https", "ws", "wss"] {
        assert!(parsed("GET", proto, "a", "/").is_ok());
    }
    assert!(parsed(&"A".repeat(32), "http", "a", "/").is_ok());
}

#[test]
fn hosts_have_one_spelling() {
    for (text, host) in [
        ("a", "a"),
        ("A.b", "a.b"),
        ("a.", "a"),
        ("a.:1", "a"),
        ("a:65535", "a"),
        ("xn--4ca.a_b", "xn--4ca.a_b"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]"),
        ("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"),
    ] {
        assert_eq!(&*parsed("GET", "http", text, "/").unwrap().host, host);
    }
}

#[test]
fn what_is_malformed_is_refused_and_its_header_named() {
    let long = "a".repeat(64);
    let many = "a.".repeat(127) + "a";
    let method = "A".repeat(33);
    let table: [(&str, &[&str]); 4] = [
        (
            "X-Forwarded-Method",
            &[
                "", "get", "Get", "GET, PUT", "GET,PUT", "GET ", " GET", "G-T", "G1", "G\0", "GÉT",
                "*", "GET\t", "GET\n", &method,
            ],
        ),
        (
            "X-Forwarded-Proto",
            &[
                "",
                "HTTPS",
                "https,http",
                "https, http",
                "https ",
                "ftp",
                "https:",
                "*",
                "h\0",
            ],
        ),
        (
            "X-Forwarded-Host",
            &[
                "",
                ".",
                "..",
                "a..",
                "a..b",
                ".a",
                "a,b",
                "a, b",
                "a b",
                " a",
                "a ",
                "ann@a",
                "ann:x@a",
                "a/b",
                "a\\b",
                "a?b",
                "a#b",
                "a%2eb",
                "http://a",
                "*",
                "*.a",
                "a\0",
                "a\n",
                "a\t",
                "a\u{7f}",
                "ä",
                "a:",
                "a:0",
                "a:65536",
                "a:-1",
                "a:+1",
                "a:1:2",
                "a:1x",
                "a:1, b",
                ":80",
                "::1",
                "[::1",
                "[]",
                "[::1]x",
                "[::1]:",
                "[::1]:0",
                "[::1]:1:2",
                "[::1].",
                "[fe80::1%25eth0]",
                "[1.2.3.4]",
                "[v1.a]",
                &long,
                &many,
            ],
        ),
        (
            "X-Forwarded-Uri",
            &[
                "",
                "*",
                "a",
                "?",
                "http://a/",
                "https://a/b",
                "a:443",
                " /",
                "/ ",
                "/a b",
                "/a\t",
                "/a\0",
                "/a\r\n",
                "/a\u{7f}",
                "/a?b c",
                "/a?\u{1f}",
                "/a, /b",
                "\\a",
                "%2fa",
            ],
        ),
    ];
    for (header, values) in table {
        for value in values {
            let mut parts = ["GET", "https", "a", "/"];
            let headers = table.map(|(header, _)| header);
            parts[headers.iter().position(|other| *other == header).unwrap()] = value;
            let [method, proto, host, uri] = parts;
            let fault = parsed(method, proto, host, uri).unwrap_err();
            assert_eq!(fault, OriginalFault::Malformed(header), "{value:?}");
            assert!(fault.to_string().starts_with(header));
        }
    }
    // The first that is wrong, and bytes that are no text.
    let fault = parsed("get", "", "", "").unwrap_err();
    assert_eq!(fault, OriginalFault::Malformed("X-Forwarded-Method"));
    for (method, host) in [(&b"G\xff"[..], &b"a"[..]), (b"GET", b"a\xff")] {
        assert!(Original::parse(method, b"http", host, b"/", false).is_err());
    }
}

#[test]
fn clear_paths_are_decoded() {
    for (uri, expected) in [
        ("/", "/"),
        ("/?", "/"),
        ("/api", "/api"),
        ("/api/", "/api/"),
        ("/%61pi", "/api"),
        ("/%61%70%69?x", "/api"),
        ("/a%20b", "/a b"),
        ("/%C3%a4", "/ä"),
        ("/ä", "/ä"),
        ("/a%2Cb+c", "/a,b+c"),
        ("/.well-known/x", "/.well-known/x"),
        ("/.../a..b/.a", "/.../a..b/.a"),
        ("/a?b#c;d\\e/../%00%zz", "/a"),
    ] {
        assert_eq!(path(uri.as_bytes()).as_deref(), Some(expected), "{uri}");
    }
}

#[test]
fn unclear_paths_are_none() {
    let raw: [&[u8]; 28] = [
        b"/..",
        b"/../",
        b"/a/..",
        b"/a/../b",
        b"/.",
        b"/./a",
        b"/a/.",
        b"//",
        b"//a",
        b"/a//",
        b"/a//b",
        b"/a///",
        b"/a\\b",
        b"/a;b",
        b"/a/..;/b",
        b"/a#b",
        b"/%",
        b"/%6",
        b"/%6g",
        b"/%g6",
        b"/%%61",
        b"/%u0061",
        b"/a%",
        b"/%+1",
        b"/\xff",
        b"/\xc3",
        b"/a\xc0\xafb",
        b"/..?x",
    ];
    for uri in raw {
        assert_eq!(path(uri), None, "{}", String::from_utf8_lossy(uri));
    }
    let meant = [b'#', b'%', b'.', b'/', b';', b'?', b'\\', 0x7f];
    for byte in (0..0x20).chain(meant) {
        for uri in [
            format!("/a%{byte:02x}b"),
            format!("/a%{byte:02X}b"),
            format!("/%{byte:02x}"),
            format!("/a/%{byte:02X}/"),
            format!("/.%{byte:02x}/b"),
        ] {
            assert_eq!(path(uri.as_bytes()), None, "{uri}");
        }
    }
    // No UTF-8 once decoded, and longer forms of `/` and `.` than there should be.
    for uri in [
        "/%ff",
        "/%C3",
        "/%c3/a4",
        "/a%80",
        "/%c0%af",
        "/%c0%ae%c0%ae/",
        "/%e0%80%af",
        "/%ed%a0%80",
    ] {
        assert_eq!(path(uri.as_bytes()), None, "{uri}");
    }
    // What is encoded and means nothing is clear.
    for byte in (0x20..0x7f).filter(|byte| !meant.contains(byte)) {
        for uri in [format!("/a%{byte:02x}"), format!("/a%{byte:02X}")] {
            let expected = format!("/a{}", char::from(byte));
            assert_eq!(path(uri.as_bytes()).as_deref(), Some(&*expected), "{uri}");
        }
    }
}

#[test]
fn a_preflight_is_a_browser_that_asks_by_options() {
    assert!(preflight("OPTIONS a/").is_preflight);
    assert!(!original("OPTIONS a/").is_preflight);
    assert!(!preflight("GET a/").is_preflight);
    assert!(!preflight("OPTIONSX a/").is_preflight);
}

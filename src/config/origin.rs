//! Web origins in the one spelling a browser sends, since they are compared byte for byte.

use std::net::Ipv6Addr;

/// Accepts `http://` or `https://`, a host in lower case, and a port where it is not the scheme's
/// own (WHATWG URL, "origin"; RFC 6454, section 6.2). No path, no wildcard, no user.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let (rest, own_port) = if let Some(rest) = text.strip_prefix("https://") {
        (rest, 443)
    } else if let Some(rest) = text.strip_prefix("http://") {
        (rest, 80)
    } else {
        return Err("must be an origin such as https://dash.home.arpa");
    };
    // An IPv6 address has colons too, inside of its brackets.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    if !is_name(host) && !is_ipv6(host) {
        return Err(
            "must be scheme, lower-case host and port only: no path, no slash at the end, no *",
        );
    }
    match port.map(|port| port_number(port).filter(|number| *number != own_port)) {
        Some(None) => Err("must have a port from 1 to 65535 that is not the scheme's own, or none"),
        _ => Ok(()),
    }
}

fn is_name(host: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    host.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(plain))
}

fn is_ipv6(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let address: Result<Ipv6Addr, _> = inner.parse();
        address.is_ok_and(|address| address.to_string() == inner)
    })
}

/// Decimal, without a sign or a zero in front, as it is written in a URL.
fn port_number(text: &str) -> Option<u16> {
    let number: u16 = text.parse().ok()?;
    (number != 0 && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_accepted_in_the_spelling_of_a_browser_only() {
        let good = [
            "https://dash.home.arpa",
            "http://localhost:3000",
            "https://10.0.0.1:8443",
            "http://[::1]:3000",
            "http://[::1]",
            "http://a:443",
        ];
        let bad = [
            "",
            "*",
            "null",
            "dash.home.arpa",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a/b",
            "https://*.a",
            "https://A",
            "HTTPS://a",
            "https://a:",
            "https://a:0",
            "https://a:443",
            "http://a:80",
            "https://a:65536",
            "https://a:+1",
            "https://a:08",
            "https://u@a",
            "https://a?b",
            "https://a#b",
            "https://a b",
            " https://a",
            "https://a..b",
            "https://[::1",
            "https://[::0:1]",
            "https://::1",
            "https://é",
        ];
        for text in good {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(check(text).is_err(), "{text}");
        }
    }
}

//! What a proxy tells of a request and of its client.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::LazyLock;

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;
use netbird_auth::address::{client_address, forwarded_client, is_trusted};
use netbird_auth::api::{forwarded_for, original};
use netbird_auth::config::{Environment, read_bytes};
use netbird_auth::forward::{Fit, ForwardAuth, Original, Plan, fits, plan};

use super::{headers, path};

static TRUSTED: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let nets = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "fd00::/8"];
    nets.map(|net| net.parse().unwrap()).into()
});

static RULES: LazyLock<ForwardAuth> = LazyLock::new(|| {
    let text = br#"
        forward_auth.rule = [
            { host = "open.example", path_prefix = "/public/keys", allow_roles = ["admin"] },
            { host = "open.example", path_prefix = "/public", methods = ["GET"], public = true },
            { host = "*.below.example", client_cidrs = ["203.0.113.0/24"], cors_preflight = true },
        ]
    "#;
    let loaded = read_bytes(Path::new("a.toml"), text, &Environment::default());
    loaded
        .unwrap_or_else(|fault| panic!("{fault}"))
        .config
        .forward_auth
});

/// The peer's address in a line, then the lines of the headers.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let peer = parts.next().and_then(|peer| std::str::from_utf8(peer).ok());
    let peer = peer.and_then(|peer| peer.parse().ok());
    let peer = peer.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let headers = headers(parts.next().unwrap_or_default());
    let client = client(peer, &headers);
    if let Ok(original) = original(&headers) {
        clear(&headers, &original);
        judged(&original, client);
    }
}

/// An address is the peer's or one of the list, whose right end only trusted proxies wrote.
fn client(peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
    let lines = forwarded_for(headers);
    let lines = || lines.iter().map(AsRef::as_ref);
    let hops = || lines().rev().flat_map(|line: &str| line.rsplit(','));
    let mut client = None;
    let mut is_clear = true;
    for hop in hops() {
        if !is_trusted(client.unwrap_or(peer), &TRUSTED) {
            break;
        }
        let hop = hop.trim();
        let alone = hop.parse::<IpAddr>().ok();
        let with_port = || hop.parse::<SocketAddr>().ok().map(|hop| hop.ip());
        let Some(hop) = alone.or_else(with_port) else {
            is_clear = false;
            break;
        };
        client = Some(hop.to_canonical());
    }
    let told = client_address(peer, lines(), &TRUSTED);
    assert_eq!(told, client.unwrap_or(peer.to_canonical()));
    let behind = forwarded_client(peer, lines(), &TRUSTED);
    assert_eq!(behind, client.filter(|_| is_clear));
    if !is_trusted(peer, &TRUSTED) {
        assert_eq!((told, behind), (peer.to_canonical(), None));
    }
    behind
}

fn clear(headers: &HeaderMap, original: &Original) {
    let only = |name| {
        let mut values = headers.get_all(name);
        let first = values.next().unwrap();
        assert!(values.next().is_none());
        first.as_bytes()
    };
    let method = only("x-forwarded-method");
    assert_eq!(original.method.as_bytes(), method);
    assert!(method.len() <= 32 && method.iter().all(u8::is_ascii_uppercase));
    assert!(matches!(
        only("x-forwarded-proto"),
        b"http" | b"https" | b"ws" | b"wss"
    ));
    assert!(!original.is_preflight || method == b"OPTIONS");

    let host = &*original.host;
    let given = only("x-forwarded-host");
    assert!((1..=253).contains(&host.len()) && !host.ends_with('.'));
    assert_eq!(host.to_ascii_lowercase(), host);
    if let Some(inner) = host.strip_prefix('[') {
        let address: std::net::Ipv6Addr = inner.strip_suffix(']').unwrap().parse().unwrap();
        assert_eq!(address.to_string(), inner[..inner.len() - 1]);
    } else {
        assert!(host.split('.').all(|label| (1..=63).contains(&label.len())));
        assert!(given.to_ascii_lowercase().starts_with(host.as_bytes()));
        let rest = &given[host.len()..];
        let rest = rest.strip_prefix(b".").unwrap_or(rest);
        assert!(rest.is_empty() || (rest[0] == b':' && rest[1..].iter().all(u8::is_ascii_digit)));
    }
    for again in [
        host.to_owned(),
        format!("{host}:8443"),
        host.to_ascii_uppercase(),
    ] {
        let again = Original::parse(b"GET", b"http", again.as_bytes(), b"/", false);
        assert_eq!(&*again.unwrap().host, host);
    }
    assert_eq!(path::of_a_site(only("x-forwarded-uri")), original.path);
}

/// What is open is so by the one public rule, or a preflight from where one is let through.
fn judged(original: &Original, client: Option<IpAddr>) {
    let settings = &*RULES;
    let (path, host) = (original.path.as_deref(), &*original.host);
    let is_in = |prefix: &str| {
        let rest = path.and_then(|path| path.strip_prefix(prefix));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_public = host == "open.example"
        && original.method == "GET"
        && is_in("/public")
        && !is_in("/public/keys");
    let net: IpNet = "203.0.113.0/24".parse().unwrap();
    let is_near = client.is_some_and(|client| net.contains(&client));
    let is_below = host.ends_with(".below.example");
    let is_open = is_public || (is_below && is_near && original.is_preflight);
    let plan = plan(settings, original, client);
    assert_eq!(matches!(plan, Plan::Open), is_open, "{original:?}");
    let matched = fits(settings, original).last() == Some(&Fit::Matches);
    let admits = plan.admit_anybody(client, original).is_ok();
    assert!(!admits || matched, "{original:?}");
    assert!(!is_below || is_open || admits == is_near, "{original:?}");
}

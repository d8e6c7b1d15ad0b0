//! The client's address, as far as it can be known. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether an address is one of a trusted proxy.
pub fn is_trusted(address: IpAddr, trusted_proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted_proxies.iter().any(|net| net.contains(&address))
}

/// The peer's address, or, where the peer is a trusted proxy, the last address of
/// `X-Forwarded-For` that is none: each proxy appends whom it saw, so the list is true only from
/// the right, as far as trusted proxies wrote it. A part that is no address ends the reading.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted_proxies: &[IpNet],
) -> IpAddr {
    let (client, _) = read(peer, forwarded_for, trusted_proxies);
    client.unwrap_or(peer.to_canonical())
}

/// As [`client_address`], where a proxy must tell it: `None` where the list is missing, or cannot be read
/// as far as it counts. The proxy's own address in its place could be one that is admitted.
pub fn forwarded_client<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted_proxies: &[IpNet],
) -> Option<IpAddr> {
    let (client, is_clear) = read(peer, forwarded_for, trusted_proxies);
    client.filter(|_| is_clear)
}

/// The address in the list that counts, and whether the reading did not end at what is none.
fn read<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted_proxies: &[IpNet],
) -> (Option<IpAddr>, bool) {
    let mut client = None;
    let mut hops = forwarded_for
        .rev()
        .flat_map(|line| line.rsplit(','))
        .map(str::trim);
    while is_trusted(client.unwrap_or(peer), trusted_proxies) {
        match hops.next().map(parse_hop) {
            Some(Some(hop)) => client = Some(hop),
            Some(None) => return (client, false),
            None => break,
        }
    }
    (client, true)
}

/// Some proxies write a port behind the address.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse().ok().map(|hop: std::net::SocketAddr| hop.ip());
    let address: Option<IpAddr> = hop.parse().ok();
    address.or_else(with_port).map(|hop| hop.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_no_proxy_tells_is_none() {
        let nets: Vec<IpNet> = ["127.0.0.0/8", "10.0.0.0/8"]
            .map(|net| net.parse().unwrap())
            .into();
        let table: &[(&str, &[&str], Option<&str>)] = &[
            ("127.0.0.1", &[], None),
            ("127.0.0.1", &[""], None),
            ("127.0.0.1", &["fe80::1%eth0"], None),
            ("127.0.0.1", &["unix:"], None),
            ("127.0.0.1", &["203.0.113.9, garbage"], None),
            ("127.0.0.1", &["203.0.113.9, garbage, 10.0.0.7"], None),
            ("127.0.0.1", &["garbage, 203.0.113.9"], Some("203.0.113.9")),
            ("127.0.0.1", &["203.0.113.9, 10.0.0.7"], Some("203.0.113.9")),
            ("127.0.0.1", &["10.0.0.7"], Some("10.0.0.7")),
            ("::ffff:127.0.0.1", &["203.0.113.9"], Some("203.0.113.9")),
            ("192.0.2.1", &["203.0.113.9"], None),
        ];
        for (peer, lines, expected) in table {
            let client = forwarded_client(peer.parse().unwrap(), lines.iter().copied(), &nets);
            let client = client.map(|client| client.to_string());
            assert_eq!(client.as_deref(), *expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn the_list_is_read_from_the_right_through_trusted_proxies_only() {
        let nets: Vec<IpNet> = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"]
            .map(|net| net.parse().unwrap())
            .into();
        let table: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (
                "127.0.0.1",
                &["1.1.1.1, 203.0.113.9, 10.0.0.7"],
                "203.0.113.9",
            ),
            (
                "127.0.0.1",
                &["1.1.1.1", "203.0.113.9,10.0.0.7"],
                "203.0.113.9",
            ),
            ("127.0.0.1", &["203.0.113.9, garbage"], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9, garbage, 10.0.0.7"], "10.0.0.7"),
            ("127.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("127.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("::1", &["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            ("::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &[""], "127.0.0.1"),
        ];
        for (peer, lines, expected) in table {
            let client = client_address(peer.parse().unwrap(), lines.iter().copied(), &nets);
            assert_eq!(client.to_string(), *expected, "{peer} {lines:?}");
        }
    }
}

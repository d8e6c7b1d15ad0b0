//! Rules over made-up requests.

mod identity;
mod judge;
mod original;
mod pattern;
mod property;
mod unclear;

use std::net::IpAddr;

pub(super) use super::*;
use crate::user::{Name, Role, User, UserId, UserNumber};

/// From a line such as `*.home.arpa /api GET,PUT role:admin user:ann services cidr:10.0.0.0/8 public
/// preflight`: a host, and what else there is in any order.
/// Where requests come from that no rule judges by it.
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn rule(line: &str) -> Rule {
    let mut words = line.split(' ');
    let mut rule = Rule {
        host: HostPattern::parse(words.next().unwrap()).unwrap(),
        path_prefix: None,
        methods: Vec::new(),
        allow_roles: Vec::new(),
        allow_users: Vec::new(),
        allow_service_users: false,
        client_cidrs: Vec::new(),
        public: false,
        cors_preflight: false,
    };
    for word in words {
        match word.split_once(':') {
            Some(("role", role)) => rule.allow_roles.push(Role::parse(role).unwrap()),
            Some(("user", id)) => rule.allow_users.push(UserId::parse(id).unwrap()),
            Some(("cidr", net)) => rule.client_cidrs.push(net.parse().unwrap()),
            _ if word.starts_with('/') => rule.path_prefix = Some(PathPrefix::parse(word).unwrap()),
            _ if word == "services" => rule.allow_service_users = true,
            _ if word == "public" => rule.public = true,
            _ if word == "preflight" => rule.cors_preflight = true,
            _ => rule.methods = word.split(',').map(Into::into).collect(),
        }
    }
    rule
}

fn settings(rules: &[&str], unmatched: Unmatched) -> ForwardAuth {
    ForwardAuth {
        unmatched,
        rules: rules.iter().map(|line| rule(line)).collect(),
        ..ForwardAuth::default()
    }
}

/// From `GET host/path`.
fn original(line: &str) -> Original {
    request(line, false)
}

/// The same; a browser asks whether it may ask.
fn preflight(line: &str) -> Original {
    request(line, true)
}

fn request(line: &str, asks_for_preflight: bool) -> Original {
    let (method, rest) = line.split_once(' ').unwrap();
    let (host, uri) = rest.split_at(rest.find('/').unwrap());
    let parts = [method, "https", host, uri].map(str::as_bytes);
    let [method, proto, host, uri] = parts;
    Original::parse(method, proto, host, uri, asks_for_preflight).unwrap()
}

/// A person, or a machine if the id begins with `bot`.
fn user(id: &str, role: Role) -> User {
    User {
        number: UserNumber(1),
        id: UserId::parse(id).unwrap(),
        issuer: "".into(),
        name: Name::empty(),
        email: Name::empty(),
        role,
        auto_groups: [].into(),
        is_service: id.starts_with("bot"),
        is_blocked: false,
        is_pending: false,
        is_invited: false,
        last_login: None,
        role_issued_at: None,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The numbers of the rules that must be satisfied; `None` for what passes without a credential.
fn needed(plan: &Plan<'_>) -> Option<Vec<usize>> {
    match plan {
        Plan::Open => None,
        Plan::Rules(rules) | Plan::Unmatched(rules, _) => {
            Some(rules.iter().map(|(number, _)| *number).collect())
        }
    }
}

//! The settings file with variables over it. No file is opened, whatever the settings name.

use std::path::Path;
use std::time::Duration;

use netbird_auth::config::{Config, Environment, Listen, TokenSource, read_bytes};
use netbird_auth::forward::{HostPattern, PathPrefix};
use netbird_auth::jwt::{Family, IssuerSet, IssuerSettings};
use netbird_auth::user::Role;

const PREFIX: &[u8] = b"NETBIRD_AUTH_";

/// Lines `NETBIRD_AUTH_…=…` as long as there are some, then the file.
pub fn run(data: &[u8]) {
    let mut file = data;
    let mut variables: Vec<(String, String)> = Vec::new();
    while file.starts_with(PREFIX) {
        let end = file.iter().position(|byte| *byte == b'\n');
        let end = end.unwrap_or(file.len());
        let line = String::from_utf8_lossy(&file[..end]);
        if let Some((name, value)) = line.split_once('=') {
            variables.push((name.to_owned(), value.to_owned()));
        }
        file = file.get(end + 1..).unwrap_or_default();
    }
    let environment = Environment::new(variables);
    match read_bytes(Path::new("folder/a.toml"), file, &environment) {
        Ok(loaded) => {
            bounds(&loaded.config);
            issuers(loaded.config.issuers);
        }
        Err(fault) => {
            let text = fault.to_string();
            assert!(!text.is_empty() && text.len() < 4 * data.len() + 4096);
        }
    }
}

fn bounds(config: &Config) {
    let Config { server, limits, .. } = config;
    assert!(server.workers <= 1024 && limits.connections <= 1_000_000);
    let times = [
        limits.header_timeout,
        limits.body_timeout,
        limits.write_timeout,
        limits.keep_alive,
    ];
    let seconds = Duration::from_secs;
    assert!(
        times
            .iter()
            .all(|time| (seconds(1)..=seconds(3600)).contains(time))
    );
    assert!((1024..=98_304).contains(&limits.head_bytes));
    assert!((256..=65_536).contains(&limits.path_bytes));
    assert!((256..=65_536).contains(&limits.query_bytes));
    assert!((1024..=16_777_216).contains(&limits.body_bytes));
    assert!(limits.failures.burst.get() <= 1_000_000);
    assert!(limits.failures.per_second.get() <= 10_000);
    assert!(!config.database.path.as_os_str().is_empty());
    assert!((seconds(60)..=seconds(365 * 86_400)).contains(&config.backup.every));
    assert!((1..=10_000).contains(&config.backup.keep));
    assert!(
        config
            .audit
            .keep
            .is_none_or(|time| time <= seconds(36_500 * 86_400))
    );
    assert!(
        config
            .audit
            .max_events
            .is_none_or(|most| most.get() <= 1_000_000_000)
    );
    let first = &config.bootstrap;
    assert!((1..=365).contains(&first.token_days));
    assert!((1..=255).contains(&first.owner_name.len()) && first.owner_email.len() <= 255);
    if let Some(TokenSource::Inline(token)) = &first.token {
        assert_eq!(token.expose().len(), 40);
    }
    if let Some(listen) = config.metrics.listen {
        assert!(listen.port() == 0 || Listen::Address(listen) != server.listen);
    }
    if let Listen::Unix(path) = &server.listen {
        assert!(!path.as_os_str().is_empty() && server.tls.is_none());
    }
    assert!(server.socket_mode <= 0o777);
    assert!(server.hsts <= seconds(3650 * 86_400));
    let origins = &config.cors.origins;
    assert!(
        origins
            .iter()
            .all(|origin| origin.starts_with("http") && !origin.ends_with('/'))
    );
    forward(config);
}

fn forward(config: &Config) {
    let settings = &config.forward_auth;
    let own = &settings.headers;
    let names = [&own.user, &own.name, &own.email, &own.groups, &own.token_id];
    let mut names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).into();
    names.extend(
        settings
            .api_key_header
            .as_ref()
            .map(|name| name.to_string()),
    );
    for (place, name) in names.iter().enumerate() {
        assert!(actix_web::http::header::HeaderName::from_bytes(name.as_bytes()).is_ok());
        assert!(!names[..place].contains(name));
        assert!(!["authorization", "cookie", "host", "x-forwarded-for"].contains(&&**name));
    }
    for rule in settings.rules.iter() {
        let (HostPattern::Exact(host) | HostPattern::Below(host)) = &rule.host;
        assert!(!host.is_empty() && !host.contains('*') && host.to_ascii_lowercase() == **host);
        if let Some(prefix) = &rule.path_prefix {
            assert_eq!(PathPrefix::parse(&prefix.to_string()).as_ref(), Ok(prefix));
        }
        let narrows = !rule.allow_roles.is_empty()
            || !rule.allow_users.is_empty()
            || rule.allow_service_users
            || !rule.client_cidrs.is_empty();
        assert!(!(rule.public && narrows));
    }
}

fn issuers(settings: Vec<IssuerSettings>) {
    for (place, issuer) in settings.iter().enumerate() {
        assert!(!issuer.audiences.is_empty() && !issuer.algorithms.is_empty());
        assert!(issuer.leeway <= Duration::from_secs(300));
        assert!((1..=3650).contains(&(issuer.max_age.as_secs() / 86_400)));
        assert!(issuer.jwks_file.is_some() || !issuer.keys.is_empty());
        let before = &settings[..place];
        assert!(before.iter().all(|other| other.name != issuer.name));
        assert!(before.iter().all(|other| other.issuer != issuer.issuer));
        let is_symmetric =
            |known: &netbird_auth::jwt::Algorithm| known.family() == Family::Symmetric;
        assert!(
            issuer
                .algorithms
                .iter()
                .all(|known| is_symmetric(known) == issuer.allow_symmetric)
        );
        if let Some(claim) = &issuer.role_claim {
            assert!(
                claim.max != Role::Owner && claim.map.values().all(|role| *role != Role::Owner)
            );
        }
    }
    // Only keys that stand in the settings themselves.
    if settings
        .iter()
        .any(|issuer| issuer.files().next().is_some())
    {
        return;
    }
    let Ok(loaded) = IssuerSet::load(settings) else {
        return;
    };
    for issuer in loaded.set.iter() {
        assert!(!issuer.keys.is_empty());
        for (place, key) in issuer.keys.iter().enumerate() {
            assert!(issuer.settings.algorithms.contains(&key.algorithm));
            assert!(key.bits >= 256);
            let is_named = |other: &&netbird_auth::jwt::Key| other.kid == key.kid;
            assert!(key.kid.is_none() || issuer.keys[..place].iter().find(is_named).is_none());
            let is_symmetric = key.algorithm.family() == Family::Symmetric;
            assert_eq!(is_symmetric, issuer.settings.allow_symmetric);
            assert_eq!(key.thumbprint.is_none(), is_symmetric);
        }
    }
}

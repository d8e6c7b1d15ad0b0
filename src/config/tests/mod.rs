//! The whole module over texts and made-up environments; the disk only where a file is the point.

mod faults;
mod files;
mod forward;
mod forward_faults;
mod issuer_faults;
mod issuers;
mod sample;
mod secrets;

use std::collections::BTreeMap;
use std::path::Path;

pub(super) use super::*;

const TOKEN: &str = "nbp_z1pvsg2wP3EzmEou4S679KyTNhov632eyrXe";

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().copied())
}

fn parse_at(path: &str, text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let parse = || {
        let environment = environment(variables);
        let file = reader::File::parse(Path::new(path), text.as_bytes())?;
        Ok(read(Reader::new(Some(file), &environment))?.0)
    };
    parse().map_err(|fault: ConfigError| fault.to_string())
}

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    parse_at("netbird-auth.toml", text, variables)
}

fn fault(text: &str, variables: &[(&str, &str)]) -> String {
    let Err(message) = parse(text, variables) else {
        panic!("accepted: {text} {variables:?}");
    };
    assert!(!message.contains('\n'), "{message}");
    message
}

/// Every setting as text, by its name.
fn shown(config: &Config) -> BTreeMap<&'static str, String> {
    let Config {
        server,
        limits,
        database,
        backup,
        audit,
        bootstrap,
        log,
        metrics,
        cors,
        compat,
        forward_auth,
        // No variable sets them; they have tests of their own.
        issuers: _,
    } = config;
    let identity = bootstrap.owner_identity.as_ref();
    let (token, token_file) = match &bootstrap.token {
        None => (String::new(), String::new()),
        Some(TokenSource::Inline(token)) => (token.expose().to_owned(), String::new()),
        Some(TokenSource::File(path)) => (String::new(), path.display().to_string()),
    };
    let tls = |which: fn(&TlsFiles) -> &PathBuf| {
        let path = server.tls.as_ref().map(which);
        path.map_or_else(String::new, |path| path.display().to_string())
    };
    let headers = &forward_auth.headers;
    let days = bootstrap.token_days.to_string();
    BTreeMap::from([
        ("server.listen", server.listen.to_string()),
        ("server.socket_mode", format!("{:o}", server.socket_mode)),
        ("server.tls_cert_file", tls(|tls| &tls.certificate)),
        ("server.tls_key_file", tls(|tls| &tls.key)),
        ("server.hsts_days", format!("{:?}", server.hsts)),
        ("server.workers", server.workers.to_string()),
        (
            "server.trusted_proxies",
            format!("{:?}", server.trusted_proxies),
        ),
        (
            "limits.header_timeout",
            format!("{:?}", limits.header_timeout),
        ),
        ("limits.body_timeout", format!("{:?}", limits.body_timeout)),
        (
            "limits.write_timeout",
            format!("{:?}", limits.write_timeout),
        ),
        ("limits.keep_alive", format!("{:?}", limits.keep_alive)),
        ("limits.head_bytes", format!("{:?}", limits.head_bytes)),
        ("limits.path_bytes", format!("{:?}", limits.path_bytes)),
        ("limits.query_bytes", format!("{:?}", limits.query_bytes)),
        ("limits.body_bytes", format!("{:?}", limits.body_bytes)),
        ("limits.failure_burst", limits.failures.burst.to_string()),
        (
            "limits.failures_per_second",
            limits.failures.per_second.to_string(),
        ),
        ("limits.connections", format!("{:?}", limits.connections)),
        ("database.path", database.path.display().to_string()),
        ("backup.directory", format!("{:?}", backup.directory)),
        ("backup.every", format!("{:?}", backup.every)),
        ("backup.keep", backup.keep.to_string()),
        ("audit.keep_days", format!("{:?}", audit.keep)),
        ("audit.max_events", format!("{:?}", audit.max_events)),
        ("bootstrap.owner_name", bootstrap.owner_name.clone()),
        ("bootstrap.owner_email", bootstrap.owner_email.clone()),
        (
            "bootstrap.owner_id",
            identity.map_or_else(String::new, |owner| owner.id.to_string()),
        ),
        (
            "bootstrap.owner_issuer",
            identity.map_or_else(String::new, |owner| owner.issuer.to_string()),
        ),
        ("bootstrap.token_days", days),
        ("bootstrap.token", token),
        ("bootstrap.token_file", token_file),
        ("log.level", log.level.to_string()),
        ("log.format", format!("{:?}", log.format)),
        ("metrics.listen", format!("{:?}", metrics.listen)),
        ("cors.origins", format!("{:?}", cors.origins)),
        (
            "compat.netbird_messages",
            compat.netbird_messages.to_string(),
        ),
        (
            "forward_auth.default",
            format!("{:?}", forward_auth.unmatched),
        ),
        (
            "forward_auth.api_key_header",
            format!("{:?}", forward_auth.api_key_header),
        ),
        ("forward_auth.user_header", headers.user.to_string()),
        ("forward_auth.name_header", headers.name.to_string()),
        ("forward_auth.email_header", headers.email.to_string()),
        ("forward_auth.groups_header", headers.groups.to_string()),
        ("forward_auth.token_id_header", headers.token_id.to_string()),
    ])
}

fn known_names() -> Vec<(&'static str, &'static str)> {
    let nothing = environment(&[]);
    let mut reader = Reader::new(None, &nothing);
    Config::read(&mut reader).unwrap();
    let known = reader.known().iter();
    known.map(|known| (known.section, known.key)).collect()
}

#[test]
fn a_setting_shown_in_these_tests_is_a_setting_that_is_read() {
    let mut names: Vec<_> = known_names()
        .iter()
        .map(|(section, key)| format!("{section}.{key}"))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        shown(&Config::default()).into_keys().collect::<Vec<_>>()
    );
}

#[test]
fn every_setting_is_overridden_by_its_variable_and_no_other_one_changes() {
    let table = [
        ("server", "listen", "[::]:80", "[::]:80"),
        ("server", "socket_mode", "600", "600"),
        ("server", "tls_cert_file", "a.pem", "a.pem"),
        ("server", "tls_key_file", "b.pem", "b.pem"),
        ("server", "hsts_days", "3650", "315360000s"),
        ("server", "workers", "4", "4"),
        (
            "server",
            "trusted_proxies",
            "10.0.0.0/8, ::2",
            "[10.0.0.0/8, ::2/128]",
        ),
        ("limits", "header_timeout", "3600", "3600s"),
        ("limits", "body_timeout", "3600", "3600s"),
        ("limits", "write_timeout", "3600", "3600s"),
        ("limits", "keep_alive", "3600", "3600s"),
        ("limits", "head_bytes", "4096", "4096"),
        ("limits", "path_bytes", "4096", "4096"),
        ("limits", "query_bytes", "4096", "4096"),
        ("limits", "body_bytes", "4096", "4096"),
        ("limits", "failure_burst", "4096", "4096"),
        ("limits", "failures_per_second", "4096", "4096"),
        ("limits", "connections", "4096", "4096"),
        ("database", "path", "data/x.db", "data/x.db"),
        ("backup", "directory", "kept", "Some(\"kept\")"),
        ("backup", "every", "90m", "5400s"),
        ("backup", "keep", "30", "30"),
        ("audit", "keep_days", "36500", "Some(3153600000s)"),
        ("audit", "max_events", "1", "Some(1)"),
        ("bootstrap", "owner_name", "Ada", "Ada"),
        ("bootstrap", "owner_email", "a@home.arpa", "a@home.arpa"),
        ("bootstrap", "owner_id", "b|2", "b|2"),
        ("bootstrap", "owner_issuer", "two", "two"),
        ("bootstrap", "token_days", "365", "365"),
        ("bootstrap", "token", TOKEN, TOKEN),
        ("bootstrap", "token_file", "gone/token", "gone/token"),
        ("log", "level", "trace", "TRACE"),
        ("log", "format", "json", "Json"),
        ("metrics", "listen", "[::1]:9090", "Some([::1]:9090)"),
        (
            "cors",
            "origins",
            "https://a.b,http://c:81",
            r#"["https://a.b", "http://c:81"]"#,
        ),
        ("compat", "netbird_messages", "true", "true"),
        ("forward_auth", "default", "authenticated", "Authenticated"),
        ("forward_auth", "api_key_header", "", "None"),
        ("forward_auth", "user_header", "X-User", "X-User"),
        ("forward_auth", "name_header", "X-Name", "X-Name"),
        ("forward_auth", "email_header", "x-email", "x-email"),
        ("forward_auth", "groups_header", "X-Groups", "X-Groups"),
        ("forward_auth", "token_id_header", "X-Id", "X-Id"),
    ];
    let names: Vec<_> = table.iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(names, known_names());
    // Certificate and key are both or neither. Who the owner is needs both settings and an issuer that is known.
    let text = format!(
        "server.tls_cert_file = '/c'\nserver.tls_key_file = '/k'\nbootstrap.owner_id = 'a'\nbootstrap.owner_issuer = 'one'\n{}",
        issuers::TWO
    );
    let parse = |variables: &[(&str, &str)]| {
        parse_at("/etc/x/netbird-auth.toml", &text, variables).unwrap()
    };
    for (section, key, given, expected) in table {
        let variable = environment::variable(section, key);
        let config = parse(&[(&variable, given)]);
        let mut wanted = shown(&parse(&[]));
        let name = format!("{section}.{key}");
        *wanted.get_mut(name.as_str()).unwrap() = expected.to_owned();
        assert_eq!(shown(&config), wanted, "{variable}");
    }
}

#[test]
fn an_empty_variable_empties_a_list_and_turns_metrics_off() {
    let text = "cors.origins = ['https://a']\nmetrics.listen = '[::1]:1'";
    let variables = [
        ("NETBIRD_AUTH_CORS__ORIGINS", ""),
        ("NETBIRD_AUTH_METRICS__LISTEN", ""),
    ];
    let config = parse(text, &variables).unwrap();
    assert!(config.cors.origins.is_empty());
    assert!(config.metrics.listen.is_none());
}

//! What is refused, and in which words.

use super::*;

/// A file, the line that is named, and how the message goes on.
#[rustfmt::skip]
const BAD_FILES: &[(&str, u32, &str)] = &[
    ("[server]\n\nlisen = ''", 3, "unknown key `lisen` in [server]; did you mean `listen`?"),
    ("[server]\nListen = ''", 2, "unknown key `Listen` in [server]; did you mean `listen`?"),
    ("[server]\nport = 1", 2, "unknown key `port` in [server]; there are hsts_days, listen, socket_mode, tls_cert_file, "),
    ("[server]\nacme = {}\n[log]\nlvl = 1", 2, "unknown key `acme` in [server]; there are "),
    ("\n[sever]\nlisten = ''", 2, "unknown section `sever`; did you mean `server`?"),
    ("[[servers]]\na = 1", 1, "unknown section `servers`; did you mean `server`?"),
    ("listen = ''", 1, "unknown key `listen` outside of any section; it belongs below [server]"),
    ("lisen = ''", 1, "unknown key `lisen` outside of any section; did you mean `listen`?"),
    ("log = 'info'", 1, "`log` must be a section, written [log]"),
    ("[[log]]\nlevel = 'info'", 1, "`log` must be a section, written [log]"),
    ("[server]\nlisten = 8080", 2, "`server.listen` must be a string"),
    ("[server]\nlisten = ':8080'", 2, "`server.listen` must be an IP address with a port"),
    ("[server]\nlisten = 'unix:'", 2, "`server.listen` must be a path"),
    ("[server]\nlisten = 'unix'", 2, "`server.listen` must be an IP address with a port, such as 127.0.0.1:8080, or unix:"),
    ("[server]\nsocket_mode = 660", 2, "`server.socket_mode` must be permissions in octal digits and quotes"),
    ("[server]\nsocket_mode = '0668'", 2, "`server.socket_mode` must be permissions"),
    ("[server]\nsocket_mode = '+60'", 2, "`server.socket_mode` must be permissions"),
    ("[server]\nsocket_mode = '2660'", 2, "`server.socket_mode` must be permissions"),
    ("[server]\nhsts_days = 3651", 2, "`server.hsts_days` must be a whole number from 0 to 3650"),
    ("[server]\ntls_cert_file = 1", 2, "`server.tls_cert_file` must be a string"),
    ("[server]\nworkers = '1'", 2, "`server.workers` must be a whole number from 0 to 1024"),
    ("[server]\nworkers = 1025", 2, "`server.workers` must be a whole number from 0 to 1024"),
    ("[server]\nworkers = -1", 2, "`server.workers` must be"),
    ("[server]\nworkers = 1.0", 2, "`server.workers` must be"),
    ("[server]\ntrusted_proxies = '::1'", 2, "`server.trusted_proxies` must be a list of strings"),
    ("[server]\ntrusted_proxies = [1]", 2, "`server.trusted_proxies` must be a list of strings"),
    ("[server]\ntrusted_proxies = ['::1', '1.1.1.1/33']", 2, "`server.trusted_proxies` item 2 must be a network"),
    ("[server]\ntrusted_proxies = ['::ffff:10.0.0.0/104']", 2, "`server.trusted_proxies` item 1 must be written as IPv4"),
    ("[limits]\nwrite_timeout = 0", 2, "`limits.write_timeout` must be a whole number from 1 to 3600"),
    ("[limits]\nwrite_timeout = 3601", 2, "`limits.write_timeout` must be a whole number from 1 to 3600"),
    ("[limits]\nheader_timeout = 0", 2, "`limits.header_timeout` must be a whole number from 1 to 3600"),
    ("[limits]\nbody_timeout = 0", 2, "`limits.body_timeout` must be a whole number from 1 to 3600"),
    ("[limits]\nkeep_alive = 3601", 2, "`limits.keep_alive` must be a whole number from 1 to 3600"),
    ("[limits]\nhead_bytes = 98305", 2, "`limits.head_bytes` must be a whole number from 1024 to 98304"),
    ("[limits]\npath_bytes = 255", 2, "`limits.path_bytes` must be a whole number from 256 to 65536"),
    ("[limits]\nquery_bytes = 255", 2, "`limits.query_bytes` must be a whole number from 256 to 65536"),
    ("[limits]\nbody_bytes = 1023", 2, "`limits.body_bytes` must be a whole number from 1024 to 16777216"),
    ("[limits]\nfailure_burst = 0", 2, "`limits.failure_burst` must be a whole number from 1 to 1000000"),
    ("[limits]\nfailures_per_second = 0", 2, "`limits.failures_per_second` must be a whole number from 1 to 10000"),
    ("[limits]\nconnections = 1000001", 2, "`limits.connections` must be a whole number from 0 to 1000000"),
    ("[limits]\nwrite_timeout = '30s'", 2, "`limits.write_timeout` must be a whole number"),
    ("[limits]\nwrite_timout = 30", 2, "unknown key `write_timout` in [limits]; did you mean `write_timeout`?"),
    ("[database]\npath = ''", 2, "`database.path` must be a path"),
    ("[backup]\ndirectory = 1", 2, "`backup.directory` must be a string"),
    ("[backup]\nevery = 1", 2, "`backup.every` must be a string"),
    ("[backup]\nevery = '1'", 2, "`backup.every` must be minutes, hours or days"),
    ("[backup]\nevery = '0m'", 2, "`backup.every` must be minutes, hours or days"),
    ("[backup]\nevery = '366d'", 2, "`backup.every` must be minutes, hours or days"),
    ("[backup]\nevery = '-1d'", 2, "`backup.every` must be minutes, hours or days"),
    ("[backup]\nevery = '1.5h'", 2, "`backup.every` must be minutes, hours or days"),
    ("[backup]\nevery = '60s'", 2, "`backup.every` must be minutes, hours or days"),
    ("[backup]\nkeep = 0", 2, "`backup.keep` must be a whole number from 1 to 10000"),
    ("[backup]\nkeep = 10001", 2, "`backup.keep` must be a whole number"),
    ("[audit]\nkeep_days = -1", 2, "`audit.keep_days` must be a whole number from 0 to 36500"),
    ("[audit]\nkeep_days = 36501", 2, "`audit.keep_days` must be a whole number from 0 to 36500"),
    ("[audit]\nmax_events = 1000000001", 2, "`audit.max_events` must be a whole number from 0 to 1000000000"),
    ("[audit]\nmax_event = 1", 2, "unknown key `max_event` in [audit]; did you mean `max_events`?"),
    ("[bootstrap]\nowner_name = ' '", 2, "`bootstrap.owner_name` must be 1 to 255 bytes"),
    ("[bootstrap]\nowner_name = \"a\\tb\"", 2, "`bootstrap.owner_name` must be 1 to 255 bytes"),
    ("[bootstrap]\nowner_email = 'ada'", 2, "`bootstrap.owner_email` must be empty, or"),
    ("[bootstrap]\ntoken_days = 0", 2, "`bootstrap.token_days` must be a whole number from 1 to 365"),
    ("[bootstrap]\ntoken_days = 366", 2, "`bootstrap.token_days` must be"),
    ("[log]\nlevel = 'INFO'", 2, "`log.level` must be off, error, warn, info, debug or trace"),
    ("[log]\nformat = 'xml'", 2, "`log.format` must be text or json"),
    ("[metrics]\nlisten = 'off'", 2, "`metrics.listen` must be empty, or"),
    ("[compat]\nnetbird_messages = 1", 2, "`compat.netbird_messages` must be true or false"),
    ("[cors]\norigins = ['*']", 2, "`cors.origins` item 1 must be an origin"),
    ("[log]\nlevel = ", 2, "not TOML: "),
    ("[log]\nlevel = 'info'\nlevel = 'warn'", 3, "not TOML: duplicate key"),
];

/// A variable, its value, and how the message goes on.
#[rustfmt::skip]
const BAD_VARIABLES: &[(&str, &str, &str)] = &[
    ("NETBIRD_AUTH_SERVER__LISEN", "", " is no setting; did you mean `NETBIRD_AUTH_SERVER__LISTEN`?"),
    ("NETBIRD_AUTH_SERVER_LISTEN", "", " is no setting; did you mean `NETBIRD_AUTH_SERVER__LISTEN`?"),
    ("NETBIRD_AUTH_XYZZY__QQQ", "", " is no setting; netbird-auth.toml has them all"),
    ("NETBIRD_AUTH_SEVER__LISTEN", "", " is no setting; did you mean `NETBIRD_AUTH_SERVER__LISTEN`?"),
    ("NETBIRD_AUTH_log__level", "", " is no setting; did you mean `NETBIRD_AUTH_LOG__LEVEL`?"),
    ("NETBIRD_AUTH_FORWARD_AUTH_DEFAULT", "", " is no setting; did you mean `NETBIRD_AUTH_FORWARD_AUTH__DEFAULT`?"),
    ("NETBIRD_AUTH_FORWARD__AUTH_DEFAULT", "", " is no setting; did you mean `NETBIRD_AUTH_FORWARD_AUTH__DEFAULT`?"),
    ("NETBIRD_AUTH_FORWARD__AUTH__DEFAULT", "", " is no setting; did you mean `NETBIRD_AUTH_FORWARD_AUTH__DEFAULT`?"),
    ("NETBIRD_AUTH_FORWARDAUTH__DEFAULT", "", " is no setting; did you mean `NETBIRD_AUTH_FORWARD_AUTH__DEFAULT`?"),
    ("NETBIRD_AUTH_FORWARD_AUTH__USER_HEADR", "", " is no setting; did you mean `NETBIRD_AUTH_FORWARD_AUTH__USER_HEADER`?"),
    ("NETBIRD_AUTH_FORWARD_AUTH__DEFAULT", "allow", " must be deny or authenticated"),
    ("NETBIRD_AUTH_FORWARD_AUTH__USER_HEADER", "", " must be the name of a header"),
    ("NETBIRD_AUTH_SERVER__LISTEN", "", " must be an IP address with a port"),
    ("NETBIRD_AUTH_SERVER__WORKERS", "many", " must be a whole number from 0 to 1024"),
    ("NETBIRD_AUTH_LIMITS__WRITE_TIMEOUT", "0", " must be a whole number from 1 to 3600"),
    ("NETBIRD_AUTH_COMPAT__NETBIRD_MESSAGES", "1", " must be true or false"),
    ("NETBIRD_AUTH_CORS__ORIGINS", "https://a,b", " item 2 must be an origin"),
    ("NETBIRD_AUTH_BOOTSTRAP__TOKEN_FILE", "", " must be a path"),
];

#[test]
fn a_bad_file_is_answered_with_file_line_key_and_the_right_name() {
    for (text, line, rest) in BAD_FILES {
        let expected = format!("netbird-auth.toml:{line}: {rest}");
        let message = fault(text, &[]);
        assert!(
            message.starts_with(&expected),
            "{text:?}\n{message}\n{expected}"
        );
    }
}

#[test]
fn tls_needs_both_files_and_an_address() {
    let half = fault("server.tls_cert_file = 'c'", &[]);
    assert_eq!(
        half,
        "`server.tls_cert_file` (netbird-auth.toml:1) is set and `server.tls_key_file` is not: set both or neither"
    );
    let half = fault("", &[("NETBIRD_AUTH_SERVER__TLS_KEY_FILE", "k")]);
    assert!(
        half.starts_with("NETBIRD_AUTH_SERVER__TLS_KEY_FILE is set and `server.tls_cert"),
        "{half}"
    );
    let both = "server.listen = 'unix:/a'\nserver.tls_cert_file = 'c'\nserver.tls_key_file = 'k'";
    let local = fault(both, &[]);
    assert!(
        local.starts_with("`server.listen` is a unix socket, where TLS"),
        "{local}"
    );
}

#[test]
fn a_bad_variable_is_answered_with_its_name_and_the_right_one() {
    for (name, value, expected) in BAD_VARIABLES {
        let message = fault("", &[(name, value)]);
        assert!(
            message.starts_with(&format!("{name}{expected}")),
            "{message}"
        );
    }
}

#[test]
fn variables_without_the_form_of_a_setting_are_left_alone() {
    let variables = [
        ("NETBIRD_AUTH_CONFIG", "x"),
        ("NETBIRD_AUTH_SERVICE_HOST", "10.0.0.1"),
        ("OTHER__LISTEN", "x"),
    ];
    assert!(parse("", &variables).is_ok());
}

#[test]
fn a_bad_value_in_the_file_does_not_hide_behind_a_variable() {
    let message = fault("log.level = 'loud'", &[("NETBIRD_AUTH_LOG__LEVEL", "info")]);
    assert!(
        message.starts_with("netbird-auth.toml:1: `log.level`"),
        "{message}"
    );
}

#[test]
fn a_line_feed_in_a_name_does_not_make_a_second_line() {
    let message = fault("[log]\n\"a\\nb\" = 1", &[]);
    assert!(message.contains("`a\\nb`"), "{message}");
}

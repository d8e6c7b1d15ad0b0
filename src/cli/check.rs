//! `config check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::certificate;
use super::database::owner_id;
use super::failure::Failure;
use super::jwt::printable;
use super::output::{self, fields, or_dash, table};
use crate::config::{Loaded, LogFormat, TlsFiles, TokenSource};
use crate::forward::{ForwardAuth, HostPattern, Rule, Unmatched};
use crate::jwt::{self, Issuer, IssuerSet, UnknownUsers};

const DAY: u64 = 24 * 60 * 60;

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration and show what is in force; exit code 2 if it is wrong
    Check,
}

impl ConfigCommand {
    /// The configuration was read before: what is wrong with it ended the command already.
    pub(super) fn run(&self, loaded: Loaded) -> Result<(), Failure> {
        let Self::Check = self;
        let Loaded {
            config,
            file,
            warnings,
        } = loaded;
        let token = match &config.bootstrap.token {
            Some(TokenSource::Inline(_)) => "given".to_owned(),
            Some(TokenSource::File(path)) => format!("in {}", path.display()),
            None => "generated".to_owned(),
        };
        // Of no meaning, and maybe gone, once there is a database.
        if !config.database.path.exists() {
            config.bootstrap.token.map(TokenSource::read).transpose()?;
            if let Some(owner) = &config.bootstrap.owner_identity {
                owner.check(&config.issuers)?;
            }
        }
        let unused = config.bootstrap.owner_identity.as_ref().and_then(|owner| {
            let id = owner_id(&config.database.path).filter(|id| *id != owner.id)?;
            Some(format!(
                "bootstrap.owner_id is not used: the database has its owner, {}; 'netbird-auth user \
                 update ID --role owner' moves the role",
                printable(id.as_str())
            ))
        });
        let jwt::Loaded {
            set,
            warnings: skipped,
        } = IssuerSet::load(config.issuers)?;
        let file = file.as_ref().map(|file| file.display().to_string());
        let tls = config.server.tls.as_ref();
        let (certificate, mend) = tls.map(certificate::describe).transpose()?.unzip();
        let tls_file = |which: fn(&TlsFiles) -> &PathBuf| {
            tls.map_or_else(|| "off".to_owned(), |tls| which(tls).display().to_string())
        };
        let owner = config.bootstrap.owner_identity.as_ref();
        let owner = owner.map(|owner| [owner.id.to_string(), owner.issuer.to_string()]);
        let [owner_id, owner_issuer] = owner.unwrap_or_default().map(|text| or_dash(&text));
        let list = |items: Vec<String>| or_dash(&items.join(", "));
        let proxies = &config.server.trusted_proxies;
        output::print(&fields(&[
            ("file", file.unwrap_or_else(|| "none".to_owned())),
            ("server.listen", config.server.listen.to_string()),
            (
                "server.socket_mode",
                format!("{:04o}", config.server.socket_mode),
            ),
            ("server.tls_cert_file", tls_file(|files| &files.certificate)),
            ("server.tls_key_file", tls_file(|files| &files.key)),
            (
                "server.hsts_days",
                (config.server.hsts.as_secs() / DAY).to_string(),
            ),
            ("server.workers", config.server.workers.to_string()),
            (
                "server.trusted_proxies",
                list(proxies.iter().map(ToString::to_string).collect()),
            ),
            (
                "limits.header_timeout",
                config.limits.header_timeout.as_secs().to_string(),
            ),
            (
                "limits.body_timeout",
                config.limits.body_timeout.as_secs().to_string(),
            ),
            (
                "limits.write_timeout",
                config.limits.write_timeout.as_secs().to_string(),
            ),
            (
                "limits.keep_alive",
                config.limits.keep_alive.as_secs().to_string(),
            ),
            ("limits.head_bytes", config.limits.head_bytes.to_string()),
            ("limits.path_bytes", config.limits.path_bytes.to_string()),
            ("limits.query_bytes", config.limits.query_bytes.to_string()),
            ("limits.body_bytes", config.limits.body_bytes.to_string()),
            (
                "limits.failure_burst",
                config.limits.failures.burst.to_string(),
            ),
            (
                "limits.failures_per_second",
                config.limits.failures.per_second.to_string(),
            ),
            (
                "limits.connections",
                match config.limits.connections {
                    0 => "as many as files may be open".to_owned(),
                    connections => connections.to_string(),
                },
            ),
            ("database.path", config.database.path.display().to_string()),
            (
                "backup.directory",
                config
                    .backup
                    .directory
                    .as_ref()
                    .map_or_else(|| "off".to_owned(), |path| path.display().to_string()),
            ),
            ("backup.every", period(config.backup.every)),
            ("backup.keep", config.backup.keep.to_string()),
            (
                "audit.keep_days",
                config.audit.keep.map_or_else(
                    || "for ever".to_owned(),
                    |keep| (keep.as_secs() / DAY).to_string(),
                ),
            ),
            (
                "audit.max_events",
                config
                    .audit
                    .max_events
                    .map_or_else(|| "no limit".to_owned(), |limit| limit.to_string()),
            ),
            ("bootstrap.owner_name", config.bootstrap.owner_name.clone()),
            (
                "bootstrap.owner_email",
                or_dash(&config.bootstrap.owner_email),
            ),
            ("bootstrap.owner_id", owner_id),
            ("bootstrap.owner_issuer", owner_issuer),
            (
                "bootstrap.token_days",
                config.bootstrap.token_days.to_string(),
            ),
            ("bootstrap.token", token),
            ("log.level", config.log.level.to_string().to_lowercase()),
            (
                "log.format",
                match config.log.format {
                    LogFormat::Text => "text".to_owned(),
                    LogFormat::Json => "json".to_owned(),
                },
            ),
            (
                "metrics.listen",
                config
                    .metrics
                    .listen
                    .map_or_else(|| "off".to_owned(), |address| address.to_string()),
            ),
            ("cors.origins", list(config.cors.origins.clone())),
            (
                "compat.netbird_messages",
                config.compat.netbird_messages.to_string(),
            ),
        ]))?;
        if let Some(certificate) = certificate {
            output::print(&format!("\n{certificate}"))?;
        }
        output::print(&describe_forward_auth(&config.forward_auth))?;
        for issuer in set.iter() {
            output::print(&describe(issuer))?;
        }
        for warning in warnings
            .iter()
            .chain(&skipped)
            .chain(&unused)
            .chain(mend.iter().flatten())
        {
            output::tell(warning);
        }
        output::tell("the configuration is valid");
        Ok(())
    }
}

/// As it is written in the settings.
fn period(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        _ if minutes.is_multiple_of(24 * 60) => format!("{}d", minutes / (24 * 60)),
        _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

/// The settings of forward-auth, and each rule in a line.
fn describe_forward_auth(settings: &ForwardAuth) -> String {
    let unmatched = match settings.unmatched {
        Unmatched::Deny => "deny",
        Unmatched::Authenticated => "authenticated",
    };
    let api_key = settings.api_key_header.as_deref().unwrap_or_default();
    let headers = &settings.headers;
    let described = fields(&[
        ("forward_auth.default", unmatched.to_owned()),
        ("forward_auth.api_key_header", or_dash(api_key)),
        ("forward_auth.user_header", headers.user.to_string()),
        ("forward_auth.name_header", headers.name.to_string()),
        ("forward_auth.email_header", headers.email.to_string()),
        ("forward_auth.groups_header", headers.groups.to_string()),
        ("forward_auth.token_id_header", headers.token_id.to_string()),
    ]);
    if settings.rules.is_empty() {
        return format!("\n{described}");
    }
    let headings = [
        "RULE",
        "HOST",
        "PATH",
        "METHODS",
        "WHO",
        "FROM",
        "PUBLIC",
        "PREFLIGHT",
    ];
    let rules = settings.rules.iter().zip(1..);
    let rows: Vec<_> = rules.map(|(rule, number)| row(number, rule)).collect();
    format!("\n{described}\n{}", table(&headings, &rows))
}

/// What a rule leaves open is `*`.
fn row(number: u32, rule: &Rule) -> Vec<String> {
    let host = match &rule.host {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Below(host) => format!("*.{host}"),
    };
    let or_all = |items: Vec<String>| match &items[..] {
        [] => "*".to_owned(),
        items => printable(&items.join(", ")),
    };
    let yes = |is_so| if is_so { "yes" } else { "no" }.to_owned();
    vec![
        number.to_string(),
        host,
        or_all(rule.path_prefix.iter().map(ToString::to_string).collect()),
        or_all(rule.methods.iter().map(ToString::to_string).collect()),
        who(rule),
        or_all(rule.client_cidrs.iter().map(ToString::to_string).collect()),
        yes(rule.public),
        yes(rule.cors_preflight),
    ]
}

fn who(rule: &Rule) -> String {
    if rule.public {
        return "everybody".to_owned();
    }
    let roles = rule.allow_roles.iter().map(|role| format!("role {role}"));
    let users = rule.allow_users.iter().map(|id| format!("user {id}"));
    let services = rule.allow_service_users.then(|| "service users".to_owned());
    let all: Vec<_> = roles.chain(users).chain(services).collect();
    match &all[..] {
        [] => "every user".to_owned(),
        all => printable(&all.join(", ")),
    }
}

/// An issuer and its keys. A thumbprint (RFC 7638) is compared with what the issuer shows.
fn describe(issuer: &Issuer) -> String {
    let settings = &issuer.settings;
    let list = |items: &[Box<str>]| or_dash(&items.join(", "));
    let algorithms = settings.algorithms.iter().map(ToString::to_string);
    let algorithms: Vec<_> = algorithms.collect();
    let file = settings.jwks_file.as_ref();
    let file = file.map_or_else(String::new, |file| file.display().to_string());
    let role = settings.role_claim.as_ref();
    let (claim, map, max) = role.map_or_else(Default::default, |role| {
        let map = role
            .map
            .iter()
            .map(|(value, role)| format!("{value} = {role}"));
        let map: Vec<_> = map.collect();
        (role.claim.to_string(), map.join(", "), role.max.to_string())
    });
    let unknown = match settings.unknown_users {
        UnknownUsers::Reject => "reject",
        UnknownUsers::Create => "create",
        UnknownUsers::CreatePending => "create_pending",
    };
    let keys: Vec<_> = issuer
        .keys
        .iter()
        .map(|key| {
            vec![
                printable(&or_dash(key.kid.as_deref().unwrap_or_default())),
                key.algorithm.to_string(),
                key.bits.to_string(),
                or_dash(key.thumbprint.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    let described = [
        ("issuer.name", settings.name.to_string()),
        ("issuer.issuer", settings.issuer.to_string()),
        ("issuer.audiences", list(&settings.audiences)),
        ("issuer.jwks_file", or_dash(&file)),
        ("issuer.algorithms", algorithms.join(", ")),
        (
            "issuer.allow_symmetric",
            settings.allow_symmetric.to_string(),
        ),
        ("issuer.typ", list(&settings.typ)),
        (
            "issuer.leeway_seconds",
            settings.leeway.as_secs().to_string(),
        ),
        (
            "issuer.max_age_days",
            (settings.max_age.as_secs() / DAY).to_string(),
        ),
        ("issuer.user_id_claim", settings.user_id_claim.to_string()),
        ("issuer.name_claim", settings.name_claim.to_string()),
        ("issuer.email_claim", settings.email_claim.to_string()),
        ("issuer.trust_email", settings.trust_email.to_string()),
        ("issuer.unknown_users", unknown.to_owned()),
        ("issuer.role_claim", or_dash(&claim)),
        ("issuer.role_map", or_dash(&map)),
        ("issuer.max_role", or_dash(&max)),
    ];
    let described = fields(&described.map(|(name, value)| (name, printable(&value))));
    format!(
        "\n{described}\n{}",
        table(&["KID", "ALGORITHM", "BITS", "THUMBPRINT"], &keys)
    )
}

//! `[forward_auth]` and `[[forward_auth.rule]]`.

use super::ConfigError;
use super::reader::Reader;
use super::shadow::{self, Placed};
use super::table::{Kind, Table};
use super::value::{self, Fault, Given};
use crate::forward::{
    ForwardAuth, HostPattern, IdentityHeaders, PathPrefix, Rule, Rules, Unmatched,
};
use crate::user::{Role, UserId};

const SECTION: &str = "forward_auth";

/// In the order of `netbird-auth.toml`, which shows all of them.
pub(super) static RULE: Kind = Kind {
    path: "forward_auth.rule",
    keys: &[
        "host",
        "path_prefix",
        "methods",
        "allow_roles",
        "allow_users",
        "allow_service_users",
        "client_cidrs",
        "public",
        "cors_preflight",
    ],
};

/// Every key that is the name of a header.
const HEADERS: [&str; 6] = [
    "api_key_header",
    "user_header",
    "name_header",
    "email_header",
    "groups_header",
    "token_id_header",
];

/// Headers that servers, proxies and browsers act on, or that our own answers have; a name or a
/// credential in one would break, or open, something else.
#[rustfmt::skip]
const TAKEN: [&str; 29] = [
    "Accept", "Age", "Allow", "Authorization", "Cache-Control", "Connection", "Cookie", "Date", "Expect",
    "Forwarded", "Host", "Keep-Alive", "Location", "Origin", "Range", "Referer", "Retry-After", "Server",
    "Set-Cookie", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via",
    "WWW-Authenticate", "X-Real-IP", "X-Request-Id",
];
const TAKEN_PREFIXES: [&str; 7] = [
    "Accept-",
    "Access-Control-",
    "Content-",
    "If-",
    "Proxy-",
    "Sec-",
    "X-Forwarded-",
];

const LONGEST_HEADER: usize = 64;
const LONGEST_METHOD: usize = 32;

/// Reads the section and its rules.
#[rustfmt::skip]
pub(super) fn read(reader: &mut Reader<'_>) -> Result<ForwardAuth, ConfigError> {
    let ForwardAuth { unmatched, api_key_header, headers, rules: _ } = ForwardAuth::default();
    let mut settings = ForwardAuth {
        unmatched: reader.get(SECTION, "default", unmatched, read_unmatched)?,
        api_key_header: reader.get(SECTION, "api_key_header", api_key_header, api_key_header_name)?,
        headers: IdentityHeaders {
            user: reader.get(SECTION, "user_header", headers.user, header_name)?,
            name: reader.get(SECTION, "name_header", headers.name, header_name)?,
            email: reader.get(SECTION, "email_header", headers.email, header_name)?,
            groups: reader.get(SECTION, "groups_header", headers.groups, header_name)?,
            token_id: reader.get(SECTION, "token_id_header", headers.token_id, header_name)?,
        },
        rules: Rules::default(),
    };
    check_headers(reader, &settings)?;
    let tables = reader.tables(&RULE)?;
    let placed: Vec<Placed> = tables.iter().map(read_rule).collect::<Result<_, _>>()?;
    for warning in shadow::warnings(&placed) {
        reader.warn(warning);
    }
    settings.rules = placed.into_iter().map(|placed| placed.rule).collect();
    Ok(settings)
}

/// Each says something else, and a proxy that drops what a client brought along knows no letter
/// case.
fn check_headers(reader: &Reader<'_>, settings: &ForwardAuth) -> Result<(), ConfigError> {
    let IdentityHeaders {
        user,
        name,
        email,
        groups,
        token_id,
    } = &settings.headers;
    let api_key = settings.api_key_header.as_ref();
    let names = [
        api_key,
        Some(user),
        Some(name),
        Some(email),
        Some(groups),
        Some(token_id),
    ];
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (key, name) in HEADERS.into_iter().zip(names) {
        let Some(name) = name else { continue };
        let same = |(_, other): &&(&str, &str)| other.eq_ignore_ascii_case(name);
        if let Some((other, _)) = seen.iter().find(same) {
            return Err(ConfigError::new(format!(
                "{} and {} are the same header: each needs its own",
                reader.place(SECTION, other),
                reader.place(SECTION, key)
            )));
        }
        seen.push((key, name));
    }
    Ok(())
}

fn read_rule(table: &Table<'_>) -> Result<Placed, ConfigError> {
    let rule = Rule {
        host: table.required("host", host)?,
        path_prefix: table.optional("path_prefix", path_prefix)?,
        methods: table.get("methods", Vec::new(), methods)?,
        allow_roles: table.get("allow_roles", Vec::new(), roles)?,
        allow_users: table.get("allow_users", Vec::new(), users)?,
        allow_service_users: table.get("allow_service_users", false, value::boolean)?,
        client_cidrs: table.get("client_cidrs", Vec::new(), |given| {
            not_empty(value::networks(given)?)
        })?,
        public: table.get("public", false, value::boolean)?,
        cors_preflight: table.get("cors_preflight", false, value::boolean)?,
    };
    check_public(table, &rule)?;
    let place = table.place().to_owned();
    Ok(Placed { rule, place })
}

/// A rule that means to narrow whom it admits must not turn out to admit everybody.
fn check_public(table: &Table<'_>, rule: &Rule) -> Result<(), ConfigError> {
    if !rule.public {
        return Ok(());
    }
    let allows = [
        ("allow_roles", !rule.allow_roles.is_empty()),
        ("allow_users", !rule.allow_users.is_empty()),
        ("allow_service_users", rule.allow_service_users),
    ];
    if let Some((key, _)) = allows.into_iter().find(|(_, is_given)| *is_given) {
        let message = "is of no use where `public` is true, which lets everybody in";
        return Err(table.fault(key, message));
    }
    if !rule.client_cidrs.is_empty() {
        let message = "can't stand where `public` is true: it narrows who may come with a \
                       credential, and never replaces one";
        return Err(table.fault("client_cidrs", message));
    }
    Ok(())
}

fn read_unmatched(given: Given<'_>) -> Result<Unmatched, Fault> {
    match given.text()? {
        "deny" => Ok(Unmatched::Deny),
        "authenticated" => Ok(Unmatched::Authenticated),
        _ => Err("must be deny or authenticated".to_owned()),
    }
}

fn api_key_header_name(given: Given<'_>) -> Result<Option<Box<str>>, Fault> {
    match given.text()? {
        "" => Ok(None),
        text => {
            check_header(text).map_err(|fault| format!("must be empty, or {fault}"))?;
            Ok(Some(text.to_ascii_lowercase().into()))
        }
    }
}

fn header_name(given: Given<'_>) -> Result<Box<str>, Fault> {
    let text = given.text()?;
    check_header(text).map_err(|fault| format!("must be {fault}"))?;
    Ok(text.into())
}

/// RFC 9110 §5.6.2 has more characters. An underscore is a hyphen to whatever hands headers on as
/// variables (RFC 3875 §4.1.18), so a client could send one name for the other.
fn check_header(text: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=LONGEST_HEADER).contains(&text.len()) || !text.bytes().all(is_plain) {
        return Err(
            "the name of a header, 1 to 64 letters, digits and hyphens; an underscore is a hyphen \
             to many servers",
        );
    }
    let begins = |prefix: &&str| {
        let start = text.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let mut taken = TAKEN.iter();
    if TAKEN_PREFIXES.iter().any(begins) || taken.any(|taken| taken.eq_ignore_ascii_case(text)) {
        return Err(
            "a header without a meaning of its own, unlike Authorization or X-Forwarded-For",
        );
    }
    Ok(())
}

fn host(given: Given<'_>) -> Result<HostPattern, Fault> {
    HostPattern::parse(given.text()?).map_err(|fault| fault.to_string())
}

fn path_prefix(given: Given<'_>) -> Result<PathPrefix, Fault> {
    PathPrefix::parse(given.text()?).map_err(|fault| fault.to_string())
}

fn methods(given: Given<'_>) -> Result<Vec<Box<str>>, Fault> {
    let found = not_empty(value::each(given, method)?)?;
    for (index, method) in found.iter().enumerate() {
        let before = found.iter().take(index);
        if let Some((_, first)) = before.zip(1..).find(|(other, _)| *other == method) {
            return Err(format!("item {} is the same as item {first}", index + 1));
        }
    }
    Ok(found)
}

/// Methods have a letter case (RFC 9110 §9.1), and no known one has lower-case letters.
fn method(text: &str) -> Result<Box<str>, &'static str> {
    let fits = (1..=LONGEST_METHOD).contains(&text.len());
    if !fits || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("must be a method such as GET, 1 to 32 upper-case letters");
    }
    Ok(text.into())
}

fn roles(given: Given<'_>) -> Result<Vec<Role>, Fault> {
    let parse = |name: &str| {
        Role::parse(name).ok_or_else(|| {
            let names = Role::ALL.map(Role::as_str);
            format!("must be one of {}", names.join(", "))
        })
    };
    not_empty(value::each(given, parse)?)
}

fn users(given: Given<'_>) -> Result<Vec<UserId>, Fault> {
    not_empty(value::each(given, UserId::parse)?)
}

/// An empty list could be meant for nobody or for everybody.
fn not_empty<T>(list: Vec<T>) -> Result<Vec<T>, Fault> {
    if list.is_empty() {
        return Err(format!("{}: leave the key out instead", value::EMPTY));
    }
    Ok(list)
}

//! `jwt inspect`.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::database::open;
use super::failure::Failure;
use super::output;
use crate::change::Login;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::jwt::{self, Inspection, IssuerSet, UnknownUsers, Verified};
use crate::policy;
use crate::store::{self, Presence};
use crate::user::{Role, User};

/// More than any JWT that passes; what is longer is the wrong file.
const LONGEST: u64 = 64 * 1024;

#[derive(Subcommand)]
pub(super) enum JwtCommand {
    /// Say, check by check, why a JWT would pass or not; exit code 4 where not
    Inspect {
        /// File with the token; standard input without it
        file: Option<PathBuf>,
    },
}

impl JwtCommand {
    pub(super) fn run(self, config: Config) -> Result<(), Failure> {
        let Self::Inspect { file } = self;
        let text = read(file.as_deref())?;
        let token = bare(&text);
        if token.is_empty() {
            let message = "there is no JWT: put it into a file, or pipe it in";
            return Err(Failure::Usage(message.to_owned()));
        }
        if is_access_token(token) {
            let message = "this is a token, not a JWT: it passes by itself, also without an issuer";
            return Err(Failure::Usage(message.to_owned()));
        }
        let set = IssuerSet::load(config.issuers)?.set;
        let now = Timestamp::now();
        let inspection = jwt::inspect(&set, token, now);
        output::print(&report(&inspection, &set, now))?;
        let no_address = inspection.no_address();
        match inspection.result {
            Ok(verified) => user(verified, no_address, &config.database.path),
            Err(fault) => Err(Failure::Denied(format!("it would not pass: {fault}"))),
        }
    }
}

/// The token by itself, also where it was copied together with its scheme.
fn bare(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    match text.split_at_checked(6) {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case(b"Bearer")
                && token.first().is_none_or(u8::is_ascii_whitespace) =>
        {
            token.trim_ascii()
        }
        _ => text,
    }
}

/// Whether it is one of this program's own tokens, which is never shown.
fn is_access_token(text: &[u8]) -> bool {
    let token = match text.split_at_checked(5) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Token") => token.trim_ascii(),
        _ => text,
    };
    token.starts_with(b"nbp_")
}

fn read(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    let Some(path) = file else {
        if io::stdin().is_terminal() {
            output::tell("paste the JWT, then Enter and Ctrl-D");
        }
        io::stdin().take(LONGEST).read_to_end(&mut text)?;
        return Ok(text);
    };
    let name = path.as_os_str().as_encoded_bytes();
    if !path.exists() && name.windows(3).any(|part| part == b"eyJ") {
        let message = "a JWT is never taken from an argument, where other users of the machine \
                       can read it: put it into a file, or pipe it in";
        return Err(Failure::Usage(message.to_owned()));
    }
    File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut text))
        // Without its name, which may be a token that was pasted by mistake.
        .map_err(|error| Failure::Failed(format!("the file can't be read: {error}")))?;
    Ok(text)
}

fn report(inspection: &Inspection, set: &IssuerSet, now: Timestamp) -> String {
    let object = |object: &Option<Map<String, Value>>| match object {
        Some(object) => printable(&Value::Object(object.clone()).to_string()),
        None => "can't be read".to_owned(),
    };
    let mut text = output::fields(&[
        ("header", object(&inspection.header)),
        ("payload", object(&inspection.payload)),
    ]);
    text.push('\n');
    for (check, outcome) in inspection.checks() {
        let what = check.text();
        text.push_str(&match outcome {
            Some(Ok(())) => format!("ok    {what}\n"),
            Some(Err(fault)) => format!("no    {what}: {fault}\n"),
            None => format!("-     {what}\n"),
        });
        if let Some(Err(_)) = outcome
            && let Some(hint) = inspection.hint(set, now)
        {
            text.push_str(&format!("      {}\n", printable(&hint)));
        }
    }
    if let Some(role) = inspection.role() {
        text.push_str(&printable(&format!("role     {role}")));
        text.push('\n');
    }
    text
}

/// Whether the one whom a good JWT is for may pass.
fn user(verified: Verified, no_address: Option<String>, database: &Path) -> Result<(), Failure> {
    let login = Login(verified.into());
    let id = printable(login.0.user_id.as_str());
    if store::inspect(database)? == Presence::Absent {
        let path = database.display();
        output::tell(&format!(
            "every check passes; {path} is not there, so user {id} was not looked up"
        ));
        return Ok(());
    }
    let denied = |reason: &str| Err(Failure::Denied(format!("it would not pass: {reason}")));
    match store::user_by_id(&open(database)?, login.0.user_id.as_str())? {
        Some(user) if !login.is_of(&user) => denied(&format!(
            "unknown user: {id} is {}, not a user of issuer {}",
            whose(&user),
            login.0.issuer.settings.name
        )),
        Some(user) => match policy::admit(&user) {
            Err(reason) => denied(&format!("{reason} ({id})")),
            Ok(()) => {
                output::tell(&format!("it would pass, as {id} {}", role(&login, &user)));
                Ok(())
            }
        },
        None if login.creates() => {
            output::tell(&format!("it would pass, {}", made(&login, no_address)));
            Ok(())
        }
        None => denied(&format!("unknown user: {id}; {}", remedy(&login))),
    }
}

fn whose(user: &User) -> String {
    match &*user.issuer {
        _ if user.is_service => "a service user".to_owned(),
        "" => "a user of no issuer".to_owned(),
        issuer => format!("a user of issuer {}", printable(issuer)),
    }
}

/// The role with which a user would pass, and why not the one that the JWT has.
fn role(login: &Login, user: &User) -> String {
    let own = login.0.role.filter(|own| *own != user.role);
    match (login.role_for(user), own) {
        (Some(role), _) => format!("with the role {role}"),
        (None, Some(_)) if user.role == Role::Owner => {
            "with the role owner, which no JWT takes away".to_owned()
        }
        (None, Some(own)) => {
            let given = user.role_issued_at.map(|moment| format!(" at {moment}"));
            format!(
                "with the role {}, which was given later{} and holds against {own} of this JWT",
                user.role,
                given.unwrap_or_default()
            )
        }
        (None, None) => format!("with the role {}", user.role),
    }
}

/// The user whom the first login makes.
fn made(login: &Login, no_address: Option<String>) -> String {
    let Verified {
        user_id,
        name,
        email,
        role,
        issuer,
        ..
    } = &*login.0;
    let address = match no_address {
        Some(reason) => format!("without an address: {reason}"),
        None => email.as_str().to_owned(),
    };
    let then = match issuer.settings.unknown_users {
        UnknownUsers::CreatePending => ", who waits for an approval",
        UnknownUsers::Create | UnknownUsers::Reject => "",
    };
    let role = role.unwrap_or(Role::User);
    printable(&format!(
        "and make the user {user_id} ({}, {address}) with the role {role}{then}",
        name.as_str()
    ))
}

/// What makes somebody a user who is none.
fn remedy(login: &Login) -> String {
    let Verified {
        user_id,
        email,
        issuer,
        ..
    } = &*login.0;
    format!(
        "'netbird-auth user create --id {} --issuer {} --name NAME --email {}' makes one, or every \
         login does with unknown_users = \"create\"",
        word(user_id.as_str(), "ID"),
        word(&issuer.settings.name, "ISSUER"),
        word(email.as_str(), "EMAIL")
    )
}

/// A text as it may be typed into any shell, else a placeholder: it is a stranger's text.
fn word<'t>(text: &'t str, placeholder: &'t str) -> &'t str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@:+".contains(&byte);
    match text.bytes().all(is_plain) && !text.is_empty() && !text.starts_with('-') {
        true => text,
        false => placeholder,
    }
}

/// Without characters that a terminal would act upon: controls, and those that turn the direction
/// of the text around them (Unicode's Bidi_Control), so that it looks like another.
pub(super) fn printable(text: &str) -> String {
    let acts = |character: char| {
        character.is_control()
            || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let escape = |character: char| match acts(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

//! `token …`.

use std::path::Path;

use clap::{Args, Subcommand};
use rusqlite::Connection;

use super::database::{change, find_user, open, user_id};
use super::failure::Failure;
use super::output::{self, fields, table};
use crate::change::{self, Actor, NewTokenRequest};
use crate::clock::Timestamp;
use crate::store::{self, StoreError, Token};
use crate::token::{Lifetime, PlainToken};
use crate::user::{Name, User};
use crate::view::TokenView;
use crate::xid::Xid;

const PAGE: u32 = 1000;

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Show the tokens of all users, or of one
    List(List),
    /// Make a token; prints it, this once
    Create(Create),
    /// Print a token that is in no database, for [bootstrap] token_file
    Generate,
    /// Show one token's record
    Show(One),
    /// Revoke a token
    Revoke(One),
}

#[derive(Args)]
pub(super) struct List {
    /// Only this user's
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Create {
    /// Whose it is to be
    #[arg(long, value_name = "ID")]
    user: String,
    /// What to call it
    #[arg(long, default_value = "command line")]
    name: String,
    /// How long it is good: 1d to 365d
    #[arg(long, default_value = "30d", value_name = "DAYS", value_parser = lifetime)]
    expires_in: Lifetime,
    /// JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct One {
    /// The token's id (not the token)
    id: String,
    /// JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl TokenCommand {
    pub(super) fn run(self, path: &Path) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(path),
            Self::Create(create) => create.run(path),
            Self::Generate => {
                let plain = PlainToken::generate().map_err(StoreError::from)?;
                output::print(&format!("{}\n", plain.expose()))
            }
            Self::Show(one) => {
                let (user, token) = find(&open(path)?, &one.id)?;
                show(&user, &token, one.json)
            }
            Self::Revoke(one) => {
                let (user, token) = find(&open(path)?, &one.id)?;
                change(path, |database, now| {
                    change::revoke_token(database, now, Actor::System, &user.id, token.id)
                })?;
                output::tell(&format!("revoked token {} of user {}", token.id, user.id));
                match one.json {
                    true => output::print("{}\n"),
                    false => Ok(()),
                }
            }
        }
    }
}

impl List {
    fn run(self, path: &Path) -> Result<(), Failure> {
        let connection = open(path)?;
        let users = match &self.user {
            Some(id) => vec![find_user(&connection, id)?],
            None => {
                let mut users = Vec::new();
                store::load_users(&connection, |user| users.push(user))?;
                users
            }
        };
        let mut tokens = Vec::new();
        for user in &users {
            let mut after = None;
            loop {
                let page = store::tokens_of_user(&connection, user.number, after, PAGE)?;
                after = page.last().map(|token| token.number);
                let is_last = page.len() < PAGE as usize;
                tokens.extend(page.into_iter().map(|token| (user, token)));
                if is_last {
                    break;
                }
            }
        }
        if self.json {
            let views: Vec<_> = tokens
                .iter()
                .map(|(user, token)| owned(user, token))
                .collect();
            return output::print_json(&views);
        }
        let rows: Vec<_> = tokens
            .iter()
            .map(|(user, token)| {
                vec![
                    token.id.to_string(),
                    user.id.to_string(),
                    token.name.to_string(),
                    token.expires_at.to_string(),
                    last_used(token),
                ]
            })
            .collect();
        output::print(&table(
            &["ID", "USER", "NAME", "EXPIRES", "LAST USED"],
            &rows,
        ))
    }
}

impl Create {
    fn run(self, path: &Path) -> Result<(), Failure> {
        let id = user_id(&self.user)?;
        let name = Name::parse_non_empty(&self.name)
            .map_err(|fault| Failure::Usage(format!("--name {fault}")))?;
        let plain = PlainToken::generate().map_err(StoreError::from)?;
        let request = NewTokenRequest {
            hash: plain.hash(),
            name,
            lifetime: self.expires_in,
        };
        let token = change(path, |database, now| {
            change::create_token(database, now, Actor::System, &id, request)
        })
        .map_err(|failure| match failure {
            Failure::NotFound(_) => Failure::user_not_found(&self.user),
            other => other,
        })?;
        if self.json {
            return output::print_json(&serde_json::json!({
                "plain_token": plain.expose(),
                "personal_access_token": TokenView::new(&token, None),
            }));
        }
        output::tell(&format!(
            "made token {} for user {id}; it is shown this once, and expires at {}",
            token.id, token.expires_at
        ));
        output::print(&format!("{}\n", plain.expose()))
    }
}

fn find(connection: &Connection, id: &str) -> Result<(User, Token), Failure> {
    let not_found = || Failure::token_not_found(id);
    let id = match Xid::parse(id) {
        Some(id) => id,
        // The text is not repeated: it may be a token, pasted by mistake.
        None => {
            let hint = "token not found: an id has 20 characters of 0-9a-v; \
                        'netbird-auth token list' shows all";
            return Err(Failure::NotFound(hint.to_owned()));
        }
    };
    let number = store::token_id_owner(connection, id)?.ok_or_else(not_found)?;
    let user = store::user_by_number(connection, number)?.ok_or_else(not_found)?;
    let token = store::token_by_id(connection, number, id)?.ok_or_else(not_found)?;
    Ok((user, token))
}

fn show(user: &User, token: &Token, json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(&owned(user, token));
    }
    let is_expired = token.expires_at <= Timestamp::now();
    output::print(&fields(&[
        ("id", token.id.to_string()),
        ("user", user.id.to_string()),
        ("name", token.name.to_string()),
        ("created", token.created_at.to_string()),
        ("created by", token.created_by.to_string()),
        (
            if is_expired { "expired" } else { "expires" },
            token.expires_at.to_string(),
        ),
        ("last used", last_used(token)),
    ]))
}

#[derive(serde::Serialize)]
struct Owned<'a> {
    user_id: &'a str,
    #[serde(flatten)]
    token: TokenView<'a>,
}

fn owned<'a>(user: &'a User, token: &'a Token) -> Owned<'a> {
    Owned {
        user_id: user.id.as_str(),
        token: TokenView::new(token, token.last_used),
    }
}

fn last_used(token: &Token) -> String {
    token
        .last_used
        .map_or_else(|| "never".to_owned(), |time| time.to_string())
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok();
    days.and_then(Lifetime::days)
        .ok_or_else(|| "a number of days from 1d to 365d".to_owned())
}

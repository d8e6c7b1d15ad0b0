//! `user …`.

use std::path::Path;

use clap::{Args, Subcommand};

use super::database::{change, find_user, open, user_id};
use super::failure::Failure;
use super::output::{self, fields, or_dash, table};
use crate::change::{self, Actor, NewUserRequest, UserUpdate};
use crate::config::Config;
use crate::jwt::IssuerSettings;
use crate::store;
use crate::user::{Name, Role, TextFault, User, UserId, parse_groups};
use crate::view::UserView;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Show all users
    List(Format),
    /// Make a user; prints the new id
    Create(Create),
    /// Show one user
    Show(One),
    /// Change role or groups; what is not named stays. --role owner moves the ownership
    Update(Update),
    /// Refuse everything to a user from now on
    Block(One),
    /// Let a blocked user pass again
    Unblock(One),
    /// Delete a user and their tokens
    Delete(One),
}

#[derive(Args)]
pub(super) struct Format {
    /// JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct One {
    /// The user's id
    id: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub(super) struct Create {
    /// Display name
    #[arg(long)]
    name: String,
    /// E-mail address; a human needs one, a service user has none
    #[arg(long, conflicts_with = "service")]
    email: Option<String>,
    /// admin, network_admin, auditor, user or billing_admin
    #[arg(long, default_value = "user", value_parser = role)]
    role: Role,
    /// A service user: a machine
    #[arg(long)]
    service: bool,
    /// The id, such as the user-id claim of their JWTs [default: a UUID]
    #[arg(long)]
    id: Option<String>,
    /// Configured issuer whose JWTs are this user [default: the first one]
    #[arg(long, value_name = "NAME", conflicts_with = "service")]
    issuer: Option<String>,
    /// Group ids, separated by commas
    #[arg(long, value_delimiter = ',')]
    groups: Vec<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
#[group(id = "changes", required = true, multiple = true, args = ["role", "groups"])]
pub(super) struct Update {
    /// The user's id
    id: String,
    /// The new role: owner, admin, network_admin, auditor, user or billing_admin
    #[arg(long, value_parser = role)]
    role: Option<Role>,
    /// The new group ids, all of them, separated by commas; "" is none
    #[arg(long, value_delimiter = ',')]
    groups: Option<Vec<String>>,
    #[command(flatten)]
    format: Format,
}

impl UserCommand {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let path = &config.database.path;
        match self {
            Self::List(format) => list(path, &format),
            Self::Create(create) => create.run(config),
            Self::Show(one) => show(&find_user(&open(path)?, &one.id)?, &one.format),
            Self::Update(update) => {
                let groups = update.groups.map(groups).transpose()?;
                put(path, &update.id, &update.format, |user| UserUpdate {
                    role: update.role.unwrap_or(user.role),
                    auto_groups: groups.unwrap_or(user.auto_groups),
                    is_blocked: user.is_blocked,
                })
            }
            Self::Block(one) => block(path, &one, true),
            Self::Unblock(one) => block(path, &one, false),
            Self::Delete(one) => {
                let id = user_id(&one.id)?;
                change(path, |database, now| {
                    change::delete_user(database, now, Actor::System, &id)
                })
                .map_err(|failure| named(failure, &one.id))?;
                output::tell(&format!("deleted user {id} and their tokens"));
                match one.format.json {
                    true => output::print("{}\n"),
                    false => Ok(()),
                }
            }
        }
    }
}

impl Create {
    fn run(self, config: &Config) -> Result<(), Failure> {
        if self.role == Role::Owner {
            let message = "a new user can't be owner: make the user first, then \
                           'netbird-auth user update ID --role owner'";
            return Err(Failure::Denied(message.to_owned()));
        }
        let wrong =
            |flag: &'static str| move |fault: TextFault| Failure::Usage(format!("{flag} {fault}"));
        let (name, email) = match &self.email {
            Some(email) => (
                Name::parse_non_empty(&self.name).map_err(wrong("--name"))?,
                Name::parse_email(email).map_err(wrong("--email"))?,
            ),
            None if !self.service => {
                let message = "--email is missing (or --service, for a machine)";
                return Err(Failure::Usage(message.to_owned()));
            }
            None => (
                Name::parse(&self.name).map_err(wrong("--name"))?,
                Name::empty(),
            ),
        };
        let request = NewUserRequest {
            issuer: self.issuer(&config.issuers)?,
            id: self
                .id
                .as_deref()
                .map(UserId::parse_new)
                .transpose()
                .map_err(|fault| Failure::Usage(format!("--id {fault}")))?,
            role: self.role,
            auto_groups: groups(self.groups)?,
            is_service: self.service,
            name,
            email,
        };
        let user = change(&config.database.path, |database, now| {
            change::create_user(database, now, Actor::System, request)
        })?;
        if self.format.json {
            return show(&user, &self.format);
        }
        let login = match &*user.issuer {
            "" => String::new(),
            issuer => format!(" they log in with a JWT of {issuer};"),
        };
        output::tell(&format!(
            "made the user;{login} 'netbird-auth token create --user {}' makes a token",
            user.id
        ));
        output::print(&format!("{}\n", user.id))
    }

    fn issuer(&self, known: &[IssuerSettings]) -> Result<Box<str>, Failure> {
        let names: Vec<_> = known.iter().map(|issuer| &*issuer.name).collect();
        let mut known = known.iter().map(|issuer| &issuer.name);
        let found = match &self.issuer {
            _ if self.service => None,
            None => known.next(),
            Some(name) => {
                let found = known.find(|known| ***known == **name);
                Some(found.ok_or_else(|| Failure::Usage(unknown_issuer(&names)))?)
            }
        };
        Ok(found.cloned().unwrap_or_default())
    }
}

fn unknown_issuer(names: &[&str]) -> String {
    match names.is_empty() {
        true => "--issuer: no issuer is configured; see [[issuer]] in netbird-auth.toml".to_owned(),
        false => format!(
            "--issuer is not a configured issuer; there are {}",
            names.join(", ")
        ),
    }
}

fn list(path: &Path, format: &Format) -> Result<(), Failure> {
    let connection = open(path)?;
    let mut users: Vec<User> = Vec::new();
    store::load_users(&connection, |user| users.push(user))?;
    if format.json {
        let views: Vec<_> = users
            .iter()
            .map(|user| UserView::new(user, false))
            .collect();
        return output::print_json(&views);
    }
    // Where nobody has an issuer, the column would be noise.
    let has_issuers = users.iter().any(|user| !user.issuer.is_empty());
    let mut headings = vec!["ID", "NAME", "EMAIL", "ROLE", "STATUS", "KIND"];
    headings.extend(has_issuers.then_some("ISSUER"));
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            let mut row = vec![
                user.id.to_string(),
                or_dash(user.name.as_str()),
                or_dash(user.email.as_str()),
                user.role.to_string(),
                status(user).to_owned(),
                kind(user).to_owned(),
            ];
            row.extend(has_issuers.then(|| or_dash(&user.issuer)));
            row
        })
        .collect();
    output::print(&table(&headings, &rows))
}

fn show(user: &User, format: &Format) -> Result<(), Failure> {
    if format.json {
        return output::print_json(&UserView::new(user, false));
    }
    output::print(&fields(&[
        ("id", user.id.to_string()),
        ("name", or_dash(user.name.as_str())),
        ("email", or_dash(user.email.as_str())),
        ("role", user.role.to_string()),
        ("status", status(user).to_owned()),
        ("kind", kind(user).to_owned()),
        ("groups", or_dash(&user.auto_groups.join(", "))),
        ("issuer", or_dash(&user.issuer)),
    ]))
}

fn block(path: &Path, one: &One, is_blocked: bool) -> Result<(), Failure> {
    put(path, &one.id, &one.format, |user| UserUpdate {
        role: user.role,
        auto_groups: user.auto_groups,
        is_blocked,
    })
}

/// Changes a user from what it is, in one transaction.
fn put(
    path: &Path,
    id: &str,
    format: &Format,
    update: impl FnOnce(User) -> UserUpdate,
) -> Result<(), Failure> {
    let id = user_id(id)?;
    let user = change(path, |database, now| {
        let before = store::user_by_id(database, id.as_str())?
            .ok_or(change::Refused::NotFound(change::Missing::User))?;
        change::update_user(database, now, Actor::System, &id, update(before))
    })
    .map_err(|failure| named(failure, id.as_str()))?;
    show(&user, format)
}

/// The failure with the id in it.
fn named(failure: Failure, id: &str) -> Failure {
    match failure {
        Failure::NotFound(_) => Failure::user_not_found(id),
        other => other,
    }
}

fn groups(groups: Vec<String>) -> Result<Box<[Box<str>]>, Failure> {
    let groups = groups.iter().map(String::as_str);
    parse_groups(groups.filter(|group| !group.is_empty()))
        .map_err(|fault| Failure::Usage(format!("--groups {fault}")))
}

fn role(text: &str) -> Result<Role, String> {
    let known = || format!("one of {}", Role::ALL.map(Role::as_str).join(", "));
    Role::parse(text).ok_or_else(known)
}

const fn status(user: &User) -> &'static str {
    if user.is_pending {
        "pending"
    } else {
        user.status()
    }
}

const fn kind(user: &User) -> &'static str {
    if user.is_service { "service" } else { "human" }
}

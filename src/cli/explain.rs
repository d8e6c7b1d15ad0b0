//! `explain`: what `/auth/verify` would say of a request, rule by rule, without a server.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::database::open;
use super::failure::Failure;
use super::jwt::printable;
use super::output::{self, fields, or_dash};
use crate::auth::{Known, Presented, know};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::error::ApiError;
use crate::file::read_regular;
use crate::forward::{self, Fit, Original, OriginalFault, Plan, Unmatched};
use crate::index::Index;
use crate::issuers::Issuers;
use crate::jwt::IssuerSet;
use crate::token::TokenHash;
use crate::user::User;

/// More than any token has.
const LONGEST: usize = 64 * 1024;

#[derive(Args)]
pub(super) struct Explain {
    /// What is asked for, such as https://grafana.home.arpa/api/x
    #[arg(long)]
    url: String,
    /// The method
    #[arg(long, default_value = "GET")]
    method: String,
    /// File with the token or JWT that comes with it; without one, nothing comes with it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Address of the client
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    client: IpAddr,
    /// It is a CORS preflight: it has Origin and Access-Control-Request-Method
    #[arg(long)]
    preflight: bool,
}

impl Explain {
    pub(super) fn run(self, config: Config) -> Result<(), Failure> {
        let original = self.original()?;
        let settings = &config.forward_auth;
        let path = match &original.path {
            Some(path) => printable(path),
            None => {
                "unclear: it matches no rule with a path, and has to satisfy each that it may mean"
                    .to_owned()
            }
        };
        output::print(&fields(&[
            ("method", original.method.to_string()),
            ("host", original.host.to_string()),
            ("path", path),
            ("client", self.client.to_canonical().to_string()),
        ]))?;
        for (fit, number) in forward::fits(settings, &original).into_iter().zip(1..) {
            let what = match fit {
                Fit::OtherHost => "is for another host",
                Fit::OtherMethod => "is for other methods",
                Fit::OtherPath => "is for another path",
                Fit::UnclearPath => "is for a path that may be meant: it opens nothing",
                Fit::Matches => "matches",
            };
            output::print(&format!("rule {number} {what}\n"))?;
        }
        let client = Some(self.client.to_canonical());
        let plan = forward::plan(settings, &original, client);
        match &plan {
            Plan::Open => {
                output::print("200: it passes without a credential\n")?;
                return Ok(());
            }
            Plan::Rules(_) => {}
            Plan::Unmatched(_, default) => output::print(match default {
                Unmatched::Deny => "no rule matches; the default is deny\n",
                Unmatched::Authenticated => "no rule matches; the default is authenticated\n",
            })?,
        }
        for (number, _) in plan.needed() {
            output::print(&format!("a user must satisfy rule {number}\n"))?;
        }
        let Some(file) = &self.token_file else {
            return refused(401, "missing credentials");
        };
        let user = match user(&config, file)? {
            Ok(user) => user,
            Err(error) => return refused(error.status().as_u16(), &error.to_string()),
        };
        output::print(&fields(&[
            ("user", printable(user.id.as_str())),
            ("role", user.role.to_string()),
            ("groups", or_dash(&printable(&user.auto_groups.join(", ")))),
        ]))?;
        match plan.admit(&user, client, &original) {
            Ok(()) => output::print("200: it passes\n"),
            Err(denial) => refused(403, &denial.to_string()),
        }
    }

    fn original(&self) -> Result<Original, Failure> {
        let wrong =
            || Failure::Usage("--url must be such as https://grafana.home.arpa/api/x".to_owned());
        let (proto, rest) = self.url.split_once("://").ok_or_else(wrong)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, uri) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let uri = match uri.starts_with('/') {
            true => uri.to_owned(),
            false => format!("/{uri}"),
        };
        let original = Original::parse(
            self.method.as_bytes(),
            proto.as_bytes(),
            host.as_bytes(),
            uri.as_bytes(),
            self.preflight,
        );
        original.map_err(|fault| match fault {
            OriginalFault::Malformed("X-Forwarded-Method") => {
                Failure::Usage("--method must be in upper-case letters, such as GET".to_owned())
            }
            _ => wrong(),
        })
    }
}

/// Whose credential a file holds, by the database, the keys and nothing else.
fn user(config: &Config, file: &Path) -> Result<Result<User, ApiError>, Failure> {
    let text = read_regular(file, LONGEST)
        // Without the name: it may be a token, pasted by mistake.
        .map_err(|fault| Failure::Failed(format!("the file of --token-file {fault}")))?;
    let text = text.trim_ascii();
    let shown = match text.starts_with(b"eyJ") {
        true => Presented::Jwt(text.into()),
        false => match TokenHash::of_presented(text) {
            Ok(hash) => Presented::Token(hash),
            Err(fault) => return Ok(Err(crate::error::AuthFault::from(fault).into())),
        },
    };
    let index = Index::load(&open(&config.database.path)?)?;
    let issuers = Issuers::new(IssuerSet::load(config.issuers.clone())?.set);
    Ok(match know(&shown, &index, &issuers, Timestamp::now()) {
        Ok(Known::Passes(caller)) => Ok(User::clone(&caller.user)),
        Ok(Known::LogsIn(login)) => {
            let known = index.user_by_id(&login.0.user_id);
            let Some(known) = known else {
                let message = "the JWT is good, and its user would be made: they are judged then";
                return Err(Failure::Denied(message.to_owned()));
            };
            let role = login.role_for(&known).unwrap_or(known.role);
            Ok(User {
                role,
                ..User::clone(&known)
            })
        }
        Err(error) => Err(error),
    })
}

fn refused(status: u16, reason: &str) -> Result<(), Failure> {
    Err(Failure::Denied(format!(
        "{status}: it does not pass: {reason}"
    )))
}

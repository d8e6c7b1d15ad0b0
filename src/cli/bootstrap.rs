//! `bootstrap`: the database, its owner and the owner's token, without a server.

use std::path::{Path, PathBuf};

use clap::Args;

use super::database;
use super::failure::Failure;
use super::output;
use crate::clock::Timestamp;
use crate::config::{self, Config, TokenSource};
use crate::first_start::Owner;
use crate::jwt::IssuerSettings;
use crate::store::{self, Presence, ServerLock, StoreError};
use crate::token::{Lifetime, PlainToken};
use crate::user::{Name, User};

#[derive(Args)]
pub(super) struct Bootstrap {
    /// Write the token to this new file (0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Bootstrap {
    pub(super) fn run(self, config: Config) -> Result<(), Failure> {
        let path = config.database.path;
        let owner = owner(config.bootstrap, &config.issuers)?;
        let out = self.out.as_deref();
        let now = Timestamp::now();
        let user = match store::inspect(&path)? {
            Presence::Absent => {
                let _lock = ServerLock::acquire(&path)?;
                // Somebody else may have made it before the lock was ours.
                match store::inspect(&path)? {
                    Presence::Absent => owner.create_database(&path, now, out)?,
                    Presence::Ours => into_existing(&path, &owner, now, out)?,
                }
            }
            Presence::Ours => into_existing(&path, &owner, now, out)?,
        };
        output::tell(&format!(
            "made the owner {} in {}; the token expires at {}",
            user.id,
            path.display(),
            owner.lifetime.end(now)
        ));
        match out {
            Some(out) => output::tell(&format!("the token is in {}", out.display())),
            None => output::print(&format!("{}\n", owner.token.expose()))?,
        }
        Ok(())
    }
}

/// A database without an owner: one that `serve --no-bootstrap` made.
fn into_existing(
    path: &Path,
    owner: &Owner,
    now: Timestamp,
    out: Option<&Path>,
) -> Result<User, Failure> {
    let mut written = None;
    let made = database::commit(path, |transaction| {
        let user = owner.create(transaction, now, out)?;
        written = out;
        Ok(user)
    });
    if let (Err(_), Some(written)) = (&made, written) {
        // Without its owner the token in it is of no use; where nobody can look, it may be of use.
        if let Ok(false) = database::has_owner(path) {
            let _ = std::fs::remove_file(written);
        }
    }
    made
}

/// The owner that the configuration describes, with the configured token or a new one.
pub(super) fn owner(
    config: config::Bootstrap,
    issuers: &[IssuerSettings],
) -> Result<Owner, Failure> {
    let invalid = |key: &str| Failure::Usage(format!("`bootstrap.{key}` is not valid"));
    let token = match config.token.map(TokenSource::read).transpose()? {
        Some(token) => token,
        None => PlainToken::generate().map_err(StoreError::from)?,
    };
    if let Some(owner) = &config.owner_identity {
        owner.check(issuers)?;
    }
    let identity = config.owner_identity.map(|owner| (owner.id, owner.issuer));
    Ok(Owner {
        identity,
        name: Name::parse_non_empty(&config.owner_name).map_err(|_| invalid("owner_name"))?,
        email: Name::parse(&config.owner_email).map_err(|_| invalid("owner_email"))?,
        token,
        lifetime: Lifetime::days(config.token_days.into()).ok_or_else(|| invalid("token_days"))?,
    })
}

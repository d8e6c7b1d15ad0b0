//! `restore`: a backup becomes the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::failure::Failure;
use super::output;
use super::progress::Shown;
use crate::backup::{self, Digest};
use crate::clock::Timestamp;
use crate::store::Work;

#[derive(Args)]
pub(super) struct Restore {
    /// The backup; FILE.blake3 beside it must be its digest
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take a file that has no digest: nothing then tells whether it is what it was
    #[arg(long)]
    without_digest: bool,
}

impl Restore {
    pub(super) fn run(self, database: &Path) -> Result<(), Failure> {
        let digest = match self.without_digest {
            true => Digest::Ignored,
            false => Digest::Required,
        };
        let work = Arc::<Work>::default();
        let shown = Shown::start(&work)?;
        let restored = backup::restore(&self.file, database, digest, Timestamp::now(), &work);
        drop(shown);
        let restored = restored?;
        output::tell(&format!(
            "restored {} from {} (users: {}, tokens: {})",
            database.display(),
            self.file.display(),
            restored.contents.users,
            restored.contents.tokens
        ));
        if let Some(former) = restored.former {
            output::tell(&format!("the former database is now {}", former.display()));
        }
        output::tell(
            "what was revoked, blocked or deleted since the backup is good again: revoke it anew",
        );
        Ok(())
    }
}

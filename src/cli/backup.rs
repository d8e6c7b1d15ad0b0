//! `backup`: the database as one file, at any time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::database;
use super::failure::Failure;
use super::output;
use super::progress::Shown;
use crate::backup;
use crate::store::Work;

#[derive(Args)]
pub(super) struct Backup {
    /// The new file; FILE.blake3 beside it gets its digest
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(super) fn run(self, database: &Path) -> Result<(), Failure> {
        let source = database::open_to_read(database)?;
        let work = Arc::<Work>::default();
        let shown = Shown::start(&work)?;
        let made = backup::make(&source, &self.file, &work);
        drop(shown);
        let contents = made?;
        output::tell(&format!(
            "wrote {} (users: {}, tokens: {}); 'netbird-auth restore' brings it back",
            self.file.display(),
            contents.users,
            contents.tokens
        ));
        Ok(())
    }
}

//! A first start that writes the owner's token into a file: whatever a power cut leaves, somebody can
//! read a token that works.

use std::path::Path;

use crate::check;
use crate::disk::Base;
use crate::program::{Program, Settings};
use crate::recording::{Promise, Recording};
use crate::shim::Shim;
use crate::trace;
use crate::trail::Trail;

/// The token of a first start, and what was told of it.
pub struct TokenFile {
    plain: String,
    /// The server was ready, and the file is there.
    pub ready: u64,
    /// The token was about to be used: from here on the file may go.
    used: u64,
}

impl TokenFile {
    /// Records a first start, the first use of the token and a stop.
    pub fn record(shim: &Shim, folder: &Path, settings: &Settings) -> Result<Recording, String> {
        let disk = folder.join("disk");
        let path = folder.join("trace");
        let made = std::fs::create_dir_all(&disk);
        made.map_err(|error| format!("{}: {error}", disk.display()))?;
        let base = Base::of(&disk);
        let bare = Settings {
            token: None,
            ..settings.clone()
        };
        let mut traced = bare.on(&disk);
        for (name, value) in shim.environment(&disk, Some(&path), None) {
            traced = traced.with(name, value);
        }
        let position = || std::fs::metadata(&path).map_or(0, |trace| trace.len());
        let program = traced.start()?;
        let (ready, plain) = (position(), read(&disk)?);
        let used = position();
        check::server(&program.client(&plain), &[])?;
        program.stop()?;
        Ok(Recording {
            title: folder.display().to_string(),
            base,
            records: trace::read(&path),
            settings: bare,
            promise: Promise::TokenFile(Self { plain, ready, used }),
        })
    }

    /// The program was started on a state of the disk at a position.
    pub fn check(&self, program: &Program, position: u64) -> Result<(), String> {
        let folder = &program.settings.folder;
        // Nothing need have been written in between: then it is one position.
        if (self.ready..=self.used).contains(&position) && read(folder)? != self.plain {
            return Err("the file has another token than before the power cut".to_owned());
        }
        let plain = match position < self.ready {
            true => read(folder)?,
            false => self.plain.clone(),
        };
        check::server(&program.client(&plain), &[])?;
        let database = program.settings.database();
        check::file(&database, &[], &mut Trail::default()).map(drop)
    }
}

fn read(folder: &Path) -> Result<String, String> {
    let path = folder.join("owner-token");
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

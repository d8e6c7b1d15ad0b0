//! Files beside the database, and files that must not be read by others.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Writes a file that must not exist, readable for this user only, and syncs it and its folder.
///
/// # Errors
/// What the disk says; [`StoreError::Exists`] when the file is there.
pub fn write_new_private_file(path: &Path, parts: &[&[u8]]) -> Result<(), StoreError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()
        });
    let written = match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(StoreError::Exists(path.to_owned()));
        }
        written => written.map_err(io(path)),
    };
    written
        .and_then(|()| sync_directory(path))
        .inspect_err(|_| {
            // Half a file is of no use to anybody, and would be in the way next time.
            let _ = fs::remove_file(path);
        })
}

/// Syncs the folder of a file, so that its name survives a power cut.
pub(crate) fn sync_directory(file: &Path) -> Result<(), StoreError> {
    let folder = folder_of(file);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io(folder))
}

/// Makes a folder (0700) where it is missing, and those above it, each known to the one above on the disk: else
/// a power cut takes all that is in it.
///
/// # Errors
/// What the disk says.
pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let missing = folder
        .ancestors()
        .take_while(|folder| *folder != Path::new("") && !folder.exists());
    let missing: Vec<&Path> = missing.collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io(folder))?;
    missing.into_iter().try_for_each(sync_directory)
}

/// The folder that a file is in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The file with a suffix to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;

/// The file's own name, where a path is a link to it: SQLite puts its further files beside that one.
/// Links are followed also where no file is at their end, as after a restore that was killed.
pub(crate) fn real(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(real) = fs::canonicalize(&path) {
            return real;
        }
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = folder_of(&path).join(target);
    }
    match (fs::canonicalize(folder_of(&path)), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// Names the file in what the operating system says.
pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    move |source| StoreError::Io {
        path: path.to_owned(),
        source,
    }
}

//! The BLAKE3 digest of a backup, in a file beside it that `b3sum --check` understands.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};

use super::BackupError;
use crate::file::{FileFault, read_regular};
use crate::store::{self, Stage, StoreError, Work, beside, io, sync_directory};

/// Far more than a digest and the longest name.
const LONGEST: usize = 8192;

/// Bytes between two looks at whether the work was called off.
const STEP: usize = 1 << 20;

/// Where the digest of a backup is.
pub(super) fn path_of(file: &Path) -> PathBuf {
    beside(file, ".blake3")
}

/// The digest of all that `source` has, which also goes to `target`.
pub(super) fn of_copied(
    source: &mut File,
    mut target: impl Write,
    work: &Work,
) -> Result<Hash, BackupFault> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; STEP];
    let mut done = 0;
    loop {
        let read = source.read(&mut buffer).map_err(BackupFault::Source)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hasher.finalize());
        };
        hasher.update(bytes);
        target.write_all(bytes).map_err(BackupFault::Target)?;
        done += read as u64;
        work.reached(done).map_err(BackupFault::Work)?;
    }
}

/// Which side failed: the caller knows the names.
pub(super) enum BackupFault {
    Source(std::io::Error),
    Target(std::io::Error),
    Work(StoreError),
}

impl BackupFault {
    pub(super) fn of(self, source: &Path, target: &Path) -> StoreError {
        match self {
            Self::Source(error) => io(source)(error),
            Self::Target(error) => io(target)(error),
            Self::Work(error) => error,
        }
    }
}

/// The digest of a file.
pub(super) fn of_file(path: &Path, work: &Work) -> Result<Hash, StoreError> {
    let mut file = File::open(path).map_err(io(path))?;
    let length = file.metadata().map_err(io(path))?.len();
    work.begin(Stage::Hashing, length);
    of_copied(&mut file, std::io::sink(), work).map_err(|fault| fault.of(path, path))
}

/// Writes the digest of a backup beside it, whole or not at all. What stood there was of a backup that
/// never came to be.
pub(super) fn write(file: &Path, hash: &Hash) -> Result<(), StoreError> {
    let path = path_of(file);
    let unfinished = store::unfinished(&path);
    let _ = fs::remove_file(&unfinished);
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let hex = hash.to_hex();
    store::write_new_private_file(&unfinished, &[hex.as_bytes(), b"  ", name, b"\n"])?;
    fs::rename(&unfinished, &path)
        .map_err(io(&path))
        .inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    sync_directory(&path)
}

/// The digest that stands beside a backup. Its name for the file is not looked at: files are renamed.
pub(super) fn read(file: &Path) -> Result<Hash, BackupError> {
    let path = path_of(file);
    let bytes = match read_regular(&path, LONGEST) {
        Ok(bytes) => bytes,
        Err(FileFault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::DigestMissing(path));
        }
        Err(FileFault::Io(error)) => return Err(io(&path)(error).into()),
        Err(_) => return Err(BackupError::DigestUnreadable(path)),
    };
    let hex = bytes.split(|byte| byte.is_ascii_whitespace()).next();
    hex.and_then(|hex| Hash::from_hex(hex).ok())
        .ok_or(BackupError::DigestUnreadable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    #[test]
    fn a_digest_is_written_as_b3sum_writes_it_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b.db");
        fs::write(&file, "").unwrap();
        let hash = of_file(&file, &Work::default()).unwrap();
        // What a kill left, and of a backup that never came to be.
        fs::write(folder.path().join(".a b.db.blake3.unfinished"), "half").unwrap();
        fs::write(path_of(&file), "old").unwrap();
        write(&file, &hash).unwrap();
        let text = fs::read_to_string(folder.path().join("a b.db.blake3")).unwrap();
        assert_eq!(text, format!("{HEX}  a b.db\n"));
        assert_eq!(read(&file).unwrap(), hash);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_digest_that_can_not_get_its_name_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        fs::write(&file, "").unwrap();
        fs::create_dir(path_of(&file)).unwrap();
        let hash = of_file(&file, &Work::default()).unwrap();
        assert!(write(&file, &hash).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_digest_is_read_by_its_first_word_and_nothing_else_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let table = [
            (format!("{HEX}  other-name.db\n"), true),
            (HEX.to_owned(), true),
            (format!("{HEX}\r\n"), true),
            (HEX.to_uppercase(), true),
            (String::new(), false),
            (format!(" {HEX}"), false),
            (HEX[1..].to_owned(), false),
            (format!("{HEX}0"), false),
            (format!("{HEX}*a.db"), false),
            (format!("a.db: {HEX}"), false),
            (HEX.replace('a', "g"), false),
            (format!("{HEX}\n{}", "x".repeat(9000)), false),
        ];
        for (text, is_digest) in table {
            fs::write(path_of(&file), &text).unwrap();
            assert_eq!(read(&file).is_ok(), is_digest, "{text:?}");
        }
        fs::remove_file(path_of(&file)).unwrap();
        assert!(matches!(read(&file), Err(BackupError::DigestMissing(_))));
        fs::create_dir(path_of(&file)).unwrap();
        assert!(matches!(read(&file), Err(BackupError::DigestUnreadable(_))));
    }
}

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

/// Of a backup that a kill kept from its name there may be a digest, which is of no use to anybody. Whatever
/// else has its name is somebody's.
///
/// # Errors
/// [`StoreError::Exists`].
pub(super) fn refuse_others(file: &Path) -> Result<(), BackupError> {
    let path = path_of(file);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(());
    }
    let text = read_regular(&path, LONGEST).unwrap_or_default();
    let is_ours = first_word(&text).is_some_and(|hash| line(file, &hash) == *text);
    match is_ours {
        true => Ok(()),
        false => Err(StoreError::Exists(path).into()),
    }
}

/// What `b3sum` prints: where the name has backslashes they are doubled, and one begins the line.
fn line(file: &Path, hash: &Hash) -> Vec<u8> {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let start: &[u8] = match name.contains(&b'\\') {
        true => b"\\",
        false => b"",
    };
    let name: Vec<&[u8]> = name.split(|byte| *byte == b'\\').collect();
    let hex = hash.to_hex();
    [
        start,
        hex.as_bytes(),
        b"  ",
        &name.join(&b"\\\\"[..]),
        b"\n",
    ]
    .concat()
}

fn first_word(text: &[u8]) -> Option<Hash> {
    let text = text.strip_prefix(b"\\").unwrap_or(text);
    let hex = text.split(|byte| byte.is_ascii_whitespace()).next()?;
    Hash::from_hex(hex).ok()
}

/// Writes the digest of a backup beside it, whole or not at all.
pub(super) fn write(file: &Path, hash: &Hash) -> Result<(), StoreError> {
    let path = path_of(file);
    let unfinished = store::unfinished(&path);
    let _ = fs::remove_file(&unfinished);
    store::write_new_private_file(&unfinished, &[&line(file, hash)])?;
    fs::rename(&unfinished, &path)
        .map_err(io(&path))
        .inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    sync_directory(&path).inspect_err(|_| drop(fs::remove_file(&path)))
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
    first_word(&bytes).ok_or(BackupError::DigestUnreadable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    #[test]
    fn a_digest_is_written_as_b3sum_writes_it_and_read_again() {
        let table = [
            ("a b.db", format!("{HEX}  a b.db\n")),
            ("a\\b.db", format!("\\{HEX}  a\\\\b.db\n")),
        ];
        for (name, expected) in table {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            let hash = of_file(&file, &Work::default()).unwrap();
            // What a kill left, and of a backup that never came to be.
            let unfinished = format!(".{name}.blake3.unfinished");
            fs::write(folder.path().join(unfinished), "half").unwrap();
            fs::write(path_of(&file), line(&file, &blake3::hash(b"old"))).unwrap();
            refuse_others(&file).unwrap();
            write(&file, &hash).unwrap();
            assert_eq!(fs::read_to_string(path_of(&file)).unwrap(), expected);
            assert_eq!(read(&file).unwrap(), hash);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_digest_of_another_name_and_anything_else_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        refuse_others(&file).unwrap();
        for text in [
            "",
            "mine",
            &format!("{HEX}  b.db\n"),
            &format!("{HEX}  a.db"),
            &format!("{HEX}  a.db\n{HEX}  b.db\n"),
        ] {
            fs::write(path_of(&file), text).unwrap();
            assert!(refuse_others(&file).is_err(), "{text}");
        }
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
            (format!("\\{HEX}  a\\\\b.db\n"), true),
            (format!("\\\\{HEX}"), false),
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

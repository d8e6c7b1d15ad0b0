//! Reading a file that somebody configured, again and again beside whatever else writes it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The operating system refused.
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a regular file")]
    NotAFile,
    /// Over the limit, in bytes.
    #[error("is larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
}

/// Reads a regular file of at most `limit` bytes into memory that is wiped, since it may hold a
/// secret. It never waits: a pipe in the file's place would hang whoever opens it.
///
/// # Errors
/// [`FileFault`].
pub fn read_regular(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, FileFault> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default())
        .open(path)?;
    // Of what was opened, not of the path: that may be another file by now.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(FileFault::NotAFile);
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    // All of it at once: a buffer that grew would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.min(limit) + 64));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(FileFault::TooLarge(limit));
    }
    Ok(bytes)
}

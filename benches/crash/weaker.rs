//! The program with a weaker promise, to show that who looks for losses finds them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const FULL: &[u8] = b"PRAGMA synchronous = FULL;";
/// 1 is NORMAL: a COMMIT does not wait for the disk.
const NORMAL: &[u8] = b"PRAGMA synchronous = 1   ;";

/// Copies a program and changes the pragma in it; gives where.
pub fn weaken(binary: &Path, copy: &Path) -> Result<Vec<usize>, String> {
    let mut bytes = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut places = Vec::new();
    while let Some(at) = bytes.windows(FULL.len()).position(|bytes| bytes == FULL) {
        bytes[at..at + FULL.len()].copy_from_slice(NORMAL);
        places.push(at);
    }
    if places.is_empty() {
        return Err("the program has no PRAGMA synchronous = FULL".to_owned());
    }
    let written = fs::write(copy, bytes)
        .and_then(|()| fs::set_permissions(copy, fs::Permissions::from_mode(0o700)));
    written.map_err(|error| format!("{}: {error}", copy.display()))?;
    Ok(places)
}

//! A socket in the file system: made so that nobody connects who shall not, and gone when the server is.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Removes the socket's file when dropped, unless another one is in its place.
pub(super) struct SocketFile {
    path: PathBuf,
    is: Identity,
}

/// Device, inode and time of birth: inodes are given again.
type Identity = (u64, u64, Option<SystemTime>);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.is) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens there. What a server that was killed has left is replaced; a file that is no socket, and one that
/// somebody answers at, is not.
pub(super) fn bind(path: &Path, mode: u32, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::other(
                "there is another file, which is no socket",
            ));
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(io::Error::other("another program listens there")),
        },
    }
    // Beside it first, so that it has its permissions before it has its name.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    // What one of the same number has left, that was killed in this moment.
    let _ = fs::remove_file(&beside);
    let made = make(&beside, path, mode, backlog);
    if made.is_err() {
        let _ = fs::remove_file(&beside);
    }
    made
}

fn make(
    beside: &Path,
    path: &Path,
    mode: u32,
    backlog: i32,
) -> io::Result<(UnixListener, SocketFile)> {
    let address = SocketAddrUnix::new(beside).map_err(|_| {
        io::Error::other("the path is too long for a socket: 100 bytes are possible")
    })?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&socket, &address)?;
    fs::set_permissions(beside, Permissions::from_mode(mode))?;
    rustix::net::listen(&socket, backlog)?;
    let is = identity(beside)?;
    fs::rename(beside, path)?;
    let path = path.to_owned();
    Ok((UnixListener::from(socket), SocketFile { path, is }))
}

fn identity(path: &Path) -> io::Result<Identity> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino(), file.created().ok()))
}

//! A socket in the file system: made so that nobody connects who shall not, and gone when the server is.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;
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

/// Listens there. What a server of this user that was killed has left is replaced; anything else is not.
pub(super) fn bind(path: &Path, mode: u32, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    // Clients have to name it.
    address(path)?;
    remove_stale(path)?;
    // In a folder that nobody else can enter, until it has its permissions.
    let hidden = format!(".{:016x}", getrandom::u64()?);
    let hidden = path.parent().unwrap_or(Path::new("")).join(hidden);
    let made = fs::DirBuilder::new().mode(0o700).create(&hidden);
    made.map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::other("its folder is missing; make it first"),
        _ => error,
    })?;
    let made = make(&hidden.join("s"), path, mode, backlog);
    let _ = fs::remove_file(hidden.join("s"));
    let _ = fs::remove_dir(&hidden);
    made
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::other(
            "there is another file, which is no socket",
        ));
    }
    if file.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("there is a socket of another user"));
    }
    let found = identity(path)?;
    if answers(path)? {
        return Err(io::Error::other("another program listens there"));
    }
    match identity(path)? == found {
        true => fs::remove_file(path),
        false => Err(io::Error::other(
            "another program has just begun to listen there",
        )),
    }
}

/// Whether somebody listens, also one who accepts nobody any more.
fn answers(path: &Path) -> io::Result<bool> {
    let socket = socket(SocketFlags::NONBLOCK)?;
    match rustix::net::connect(&socket, &address(path)?) {
        Err(Errno::CONNREFUSED) => Ok(false),
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn make(
    hidden: &Path,
    path: &Path,
    mode: u32,
    backlog: i32,
) -> io::Result<(UnixListener, SocketFile)> {
    let socket = socket(SocketFlags::empty())?;
    rustix::net::bind(&socket, &address(hidden)?)?;
    fs::set_permissions(hidden, Permissions::from_mode(mode))?;
    rustix::net::listen(&socket, backlog)?;
    let is = identity(hidden)?;
    // Unlike a renaming it takes nobody's place.
    fs::hard_link(hidden, path)?;
    let path = path.to_owned();
    Ok((UnixListener::from(socket), SocketFile { path, is }))
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|_| {
        io::Error::other("the path is too long for a socket: about 90 bytes are possible")
    })
}

fn identity(path: &Path) -> io::Result<Identity> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino(), file.created().ok()))
}

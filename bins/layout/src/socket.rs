//! Unix sockets at paths of any length.
//!
//! An address has room for 107 bytes (unix(7)), and a container's folder alone takes 65. A path through
//! `/proc/self/fd` names the same socket in 30.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A folder held open, through which its sockets have short names.
#[derive(Debug)]
pub struct SocketDir(OwnedFd);

impl SocketDir {
    /// Opens a folder.
    pub fn open(dir: &Path) -> Result<SocketDir> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(dir, flags, Mode::empty()).with_context(|| format!("open {}", dir.display()))?;
        Ok(SocketDir(fd))
    }

    /// A short path to `name` in this folder, good for other processes as long as this one keeps the folder open.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}/{name}", std::process::id(), self.0.as_raw_fd()))
    }
}

/// Listens at `path`, in place of whatever socket is there.
pub fn listen(path: &Path) -> Result<UnixListener> {
    let (dir, name) = split(path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", path.display()));
        }
        _ => {}
    }
    UnixListener::bind(dir.path(&name)).with_context(|| format!("listen at {}", path.display()))
}

/// Connects to `path`.
pub fn connect(path: &Path) -> Result<UnixStream> {
    let (dir, name) = split(path)?;
    UnixStream::connect(dir.path(&name)).with_context(|| format!("connect to {}", path.display()))
}

fn split(path: &Path) -> Result<(SocketDir, String)> {
    let name = path.file_name().and_then(|n| n.to_str()).context("a socket needs a name")?;
    let dir = path.parent().context("a socket needs a folder")?;
    Ok((SocketDir::open(dir)?, name.to_owned()))
}

//! The one place with `unsafe`: what libc offers and no safe crate does.

use anyhow::{Context, Result};
use nix::unistd::{ForkResult, fork};

/// Which side of a fork this is.
pub enum Side {
    /// The one that was there before.
    Parent,
    /// The new one.
    Child,
}

/// Doubles this process (fork(2)).
pub fn fork_process() -> Result<Side> {
    // SAFETY: fork is dangerous with more than one thread, because locks held by the others stay locked in
    // the child for ever. This program starts no thread before it forks: only `ctr shim create`
    // and `ctr exec` do so, which have started none.
    match unsafe { fork() }.context("fork")? {
        ForkResult::Parent { .. } => Ok(Side::Parent),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// Closes every file from `first` on (close_range(2)).
pub fn close_from(first: u32) -> std::io::Result<()> {
    // SAFETY: closing a file takes it away from whoever in this process still owns it. The caller does this
    // when nothing but the three streams is open: before it opens a file that it keeps.
    match unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

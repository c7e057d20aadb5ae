//! The system calls that no safe wrapper exists for: the only unsafe code of this program.

use std::io;

/// Which side of a fork this is.
#[derive(Debug, PartialEq, Eq)]
pub enum Fork {
    /// The process that asked, which goes on as it was.
    Parent,
    /// Its copy.
    Child,
}

/// Makes a copy of this process (fork(2)).
pub fn fork() -> io::Result<Fork> {
    // SAFETY: after a fork, only the calling thread exists in the child, and locks that other threads held are held for
    // ever. This program has a single thread, always: nothing in it, nor in the crates it uses, starts another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        _ => Ok(Fork::Parent),
    }
}

/// Closes every file descriptor from `first` on (close_range(2)).
///
/// Whoever calls this must neither use nor drop a file that was opened before: its number may be another file's soon.
pub fn close_files_from(first: u32) -> io::Result<()> {
    // SAFETY: it takes three plain numbers and touches no memory. That it pulls descriptors from under their owners is
    // met by the two callers: one calls at the start of the program, when there is no owner; the other, in a forked
    // child, leaves through `exit` without coming back to them.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0u32) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

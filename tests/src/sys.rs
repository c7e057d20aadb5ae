//! The one place with `unsafe`: what happens between fork and exec.

use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes the child the leader of a session of its own, with its standard input as controlling terminal.
pub(crate) fn new_session(command: &mut Command) {
    let leave = || {
        // SAFETY: 0 is the terminal that the command was given as standard input; it stays open until exec.
        let terminal = unsafe { BorrowedFd::borrow_raw(0) };
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(terminal)?;
        Ok(())
    };
    // SAFETY: the closure runs in the forked child of a process with threads, where only async-signal-safe
    // calls are allowed: it makes two system calls and neither allocates nor takes a lock.
    unsafe { command.pre_exec(leave) };
}

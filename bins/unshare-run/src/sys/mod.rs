//! The system calls that no crate wraps safely. All `unsafe` of this tool is here.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, Result};
use rustix::process::Pid;
use std::mem::size_of;

mod mounts;
mod namespaces;
mod process;
pub use mounts::{MountAttr, map_ids_of_mount, mount_setattr};
pub use namespaces::namespace_flag;
pub use process::*;

/// The two ends of [`clone3`].
#[derive(Debug)]
pub enum Cloned {
    /// We are the new process.
    Child,
    /// We made it. The pidfd names the process beyond doubt, as long as it is held.
    Parent {
        /// Its number as we see it.
        pid: Pid,
        /// What to wait and signal by.
        pidfd: OwnedFd,
    },
}

/// linux/sched.h. (The constant in `libc` has a type that is too short for it.)
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Makes a process in new namespaces, or (`CLONE_PARENT`) a sibling, with a pidfd for it: clone3(2).
/// With `group`, a folder of the v2 cgroup tree, it is in that group from its first instruction on.
///
/// The child goes on as after fork(2), with a copy of all memory. This tool has one thread, so that no
/// lock can be held by a thread that the child does not have.
///
/// # Errors
/// `ENOSYS` before Linux 5.3; `EPERM` without `CAP_SYS_ADMIN` and without a new user namespace; with a group, before
/// Linux 5.7, `EINVAL`, and `EAGAIN` when its limit of tasks is reached.
pub fn clone3(flags: u64, group: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let sibling = flags & libc::CLONE_PARENT as u64 != 0;
    // SAFETY: `clone_args` is a plain C struct of integers, for which all zeros is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    if let Some(group) = group {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = group.as_raw_fd() as u64;
    }
    // With CLONE_PARENT the kernel takes the signal of the caller's own end, and insists on a zero here.
    args.exit_signal = if sibling { 0 } else { libc::SIGCHLD as u64 };
    // SAFETY: `args` is an initialised clone_args of the size that is passed; `pidfd` and the borrowed group outlive the call.
    // Without CLONE_VM and CLONE_THREAD both processes have memory of their own, as after fork; with a single
    // thread no lock or allocator state can be caught half-way, so the child may run ordinary code.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match result {
        0 => Ok(Cloned::Child),
        -1 => Err(last_errno()),
        pid => match Pid::from_raw(pid as i32) {
            // SAFETY: clone3 succeeded with CLONE_PIDFD, so `pidfd` is a new file descriptor that nobody else owns.
            Some(pid) => Ok(Cloned::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
            None => Err(Errno::INVAL),
        },
    }
}

/// Makes a child by fork(2), where clone3 may be forbidden: filters cannot look into its arguments, and docker's therefore
/// says that there is no such call.
pub fn fork() -> Result<Cloned> {
    // SAFETY: this tool has one thread, so no lock or allocator state can be caught half-way, and the child may run
    // ordinary code.
    match unsafe { libc::fork() } {
        0 => Ok(Cloned::Child),
        -1 => Err(last_errno()),
        pid => {
            let pid = Pid::from_raw(pid).ok_or(Errno::INVAL)?;
            // It is our child and not reaped yet, so the number is its own.
            let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
            Ok(Cloned::Parent { pid, pidfd })
        }
    }
}

/// Marks every descriptor from `first` on to be closed when a program is executed: close_range(2), Linux 5.11.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC nothing is closed now, so no owner of a descriptor is deceived.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
}

/// Takes the mark off again: these descriptors are there when a program is executed: fcntl(2) F_SETFD.
pub fn keep_on_exec(fds: std::ops::Range<RawFd>) -> Result<()> {
    for fd in fds {
        // SAFETY: F_SETFD changes one flag of a descriptor, which nobody's ownership depends on; EBADF where none is open.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }.into())?;
    }
    Ok(())
}

/// Whether a descriptor came from the caller: fcntl(2) F_GETFD. What we open ourselves has the mark to be closed.
pub fn is_inherited(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads one flag and fails with EBADF where nothing is open.
    unsafe { libc::fcntl(fd, libc::F_GETFD) == 0 }
}

/// Sends any signal, also those without a name: pidfd_send_signal(2).
pub fn pidfd_send_signal(process: impl AsFd, signal: i32) -> Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; a null siginfo asks for that of kill(2); nothing is written.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_fd().as_raw_fd(), signal, info, 0) })
}

/// Gives every signal its default effect and blocks none: what the new program may expect of its caller,
/// and what execve(2) does not do for signals that the caller ignores.
pub fn reset_signals() {
    // The kernel's sigaction: handler (SIG_DFL is 0), flags, restorer, mask. By raw system call, as the C library
    // refuses to touch the signals that it keeps for itself (32 and 33), which a caller may have ignored too.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads as many bytes as its sigaction has, at most the 32 of `default`; SIG_DFL installs no code.
        // KILL and STOP fail with EINVAL, rightly.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}

/// Makes writing to a pipe that nobody reads an error (EPIPE), not a reason to be killed.
pub fn ignore_broken_pipes() {
    // SAFETY: SIG_IGN installs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// A session keyring of its own, so that the caller's keys stay the caller's: keyctl(2).
/// A kernel without keyrings has none to leak.
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing else is passed.
    match check(unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    }) {
        Err(Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// Brings the loopback device of the current network namespace up: netdevice(7), SIOCSIFFLAGS.
pub fn loopback_up(socket: impl AsFd) -> Result<()> {
    // SAFETY: `ifreq` is a plain C struct and a union of such, for which all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is a socket; SIOCSIFFLAGS reads one ifreq, which is initialised and outlives the call.
    check(
        unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) } as libc::c_long
    )
}

/// Ends this process at once, without running what the parent, whose copy it is, has registered for its own end.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

fn check(result: libc::c_long) -> Result<()> {
    if result == -1 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

//! System calls on a process itself: what it may ask for, and what it gets of processors, disks and memory.

use super::{check, last_errno};
use rustix::fd::{FromRawFd, OwnedFd, RawFd};
use rustix::io::Result;

/// Sets the system call filter of this process: seccomp(2) SECCOMP_SET_MODE_FILTER. With the flag
/// SECCOMP_FILTER_FLAG_NEW_LISTENER (8), the descriptor to decide by.
///
/// # Errors
/// `EACCES` without no_new_privs and `CAP_SYS_ADMIN`; `EINVAL` for a flag that the kernel does not know.
pub fn seccomp_set_mode_filter(flags: u32, program: &[crate::seccomp::Instruction]) -> Result<Option<OwnedFd>> {
    const NEW_LISTENER: u32 = 8;
    // `Instruction` is repr(C) with the fields of sock_filter.
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `len` instructions from `filter`, which is a slice of as many of the same form, and writes nothing.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match result {
        -1 => Err(last_errno()),
        // SAFETY: with this flag a success is a new descriptor, that nobody else owns.
        fd if flags & NEW_LISTENER != 0 => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })),
        _ => Ok(None),
    }
}

/// How a process is scheduled: the kernel's `sched_attr`, in its first form (sched_setattr(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// Sets how this process is scheduled: sched_setattr(2).
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`, if it is to come before others; `EBUSY` if its deadlines cannot be held.
pub fn sched_setattr(attr: SchedAttr) -> Result<()> {
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, ..attr };
    // SAFETY: the kernel reads `size` bytes of `attr`, which has as many and is initialised; 0 is this process.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) })
}

/// Sets the place of this process in the queue for disks: ioprio_set(2); class and level in one number.
pub fn ioprio_set(value: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: numbers only; 0 is this process.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) })
}

/// Sets another system's ways for this process: personality(2).
pub fn personality(value: u32) -> Result<()> {
    // SAFETY: a number only.
    check(unsafe { libc::syscall(libc::SYS_personality, value) })
}

/// Sets which memory nodes this process's memory comes from: set_mempolicy(2). `nodes` is a bit for each.
pub fn set_mempolicy(mode: i32, nodes: &[u64]) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let (mask, bits) = match nodes {
        [] => (std::ptr::null(), 0),
        some => (some.as_ptr(), 64 * some.len() + 1),
    };
    // SAFETY: the kernel reads `bits` - 1 bits at `mask`, which has them, or nothing.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) })
}

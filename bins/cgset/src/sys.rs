//! bpf(2), for which no library is needed: one system call, and a union that is different for each command. And the signals
//! without a name.

use crate::devices_bpf::Insn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

// enum bpf_cmd, bpf_prog_type, bpf_attach_type and flags of linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_DETACH: libc::c_int = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
const BPF_PROG_QUERY: libc::c_int = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Others may attach programs too, here and in the groups inside; without it runc and systemd could not.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The real-time signals that programs may use: the C library keeps 32 and 33 (musl 34 as well) for threads (signal(7)).
pub const RT_SIGNALS: std::ops::RangeInclusive<i32> = 34..=64;

/// A real-time signal by its number.
pub fn rt_signal(number: i32) -> Option<rustix::process::Signal> {
    // SAFETY: the signals that a C library keeps to itself must not be given handlers behind its back. Here they are only
    // sent to other processes, which kill(1) does as well, and the number is one that the kernel has.
    RT_SIGNALS.contains(&number).then(|| unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// For `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// For `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    /// The kernel's union ends on a multiple of eight.
    padding: u32,
}

/// For `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Calls bpf(2).
///
/// # Safety
/// `attr` must be what `command` expects, and the addresses in it must be valid for what the kernel reads and
/// writes there until the call returns.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `attr` is valid for reads and writes of its own size, which is passed; the kernel takes what lies
    // beyond a short union as zeros. The rest is promised by the caller.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A file descriptor that bpf(2) returned.
///
/// # Safety
/// `fd` must be open and owned by nobody else.
unsafe fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: promised by the caller; a descriptor fits in a c_int.
    unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }
}

/// Has the kernel verify and compile a device program.
pub fn load_device_program(program: &[Insn]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..LoadAttr::default()
    };
    // SAFETY: `Insn` has the layout of `struct bpf_insn`, `insn_cnt` of them are at `insns`, and `license` ends
    // with a NUL; all outlive the call, and the kernel only reads them. The new descriptor is ours alone.
    unsafe { bpf(BPF_PROG_LOAD, &mut attr).map(|fd| owned(fd)) }
}

/// Attaches a program to a group, beside those that are there.
pub fn attach_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = AttachAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: no addresses are passed, and both descriptors are borrowed for the length of the call.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attr).map(drop) }
}

/// The ids of the device programs that are attached to a group itself.
pub fn attached_device_programs(group: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    // The kernel takes no more than 64 programs on one group (BPF_CGROUP_MAX_PROGS).
    let mut ids = [0u32; 64];
    let mut attr = QueryAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        ..QueryAttr::default()
    };
    // SAFETY: the kernel writes at most `prog_cnt` ids to `prog_ids`, which has that many and outlives the call.
    unsafe { bpf(BPF_PROG_QUERY, &mut attr) }?;
    Ok(ids.into_iter().take(attr.prog_cnt as usize).collect())
}

/// Takes a program off a group, by its id.
pub fn detach_device_program(group: BorrowedFd<'_>, id: u32) -> io::Result<()> {
    let mut attr = IdAttr { id, ..IdAttr::default() };
    // SAFETY: no addresses are passed; the new descriptor is ours alone.
    let program = unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &mut attr).map(|fd| owned(fd)) }?;
    let mut attr = AttachAttr {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: 0,
    };
    // SAFETY: no addresses are passed, and both descriptors are open for the length of the call.
    unsafe { bpf(BPF_PROG_DETACH, &mut attr).map(drop) }
}

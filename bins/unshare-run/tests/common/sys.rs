//! The system calls of a supervisor (seccomp_unotify(2)).

use std::os::fd::{AsRawFd, OwnedFd};

/// SECCOMP_USER_NOTIF_FLAG_CONTINUE: the call is made.
pub const CONTINUE: u32 = 1;

/// `struct seccomp_notif`: id, pid, flags, and the call's `seccomp_data`; 80 bytes.
const SECCOMP_IOCTL_NOTIF_RECV: u64 = 0xc050_2100;
/// `struct seccomp_notif_resp`: id, value, error, flags; 24 bytes.
const SECCOMP_IOCTL_NOTIF_SEND: u64 = 0xc018_2101;

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// Waits for a call and gives its id.
pub fn next_call(listener: &OwnedFd) -> u64 {
    let mut notification = [0u64; 10];
    // SAFETY: the kernel writes 80 bytes, which `notification` has, and wants them to be zero before.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV as _, notification.as_mut_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    notification[0]
}

/// Answers it.
pub fn answer(listener: &OwnedFd, id: u64, error: i32, flags: u32) {
    let response = Response { id, value: 0, error, flags };
    // SAFETY: the kernel reads 24 bytes, which `response` has, all initialised.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND as _, &raw const response) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

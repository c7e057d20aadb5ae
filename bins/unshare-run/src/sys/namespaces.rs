//! System calls on namespaces.

use super::last_errno;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Result;

/// The kind of a namespace that is open, as its clone(2) flag: ioctl_ns(2) `NS_GET_NSTYPE`.
///
/// # Errors
/// `ENOTTY` when the file is no namespace.
pub fn namespace_flag(namespace: impl AsFd) -> Result<u64> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the descriptor is open; the request takes no argument and writes nothing.
    let flag = unsafe { libc::ioctl(namespace.as_fd().as_raw_fd(), NS_GET_NSTYPE as _) };
    if flag == -1 { Err(last_errno()) } else { Ok(flag as u64) }
}

//! System calls on mounts.

use super::check;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Result;
use std::mem::size_of;

/// What [`mount_setattr`] changes: bits of `MOUNT_ATTR_*`, and a propagation type (`MS_SHARED`, ...) or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountAttr {
    /// Set these.
    pub set: u64,
    /// Clear these, before setting.
    pub clear: u64,
    /// Propagation, or 0 to leave it.
    pub propagation: u64,
}

/// Changes a mount, or with `recursive` all mounts below it too: mount_setattr(2), Linux 5.12.
/// `mount` is any descriptor of the mount's root, O_PATH will do.
pub fn mount_setattr(mount: impl AsFd, attr: MountAttr, recursive: bool) -> Result<()> {
    // SAFETY: `mount_attr` is a plain C struct of integers, for which all zeros is a valid value.
    let mut raw: libc::mount_attr = unsafe { std::mem::zeroed() };
    raw.attr_set = attr.set;
    raw.attr_clr = attr.clear;
    raw.propagation = attr.propagation;
    set(mount, &raw, recursive)
}

/// Shows the ids of a mount's files as the maps of a user namespace say: mount_setattr(2) `MOUNT_ATTR_IDMAP`. The
/// mount must be a detached copy. With `recursive` that holds for all mounts below it too.
///
/// # Errors
/// `EINVAL` when the filesystem does not support it, `EPERM` without `CAP_SYS_ADMIN` where the filesystem was mounted.
pub fn map_ids_of_mount(mount: impl AsFd, user_namespace: impl AsFd, recursive: bool) -> Result<()> {
    // SAFETY: `mount_attr` is a plain C struct of integers, for which all zeros is a valid value.
    let mut raw: libc::mount_attr = unsafe { std::mem::zeroed() };
    raw.attr_set = libc::MOUNT_ATTR_IDMAP;
    raw.userns_fd = user_namespace.as_fd().as_raw_fd() as u64;
    set(mount, &raw, recursive)
}

fn set(mount: impl AsFd, raw: &libc::mount_attr, recursive: bool) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open, the path a C string, `raw` initialised and of the size that is passed;
    // the kernel only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(raw),
            size_of::<libc::mount_attr>(),
        )
    };
    check(result)
}

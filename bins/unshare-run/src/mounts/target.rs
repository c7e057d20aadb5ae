//! What a mount goes onto: a folder or file of the container's root, and not just any of procfs.

use super::in_root::Root;
use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, OFlags, PROC_SUPER_MAGIC};
use std::path::Path;

/// The files of procfs that may be mounted over, as lxcfs does. Anything else there could hide from us, or
/// from the program, what the kernel says.
const PROC_FILES: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// A folder to mount onto.
pub fn dir(root: &Root, path: &Path) -> Result<OwnedFd> {
    let target = root.make_dir(path)?;
    refuse_procfs(root, target, path)
}

/// A file to mount onto.
pub fn file(root: &Root, path: &Path) -> Result<OwnedFd> {
    let target = root.make_file(path)?;
    let stat = rustix::fs::fstat(&target).context("stat its target")?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        bail!("its source is a file and its target a folder");
    }
    refuse_procfs(root, target, path)
}

/// A folder that no link leads to. For procfs and sysfs: a `/proc` that is a link would leave the real one,
/// which gets masked and is trusted later on, in another place.
pub fn plain_dir(root: &Root, path: &Path) -> Result<OwnedFd> {
    root.make_dir(path)?;
    root.open_plain(path, OFlags::PATH | OFlags::DIRECTORY).context("its target must be an ordinary folder, not a link")
}

fn refuse_procfs(root: &Root, target: OwnedFd, path: &Path) -> Result<OwnedFd> {
    if !is_procfs(&target)? {
        return Ok(target);
    }
    let known = PROC_FILES.iter().any(|file| path.components().eq(Path::new(file).components()));
    if known && root.open_plain(path, OFlags::PATH).is_ok() {
        return Ok(target);
    }
    bail!("its target is inside of /proc, where only a few files may be mounted over");
}

/// Refuses anything but procfs at `/proc`: what is masked there, and what we and programs believe of it, must be the kernel's.
pub fn refuse_false_proc(path: &Path, is_proc: impl FnOnce() -> Result<bool>) -> Result<()> {
    if path.components().eq(Path::new("/proc").components()) && !is_proc()? {
        bail!("only procfs may be mounted at /proc");
    }
    Ok(())
}

/// Whether a descriptor is of a file in procfs.
pub fn is_procfs(fd: impl AsFd) -> Result<bool> {
    Ok(rustix::fs::fstatfs(fd).context("statfs")?.f_type == PROC_SUPER_MAGIC)
}

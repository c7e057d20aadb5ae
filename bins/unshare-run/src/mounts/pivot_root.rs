//! The container's root: what `/` is, in a mount namespace.
//!
//! chroot(2) changes one process's idea of `/` and leaves the host's tree in the mount table, from where
//! root finds back to it. pivot_root(2) exchanges the root mount of the whole namespace, so that the host's
//! tree can be unmounted: afterwards there is no name for it.

use super::in_root::Root;
use super::options::{Bind, Propagation};
use super::{attach, clone_mount, open_host};
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use std::path::{Path, PathBuf};

/// Keeps the mounts that we make from the host. `wanted` is `linux.rootfsPropagation`; without it, the host's
/// later mounts still reach us, and ours not the host.
pub fn separate_mounts(wanted: &str, rootfs: Option<&Path>) -> Result<()> {
    let wanted = if wanted.is_empty() { "rslave" } else { wanted };
    let Some(propagation) = Propagation::parse(wanted) else {
        bail!("linux.rootfsPropagation {wanted:?} is none of shared, slave, private, unbindable (with or without r)");
    };
    narrate!("our mounts are not the host's business", "mount(/, {wanted})");
    // Before pivot_root `/` is the host's, and of something unbindable no container's root could be made.
    let unbindable = propagation.kind == libc::MS_UNBINDABLE;
    let kind = if unbindable { libc::MS_PRIVATE } else { propagation.kind };
    let flags = MountPropagationFlags::from_bits_retain(
        kind as u32 | if propagation.recursive { libc::MS_REC as u32 } else { 0 },
    );
    rustix::mount::mount_change("/", flags).with_context(|| format!("make the mounts {wanted}"))?;
    match rootfs {
        // pivot_root refuses to work in a shared mount, and what we mount there would reach the host.
        Some(rootfs) if kind == libc::MS_SHARED || !propagation.recursive => make_parent_private(rootfs),
        _ => Ok(()),
    }
}

fn make_parent_private(rootfs: &Path) -> Result<()> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let path = rootfs.canonicalize().with_context(|| format!("resolve {}", rootfs.display()))?;
    let (parent, shared) = mount_of(&table, &path).with_context(|| format!("find the mount of {}", path.display()))?;
    if !shared {
        return Ok(());
    }
    rustix::mount::mount_change(&parent, MountPropagationFlags::PRIVATE)
        .with_context(|| format!("make {} private", parent.display()))
}

/// The mount point that a path is in, by mountinfo (the longest that leads to it), and whether it is shared.
fn mount_of(mountinfo: &str, path: &Path) -> Option<(PathBuf, bool)> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let point = unescape(fields.next()?);
        Some((point, fields.take_while(|field| *field != "-").any(|field| field.starts_with("shared:"))))
    });
    mounts.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.components().count())
}

/// mountinfo writes space, tab, newline and backslash as `\040` and so on.
fn unescape(text: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)).into()
}

/// Makes the folder a mount (pivot_root wants one) that covers itself, and gives it to work in.
pub fn open_rootfs(rootfs: &Path) -> Result<Root> {
    narrate!("the new root must be a mount", "open_tree({}, OPEN_TREE_CLONE|AT_RECURSIVE)", rootfs.display());
    let what = || format!("open the root folder {}", rootfs.display());
    let place = open_host(rootfs).with_context(what)?;
    let tree = clone_mount(&place, Path::new(""), Bind::Tree).with_context(what)?;
    if !rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&tree).with_context(what)?.st_mode).is_dir() {
        bail!("open the root folder {}: not a folder", rootfs.display());
    }
    attach(&tree, &place, rootfs).with_context(|| format!("mount {} on itself", rootfs.display()))?;
    Ok(Root::new(tree))
}

/// The host's root, for a process by hand that keeps it.
pub fn open_host_root() -> Result<Root> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Root::new(rustix::fs::openat(CWD, "/", flags, Mode::empty()).context("open /")?))
}

/// Makes `root` the root of this mount namespace and lets go of the old one.
pub fn pivot_root(root: &Root, propagation: &str) -> Result<()> {
    let old = open_host(Path::new("/"))?;
    rustix::process::fchdir(root).context("enter the new root")?;
    // With "." for both, the old root comes to lie over the new one: no folder is needed to put it in.
    narrate!("the container's folder becomes /", "pivot_root(., .)");
    rustix::process::pivot_root(".", ".").map_err(|error| match error {
        Errno::INVAL => anyhow::Error::new(error).context(
            "pivot_root (a system that still runs on its initramfs has no root to exchange: switch_root first)",
        ),
        error => anyhow::Error::new(error).context("pivot_root"),
    })?;
    rustix::process::fchdir(&old).context("enter the old root")?;
    // Unmounting must not reach the host's tree, of which ours is a copy.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    narrate!("what we unmount is ours alone", "mount(., rslave)");
    rustix::mount::mount_change(".", slave).context("separate the old root")?;
    narrate!("and the host's tree is gone", "umount2(., MNT_DETACH)");
    rustix::mount::unmount(".", UnmountFlags::DETACH).context("unmount the old root")?;
    rustix::process::chdir("/").context("enter /")?;
    if let Some(wanted) = Propagation::parse(propagation) {
        narrate!("who else sees what is mounted here later", "mount_setattr(/, {propagation})");
        sys::mount_setattr(root, wanted.attr(), wanted.recursive).context("set the propagation of /")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_a_path_is_the_longest_that_leads_to_it() {
        let table = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /var rw - ext4 b rw\n3 2 8:3 / /var/my\\040lib rw shared:7 - ext4 c rw\n";
        assert_eq!(mount_of(table, Path::new("/var/my lib/x")).unwrap(), ("/var/my lib".into(), true));
        assert_eq!(mount_of(table, Path::new("/variable")).unwrap(), ("/".into(), false));
    }
}

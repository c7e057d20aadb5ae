//! Masked paths, which show nothing, and read-only paths.
//!
//! procfs and sysfs tell of the whole machine, whatever namespace one is in, and root may change it there. A
//! masked file is covered with `/dev/null`, a masked folder with an empty one. What is covered, and with
//! what, is checked by descriptor: a container that is being made beside a hostile one could otherwise be
//! given another `null`, or another `/proc` (CVE-2025-31133, CVE-2025-52565).

use super::in_root::Root;
use super::options::{Bind, MountOptions};
use super::{attach, clone_mount, clone_private, new_filesystem, open_host};
use crate::narrate::narrate;
use crate::sys::{self, MountAttr};
use anyhow::{Context, Result, bail};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::collections::BTreeSet;
use std::path::Path;

const READ_ONLY: MountAttr =
    MountAttr { set: MountAttrFlags::MOUNT_ATTR_RDONLY.bits() as u64, clear: 0, propagation: 0 };

/// Hides paths. What is not there needs no hiding.
pub fn mask(root: &Root, paths: &[String]) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let null = host_null()?;
    let mut empty: Option<OwnedFd> = None;
    for path in paths.iter().collect::<BTreeSet<_>>() {
        let what = || format!("mask {path}");
        let Some(target) = find(root, path).with_context(what)? else { continue };
        let stat = rustix::fs::fstat(&target).with_context(what)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            narrate!("nothing to read", "open_tree(/dev/null, OPEN_TREE_CLONE)");
            // Always of the host's: before Linux 6.15 what is not mounted anywhere yet cannot be copied.
            let cover = clone_private(&null, Path::new(""), Bind::One).context("open /dev/null").with_context(what)?;
            attach(&cover, &target, Path::new(path)).with_context(what)?;
            continue;
        }
        // One empty folder does for all: to show a filesystem once more is cheaper than to make another.
        let cover = match &empty {
            Some(empty) => {
                narrate!("nothing to see: the same empty folder", "open_tree(tmpfs, OPEN_TREE_CLONE)");
                clone_mount(empty, Path::new(""), Bind::One).context("copy the empty folder")
            }
            None => new_filesystem("tmpfs", "tmpfs", &MountOptions { attr: READ_ONLY, ..MountOptions::default() }),
        };
        let cover = empty.insert(cover.with_context(what)?);
        attach(cover, &target, Path::new(path)).with_context(what)?;
    }
    Ok(())
}

/// Makes paths read-only, and what is mounted below them.
pub fn make_read_only(root: &Root, paths: &[String]) -> Result<()> {
    for path in paths {
        let what = || format!("make {path} read-only");
        let Some(target) = find(root, path).with_context(what)? else { continue };
        narrate!("to be read only", "open_tree({path}, OPEN_TREE_CLONE) mount_setattr(RDONLY)");
        let tree = clone_mount(&target, Path::new(""), Bind::Tree).with_context(what)?;
        sys::mount_setattr(&tree, READ_ONLY, true).with_context(what)?;
        attach(&tree, &target, Path::new(path)).with_context(what)?;
    }
    Ok(())
}

/// Makes the root itself read-only, but not what is mounted in it.
pub fn make_root_read_only(root: &Root) -> Result<()> {
    narrate!("the root cannot be written to", "mount_setattr(/, RDONLY)");
    sys::mount_setattr(root, READ_ONLY, false).context("make the root read-only")
}

/// As [`make_root_read_only`] for `/dev`, once all is in it.
pub fn make_mount_read_only(mount: &OwnedFd) -> Result<()> {
    narrate!("all is in it now", "mount_setattr(/dev, RDONLY)");
    sys::mount_setattr(mount, READ_ONLY, false).context("make /dev read-only")
}

/// The host's `/dev/null`, if it is what it says. We still see the host's tree here, not the container's.
fn host_null() -> Result<OwnedFd> {
    let null = open_host(Path::new("/dev/null"))?;
    let stat = rustix::fs::fstat(&null).context("stat /dev/null")?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || stat.st_rdev != rustix::fs::makedev(1, 3) {
        bail!("use the host's /dev/null: it is not the null device");
    }
    Ok(null)
}

/// Opens a path in the root and makes sure that what is below `/proc` really is the kernel's.
fn find(root: &Root, path: &str) -> Result<Option<OwnedFd>> {
    let path = Path::new(path);
    let target = match root.open(path, OFlags::PATH) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error).context("open it"),
    };
    let on_procfs = |fd: &OwnedFd| rustix::fs::fstatfs(fd).map(|fs| fs.f_type == PROC_SUPER_MAGIC);
    if path.starts_with("/proc") {
        let proc = root.open(Path::new("/proc"), OFlags::PATH).context("open /proc")?;
        if on_procfs(&proc)? && !on_procfs(&target)? {
            bail!("it is not on procfs: something leads elsewhere, or is mounted there");
        }
    }
    Ok(Some(target))
}

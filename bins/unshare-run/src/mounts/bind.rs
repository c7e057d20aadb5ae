//! Binds: a part of a tree that exists already, in another place as well (mount(2) `MS_BIND`).

use super::in_root::Root;
use super::options::{Bind, MountOptions, Propagation, flag_names};
use super::target;
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Mount;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use std::path::{Path, PathBuf};

/// Makes a copy of a mount, or of the tree of mounts from there on, detached: open_tree(2).
pub fn clone_mount(dir: impl AsFd, path: &Path, which: Bind) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if which == Bind::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(dir, path, flags)
}

/// The same of something that the configuration does not speak of. It is nobody's peer: whoever mounted something on it
/// in the container would otherwise do so on the host, where the host's mounts are shared.
pub fn clone_private(dir: impl AsFd, path: &Path, which: Bind) -> rustix::io::Result<OwnedFd> {
    let made = clone_mount(dir, path, which)?;
    let private = Propagation { kind: libc::MS_PRIVATE, recursive: true };
    narrate!("what is mounted on it later, the host does not see", "mount_setattr({})", private.name());
    sys::mount_setattr(&made, private.attr(), which == Bind::Tree)?;
    Ok(made)
}

/// Makes a detached mount visible at `target`, which has the path `at` for the container: move_mount(2).
pub fn attach(mount: &OwnedFd, target: impl AsFd, at: &Path) -> rustix::io::Result<()> {
    narrate!("and there it is", "move_mount({})", at.display());
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

/// Opens a path of the host, without following where it leads any further.
pub fn open_host(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))
}

/// Copies the source of a bind, detached, with all the flags that it is to have.
pub fn make(mount: &Mount, options: &MountOptions, bundle: &Path) -> Result<OwnedFd> {
    if let Some(option) = options.data.first() {
        bail!("a bind has no option {option}");
    }
    let source: PathBuf = bundle.join(&mount.source);
    let which = options.bind.unwrap_or(Bind::One);
    narrate!("what the container sees of the host", "open_tree({}, OPEN_TREE_CLONE)", source.display());
    let made = match clone_mount(CWD, &source, which) {
        // In a user namespace of our own, mounts below are locked onto their parent: all of them or none.
        Err(Errno::INVAL) if which == Bind::One => clone_mount(CWD, &source, Bind::Tree),
        other => other,
    };
    let made = made.with_context(|| format!("open {}", source.display()))?;
    set_flags(&made, options)?;
    Ok(made)
}

/// Gives a mount its flags, and where `rro` and the like ask for it, what is mounted below it as well.
pub fn set_flags(mount: &OwnedFd, options: &MountOptions) -> Result<()> {
    for (attr, recursive) in [(options.attr, false), (options.recursive_attr, true)] {
        if !attr.is_empty() {
            narrate!("its flags", "mount_setattr({})", flag_names(attr.set));
            sys::mount_setattr(mount, attr, recursive).context("set its flags")?;
        }
    }
    Ok(())
}

/// Attaches such a copy at its place, which is made, a folder or a file as it takes, where it is missing.
pub fn put(root: &Root, mount: &Mount, made: OwnedFd) -> Result<OwnedFd> {
    let path = &mount.destination;
    target::refuse_false_proc(path, || target::is_procfs(&made))?;
    let stat = rustix::fs::fstat(&made).context("stat the source")?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let target = if is_dir { target::dir(root, path)? } else { target::file(root, path)? };
    attach(&made, &target, path)?;
    Ok(made)
}

//! The root of a copy, with what a container has mounted in it.
//!
//! A container's volumes are mounted in its own mount namespace. To see them, this process gets a namespace of its own
//! too (unshare(2)) and binds them where the container has them. Nobody else sees these mounts, and they end with the process.

use crate::cli::CopyArgs;
use crate::layer::beneath;
use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, mount_remount, move_mount,
    open_tree,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Opens the root, with everything mounted that the arguments say.
pub fn open(args: &CopyArgs) -> Result<OwnedFd> {
    let failed = || format!("open {}", args.root.display());
    if args.binds.is_empty() && args.binds_read_only.is_empty() && !args.read_only {
        return beneath::open_root(&args.root);
    }
    unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).context("make mounts private")?;
    // Only now: a folder that was opened before is one of the namespace before.
    let root = beneath::open_root(&args.root)?;
    let mut binds: Vec<(&[PathBuf], bool)> = args.binds.chunks_exact(2).map(|pair| (pair, false)).collect();
    binds.extend(args.binds_read_only.chunks_exact(2).map(|pair| (pair, true)));
    // What is mounted on something that is mounted comes after it.
    binds.sort_by_key(|(pair, _)| pair[1].components().count());
    for (pair, read_only) in binds {
        bind(&root, &pair[0], &pair[1], read_only)
            .with_context(|| format!("show {} at {}", pair[0].display(), pair[1].display()))?;
    }
    if args.read_only {
        mount_remount(&args.root, MountFlags::BIND | MountFlags::RDONLY, "").with_context(failed)?;
    }
    Ok(root)
}

fn bind(root: &OwnedFd, source: &Path, destination: &Path, read_only: bool) -> Result<()> {
    let tree = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, source, tree).context("open it")?;
    let is_dir = FileType::from_raw_mode(rustix::fs::fstat(&tree)?.st_mode).is_dir();
    let target = mount_point(root, destination.as_os_str().as_bytes(), is_dir)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&tree, "", &target, "", flags).context("mount it")?;
    if read_only {
        // By the descriptor: it is the mount itself, whatever became of the path.
        let path = format!("/proc/self/fd/{}", tree.as_raw_fd());
        mount_remount(path, MountFlags::BIND | MountFlags::RDONLY, "").context("make it read-only")?;
    }
    Ok(())
}

/// Opens the folder or file to mount on, and makes it if nobody has yet: a container that never ran has no mount points.
fn mount_point(root: &OwnedFd, path: &[u8], is_dir: bool) -> Result<OwnedFd> {
    match beneath::open_in(root, path, OFlags::PATH) {
        Err(Errno::NOENT) => {}
        found => return found.context("find the place"),
    }
    let parts = beneath::components(path)?;
    let (name, parents) = parts.split_last().context("there is no such place")?;
    let mut dir = beneath::open_in(root, b"", OFlags::DIRECTORY | OFlags::RDONLY)?;
    for depth in 1..=parents.len() {
        dir = beneath::open_or_make(root, &parents[..depth].join(&b'/'), &dir, parents[depth - 1])?;
    }
    let made = match is_dir {
        true => rustix::fs::mkdirat(&dir, *name, Mode::from_raw_mode(0o755)),
        false => rustix::fs::mknodat(&dir, *name, FileType::RegularFile, Mode::from_raw_mode(0o755), 0),
    };
    made.context("make the place")?;
    Ok(beneath::open_in(root, path, OFlags::PATH)?)
}

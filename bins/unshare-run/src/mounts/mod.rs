//! The `mounts` of the configuration, one after the other, each onto a descriptor inside of the root.
//!
//! The mount API of Linux 5.2 makes a mount first (`fsmount`, `open_tree`), detached, and attaches it in one
//! step afterwards (`move_mount`): it has all its flags before anybody can see it.

pub mod cgroup;
pub mod devices;
pub mod in_root;
pub mod masked;
pub mod options;
pub mod pivot_root;

use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use in_root::Root;
use layout::oci::runtime::Mount;
use options::{Bind, MountOptions};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::path::{Path, PathBuf};

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

/// What a mount may need to know of its surroundings.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Relative sources start here.
    pub bundle: &'a Path,
    /// Whether the container has a cgroup namespace of its own.
    pub own_cgroup_namespace: bool,
}

/// Makes one mount. Gives back a mount that is to become read-only when everything in it has been made (`/dev`).
pub fn mount(root: &Root, mount: &Mount, around: &Surroundings<'_>) -> Result<Option<OwnedFd>> {
    let what = || format!("mount {} at {}", describe(mount), mount.destination.display());
    let mut options = MountOptions::parse(&mount.options).with_context(what)?;
    let read_only = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    let late = is_dev(mount) && mount.kind == "tmpfs" && options.attr.set & read_only != 0;
    if late {
        options.attr.set &= !read_only;
    }
    let made = if options.bind.is_some() || mount.kind == "bind" {
        bind(root, mount, &options, around).with_context(what)?
    } else if matches!(mount.kind.as_str(), "cgroup" | "cgroup2") {
        cgroup::mount(root, &mount.destination, &options, around).with_context(what)?;
        return Ok(None);
    } else {
        let target = match mount.kind.as_str() {
            "proc" | "sysfs" => plain_dir(root, &mount.destination),
            _ => dir_target(root, &mount.destination),
        };
        let target = target.with_context(what)?;
        let source = if mount.source.is_empty() { "none" } else { &mount.source };
        let made = new_filesystem(&mount.kind, source, &options).with_context(what)?;
        attach(&made, &target).with_context(what)?;
        made
    };
    propagate(&made, &options).with_context(what)?;
    Ok(late.then_some(made))
}

fn describe(mount: &Mount) -> String {
    if mount.kind.is_empty() || mount.kind == "bind" { format!("bind of {}", mount.source) } else { mount.kind.clone() }
}

/// Whether this mount is the container's `/dev`.
pub fn is_dev(mount: &Mount) -> bool {
    mount.destination.components().eq(Path::new("/dev").components())
}

/// Makes a mount of a new filesystem, detached: fsopen(2), fsconfig(2), fsmount(2).
pub fn new_filesystem(kind: &str, source: &str, options: &MountOptions) -> Result<OwnedFd> {
    let data = options.data.join(",");
    narrate!(
        "a filesystem, not yet visible anywhere",
        "fsopen({kind}) fsconfig({data}) fsmount({:#x})",
        options.attr.set
    );
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).with_context(|| format!("fsopen {kind}"))?;
    fsconfig_set_string(&context, "source", source)
        .with_context(|| format!("set source={source}{}", kernel_says(&context)))?;
    for option in &options.data {
        let set = match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(&context, key, value),
            None => fsconfig_set_flag(&context, option.as_str()),
        };
        set.with_context(|| format!("set {option}{}", kernel_says(&context)))?;
    }
    fsconfig_create(&context).with_context(|| format!("create{}", kernel_says(&context)))?;
    let attr = MountAttrFlags::from_bits_retain(options.attr.set as u32);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attr).with_context(|| format!("fsmount{}", kernel_says(&context)))
}

/// The message that the kernel left in a filesystem context, in brackets: fsopen's descriptor can be read.
fn kernel_says(context: &OwnedFd) -> String {
    let mut buffer = [0u8; 512];
    match rustix::io::read(context, &mut buffer) {
        Ok(n) if n > 2 => format!(" ({})", String::from_utf8_lossy(&buffer[2..n]).trim_end()),
        _ => String::new(),
    }
}

/// Makes a copy of a mount, or of the tree of mounts from there on, detached: open_tree(2).
pub fn clone_mount(dir: impl AsFd, path: &Path, which: Bind) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if which == Bind::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(dir, path, flags)
}

/// Makes a detached mount visible at `target`: move_mount(2).
pub fn attach(mount: &OwnedFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

fn bind(root: &Root, mount: &Mount, options: &MountOptions, around: &Surroundings<'_>) -> Result<OwnedFd> {
    if let Some(option) = options.data.first() {
        bail!("a bind has no option {option}");
    }
    let source: PathBuf = around.bundle.join(&mount.source);
    let which = options.bind.unwrap_or(Bind::One);
    narrate!(
        "what the container sees of the host",
        "open_tree({}, OPEN_TREE_CLONE) move_mount({})",
        source.display(),
        mount.destination.display()
    );
    let made = match clone_mount(CWD, &source, which) {
        // In a user namespace of our own, mounts below are locked onto their parent: all of them or none.
        Err(Errno::INVAL) if which == Bind::One => clone_mount(CWD, &source, Bind::Tree),
        other => other,
    };
    let made = made.with_context(|| format!("open {}", source.display()))?;
    for (attr, recursive) in [(options.attr, false), (options.recursive_attr, true)] {
        if !attr.is_empty() {
            sys::mount_setattr(&made, attr, recursive).context("set its flags")?;
        }
    }
    let source = rustix::fs::fstat(&made).context("stat the source")?;
    let is_dir = FileType::from_raw_mode(source.st_mode) == FileType::Directory;
    let target = if is_dir { dir_target(root, &mount.destination)? } else { file_target(root, &mount.destination)? };
    attach(&made, &target)?;
    Ok(made)
}

fn dir_target(root: &Root, path: &Path) -> Result<OwnedFd> {
    let target = root.make_dir(path)?;
    refuse_procfs(root, target, path)
}

fn file_target(root: &Root, path: &Path) -> Result<OwnedFd> {
    let target = root.make_file(path)?;
    refuse_procfs(root, target, path)
}

/// A folder that no link leads to. For procfs and sysfs: a `/proc` that is a link would leave the real one,
/// which gets masked and is trusted later on, in another place.
fn plain_dir(root: &Root, path: &Path) -> Result<OwnedFd> {
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

/// Whether a descriptor is of a file in procfs.
pub fn is_procfs(fd: impl AsFd) -> Result<bool> {
    Ok(rustix::fs::fstatfs(fd).context("statfs")?.f_type == PROC_SUPER_MAGIC)
}

fn propagate(mount: &OwnedFd, options: &MountOptions) -> Result<()> {
    for propagation in &options.propagation {
        sys::mount_setattr(mount, propagation.attr(), propagation.recursive).context("set its propagation")?;
    }
    Ok(())
}

/// Opens a path of the host, without following where it leads any further.
pub fn open_host(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))
}

//! Filesystems mounted anew: fsopen(2), fsconfig(2), fsmount(2); and changed where they are: fspick(2).

use super::bind::{attach, clone_private, set_flags};
use super::in_root::Root;
use super::options::{Bind, MountOptions, flag_names};
use super::{Surroundings, target};
use crate::narrate::narrate;
use anyhow::{Context, Result, anyhow, bail};
use layout::oci::runtime::{Mount, NamespaceKind};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_reconfigure,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick,
};
use std::ffi::CString;
use std::path::Path;

/// The longest value that fsconfig(2) takes. Overlays with many layers have longer ones.
const LONGEST_VALUE: usize = 255;

/// Mounts a new filesystem.
pub fn mount(root: &Root, mount: &Mount, options: &MountOptions, around: &Surroundings<'_>) -> Result<OwnedFd> {
    let path = &mount.destination;
    target::refuse_false_proc(path, || Ok(mount.kind == "proc"))?;
    let target = match mount.kind.as_str() {
        "proc" | "sysfs" => target::plain_dir(root, path)?,
        _ => target::dir(root, path)?,
    };
    let source = if mount.source.is_empty() { "none" } else { &mount.source };
    if options.data.iter().any(|option| option.len() > LONGEST_VALUE) {
        return in_one_call(root, mount, options, &target);
    }
    let made = new_filesystem(&mount.kind, source, options).or_else(|error| {
        let not_permitted = error.root_cause().downcast_ref::<Errno>() == Some(&Errno::PERM);
        match hosts_own(&mount.kind, around) {
            Some(place) if not_permitted => instead(Path::new(place), options).map_err(|_| error),
            _ => Err(error),
        }
    })?;
    attach(&made, &target, path)?;
    Ok(made)
}

/// Where the host has a filesystem that shows what a namespace holds, if the container shares that namespace: the
/// owner of a user namespace may not mount it anew, but it would show the same.
fn hosts_own(kind: &str, around: &Surroundings<'_>) -> Option<&'static str> {
    let (namespace, place) = match kind {
        "proc" => (NamespaceKind::Pid, "/proc"),
        "sysfs" => (NamespaceKind::Network, "/sys"),
        "mqueue" => (NamespaceKind::Ipc, "/dev/mqueue"),
        _ => return None,
    };
    (!around.namespaces.has(namespace)).then_some(place)
}

fn instead(place: &Path, options: &MountOptions) -> Result<OwnedFd> {
    narrate!("not permitted to mount it anew: the host's", "open_tree({}, OPEN_TREE_CLONE)", place.display());
    let made = clone_private(CWD, place, Bind::Tree)?;
    set_flags(&made, options)?;
    Ok(made)
}

/// Makes a mount of a new filesystem, detached.
pub fn new_filesystem(kind: &str, source: &str, options: &MountOptions) -> Result<OwnedFd> {
    narrate!(
        "a filesystem, not yet visible anywhere",
        "fsopen({kind}) fsconfig({}) fsmount({})",
        options.data.join(","),
        flag_names(options.attr.set | options.recursive_attr.set)
    );
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).with_context(|| match kind {
        "" => "it has no type, and is no bind".to_owned(),
        kind => format!("fsopen {kind} (is it in /proc/filesystems?)"),
    })?;
    fsconfig_set_string(&context, "source", source)
        .with_context(|| format!("set source={source}{}", kernel_says(&context)))?;
    configure(&context, kind, options)?;
    fsconfig_create(&context).with_context(|| format!("create{}", kernel_says(&context)))?;
    let attr = MountAttrFlags::from_bits_retain(options.attr.set as u32 | options.recursive_attr.set as u32);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attr).with_context(|| format!("fsmount{}", kernel_says(&context)))
}

fn configure(context: &OwnedFd, kind: &str, options: &MountOptions) -> Result<()> {
    for option in &options.superblock {
        // Of a tmpfs only the mount becomes read-only, so that what belongs in it can be put there first.
        if matches!(kind, "tmpfs" | "cgroup" | "cgroup2") && matches!(option.as_str(), "ro" | "rw") {
            continue;
        }
        fsconfig_set_flag(context, option.as_str()).with_context(|| format!("set {option}{}", kernel_says(context)))?;
    }
    for option in &options.data {
        let set = match option.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context, key, value),
            None => fsconfig_set_flag(context, option.as_str()),
        };
        set.with_context(|| format!("set {option}{}", kernel_says(context)))?;
    }
    Ok(())
}

/// The message that the kernel left in a filesystem context, in brackets: fsopen's descriptor can be read.
fn kernel_says(context: &OwnedFd) -> String {
    let mut buffer = [0u8; 512];
    match rustix::io::read(context, &mut buffer) {
        Ok(n) if n > 2 => format!(" ({})", String::from_utf8_lossy(&buffer[2..n]).trim_end()),
        _ => String::new(),
    }
}

/// Mounts with mount(2), which takes all options in one text of a page's length. Its target is a path, so we name the
/// descriptor that we hold.
fn in_one_call(root: &Root, mount: &Mount, options: &MountOptions, target: &OwnedFd) -> Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let place = format!("/proc/self/fd/{}", target.as_raw_fd());
    narrate!("an option longer than fsconfig takes", "mount({}, {place}, {})", mount.source, mount.kind);
    let all: Vec<&str> = options.data.iter().map(String::as_str).collect();
    let data = CString::new(all.join(",")).context("encode the options")?;
    rustix::mount::mount(&*mount.source, &*place, &*mount.kind, MountFlags::empty(), data.as_c_str())
        .context("mount")?;
    // What is there now is the new mount, which lies over `target`.
    let made = open_mount(root, &mount.destination)?;
    let flags = MountOptions { recursive_attr: options.recursive_attr, attr: options.attr, ..MountOptions::default() };
    set_flags(&made, &flags)?;
    reconfigure(&made, &mount.kind, &MountOptions { data: Vec::new(), ..options.clone() })?;
    Ok(made)
}

/// Changes what is mounted already: its flags, and unless `bind` limits it to these, the filesystem's.
/// What is not named stays as it is.
pub fn remount(root: &Root, mount: &Mount, options: &MountOptions) -> Result<OwnedFd> {
    let place = open_mount(root, &mount.destination)?;
    narrate!("what is mounted already, changed", "remount {}", mount.destination.display());
    if options.bind.is_none() {
        reconfigure(&place, &mount.kind, options)?;
    } else if let Some(option) = options.data.first() {
        bail!("a bind has no option {option}");
    }
    set_flags(&place, options)?;
    Ok(place)
}

fn reconfigure(place: &OwnedFd, kind: &str, options: &MountOptions) -> Result<()> {
    if options.superblock.is_empty() && options.data.is_empty() {
        return Ok(());
    }
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    narrate!("the filesystem's options", "fspick() fsconfig({})", options.data.join(","));
    let context = fspick(place, "", flags).context("fspick")?;
    configure(&context, kind, options)?;
    fsconfig_reconfigure(&context).with_context(|| format!("reconfigure{}", kernel_says(&context)))
}

/// Opens a path in the root on which something is mounted.
fn open_mount(root: &Root, path: &Path) -> Result<OwnedFd> {
    let place = root.open(path, OFlags::PATH).with_context(|| format!("open {} in the root", path.display()))?;
    let stat = rustix::fs::statx(&place, "", AtFlags::EMPTY_PATH, StatxFlags::empty()).context("statx")?;
    if !stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(anyhow!("nothing is mounted there"));
    }
    Ok(place)
}

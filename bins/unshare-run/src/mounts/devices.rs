//! Device nodes in the container's `/dev`: the harmless ones that every program expects, and what the configuration adds.

use super::in_root::Root;
use super::options::Bind;
use super::{attach, clone_private, target};
use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Device;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The devices that the OCI specification promises (config-linux.md "Default Devices"), by number.
const DEFAULT: [(&str, i64, i64); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links that programs expect beside them.
const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
];

/// Makes the default devices and links, and those of the configuration.
/// In a user namespace no device can be made, so the host's are bound.
pub fn make(root: &Root, devices: &[Device], in_user_namespace: bool) -> Result<()> {
    let default = |(path, major, minor): (&str, i64, i64)| Device {
        path: PathBuf::from(path),
        kind: "c".to_owned(),
        major,
        minor,
        file_mode: Some(0o666),
        uid: None,
        gid: None,
    };
    // The configuration may say who owns one of the default devices, or what may be done with it.
    let usual = DEFAULT.map(default);
    let usual = usual.iter().filter(|usual| !devices.iter().any(|device| device.path == usual.path));
    for device in usual.chain(devices) {
        let what = || format!("make device {}", device.path.display());
        // Anybody may make a pipe.
        if in_user_namespace && device.kind != "p" {
            bind(root, device).with_context(what)?;
        } else {
            node(root, device).with_context(what)?;
        }
    }
    let dev = root.make_dir(Path::new("/dev"))?;
    narrate!("names that programs expect", "symlink(/dev/{{fd,stdin,stdout,stderr,core,ptmx}})");
    for (target, name) in LINKS {
        if name == "core" && !Path::new(target).exists() {
            // Not every kernel has one.
            continue;
        }
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("link /dev/{name} to {target}")),
        }
    }
    Ok(())
}

fn file_type(device: &Device) -> Result<FileType> {
    Ok(match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => bail!("{other:?} is no kind of device (c, u, b or p)"),
    })
}

/// A pipe has no number.
fn number(device: &Device) -> u64 {
    if device.kind == "p" { 0 } else { rustix::fs::makedev(device.major as u32, device.minor as u32) }
}

fn node(root: &Root, device: &Device) -> Result<()> {
    let (kind, number) = (file_type(device)?, number(device));
    let (parent, name) = root.parent(&device.path)?;
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    narrate!(
        "a device is a number that the kernel knows, under a name",
        "mknod({}, {} {}:{})",
        device.path.display(),
        device.kind,
        device.major,
        device.minor
    );
    match rustix::fs::mknodat(&parent, name, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return expect_device(&parent, name.as_ref(), kind, number),
        // Without CAP_MKNOD the host's own node will do.
        Err(Errno::PERM) => return bind(root, device),
        Err(error) => return Err(error).context("mknod"),
    }
    if device.uid.is_some() || device.gid.is_some() {
        let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(&parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).context("chown")?;
    }
    Ok(())
}

/// Something is there already: it will do if it is the very device.
fn expect_device(parent: &OwnedFd, name: &Path, kind: FileType, number: u64) -> Result<()> {
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).context("stat")?;
    if FileType::from_raw_mode(found.st_mode) != kind || (kind != FileType::Fifo && found.st_rdev != number) {
        bail!("the root has another file of that name");
    }
    Ok(())
}

fn bind(root: &Root, device: &Device) -> Result<()> {
    let target = target::file(root, &device.path)?;
    narrate!("no device can be made here: the host's", "open_tree({}, OPEN_TREE_CLONE)", device.path.display());
    let made = clone_private(CWD, &device.path, Bind::One).context("open the host's")?;
    let found = rustix::fs::fstat(&made).context("stat the host's")?;
    if FileType::from_raw_mode(found.st_mode) != file_type(device)? || found.st_rdev != number(device) {
        bail!("the host has something else there");
    }
    attach(&made, &target, &device.path).context("bind the host's")
}

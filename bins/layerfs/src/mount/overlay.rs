//! Overlay mounts: several folders shown as one (<https://docs.kernel.org/filesystems/overlayfs.html>).
//!
//! There are two ways to tell the kernel. The old one is mount(2) with one string of options,
//! `lowerdir=A:B,upperdir=C,workdir=D`: it must fit into a page, and commas and colons in paths need a backslash. The new one is
//! fsopen(2), one fsconfig(2) call an option (`lowerdir+` once a layer, kernel 6.8), fsmount(2) and move_mount(2): no
//! limit, no escaping, and a sentence from the kernel when something is wrong.
//!
//! A page has room for some fifty layers by their paths, and for as many as overlayfs takes by the numbers of open folders: with
//! `/proc/self/fd` as the working folder a layer is called `17`. Such a mount does not say what it shows, so its source says
//! whose it is, and `gc` keeps all layers as long as it is there.

use crate::layer::beneath;
use anyhow::{Context, Result, anyhow, bail};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount, unmount,
};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The kernel since which layers are given one by one (`lowerdir+`).
const LOWERDIR_PLUS: (u32, u32) = (6, 8);

/// The options that keep an upper folder readable by `diff`: nothing in it refers to the layers below instead of holding
/// what it stands for. And no redirect in a layer is followed: a layer comes from anywhere.
const OPTIONS: [(&str, &str); 3] = [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow")];

/// What needs a backslash in a layer's path in the option string of mount(2).
pub const SPECIAL: &[u8] = b":,";

/// The longest value that fsconfig(2) takes, and the room that mount(2) has for options.
const MAX_VALUE: usize = 255;
const PAGE: usize = 4096;
/// The most layers that overlayfs takes (`OVL_MAX_STACK`).
const MAX_LAYERS: usize = 500;
/// Where each open file of this process has a name, its number.
const DESCRIPTORS: &str = "/proc/self/fd";

/// What is to be mounted.
#[derive(Debug)]
pub struct Overlay {
    /// The layers' folders, the highest first.
    pub lowers: Vec<PathBuf>,
    /// The folder for changes, and overlayfs's scratch folder. Without them the mount is read-only.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// Whether fsync(2) does nothing in it, nor does an umount wait for the disk: the changes need not survive a power cut.
    pub volatile: bool,
    /// The store's folder of layers: the mount's source, if its layers are named by descriptors.
    pub layers: PathBuf,
}

impl Overlay {
    /// Mounts it at `target`, by mount(2) if `classic` is set or the kernel does not know the other way.
    pub fn mount(&self, target: &Path, classic: bool) -> Result<()> {
        let failed = || format!("mount an overlay of {} layers at {}", self.lowers.len(), target.display());
        if is_mount_point(target)? {
            bail!("{}: something is mounted there already (layerfs umount {0})", target.display());
        }
        if let Some((_, work)) = &self.upper {
            clear_volatile(work)?;
        }
        if self.lowers.len() > MAX_LAYERS {
            bail!(
                "{}: the image has {} layers, and overlayfs takes {MAX_LAYERS}: make one layer of several \
                 (mount its lower ones apart, tar and import them)",
                failed(),
                self.lowers.len()
            );
        }
        if let ([only], None) = (self.lowers.as_slice(), &self.upper) {
            return mount_bind_read_only(only, target).with_context(failed);
        }
        // Asked by its version, because an older overlayfs takes any key, and refuses it only when all are given.
        let knows_layers_one_by_one = layout::kernel::version() >= LOWERDIR_PLUS;
        if !classic && knows_layers_one_by_one && self.mount_new(target).with_context(failed)? {
            return Ok(());
        }
        self.mount_classic(target).with_context(failed)
    }

    /// The new way; `false` where the kernel does not know it after all.
    fn mount_new(&self, target: &Path) -> Result<bool> {
        let fs = match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fs) => fs,
            Err(Errno::NOSYS) => return Ok(false),
            Err(error) => return Err(error).context("fsopen overlay (is the module loaded? modprobe overlay)"),
        };
        // Folders that are named by their descriptors, which must stay open until the mount is made.
        let mut open = Vec::new();
        for (number, lower) in self.lowers.iter().enumerate() {
            let path = short_path(lower, MAX_VALUE, &mut open)?;
            match fsconfig_set_string(&fs, "lowerdir+", path.as_slice()) {
                Err(Errno::INVAL) if number == 0 && said(&fs).is_none_or(|text| text.contains("nknown parameter")) => {
                    return Ok(false);
                }
                result => result.map_err(|error| explained(error, &fs)).with_context(|| shown("lowerdir+", lower))?,
            }
        }
        if let Some((upper, work)) = &self.upper {
            for (key, path) in [("upperdir", upper), ("workdir", work)] {
                // Unlike the layers', these values are unescaped.
                let value = escape(&short_path(path, MAX_VALUE, &mut open)?, b"");
                let value = if value.len() > MAX_VALUE { short_path(path, 0, &mut open)? } else { value };
                fsconfig_set_string(&fs, key, value.as_slice())
                    .map_err(|error| explained(error, &fs))
                    .with_context(|| shown(key, path))?;
            }
            if self.volatile {
                fsconfig_set_flag(&fs, "volatile").map_err(|error| explained(error, &fs))?;
            }
        }
        for (key, value) in OPTIONS {
            fsconfig_set_string(&fs, key, value).map_err(|error| explained(error, &fs)).context(key)?;
        }
        fsconfig_set_string(&fs, "source", self.source(&open)?).map_err(|error| explained(error, &fs))?;
        fsconfig_create(&fs).map_err(|error| explained(error, &fs))?;
        let attributes = if self.upper.is_none() { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
        let mounted = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).context("fsmount")?;
        move_mount(&mounted, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).context("move_mount")?;
        Ok(true)
    }

    /// What the mount is said to be of: overlays are of nothing, but see the top of this file.
    fn source(&self, open: &[OwnedFd]) -> Result<String> {
        if open.is_empty() { Ok("overlay".to_owned()) } else { source_of(&self.layers) }
    }

    /// The old way.
    fn mount_classic(&self, target: &Path) -> Result<()> {
        let mut open = Vec::new();
        let mut options = self.options(|path| Ok(path.as_os_str().as_bytes().to_vec()))?;
        if options.len() >= PAGE {
            // Relative to the folder of all descriptors, which is therefore the working one while it is mounted.
            options = self.options(|path| by_descriptor(path, &mut open).map(|number| number.into_bytes()))?;
            std::env::set_current_dir(DESCRIPTORS).with_context(|| format!("go to {DESCRIPTORS}"))?;
        }
        if options.len() >= PAGE {
            bail!("{} layers are too many for one page of mount options", self.lowers.len());
        }
        let flags = if self.upper.is_none() { MountFlags::RDONLY } else { MountFlags::empty() };
        let options = CString::new(options).context("a path holds a NUL")?;
        mount(self.source(&open)?, target, "overlay", flags, options.as_c_str())
            .with_context(|| format!("mount -t overlay -o {}", options.to_string_lossy()))
    }

    /// The option string, in which `name` names the folders.
    fn options(&self, mut name: impl FnMut(&Path) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let mut lowers = Vec::new();
        for lower in &self.lowers {
            lowers.push(escape(&name(lower)?, SPECIAL));
        }
        let mut options = [b"lowerdir=", lowers.join(&b':').as_slice()].concat();
        if let Some((upper, work)) = &self.upper {
            for (key, path) in [(",upperdir=", upper), (",workdir=", work)] {
                options.extend_from_slice(key.as_bytes());
                options.extend(escape(&name(path)?, b","));
            }
            if self.volatile {
                options.extend_from_slice(b",volatile");
            }
        }
        for (key, value) in OPTIONS {
            options.extend(format!(",{key}={value}").bytes());
        }
        Ok(options)
    }
}

/// The source of a mount of layers that it does not name: the number of the folder of all layers, as its path may be too long.
pub fn source_of(layers: &Path) -> Result<String> {
    let stat = rustix::fs::stat(layers).with_context(|| format!("look at {}", layers.display()))?;
    Ok(format!("layers:{}:{}", stat.st_dev, stat.st_ino))
}

/// One folder is nothing to lay over another: it is shown at a second place.
fn mount_bind_read_only(folder: &Path, target: &Path) -> Result<()> {
    rustix::mount::mount_bind(folder, target).context("bind")?;
    // The flag is ignored by the call that binds, and wants a second one.
    rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "").context("make it read-only")
}

/// The path itself, or if it is longer than `max` a short one to the same folder: `/proc/self/fd/N`.
fn short_path(path: &Path, max: usize, open: &mut Vec<OwnedFd>) -> Result<Vec<u8>> {
    if path.as_os_str().len() <= max {
        return Ok(path.as_os_str().as_bytes().to_vec());
    }
    Ok(format!("{DESCRIPTORS}/{}", by_descriptor(path, open)?).into_bytes())
}

/// Opens a folder; gives its name in [`DESCRIPTORS`].
fn by_descriptor(path: &Path, open: &mut Vec<OwnedFd>) -> Result<String> {
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))?;
    let number = fd.as_raw_fd().to_string();
    open.push(fd);
    Ok(number)
}

/// Puts a backslash before each byte of `special`, and before each backslash.
pub fn escape(path: &[u8], special: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(path.len());
    for byte in path {
        if *byte == b'\\' || special.contains(byte) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

fn shown(key: &str, path: &Path) -> String {
    format!("{key}={}", path.display())
}

/// What the kernel noted on the context of a mount: reading from it gives one message a read.
fn said(fs: &OwnedFd) -> Option<String> {
    let mut buffer = [0u8; 512];
    let n = rustix::io::read(fs, &mut buffer).ok()?;
    // `e overlay: text`: the letter is the level.
    let text = String::from_utf8_lossy(&buffer[..n]).trim_end().to_owned();
    Some(text.split_once(' ').map_or(text.clone(), |(_, rest)| rest.to_owned()))
}

fn explained(error: Errno, fs: &OwnedFd) -> anyhow::Error {
    match said(fs) {
        Some(text) => anyhow!(error).context(text),
        None => error.into(),
    }
}

/// A volatile mount leaves a mark in its work folder, and the kernel refuses to mount again with it there, because after a
/// power cut the upper folder may not be whole. A container that is started again has not been through one, or
/// takes the risk as it did the first time.
fn clear_volatile(work: &Path) -> Result<()> {
    let dir = work.join("work");
    match rustix::fs::open(&dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => beneath::remove_all(&fd, b"incompat").with_context(|| format!("clear {}", dir.display())),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("open {}", dir.display())),
    }
}

/// Whether a mount begins at this folder.
pub fn is_mount_point(path: &Path) -> Result<bool> {
    match rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        // The server of a dead network filesystem; something is mounted, at any rate.
        Err(Errno::NOTCONN | Errno::STALE) => Ok(true),
        Err(error) => Err(error).with_context(|| format!("look at {}", path.display())),
    }
}

/// Undoes [`Overlay::mount`], however often it was done. Nothing mounted, or no such folder: success.
pub fn umount(target: &Path) -> Result<()> {
    while is_mount_point(target)? {
        match unmount(target, UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Somebody still has a file open in it: it disappears from here now, and altogether when they close it.
            Err(Errno::BUSY) => unmount(target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                .with_context(|| format!("detach {}", target.display()))?,
            // Another umount was faster.
            Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("unmount {}", target.display())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_for_the_option_string() {
        let overlay = Overlay {
            lowers: vec!["/l/a,b".into(), "/l/c:d\\e".into()],
            upper: Some(("/u,1:2".into(), "/w".into())),
            volatile: true,
            layers: "/l".into(),
        };
        let options = overlay.options(|path| Ok(path.as_os_str().as_bytes().to_vec())).unwrap();
        assert_eq!(
            String::from_utf8(options).unwrap(),
            r"lowerdir=/l/a\,b:/l/c\:d\\e,upperdir=/u\,1:2,workdir=/w,volatile,index=off,metacopy=off,redirect_dir=nofollow"
        );
    }

    #[test]
    fn long_paths_are_named_by_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = Vec::new();
        let short = short_path(dir.path(), 3, &mut open).unwrap();
        assert!(short.starts_with(b"/proc/self/fd/") && open.len() == 1);
    }

    #[test]
    fn nothing_mounted_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        umount(dir.path()).unwrap();
        umount(&dir.path().join("missing")).unwrap();
        assert!(is_mount_point(Path::new("/proc")).unwrap() && !is_mount_point(dir.path()).unwrap());
    }
}

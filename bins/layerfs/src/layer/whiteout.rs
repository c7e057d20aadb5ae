//! Whiteouts: how a layer says that something below it is gone.
//!
//! | | in a tar (image-spec, layer.md "Whiteouts") | in a folder (overlayfs) |
//! | --- | --- | --- |
//! | `NAME` is deleted | an empty file `.wh.NAME` | a character device 0:0 called `NAME` |
//! | nothing below shows through | an empty file `.wh..wh..opq` in the folder | the attribute `trusted.overlay.opaque=y` of the folder |

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, FileType, Mode, Stat, XattrFlags, makedev};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// The prefix of a whiteout's name in a tar.
pub const PREFIX: &[u8] = b".wh.";
/// The name of an opaque folder's mark in a tar.
pub const OPAQUE: &[u8] = b".wh..wh..opq";
/// The attribute of an opaque folder.
const OPAQUE_XATTR: &str = "trusted.overlay.opaque";

/// What a name in a tar says.
#[derive(Debug, PartialEq, Eq)]
pub enum Mark<'a> {
    /// Nothing: it is a file.
    None,
    /// The file of this name is deleted.
    Removed(&'a [u8]),
    /// The folder that it is in is opaque.
    Opaque,
    /// Something that aufs kept in its layers, and nobody else reads.
    Aufs,
}

/// Reads the last component of a path in a tar.
///
/// # Errors
/// A whiteout of what cannot be a name: nothing, `.`, `..`.
pub fn read(name: &[u8]) -> Result<Mark<'_>> {
    match name.strip_prefix(PREFIX) {
        None => Ok(Mark::None),
        Some(_) if name == OPAQUE => Ok(Mark::Opaque),
        Some(rest) if rest.starts_with(PREFIX) => Ok(Mark::Aufs),
        Some(b"" | b"." | b"..") => bail!("a whiteout of nothing"),
        Some(rest) => Ok(Mark::Removed(rest)),
    }
}

/// As [`read`], of a whole path.
///
/// # Errors
/// Also: what is in a folder that has the name of a mark. Some would take the folder for one.
pub fn read_path<'a>(parents: &[&[u8]], name: &'a [u8]) -> Result<Mark<'a>> {
    match parents.iter().find(|parent| parent.starts_with(PREFIX)) {
        None => read(name),
        Some(parent) if read(parent)? == Mark::Aufs => Ok(Mark::Aufs),
        Some(parent) => bail!("it is within {}, the mark of something that is deleted", parent.escape_ascii()),
    }
}

/// Whether a file is overlayfs's whiteout.
pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(0, 0)
}

/// Makes overlayfs's whiteout.
pub fn make(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))
}

/// Makes the folder `name` in `dir` opaque. `name` must be no symbolic link.
pub fn set_opaque(dir: impl AsFd, name: &[u8]) -> Result<()> {
    rustix::fs::lsetxattr(path_of(&dir, name), OPAQUE_XATTR, b"y", XattrFlags::empty())
        .context("make a folder opaque (the filesystem must take trusted.* attributes)")
}

/// Whether an open folder is opaque.
pub fn is_opaque(dir: impl AsFd) -> Result<bool> {
    let mut value = [0u8; 1];
    match rustix::fs::fgetxattr(dir, OPAQUE_XATTR, &mut value) {
        // `x` marks a folder that holds another form of whiteouts; it is not opaque.
        Ok(_) => Ok(&value == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error).context("read whether a folder is opaque"),
    }
}

/// Whether overlayfs keeps its own notes in this attribute: no layer may bring them, and none is written into one.
pub fn is_overlay_xattr(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// A path to `name` in an open folder, for the attribute calls that have no form with a folder's descriptor.
pub fn path_of(dir: &impl AsFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// The stat of `name` in `dir`, of itself if it is a link; `None` where there is none.
pub fn stat(dir: impl AsFd, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_tar_say_what_is_gone() {
        assert_eq!(read(b"file").unwrap(), Mark::None);
        assert_eq!(read(b".wh.file").unwrap(), Mark::Removed(b"file"));
        assert_eq!(read(b".wh..hidden").unwrap(), Mark::Removed(b".hidden"));
        assert_eq!(read(b".wh..wh..opq").unwrap(), Mark::Opaque);
        assert_eq!(read(b".wh..wh.plnk").unwrap(), Mark::Aufs);
        assert_eq!(read_path(&[b"a", b".wh..wh.orph"], b"x").unwrap(), Mark::Aufs);
        assert_eq!(read_path(&[b"a"], b".wh.x").unwrap(), Mark::Removed(b"x"));
        assert!(read_path(&[b".wh.a"], b"x").is_err());
        for bad in [&b".wh."[..], b".wh..", b".wh..."] {
            assert!(read(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}

//! What a file, folder, link or device is, as a member of an archive.

use crate::archive::member::{Kind, Member};
use crate::layer::{beneath, whiteout};
use anyhow::{Context, Result, bail};
use rustix::fs::{FileType, OFlags, Stat, major, minor};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// The kind of member that a file is; `None` for a socket, which is nothing without the process that listens on it, and
/// which no tar can hold.
pub fn kind(stat: &Stat) -> Result<Option<Kind>> {
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice(major(stat.st_rdev), minor(stat.st_rdev)),
        FileType::BlockDevice => Kind::BlockDevice(major(stat.st_rdev), minor(stat.st_rdev)),
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => return Ok(None),
        FileType::Unknown => bail!("it is of a type that is not known"),
    }))
}

/// All that is at `path` in a tree, where no component is a link, as a member; without the data of a file.
pub fn read(root: &OwnedFd, path: &[u8]) -> Result<Member> {
    let fd = beneath::open_no_links(root, path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = rustix::fs::fstat(&fd)?;
    let kind = kind(&stat)?.context("it is a socket")?;
    let mut member = member(path.to_vec(), kind, &stat, xattrs_by_path(root, path)?);
    member.mtime.1 = stat.st_mtime_nsec as u32;
    match member.kind {
        Kind::File => member.size = stat.st_size as u64,
        Kind::Symlink => member.link = rustix::fs::readlinkat(&fd, "", Vec::new())?.into_bytes(),
        _ => {}
    }
    Ok(member)
}

/// A member with the attributes of a file.
pub fn member(path: Vec<u8>, kind: Kind, stat: &Stat, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Member {
    Member {
        path,
        kind,
        link: Vec::new(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: 0,
        parts: None,
        // Whole seconds, as docker's layers have them: more would need a PAX header for each file.
        mtime: (stat.st_mtime, 0),
        xattrs,
    }
}

/// The attributes of what cannot be opened for reading: a link, a device.
pub fn xattrs_by_path(root: &OwnedFd, path: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let at = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let dir = match beneath::open_no_links(root, &path[..at], OFlags::PATH | OFlags::DIRECTORY) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let path = whiteout::path_of(&dir.as_fd(), &path[at..]);
    read_xattrs(
        |buffer| rustix::fs::llistxattr(&path, buffer),
        |name, buffer| rustix::fs::lgetxattr(&path, name, buffer),
    )
}

/// The attributes of an open file.
pub fn xattrs_of(fd: &OwnedFd) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    read_xattrs(|buffer| rustix::fs::flistxattr(fd, buffer), |name, buffer| rustix::fs::fgetxattr(fd, name, buffer))
}

/// All attributes that a layer keeps, sorted: not overlayfs's own notes, not the host's SELinux labels.
fn read_xattrs(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Most files have none; the longest list and the longest value that Linux has are 64 KiB each.
    let mut buffer = [0u8; 512];
    let names = match list(&mut buffer) {
        Ok(length) => buffer[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut large = vec![0; 64 << 10];
            let length = list(&mut large).context("list its attributes")?;
            large.truncate(length);
            large
        }
        Err(Errno::OPNOTSUPP | Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(error).context("list its attributes"),
    };
    let mut xattrs = Vec::new();
    let kept = |name: &&[u8]| !name.is_empty() && !whiteout::is_overlay_xattr(name) && *name != b"security.selinux";
    for name in names.split(|b| *b == 0).filter(kept) {
        let mut value = vec![0; 64 << 10];
        match get(name, &mut value) {
            Ok(length) => value.truncate(length),
            Err(Errno::NODATA | Errno::NOENT) => continue,
            Err(error) => return Err(error).with_context(|| format!("read its attribute {}", name.escape_ascii())),
        }
        value.shrink_to_fit();
        xattrs.push((name.to_vec(), value));
    }
    xattrs.sort();
    Ok(xattrs)
}

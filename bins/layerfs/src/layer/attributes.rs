//! Owner, mode, extended attributes and times of what was just made.
//!
//! In this order: chown(2) clears setuid bits and capabilities, and all of them set the time of change. What is right already
//! is not set again: most files of most layers are root's and have no more than a mode, and a call a file is felt.

use crate::archive::member::{Kind, Member};
use crate::layer::whiteout;
use anyhow::{Context, Result};
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::BorrowedFd;

/// The mode that a file is made with. The bits that make it more than a file come when it has its owner.
pub fn first_mode(member: &Member) -> Mode {
    Mode::from_raw_mode(member.mode & 0o777)
}

/// Sets the attributes of an open file; gives the number of those that the filesystem cannot keep.
pub fn set_open(file: &File, member: &Member) -> Result<u64> {
    let stat = rustix::fs::fstat(file).context("look at it")?;
    if is_foreign(&stat, member) {
        rustix::fs::fchown(file, Some(uid(member)), Some(gid(member))).context("set its owner")?;
    }
    if stat.st_mode & 0o7777 != member.mode {
        rustix::fs::fchmod(file, Mode::from_raw_mode(member.mode)).context("set its mode")?;
    }
    let mut lost = 0;
    for (name, value) in &member.xattrs {
        let result = rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty());
        lost += kept(result, name)?;
    }
    rustix::fs::futimens(file, &times(member)).context("set its times")?;
    Ok(lost)
}

/// Sets the attributes of `name` in a folder, which is no regular file; gives the number of those that were lost.
pub fn set(parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<u64> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statat(parent, name, nofollow).context("look at it")?;
    if is_foreign(&stat, member) {
        rustix::fs::chownat(parent, name, Some(uid(member)), Some(gid(member)), nofollow).context("set its owner")?;
    }
    // A link has no mode, and chmod would follow it.
    if member.kind != Kind::Symlink && stat.st_mode & 0o7777 != member.mode {
        let mode = Mode::from_raw_mode(member.mode);
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).context("set its mode")?;
    }
    let mut lost = 0;
    for (key, value) in &member.xattrs {
        let path = whiteout::path_of(&parent, name);
        lost += kept(rustix::fs::lsetxattr(path, key.as_slice(), value, XattrFlags::empty()), key)?;
    }
    rustix::fs::utimensat(parent, name, &times(member), nofollow).context("set its times")?;
    Ok(lost)
}

fn is_foreign(stat: &Stat, member: &Member) -> bool {
    (stat.st_uid, stat.st_gid) != (member.uid, member.gid)
}

/// An attribute that the filesystem cannot keep is lost, as with docker; gives 1 for it.
fn kept(result: rustix::io::Result<()>, name: &[u8]) -> Result<u64> {
    match result {
        Ok(()) => Ok(0),
        Err(Errno::OPNOTSUPP) => Ok(1),
        Err(error) => Err(error).with_context(|| format!("set its attribute {}", name.escape_ascii())),
    }
}

fn uid(member: &Member) -> Uid {
    Uid::from_raw(member.uid)
}

fn gid(member: &Member) -> Gid {
    Gid::from_raw(member.gid)
}

fn times(member: &Member) -> Timestamps {
    let (tv_sec, nanoseconds) = member.mtime;
    let time = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

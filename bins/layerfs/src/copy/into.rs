//! A tar becomes files in a tree that somebody may be changing at the same time.
//!
//! Each folder is opened within the tree, and nothing is done to a path that could be done to an open file: what stands at a path
//! may have become a link to somewhere else in between. So there is no chmod(2) by name here, as that follows links.

use crate::archive::member::{Kind, Member};
use crate::archive::read::TarReader;
use crate::layer::{attributes, beneath, whiteout};
use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Whose the copies are.
#[derive(Clone, Copy)]
pub enum Owner {
    /// As the archive says.
    AsWritten,
    /// All of one user and group.
    Is(u32, u32),
}

/// Where the members go.
pub struct Into<'a> {
    /// The root of the tree.
    pub root: &'a OwnedFd,
    /// The folder in it that they go to.
    pub folder: Vec<u8>,
    /// Whose they are.
    pub owner: Owner,
    /// Whether the folder itself becomes like the archive's own root.
    pub root_too: bool,
}

impl Into<'_> {
    /// Extracts all members.
    pub fn extract<R: Read>(&self, tar: &mut TarReader<R>) -> Result<()> {
        // Putting something into a folder changes its time, so that is set when all is done.
        let mut folders = Vec::new();
        while let Some(mut member) = tar.next()? {
            if let Owner::Is(uid, gid) = self.owner {
                (member.uid, member.gid) = (uid, gid);
            }
            let failed = || format!("write {}", member.path.escape_ascii());
            let path = beneath::components(&member.path).with_context(failed)?;
            match path.split_last() {
                Some((name, parents)) => self.member(&member, parents, name, tar).with_context(failed)?,
                None if self.root_too => {
                    attributes::set_open(&File::from(self.open(&[])?), &member).with_context(failed).map(drop)?;
                }
                None => continue,
            }
            if member.kind == Kind::Dir {
                folders.push((path.join(&b'/'), times(&member)));
            }
        }
        for (path, times) in folders.iter().rev() {
            if let Ok(dir) = self.open(&[path.as_slice()]) {
                rustix::fs::futimens(dir, times)
                    .with_context(|| format!("set the times of {}", path.escape_ascii()))?;
            }
        }
        Ok(())
    }

    fn open(&self, parts: &[&[u8]]) -> rustix::io::Result<OwnedFd> {
        beneath::open_in(self.root, &self.path(parts), OFlags::DIRECTORY | OFlags::RDONLY)
    }

    fn path(&self, parts: &[&[u8]]) -> Vec<u8> {
        [self.folder.as_slice(), b"/", &parts.join(&b'/')].concat()
    }

    /// Opens the folder that a member goes to, and makes what is missing of it.
    fn enter(&self, parents: &[&[u8]]) -> Result<OwnedFd> {
        match self.open(parents) {
            Err(Errno::NOENT) => {}
            found => return found.context("open the folder"),
        }
        let mut dir = self.open(&[])?;
        for depth in 1..=parents.len() {
            dir = beneath::open_or_make(self.root, &self.path(&parents[..depth]), &dir, parents[depth - 1])?;
        }
        Ok(dir)
    }

    fn member(&self, member: &Member, parents: &[&[u8]], name: &[u8], data: &mut impl Read) -> Result<()> {
        let parent = self.enter(parents)?;
        let parent = parent.as_fd();
        make_room(parent, name, member)?;
        match &member.kind {
            Kind::Dir => return folder(parent, name, member),
            Kind::File => return file(parent, name, member, data),
            Kind::Hardlink => return self.hard_link(parent, name, &member.link),
            Kind::Symlink => rustix::fs::symlinkat(&member.link, parent, name)?,
            Kind::CharDevice(major, minor) => node(parent, name, member, FileType::CharacterDevice, *major, *minor)?,
            Kind::BlockDevice(major, minor) => node(parent, name, member, FileType::BlockDevice, *major, *minor)?,
            Kind::Fifo => node(parent, name, member, FileType::Fifo, 0, 0)?,
        }
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), nofollow).context("set its owner")?;
        rustix::fs::utimensat(parent, name, &times(member), nofollow).context("set its times")
    }

    fn hard_link(&self, parent: BorrowedFd<'_>, name: &[u8], link: &[u8]) -> Result<()> {
        let path = beneath::components(link)?;
        let (target, folders) = path.split_last().context("it is a link to the root")?;
        let dir = self.open(folders).with_context(|| format!("link to {}", link.escape_ascii()))?;
        rustix::fs::linkat(&dir, *target, parent, name, AtFlags::empty())
            .with_context(|| format!("link to {}", link.escape_ascii()))
    }
}

/// Removes what a member replaces. A folder takes the place of nothing but a folder, and nothing else takes a folder's.
fn make_room(parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<()> {
    let Some(stat) = whiteout::stat(parent, name)? else { return Ok(()) };
    match (FileType::from_raw_mode(stat.st_mode).is_dir(), member.kind == Kind::Dir) {
        (true, true) => Ok(()),
        (true, false) => bail!("cannot overwrite directory {:?} with non-directory", name.escape_ascii().to_string()),
        (false, true) => bail!("cannot overwrite non-directory {:?} with directory", name.escape_ascii().to_string()),
        (false, false) => match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).context("replace it"),
        },
    }
}

fn folder(parent: BorrowedFd<'_>, name: &[u8], member: &Member) -> Result<()> {
    match rustix::fs::mkdirat(parent, name, attributes::first_mode(member)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error).context("make the folder"),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(parent, name, flags, Mode::empty()).context("open the folder")?;
    attributes::set_open(&File::from(dir), member).map(drop)
}

fn file(parent: BorrowedFd<'_>, name: &[u8], member: &Member, data: &mut impl Read) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, attributes::first_mode(member)).context("make it")?;
    let mut file = File::from(file);
    match &member.parts {
        None => drop(io::copy(data, &mut file).context("write it")?),
        Some(parts) => {
            for part in parts {
                file.seek(SeekFrom::Start(part.offset)).context("write it")?;
                io::copy(&mut data.take(part.length), &mut file).context("write it")?;
            }
            file.set_len(member.size).context("set its size")?;
        }
    }
    attributes::set_open(&file, member).map(drop)
}

fn node(parent: BorrowedFd<'_>, name: &[u8], member: &Member, kind: FileType, major: u32, minor: u32) -> Result<()> {
    let mode = Mode::from_raw_mode(member.mode);
    rustix::fs::mknodat(parent, name, kind, mode, rustix::fs::makedev(major, minor)).context("make it")
}

fn times(member: &Member) -> Timestamps {
    let time = Timespec { tv_sec: member.mtime.0, tv_nsec: member.mtime.1.into() };
    Timestamps { last_access: time, last_modification: time }
}

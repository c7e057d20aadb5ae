//! A layer's tar becomes a folder of files.
//!
//! The archive is not trusted. Names are resolved inside of the folder by the kernel (see [`crate::beneath`]), nothing that
//! comes last in a path is followed, and every file is made anew (`O_EXCL`), so that an archive that plants a link
//! and then writes through it writes nowhere. Whiteouts take overlayfs's form on the way.

use crate::archive::member::{Kind, Member};
use crate::archive::read::TarReader;
use crate::layer::{beneath, whiteout};
use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Extracts all members into the folder `root`; gives the sum of the sizes of its files.
pub fn extract<R: Read>(tar: &mut TarReader<R>, root: &Path) -> Result<u64> {
    let mut extractor = Extractor {
        root: beneath::open_root(root)?,
        parent: None,
        dirs: Vec::new(),
        size: 0,
        lost_xattrs: 0,
        buffer: vec![0; 256 << 10],
    };
    while let Some(member) = tar.next()? {
        extractor.member(&member, tar).with_context(|| format!("extract {}", member.path.escape_ascii()))?;
    }
    extractor.finish()?;
    Ok(extractor.size)
}

struct Extractor {
    root: OwnedFd,
    /// The folder that the last member went into, by its path: the next one mostly goes there too.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Times of folders, set when nothing is put into them any more.
    dirs: Vec<(Vec<u8>, Timestamps)>,
    size: u64,
    lost_xattrs: u64,
    buffer: Vec<u8>,
}

impl Extractor {
    fn member(&mut self, member: &Member, data: &mut impl Read) -> Result<()> {
        if let Some((name, _)) = member.xattrs.iter().find(|(name, _)| whiteout::is_overlay_xattr(name)) {
            bail!("it has the attribute {}, which is overlayfs's own", name.escape_ascii());
        }
        let path = beneath::components(&member.path)?;
        let Some((name, parents)) = path.split_last() else {
            return self.root_folder(member);
        };
        let parent = self.open_parent(parents)?;
        let result = self.place(member, parent.as_fd(), name, data);
        // Kept for the next member. This may have removed something from the folder, but never the folder.
        self.parent = Some((parents.join(&b'/'), parent));
        result
    }

    /// The archive's own root: its attributes are the layer's root's.
    fn root_folder(&mut self, member: &Member) -> Result<()> {
        if member.kind != Kind::Dir {
            bail!("the root of the archive is not a folder");
        }
        let root = self.root.as_fd().try_clone_to_owned().context("open the root of the layer")?;
        self.own(member, root.as_fd(), b".")?;
        self.dirs.push((Vec::new(), times(member)));
        Ok(())
    }

    fn open_parent(&mut self, parents: &[&[u8]]) -> Result<OwnedFd> {
        let path = parents.join(&b'/');
        if let Some((known, fd)) = self.parent.take()
            && known == path
        {
            return Ok(fd);
        }
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        match beneath::open_in(&self.root, &path, flags) {
            Ok(fd) => Ok(fd),
            Err(Errno::NOENT | Errno::NOTDIR) => beneath::make_dirs(&self.root, parents),
            Err(error) => Err(error).with_context(|| format!("open the folder {}", path.escape_ascii())),
        }
    }

    /// Makes the file, folder, link, ... `name` in `parent`.
    fn place(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8], data: &mut impl Read) -> Result<()> {
        match whiteout::read(name)? {
            whiteout::Mark::None => {}
            whiteout::Mark::Removed(name) => return self.whiteout(parent, name),
            whiteout::Mark::Opaque => return whiteout::set_opaque(parent, b"."),
            whiteout::Mark::Aufs => return Ok(()),
        }
        match &member.kind {
            Kind::File => return self.file(member, parent, name, data),
            Kind::Dir => return self.folder(member, parent, name),
            Kind::Hardlink => return self.hard_link(member, parent, name),
            Kind::Symlink => self.anew(parent, name, || rustix::fs::symlinkat(&member.link, parent, name))?,
            // Whoever writes this means "deleted", but in a tar that is written `.wh.NAME`.
            Kind::CharDevice(0, 0) => bail!("a character device 0:0 is overlayfs's mark for a deleted file"),
            Kind::CharDevice(major, minor) => self.node(parent, name, FileType::CharacterDevice, *major, *minor)?,
            Kind::BlockDevice(major, minor) => self.node(parent, name, FileType::BlockDevice, *major, *minor)?,
            Kind::Fifo => self.node(parent, name, FileType::Fifo, 0, 0)?,
        }
        self.own(member, parent, name)?;
        rustix::fs::utimensat(parent, name, &times(member), AtFlags::SYMLINK_NOFOLLOW).context("set its times")
    }

    /// Runs `make`; if the name is taken, removes what has it and runs it again. A later member replaces an earlier one.
    fn anew<T>(&mut self, parent: BorrowedFd<'_>, name: &[u8], make: impl Fn() -> rustix::io::Result<T>) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.forget(parent, name)?;
                Ok(make()?)
            }
            result => Ok(result?),
        }
    }

    /// Removes an earlier member, and its share of the size if that was a file of one name.
    fn forget(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        if let Some(stat) = whiteout::stat(parent, name)?
            && FileType::from_raw_mode(stat.st_mode).is_file()
            && stat.st_nlink == 1
        {
            self.size = self.size.saturating_sub(stat.st_size as u64);
        }
        beneath::remove_all(parent, name)
    }

    fn file(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8], data: &mut impl Read) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.anew(parent, name, || rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)))?;
        let mut file = File::from(fd);
        loop {
            match data.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => file.write_all(&self.buffer[..n]).context("write it")?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.size += member.size;
        // In this order: chown clears setuid bits and capabilities, and all of them the times.
        rustix::fs::fchown(&file, Some(uid(member)), Some(gid(member))).context("set its owner")?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(member.mode)).context("set its mode")?;
        for (name, value) in &member.xattrs {
            let result = rustix::fs::fsetxattr(&file, name.as_slice(), value, XattrFlags::empty());
            self.kept(result, name)?;
        }
        rustix::fs::futimens(&file, &times(member)).context("set its times")
    }

    fn folder(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let make = || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700));
        if let Err(error) = make() {
            let stat = if error == Errno::EXIST { whiteout::stat(parent, name)? } else { None };
            match stat {
                None => return Err(error).context("make the folder"),
                // A folder keeps what is in it, and takes the new attributes.
                Some(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {}
                Some(stat) => {
                    self.forget(parent, name)?;
                    make().context("make the folder")?;
                    if whiteout::is_whiteout(&stat) {
                        whiteout::set_opaque(parent, name)?;
                    }
                }
            }
        }
        self.own(member, parent, name)?;
        self.dirs.push((beneath::components(&member.path)?.join(&b'/'), times(member)));
        Ok(())
    }

    fn hard_link(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let shown = member.link.escape_ascii();
        let path = beneath::components(&member.link).with_context(|| format!("link to {shown}"))?;
        let Some((target, parents)) = path.split_last() else { bail!("link to {shown}: it is the root") };
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        let dir = match beneath::open_in(&self.root, &parents.join(&b'/'), flags) {
            Ok(dir) => dir,
            Err(error) => {
                return Err(error).with_context(|| format!("link to {shown}, which this layer does not have"));
            }
        };
        let same = match (whiteout::stat(&dir, target)?, whiteout::stat(parent, name)?) {
            (None, _) => bail!("link to {shown}, which this layer does not have"),
            (Some(stat), _) if whiteout::is_whiteout(&stat) => bail!("link to {shown}, which this layer deletes"),
            (Some(a), Some(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            (Some(_), None) => false,
        };
        if same {
            return Ok(());
        }
        // Without AT_SYMLINK_FOLLOW a link to a link is a link to the link itself.
        self.anew(parent, name, || rustix::fs::linkat(&dir, *target, parent, name, AtFlags::empty()))
            .with_context(|| format!("link to {shown}"))
    }

    fn node(&mut self, parent: BorrowedFd<'_>, name: &[u8], kind: FileType, major: u32, minor: u32) -> Result<()> {
        let device = rustix::fs::makedev(major, minor);
        self.anew(parent, name, || rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device))
    }

    fn whiteout(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        match whiteout::stat(parent, name)? {
            None => whiteout::make(parent, name).context("make a whiteout"),
            // A whiteout speaks of the layers below, never of its own. A file here hides them anyhow;
            // a folder would be merged with theirs.
            Some(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => whiteout::set_opaque(parent, name),
            Some(_) => Ok(()),
        }
    }

    /// Sets owner, mode and attributes of what was just made, and is no regular file.
    fn own(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        rustix::fs::chownat(parent, name, Some(uid(member)), Some(gid(member)), AtFlags::SYMLINK_NOFOLLOW)
            .context("set its owner")?;
        // A link has no mode, and chmod would follow it.
        if member.kind != Kind::Symlink {
            rustix::fs::chmodat(parent, name, Mode::from_raw_mode(member.mode), AtFlags::empty())
                .context("set its mode")?;
        }
        for (key, value) in &member.xattrs {
            let path = whiteout::path_of(&parent, name);
            let result = rustix::fs::lsetxattr(path, key.as_slice(), value, XattrFlags::empty());
            self.kept(result, key)?;
        }
        Ok(())
    }

    /// An attribute that the filesystem cannot keep is lost, as with docker, but said so.
    fn kept(&mut self, result: rustix::io::Result<()>, name: &[u8]) -> Result<()> {
        match result {
            Err(Errno::OPNOTSUPP) => {
                self.lost_xattrs += 1;
                Ok(())
            }
            other => other.with_context(|| format!("set its attribute {}", name.escape_ascii())),
        }
    }

    fn finish(&mut self) -> Result<()> {
        for (path, times) in &self.dirs {
            // It may have been replaced by something else since.
            match beneath::open_no_links(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(dir) => rustix::fs::futimens(&dir, times)
                    .with_context(|| format!("set the times of {}", path.escape_ascii()))?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error).with_context(|| format!("open {}", path.escape_ascii())),
            }
        }
        if self.lost_xattrs > 0 {
            eprintln!(
                "layerfs: warning: {} extended attributes are lost: the filesystem of CTR_ROOT cannot keep them",
                self.lost_xattrs
            );
        }
        Ok(())
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

//! A layer's tar becomes a folder of files.
//!
//! The archive is not trusted. Names are resolved inside of the folder by the kernel (see [`crate::layer::beneath`]), nothing
//! that comes last in a path is followed, and every file is made anew (`O_EXCL`), so that an archive that plants a link
//! and then writes through it writes nowhere. Whiteouts take overlayfs's form on the way.

use crate::archive::member::{Kind, Member};
use crate::archive::read::{TarReader, read_full};
use crate::layer::below::{self, Below, Found};
use crate::layer::parents::Parents;
use crate::layer::{attributes, beneath, entry, whiteout};
use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What came of an archive.
#[derive(Debug)]
pub struct Extracted {
    /// Sum of the sizes of its files, in bytes.
    pub size: u64,
    /// Whether a hard link in it names a file that only a layer below has.
    pub needs_below: bool,
}

/// Extracts all members into the folder `root`.
pub fn extract<R: Read>(tar: &mut TarReader<R>, root: &Path, below: &Below) -> Result<Extracted> {
    let mut extractor = Extractor {
        below,
        parents: Parents::new(root)?,
        copied: HashSet::new(),
        extracted: Extracted { size: 0, needs_below: false },
        lost_xattrs: 0,
        buffer: vec![0; 256 << 10],
    };
    while let Some(member) = tar.next()? {
        extractor.member(&member, tar).with_context(|| format!("extract {}", member.path.escape_ascii()))?;
    }
    extractor.finish()
}

struct Extractor<'a> {
    below: &'a Below,
    parents: Parents,
    /// What no member has made, but was copied from a layer below: the inode of its folder, and its name.
    copied: HashSet<(u64, Vec<u8>)>,
    extracted: Extracted,
    lost_xattrs: u64,
    buffer: Vec<u8>,
}

impl Extractor<'_> {
    fn member(&mut self, member: &Member, data: &mut impl Read) -> Result<()> {
        if let Some((name, _)) = member.xattrs.iter().find(|(name, _)| whiteout::is_overlay_xattr(name)) {
            bail!("it has the attribute {}, which is overlayfs's own", name.escape_ascii());
        }
        let path = beneath::components(&member.path)?;
        let Some((name, parents)) = path.split_last() else {
            return self.root_folder(member);
        };
        match whiteout::read_path(parents, name)? {
            whiteout::Mark::Aufs => return Ok(()),
            whiteout::Mark::None if member.kind == Kind::Hardlink => return self.hard_link(member, parents, name),
            _ => {}
        }
        let parent = self.parents.enter(parents)?;
        self.place(member, parent.as_fd(), name, data)
    }

    /// The archive's own root: its attributes are the layer's root's.
    fn root_folder(&mut self, member: &Member) -> Result<()> {
        if member.kind != Kind::Dir {
            bail!("the root of the archive is not a folder");
        }
        // Otherwise the times that it had would be set again.
        self.parents.leave_all()?;
        self.lost_xattrs += attributes::set(self.parents.root(), b".", member)?;
        Ok(())
    }

    /// Makes the file, folder, symbolic link or device `name` in `parent`.
    fn place(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8], data: &mut impl Read) -> Result<()> {
        match whiteout::read(name)? {
            whiteout::Mark::None => {}
            whiteout::Mark::Removed(name) => return self.whiteout(parent, name),
            whiteout::Mark::Opaque => return whiteout::set_opaque(parent, b"."),
            whiteout::Mark::Aufs => return Ok(()),
        }
        match &member.kind {
            Kind::File => return self.file(member, parent, name, data),
            Kind::Dir => self.folder(member, parent, name)?,
            Kind::Symlink => self.anew(parent, name, || rustix::fs::symlinkat(&member.link, parent, name))?,
            // Whoever writes this means "deleted", but in a tar that is written `.wh.NAME`.
            Kind::CharDevice(0, 0) => bail!("a character device 0:0 is overlayfs's mark for a deleted file"),
            Kind::CharDevice(major, minor) => {
                self.node(member, parent, name, FileType::CharacterDevice, *major, *minor)?
            }
            Kind::BlockDevice(major, minor) => {
                self.node(member, parent, name, FileType::BlockDevice, *major, *minor)?
            }
            Kind::Fifo => self.node(member, parent, name, FileType::Fifo, 0, 0)?,
            Kind::Hardlink => bail!("a hard link has no place of its own"),
        }
        self.lost_xattrs += attributes::set(parent, name, member)?;
        Ok(())
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
            self.extracted.size = self.extracted.size.saturating_sub(stat.st_size as u64);
        }
        beneath::remove_all(parent, name)
    }

    fn file(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8], data: &mut impl Read) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = attributes::first_mode(member);
        let mut file = File::from(self.anew(parent, name, || rustix::fs::openat(parent, name, flags, mode))?);
        match &member.parts {
            None => self.copy(data, &mut file)?,
            Some(parts) => {
                for part in parts {
                    file.seek(SeekFrom::Start(part.offset)).context("write it")?;
                    self.copy(&mut data.take(part.length), &mut file)?;
                }
                // What was not written is a hole, at the end too.
                file.set_len(member.size).context("set its size")?;
            }
        }
        // A file of holes may say any size.
        self.extracted.size = self.extracted.size.saturating_add(member.size);
        self.lost_xattrs += attributes::set_open(&file, member)?;
        Ok(())
    }

    fn copy(&mut self, data: &mut impl Read, file: &mut File) -> Result<()> {
        loop {
            let n = read_full(data, &mut self.buffer)?;
            file.write_all(&self.buffer[..n]).context("write it")?;
            if n < self.buffer.len() {
                return Ok(());
            }
        }
    }

    fn folder(&mut self, member: &Member, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let make = || rustix::fs::mkdirat(parent, name, attributes::first_mode(member));
        let Err(error) = make() else { return Ok(()) };
        let stat = if error == Errno::EXIST { whiteout::stat(parent, name)? } else { None };
        match stat {
            None => Err(error).context("make the folder"),
            // A folder keeps what is in it, and takes the new attributes.
            Some(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => Ok(()),
            Some(stat) => {
                self.forget(parent, name)?;
                make().context("make the folder")?;
                if whiteout::is_whiteout(&stat) { whiteout::set_opaque(parent, name) } else { Ok(()) }
            }
        }
    }

    fn hard_link(&mut self, member: &Member, parents: &[&[u8]], name: &[u8]) -> Result<()> {
        let failed = || format!("link to {}", member.link.escape_ascii());
        let Some((dir, target)) = self.link_target(&member.link).with_context(failed)? else { return Ok(()) };
        let parent = self.parents.enter(parents)?;
        let parent = parent.as_fd();
        if let (Some(a), Some(b)) = (whiteout::stat(&dir, &target)?, whiteout::stat(parent, name)?)
            && (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
        {
            return Ok(());
        }
        // Without AT_SYMLINK_FOLLOW a link to a link is a link to the link itself.
        self.anew(parent, name, || rustix::fs::linkat(&dir, &target, parent, name, AtFlags::empty()))
            .with_context(failed)
    }

    /// The file that a hard link names: its folder and its name there. `None` if it is in a layer below, and they are not known.
    fn link_target(&mut self, link: &[u8]) -> Result<Option<(OwnedFd, Vec<u8>)>> {
        let path = beneath::components(link)?;
        let Some((target, parents)) = path.split_last() else { bail!("it is the root") };
        let open = |path: &[u8]| beneath::open_in(self.parents.root(), path, OFlags::DIRECTORY | OFlags::PATH);
        match open(&parents.join(&b'/')) {
            Ok(dir) => match whiteout::stat(&dir, target)? {
                None => {}
                Some(stat) if whiteout::is_whiteout(&stat) => bail!("this layer deletes it"),
                Some(_) => return Ok(Some((dir, target.to_vec()))),
            },
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
        let Below::Known(layers) = self.below else {
            self.extracted.needs_below = true;
            return Ok(None);
        };
        let path = match below::find(self.parents.root(), layers, &path)? {
            None => bail!("neither this layer nor one below it has that"),
            Some(Found::Own(path)) => path,
            Some(Found::Lower(root, path)) => {
                self.copy_up(layers, &root, &path)?;
                path
            }
        };
        self.extracted.needs_below = true;
        let Some((target, parents)) = path.split_last() else { bail!("it is the root") };
        let dir = beneath::open_in(self.parents.root(), &parents.join(&b'/'), OFlags::DIRECTORY | OFlags::PATH)?;
        Ok(Some((dir, target.clone())))
    }

    /// Copies a file from a layer below, and the folders that it is in, with all that they are.
    fn copy_up(&mut self, layers: &[std::path::PathBuf], lower: &OwnedFd, path: &[Vec<u8>]) -> Result<()> {
        let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        for depth in 1..path.len() {
            if let Some(Found::Lower(lower, _)) = below::find(self.parents.root(), layers, &path[..depth])? {
                self.copy_one(&lower, &path[..depth], &mut io::empty())?;
            }
        }
        let joined = path.join(&b'/');
        let mut data: Box<dyn Read> = match entry::read(lower, &joined)?.kind {
            Kind::Dir => bail!("it is a folder"),
            Kind::File => Box::new(File::from(beneath::open_no_links(lower, &joined, OFlags::RDONLY)?)),
            _ => Box::new(io::empty()),
        };
        self.copy_one(lower, &path, &mut data)
    }

    fn copy_one(&mut self, lower: &OwnedFd, path: &[&[u8]], data: &mut impl Read) -> Result<()> {
        let member = entry::read(lower, &path.join(&b'/'))?;
        let Some((name, parents)) = path.split_last() else { return Ok(()) };
        let parent = self.parents.enter(parents)?;
        self.copied.insert((rustix::fs::fstat(&parent)?.st_ino, name.to_vec()));
        self.place(&member, parent.as_fd(), name, data)
    }

    fn node(
        &mut self,
        member: &Member,
        parent: BorrowedFd<'_>,
        name: &[u8],
        kind: FileType,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        let (device, mode) = (rustix::fs::makedev(major, minor), attributes::first_mode(member));
        self.anew(parent, name, || rustix::fs::mknodat(parent, name, kind, mode, device))
    }

    fn whiteout(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        // What was only copied from below is deleted with what is there.
        if !self.copied.is_empty() && self.copied.remove(&(rustix::fs::fstat(parent)?.st_ino, name.to_vec())) {
            self.forget(parent, name)?;
        }
        match whiteout::stat(parent, name)? {
            None => whiteout::make(parent, name).context("make a whiteout"),
            // A whiteout speaks of the layers below, never of its own. A file here hides them anyhow;
            // a folder would be merged with theirs.
            Some(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => whiteout::set_opaque(parent, name),
            Some(_) => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Extracted> {
        self.parents.leave_all()?;
        if self.lost_xattrs > 0 {
            eprintln!(
                "layerfs: warning: {} extended attributes are lost: the filesystem of CTR_ROOT cannot keep them",
                self.lost_xattrs
            );
        }
        Ok(self.extracted)
    }
}

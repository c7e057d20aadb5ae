//! What changed in an overlay's upper folder, as a layer's tar.
//!
//! overlayfs has done the work: the upper folder holds exactly what was written, and its marks for what was deleted. Reading
//! it takes time by the change. A container may still be writing, and may swap a folder for a link meanwhile; so
//! every path is opened from the upper folder down with no link on the way.

use crate::archive::member::{Kind, Member};
use crate::archive::write::TarWriter;
use crate::cli::DiffArgs;
use crate::layer::entry::{self, member, xattrs_by_path, xattrs_of};
use crate::layer::{beneath, whiteout};
use anyhow::{Context, Result};
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The tar on standard output.
pub fn run(args: &DiffArgs) -> Result<()> {
    let out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    write(&args.upper, out)?.flush().context("write to standard output")
}

/// Writes the tar of an upper folder, in the order of the names' bytes.
pub fn write<W: Write>(upper: &Path, out: W) -> Result<W> {
    write_without(upper, &[], out)
}

/// As [`write`], but for links, and for files and folders that were made to mount something on, as long as they are empty.
/// (Docker hides them from a commit in a layer of their own, the "init layer".)
pub fn write_without<W: Write>(upper: &Path, mount_points: &[PathBuf], out: W) -> Result<W> {
    let relative = |path: &PathBuf| path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes().to_vec();
    let mut walk = Walk {
        root: beneath::open_root(upper)?,
        tar: TarWriter::new(out),
        links: HashMap::new(),
        mount_points: mount_points.iter().map(relative).collect(),
        named: None,
    };
    let failed = || format!("read the changes in {}", upper.display());
    walk.root_folder().with_context(failed)?;
    walk.folder(b"").with_context(failed)?;
    walk.tar.finish()
}

/// Writes the tar of a file, or of a folder with all that is in it, under a name of its own: `start` in the open folder `dir`, or
/// that folder itself if `start` is empty. Nothing in it is a mark: a file is a file.
pub fn write_as<W: Write>(dir: OwnedFd, start: &[u8], name: &[u8], out: W) -> Result<W> {
    let name = if name.is_empty() { b"." } else { name };
    let named = Some(Named { cut: start.len(), name: name.to_vec() });
    let mut walk =
        Walk { root: dir, tar: TarWriter::new(out), links: HashMap::new(), mount_points: HashSet::new(), named };
    if start.is_empty() {
        let stat = rustix::fs::fstat(&walk.root).context("read the attributes of the folder")?;
        let xattrs = xattrs_of(&walk.root)?;
        walk.append(member(b"/".to_vec(), Kind::Dir, &stat, xattrs), &mut io::empty())?;
    }
    walk.folder(start)?;
    walk.tar.finish()
}

/// Whether nothing was changed.
pub fn is_empty(upper: &Path) -> Result<bool> {
    let root = beneath::open_root(upper)?;
    let names = beneath::names(&root).with_context(|| format!("list {}", upper.display()))?;
    Ok(names.is_empty() && is_plain(&rustix::fs::fstat(&root)?) && !whiteout::is_opaque(&root)?)
}

/// Whether a root is what a layer's root is when its tar does not say.
fn is_plain(stat: &Stat) -> bool {
    stat.st_mode & 0o7777 == 0o755 && stat.st_uid == 0 && stat.st_gid == 0
}

struct Walk<W> {
    root: OwnedFd,
    tar: TarWriter<W>,
    /// Files with several names, by device and inode: the first name that was written.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// What is left out if it is empty.
    mount_points: HashSet<Vec<u8>>,
    /// What is no upper folder gets another name in the tar.
    named: Option<Named>,
}

/// Another name for what is walked.
struct Named {
    /// The bytes of each path that it stands for.
    cut: usize,
    name: Vec<u8>,
}

impl Named {
    fn of(&self, path: &[u8]) -> Vec<u8> {
        let rest = &path[self.cut..];
        let slash = if rest.is_empty() || rest.starts_with(b"/") { &b""[..] } else { b"/" };
        [self.name.as_slice(), slash, rest].concat()
    }
}

impl<W: Write> Walk<W> {
    fn append(&mut self, mut member: Member, data: &mut impl Read) -> Result<()> {
        if let Some(named) = &self.named {
            member.path = named.of(&member.path);
            if member.kind == Kind::Hardlink {
                member.link = named.of(&member.link);
            }
        }
        self.tar.append(&member, data)
    }

    fn root_folder(&mut self) -> Result<()> {
        let stat = rustix::fs::fstat(&self.root).context("read the attributes of the folder")?;
        if !is_plain(&stat) {
            let xattrs = xattrs_of(&self.root)?;
            self.append(member(b"./".to_vec(), Kind::Dir, &stat, xattrs), &mut io::empty())?;
        }
        Ok(())
    }

    /// Everything in a folder. Folders are listed when their turn comes, from a stack of our own: a container can nest
    /// them deeper than a thread's stack goes.
    fn folder(&mut self, start: &[u8]) -> Result<()> {
        let mut todo = vec![start.to_vec()];
        while let Some(path) = todo.pop() {
            let failed = || format!("read {}", path.escape_ascii());
            if !path.is_empty() && !self.entry(&path).with_context(failed)? {
                continue;
            }
            let dir = match beneath::open_no_links(&self.root, &path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(dir) => dir,
                Err(error) if is_gone(error) => continue,
                Err(error) => return Err(error).with_context(failed),
            };
            if self.named.is_none() && whiteout::is_opaque(&dir)? {
                self.mark(join(&path, whiteout::OPAQUE), (0, 0))?;
            }
            let names = beneath::names(&dir).with_context(failed)?;
            todo.extend(names.into_iter().rev().map(|name| join(&path, &name)));
        }
        Ok(())
    }

    /// Writes one entry; says whether it is a folder, to be looked into next.
    fn entry(&mut self, path: &[u8]) -> Result<bool> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let fd = match beneath::open_no_links(&self.root, path, flags) {
            Ok(fd) => fd,
            Err(error) if is_gone(error) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&fd)?;
        if self.named.is_none() && whiteout::is_whiteout(&stat) {
            self.removed(path, &stat)?;
            return Ok(false);
        }
        let Some(kind) = entry::kind(&stat)? else { return Ok(false) };
        let is_dir = kind == Kind::Dir;
        if self.mount_points.contains(path) && self.is_empty(path, &stat)? {
            return Ok(false);
        }
        if !is_dir && stat.st_nlink > 1 && self.known_link(path, &stat)? {
            return Ok(false);
        }
        if kind == Kind::File {
            return self.file(path, &fd).map(|()| false);
        }
        let xattrs = xattrs_by_path(&self.root, path)?;
        let name = if is_dir { join(path, b"") } else { path.to_vec() };
        let mut member = member(name, kind, &stat, xattrs);
        if member.kind == Kind::Symlink {
            member.link = rustix::fs::readlinkat(&fd, "", Vec::new())?.into_bytes();
        }
        self.append(member, &mut io::empty())?;
        Ok(is_dir)
    }

    /// Whether nothing was put into a mount point: nothing but other mount points.
    fn is_empty(&self, path: &[u8], stat: &Stat) -> Result<bool> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !kind.is_dir() {
            return Ok(kind.is_symlink() || kind.is_file() && stat.st_size == 0);
        }
        let dir = match beneath::open_no_links(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(dir) => dir,
            Err(error) if is_gone(error) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let names = beneath::names(&dir)?;
        Ok(!whiteout::is_opaque(&dir)? && names.iter().all(|name| self.mount_points.contains(&join(path, name))))
    }

    /// Writes a link if the file was written already under another name.
    fn known_link(&mut self, path: &[u8], stat: &Stat) -> Result<bool> {
        let key = (stat.st_dev, stat.st_ino);
        let Some(first) = self.links.get(&key) else {
            self.links.insert(key, path.to_vec());
            return Ok(false);
        };
        let link = first.clone();
        let member = Member { link, ..member(path.to_vec(), Kind::Hardlink, stat, Vec::new()) };
        self.append(member, &mut io::empty())?;
        Ok(true)
    }

    /// Writes the file that was found at a path; not by the path: a device may have taken its place, and to open one is to use it
    /// (a watchdog reboots the machine).
    fn file(&mut self, path: &[u8], found: &OwnedFd) -> Result<()> {
        let fd = OwnedFd::from(File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?);
        let stat = rustix::fs::fstat(&fd)?;
        let xattrs = xattrs_of(&fd)?;
        let member = Member { size: stat.st_size as u64, ..member(path.to_vec(), Kind::File, &stat, xattrs) };
        self.append(member, &mut File::from(fd))
    }

    fn removed(&mut self, path: &[u8], stat: &Stat) -> Result<()> {
        let at = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let mark = [&path[..at], whiteout::PREFIX, &path[at..]].concat();
        self.mark(mark, (stat.st_mtime, 0))
    }

    /// Writes an empty file that is a mark.
    fn mark(&mut self, path: Vec<u8>, mtime: (i64, u32)) -> Result<()> {
        let (kind, link, xattrs) = (Kind::File, Vec::new(), Vec::new());
        let member = Member { path, kind, link, mode: 0o600, uid: 0, gid: 0, size: 0, parts: None, mtime, xattrs };
        self.tar.append(&member, &mut io::empty())
    }
}

/// What a container that still runs may do to a path between its listing and its reading.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::read::TarReader;

    #[test]
    fn what_is_read_is_the_file_that_was_found_whatever_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| dir.path().join(name));
        std::fs::write(&file, "found").unwrap();
        let root = beneath::open_root(dir.path()).unwrap();
        let found = beneath::open_no_links(&root, b"file", OFlags::PATH | OFlags::NOFOLLOW).unwrap();
        std::fs::write(&other, "in its place").unwrap();
        std::fs::rename(&other, &file).unwrap();
        let tar = TarWriter::new(Vec::new());
        let mut walk = Walk { root, tar, links: HashMap::new(), mount_points: HashSet::new(), named: None };
        walk.file(b"file", &found).unwrap();
        let bytes = walk.tar.finish().unwrap();
        let mut tar = TarReader::new(bytes.as_slice());
        tar.next().unwrap().unwrap();
        let mut text = String::new();
        tar.read_to_string(&mut text).unwrap();
        assert_eq!(text, "found");
    }
}

//! `mkrootfs tar`: a root filesystem out of an archive that somebody else made.
//!
//! An archive is a list of instructions, and they need not be honest: a name with `..`, a link that points out of
//! the folder and a later entry that goes through it. So names with `..` are refused, and each entry's folder is
//! opened with `RESOLVE_IN_ROOT` (openat2(2)): the kernel resolves links as if the new folder were `/`. Within
//! that folder the entry is made by its last name alone, and never through a link.

use crate::cli::TarArgs;
use crate::interrupt;
use crate::staging::Staging;
use crate::times::{self, Time};
use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags};
use rustix::io::Errno;
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType};

/// What was made.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// The folder.
    pub dir: PathBuf,
    /// How many files there are, without folders and links.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

impl Summary {
    /// Prints it, for somebody who asked for `dir`.
    pub fn print(&self, dir: &Path, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!("{}: {} files, {}", dir.display(), self.files, layout::units::human_size(self.bytes));
        self.left_out.iter().for_each(|what| println!("left out: {what}"));
        Ok(())
    }
}

/// `mkrootfs tar`.
pub fn main(args: TarArgs) -> Result<u8> {
    let name = args.file.display().to_string();
    let input: Box<dyn Read> = match args.file.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(File::open(&args.file).with_context(|| format!("open {name}"))?),
    };
    let staging = Staging::beside(&args.dir)?;
    let mut summary = extract(input, staging.path()).with_context(|| format!("extract {name}"))?;
    summary.dir = staging.publish()?;
    summary.print(&args.dir, args.json)?;
    Ok(0)
}

/// Compressions that are not read here: how they begin, and the program that undoes each.
const OTHER: [(&[u8], &str); 3] = [(&[0x28, 0xb5, 0x2f, 0xfd], "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

/// Extracts an archive, plain or gzip, into an empty folder of our own.
///
/// # Errors
/// An archive that is broken, or that holds what no root filesystem should.
pub fn extract(input: impl Read, dest: &Path) -> Result<Summary> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let start = input.fill_buf().context("read the archive")?;
    let is_gzip = start.starts_with(&[0x1f, 0x8b]);
    if let Some((_, program)) = OTHER.iter().find(|(magic, _)| start.starts_with(magic)) {
        bail!("it is compressed by {program}, which is not read here: {program} -dc FILE | mkrootfs tar - DIR");
    }
    let mut plain: Box<dyn Read> =
        if is_gzip { Box::new(flate2::bufread::MultiGzDecoder::new(input)) } else { Box::new(input) };
    let root = rustix::fs::open(dest, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", dest.display()))?;
    let mut extraction = Extraction {
        root,
        is_root: rustix::process::geteuid().is_root(),
        folders: Vec::new(),
        implied: vec![PathBuf::new()],
        newest: (times::epoch()?.unwrap_or(0), 0),
        summary: Summary::default(),
    };
    for entry in Archive::new(&mut plain).entries().context("read the archive")? {
        interrupt::check()?;
        let mut entry = entry.context("read the archive")?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        extraction.add(&mut entry).with_context(|| format!("entry {name:?}"))?;
    }
    // What follows the last entry is read too: it ends with gzip's checksum, and whoever writes it into a pipe would
    // otherwise be ended by SIGPIPE half-way through the padding.
    std::io::copy(&mut plain, &mut std::io::sink()).context("read the end of the archive")?;
    extraction.set_folder_times()?;
    Ok(extraction.summary)
}

struct Extraction {
    root: OwnedFd,
    /// Owners and devices are root's to set.
    is_root: bool,
    /// Folders get their times last: each entry made in them changes it.
    folders: Vec<(PathBuf, Time)>,
    /// Folders that no entry is for, but the names of others. They get the time of the newest entry.
    implied: Vec<PathBuf>,
    newest: Time,
    summary: Summary,
}

impl Extraction {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let path = plain_path(OsStr::from_bytes(&entry.path_bytes()))?;
        let mode = Mode::from_raw_mode(entry.header().mode()? & 0o7777);
        let Some(name) = path.file_name() else {
            // The root folder itself.
            return self.finish_folder(Path::new("."), entry, mode);
        };
        let parent = self.folder(path.parent().unwrap_or(Path::new("")))?;
        if kind.is_dir() {
            self.make_room_for_folder(&parent, name)?;
            return self.finish_folder(&path, entry, mode);
        }
        remove(&parent, name)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.write_file(&parent, name, entry, mode)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().context("a link without target")?.into_owned();
                rustix::fs::symlinkat(OsStr::from_bytes(&target), &parent, name).context("make the link")?;
                self.own(&parent, name, entry)?;
            }
            EntryType::Link => return self.hard_link(&parent, name, entry),
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                if !self.make_node(&parent, name, entry, mode)? {
                    return Ok(());
                }
            }
            other => bail!("an entry of type {other:?} is not known here"),
        }
        let time = time_of(entry)?;
        self.newest = self.newest.max(time);
        rustix::fs::utimensat(&parent, name, &times::stamps(time), AtFlags::SYMLINK_NOFOLLOW).context("set its time")
    }

    /// Opens a folder inside of the root, making what is missing of it.
    fn folder(&mut self, path: &Path) -> Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match open_folder(&self.root, path) {
            Err(Errno::NOENT) => {}
            opened => return opened.with_context(|| format!("open folder {}", path.display())),
        }
        let parent = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().context("a folder without name")?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            // A link that leads nowhere: what it means is the archive's secret.
            Ok(()) => self.implied.push(path.to_owned()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("make folder {}", path.display())),
        }
        open_folder(&self.root, path).with_context(|| format!("open folder {}", path.display()))
    }

    /// A folder may be there already, also as a link to one: then that is the one that is meant.
    fn make_room_for_folder(&self, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error).context("make the folder"),
        }
        let about = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).context("look at it")?;
        if matches!(FileType::from_raw_mode(about.st_mode), FileType::Directory | FileType::Symlink) {
            return Ok(());
        }
        remove(parent, name)?;
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)).context("make the folder")
    }

    fn finish_folder<R: Read>(&mut self, path: &Path, entry: &mut Entry<'_, R>, mode: Mode) -> Result<()> {
        let folder = open_folder(&self.root, path).context("open the folder")?;
        // An O_PATH descriptor cannot be changed; the folder's own "." can.
        self.own(&folder, OsStr::new("."), entry)?;
        rustix::fs::chmodat(&folder, ".", mode, AtFlags::empty()).context("set its mode")?;
        let time = time_of(entry)?;
        self.newest = self.newest.max(time);
        self.folders.push((path.to_owned(), time));
        Ok(())
    }

    fn write_file<R: Read>(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        entry: &mut Entry<'_, R>,
        mode: Mode,
    ) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)).context("make the file")?;
        let mut file = File::from(fd);
        let size = std::io::copy(entry, &mut file).context("write the file")?;
        self.own(parent, name, entry)?;
        rustix::fs::fchmod(&file, mode).context("set its mode")?;
        self.set_attributes(&file, entry)?;
        self.summary.files += 1;
        self.summary.bytes += size;
        Ok(())
    }

    /// Extended attributes, such as a program's capabilities. Which of them may be set depends on who asks.
    fn set_attributes<R: Read>(&mut self, file: &File, entry: &mut Entry<'_, R>) -> Result<()> {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(extensions) = entry.pax_extensions().context("read its extensions")? else { return Ok(()) };
        for extension in extensions {
            let extension = extension.context("read its extensions")?;
            let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) else { continue };
            if let Err(error) = rustix::fs::fsetxattr(file, name, extension.value_bytes(), XattrFlags::empty()) {
                self.summary.left_out.push(format!("attribute {name} of {path}: {error}"));
            }
        }
        Ok(())
    }

    fn hard_link<R: Read>(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry<'_, R>) -> Result<()> {
        let target = entry.link_name_bytes().context("a link without target")?.into_owned();
        let target = plain_path(OsStr::from_bytes(&target)).context("its target")?;
        let target_name = target.file_name().context("its target is the root folder")?;
        let folder = open_folder(&self.root, target.parent().unwrap_or(Path::new("")))
            .with_context(|| format!("find its target {}", target.display()))?;
        rustix::fs::linkat(&folder, target_name, parent, name, AtFlags::empty())
            .with_context(|| format!("link it to {}", target.display()))
    }

    /// A device or FIFO. False if it was left out, as only root can make devices.
    fn make_node<R: Read>(&mut self, parent: &OwnedFd, name: &OsStr, entry: &Entry<'_, R>, mode: Mode) -> Result<bool> {
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Char => FileType::CharacterDevice,
            EntryType::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        if kind != FileType::Fifo && !self.is_root {
            self.summary.left_out.push(format!("device {}: only root can make it", name.to_string_lossy()));
            return Ok(false);
        }
        let device = match kind {
            FileType::Fifo => 0,
            _ => rustix::fs::makedev(header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0)),
        };
        rustix::fs::mknodat(parent, name, kind, mode, device).context("make the device")?;
        self.own(parent, name, entry)?;
        // The umask was taken off; a node that was just made is no link.
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).context("set its mode")?;
        Ok(true)
    }

    fn own<R: Read>(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry<'_, R>) -> Result<()> {
        if !self.is_root {
            return Ok(());
        }
        let number = |id: u64| u32::try_from(id).context("its owner is no user id");
        let (uid, gid) = (number(entry.header().uid()?)?, number(entry.header().gid()?)?);
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).context("set its owner")
    }

    fn set_folder_times(&self) -> Result<()> {
        let implied = self.implied.iter().map(|path| (path, self.newest));
        // What an entry says comes last, and of two entries the later one.
        for (path, time) in implied.chain(self.folders.iter().map(|(path, time)| (path, *time))) {
            let folder = open_folder(&self.root, path).with_context(|| format!("open folder {}", path.display()))?;
            rustix::fs::utimensat(&folder, ".", &times::stamps(time), AtFlags::SYMLINK_NOFOLLOW)
                .with_context(|| format!("set time of folder {}", path.display()))?;
        }
        Ok(())
    }
}

fn open_folder(root: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
}

/// Makes place for an entry: in an archive, the later one of the same name counts. A full folder stays.
fn remove(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).context("replace the folder there"),
        Err(error) => Err(error).context("replace what is there"),
    }
}

/// An entry's name as a path from the root: `./bin/sh`, `/bin/sh` and `bin/sh` are the same.
fn plain_path(name: &OsStr) -> Result<PathBuf> {
    let mut names: Vec<OsString> = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => bail!("its name {name:?} holds `..`"),
            _ => {}
        }
    }
    Ok(names.into_iter().collect())
}

/// An entry's time: the header has whole seconds, an extension (pax(1)) may have the rest, as `1700000000.25`.
fn time_of<R: Read>(entry: &mut Entry<'_, R>) -> Result<Time> {
    if let Some(extensions) = entry.pax_extensions().context("read its extensions")? {
        let found = extensions.flatten().filter(|extension| extension.key() == Ok("mtime")).last();
        if let Some(time) = found.and_then(|extension| extension.value().ok().and_then(seconds)) {
            return Ok(time);
        }
    }
    Ok((i64::try_from(entry.header().mtime()?).unwrap_or(0), 0))
}

/// A number of seconds with a fraction, `-1.5` too, as seconds and the nanoseconds that follow them.
fn seconds(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (whole, nanoseconds): (i64, i64) = (whole.parse().ok()?, digits.parse::<u32>().ok()?.into());
    if text.starts_with('-') && nanoseconds > 0 {
        return Some((whole.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((whole, nanoseconds))
}

#[cfg(test)]
mod tests;

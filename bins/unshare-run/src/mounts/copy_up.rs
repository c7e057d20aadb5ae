//! A copy of a folder with all in it, for `tmpcopyup`: files, links, nodes, with their modes, owners and times.
//!
//! The folder is the image's, and somebody may be changing it: each step is one name in a folder that is open, and
//! no link is followed.

use anyhow::{Context, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Copies all that is in the folder `from` into the folder `to`, and the owner and time of the folder itself.
pub fn copy(from: impl AsFd, to: impl AsFd) -> Result<()> {
    let from = open_dir(from, c".")?;
    let top = open_dir(to, c".")?;
    let mut copy = Copy { top: open_dir(&top, c".")?, known: BTreeMap::new() };
    copy.folder(&from, &top, Path::new(""))?;
    let mut stat = rustix::fs::fstat(&from).context("stat")?;
    // An option of the mount says which mode that has.
    stat.st_mode = rustix::fs::fstat(&top).context("stat")?.st_mode;
    copy.attributes(&top, c".", &stat, false)
}

struct Copy {
    /// The folder that all is copied into.
    top: OwnedFd,
    /// Files with several names: their first copies.
    known: BTreeMap<(u64, u64), PathBuf>,
}

impl Copy {
    /// Copies what is in a folder; `place` is where it is from the top.
    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, place: &Path) -> Result<()> {
        for entry in Dir::read_from(from).context("read the folder")? {
            let entry = entry.context("read the folder")?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let place = place.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
            self.entry(from, to, name, &place).with_context(|| place.display().to_string())?;
        }
        Ok(())
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, place: &Path) -> Result<()> {
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).context("stat")?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if stat.st_nlink > 1 && kind != FileType::Directory {
            let first = self.known.entry((stat.st_dev, stat.st_ino)).or_insert_with(|| place.to_owned());
            if first != place {
                return rustix::fs::linkat(&self.top, &*first, to, name, AtFlags::empty()).context("link");
            }
        }
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU).context("make the folder")?;
                self.folder(&open_dir(from, name)?, &open_dir(to, name)?, place)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let source = rustix::fs::openat(from, name, flags, Mode::empty()).context("open")?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let target = rustix::fs::openat(to, name, flags, Mode::RWXU).context("make the file")?;
                std::io::copy(&mut File::from(source), &mut File::from(target)).context("copy")?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new()).context("read the link")?;
                rustix::fs::symlinkat(&*target, to, name).context("make the link")?;
            }
            kind => rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev).context("make the node")?,
        }
        self.attributes(to, name, &stat, kind == FileType::Symlink)
    }

    /// Owner, mode (which chown changes, so it comes after) and times.
    fn attributes(&self, to: &OwnedFd, name: &CStr, stat: &Stat, link: bool) -> Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        match rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW) {
            // In a user namespace not everybody is known; what is his is root's in the copy.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(error) => return Err(error).context("set the owner"),
        }
        if !link {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            rustix::fs::chmodat(to, name, mode, AtFlags::empty()).context("set the mode")?;
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
            last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
        };
        rustix::fs::utimensat(to, name, &times, AtFlags::SYMLINK_NOFOLLOW).context("set the times")
    }
}

fn open_dir(dir: impl AsFd, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty()).context("open the folder")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_copy_has_what_the_folder_has() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("deep/file"), "text").unwrap();
        fs::set_permissions(from.join("deep/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(from.join("deep/file"), from.join("deep/er/same")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        nix::unistd::mkfifo(&from.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        copy(fs::File::open(&from).unwrap(), fs::File::open(&to).unwrap()).unwrap();
        let meta =
            |path: &str| (fs::symlink_metadata(from.join(path)).unwrap(), fs::symlink_metadata(to.join(path)).unwrap());
        for path in ["deep", "deep/er", "deep/file", "deep/er/same", "link", "fifo"] {
            let (old, new) = meta(path);
            assert_eq!((old.mode(), old.mtime(), old.nlink()), (new.mode(), new.mtime(), new.nlink()), "{path}");
        }
        assert_eq!(meta("deep/file").1.ino(), meta("deep/er/same").1.ino());
        assert_eq!(fs::read_to_string(to.join("deep/er/same")).unwrap(), "text");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
    }
}

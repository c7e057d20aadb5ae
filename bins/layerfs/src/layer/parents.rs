//! The folders that members go into.
//!
//! The folder of the last member stays open: the next one mostly goes there too. And putting something into a folder changes
//! its time, so the time is noted when a folder is entered and set again when it is left. Only the folders on the way to
//! the last member are noted, so memory does not grow with the archive.

use crate::layer::beneath;
use anyhow::{Context, Result};
use rustix::fs::{OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY);

/// The root of a layer, and the folders in it that are entered.
pub struct Parents {
    root: OwnedFd,
    /// The folder that was entered last, by its path.
    open: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// Folders and the times that they shall have, each within the one before it.
    noted: Vec<(Vec<u8>, Timestamps)>,
}

impl Parents {
    /// The tree with this root.
    pub fn new(root: &Path) -> Result<Parents> {
        Ok(Parents { root: beneath::open_root(root)?, open: None, noted: Vec::new() })
    }

    /// The root.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens a folder to put something into it, and makes what is missing of it.
    pub fn enter(&mut self, parents: &[&[u8]]) -> Result<Rc<OwnedFd>> {
        let path = parents.join(&b'/');
        let fd = match self.open.take() {
            Some((known, fd)) if known == path => fd,
            last => {
                self.leave(last, Some(&path))?;
                Rc::new(self.open_or_make(&path, parents)?)
            }
        };
        self.open = Some((path, fd.clone()));
        Ok(fd)
    }

    /// Leaves all folders.
    pub fn leave_all(&mut self) -> Result<()> {
        let last = self.open.take();
        self.leave(last, None)
    }

    /// Sets the times of the folders that `next` is not in.
    fn leave(&mut self, last: Option<(Vec<u8>, Rc<OwnedFd>)>, next: Option<&[u8]>) -> Result<()> {
        while let Some((path, times)) = self.noted.pop_if(|(path, _)| next.is_none_or(|next| !is_within(next, path))) {
            let failed = || format!("set the times of {}", path.escape_ascii());
            let known = last.as_ref().filter(|(known, _)| *known == path);
            let result = match known {
                Some((_, fd)) => rustix::fs::futimens(fd, &times),
                None => beneath::open_in(&self.root, &path, DIR).and_then(|fd| rustix::fs::futimens(fd, &times)),
            };
            match result {
                // It may have been replaced by something else since.
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error).with_context(failed),
            }
        }
        Ok(())
    }

    fn open_or_make(&mut self, path: &[u8], parents: &[&[u8]]) -> Result<OwnedFd> {
        match beneath::open_in(&self.root, path, DIR) {
            Ok(fd) => {
                self.note(path, &fd)?;
                return Ok(fd);
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error).with_context(|| beneath::failed(path)),
        }
        let mut dir = beneath::open_in(&self.root, b"", DIR).context("open the root of the layer")?;
        self.note(b"", &dir)?;
        for depth in 1..=parents.len() {
            let walked = parents[..depth].join(&b'/');
            dir = beneath::open_or_make(&self.root, &walked, &dir, parents[depth - 1])?;
            self.note(&walked, &dir)?;
        }
        Ok(dir)
    }

    fn note(&mut self, path: &[u8], dir: &OwnedFd) -> Result<()> {
        if self.noted.iter().any(|(known, _)| known == path) {
            return Ok(());
        }
        let stat = rustix::fs::fstat(dir).context("look at a folder")?;
        let time = |tv_sec, nanoseconds: u64| Timespec { tv_sec, tv_nsec: nanoseconds as i64 };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        self.noted.push((path.to_vec(), times));
        Ok(())
    }
}

/// Whether a path is that of a folder, or leads into it.
fn is_within(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_folder_that_is_entered_and_left_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000_000_000_001);
        let paths = ["a/b/c", "a/b", "a", "ab", ""].map(|path| dir.path().join(path));
        for path in &paths {
            fs::create_dir_all(path).unwrap();
        }
        for path in &paths {
            fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(old)).unwrap();
        }
        let mut parents = Parents::new(dir.path()).unwrap();
        for path in [&[b"a".as_slice(), b"b", b"c"][..], &[b"a"], &[], &[b"ab"], &[b"a", b"b", b"new", b"er"], &[b"a"]]
        {
            let fd = parents.enter(path).unwrap();
            rustix::fs::symlinkat("x", &fd, "x").or_else(|_| rustix::fs::symlinkat("x", &fd, "y")).unwrap();
        }
        parents.leave_all().unwrap();
        for path in &paths {
            assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), old, "{}", path.display());
        }
        assert!(dir.path().join("a/b/new/er/x").is_symlink());
    }

    #[test]
    fn folders_are_made_inside_whatever_links_say() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("usr")).unwrap();
        std::os::unix::fs::symlink("/../../usr", dir.path().join("lib")).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("dangling")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let mut parents = Parents::new(dir.path()).unwrap();
        parents.enter(&[b"lib", b"x"]).unwrap();
        assert!(dir.path().join("usr/x").is_dir());
        assert!(parents.enter(&[b"dangling", b"x"]).is_err());
        assert!(parents.enter(&[b"file", b"x"]).is_err());
        parents.leave_all().unwrap();
    }
}

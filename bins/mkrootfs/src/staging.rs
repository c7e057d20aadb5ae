//! All or nothing: the folder is made beside its final place and renamed when it is complete.
//!
//! Whoever makes one holds a lock on it. Killed in the middle (kill -9), it leaves a folder of which nobody holds the lock:
//! the next run for the same place removes that.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder that is not yet where it will be. Dropped before [`Staging::publish`], it is removed.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    target: PathBuf,
    /// Open, and so locked.
    _lock: File,
}

/// What the names of such folders end in.
const SUFFIX: &str = ".mkrootfs";

impl Staging {
    /// Makes the folder beside `target`.
    ///
    /// # Errors
    /// `target` is there and not an empty folder, or its parent is not there.
    pub fn beside(target: &Path) -> Result<Staging> {
        let mut target = std::path::absolute(target).with_context(|| format!("resolve {}", target.display()))?;
        if fs::symlink_metadata(&target).is_ok() {
            let context = || format!("make {}", target.display());
            match fs::read_dir(&target).with_context(context)?.next() {
                None => target = fs::canonicalize(&target).with_context(context)?,
                Some(_) => bail!("make {}: the folder is not empty; remove it, or choose another", target.display()),
            }
        }
        interrupt::watch()?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            bail!("make {}: this is no name for a new folder", target.display());
        };
        let prefix = format!(".{}.", name.to_string_lossy());
        remove_abandoned(parent, &prefix);
        let context = || format!("make a folder in {}", parent.display());
        loop {
            let folder =
                tempfile::Builder::new().prefix(&prefix).suffix(SUFFIX).tempdir_in(parent).with_context(context)?;
            // Somebody else may have taken it for abandoned, before it was locked.
            if let Some(lock) = lock(folder.path())
                && folder.path().is_dir()
            {
                return Ok(Staging { folder, target, _lock: lock });
            }
        }
    }

    /// A second folder beside the first, for what is not to be kept.
    pub fn scratch(&self) -> Result<Staging> {
        let folder = Staging::beside(&self.target)?;
        let context = || format!("set mode of {}", folder.path().display());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).with_context(context)?;
        Ok(folder)
    }

    /// Where to build.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the folder in its place and gives that place.
    pub fn publish(self) -> Result<PathBuf> {
        let context = || format!("move the complete folder to {}", self.target.display());
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).with_context(context)?;
        fs::rename(self.folder.path(), &self.target).with_context(context)?;
        // It has a new name: nothing is left to remove under the old one.
        let _ = self.folder.keep();
        Ok(self.target)
    }
}

/// Removes what was left by runs that were killed. What cannot be removed is not ours to speak of.
fn remove_abandoned(parent: &Path, prefix: &str) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let is_such = |name: &str| name.len() > prefix.len() && name.starts_with(prefix) && name.ends_with(SUFFIX);
    for entry in entries.filter(|entry| is_such(&entry.file_name().to_string_lossy())) {
        if let Some(_lock) = lock(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Locks a folder, if nobody else has.
fn lock(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_or_empty_folder_is_filled_and_another_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("rootfs");
        let staging = Staging::beside(&target).unwrap();
        fs::write(staging.path().join("file"), "").unwrap();
        staging.publish().unwrap();
        assert!(target.join("file").exists());
        let error = Staging::beside(&target).unwrap_err().to_string();
        assert!(error.contains("the folder is not empty"), "{error}");

        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        Staging::beside(&empty).unwrap().publish().unwrap();
        assert!(Staging::beside(&dir.path().join("none/rootfs")).is_err());
        assert!(Staging::beside(&target.join("file")).is_err());
    }

    #[test]
    fn what_a_killed_run_left_is_removed_by_the_next_and_what_another_works_on_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("rootfs");
        let abandoned = dir.path().join(".rootfs.killed.mkrootfs");
        fs::create_dir_all(abandoned.join("usr/bin")).unwrap();
        fs::create_dir(dir.path().join(".rootfs.mine")).unwrap();
        let first = Staging::beside(&target).unwrap();
        assert!(!abandoned.exists());
        let second = Staging::beside(&target).unwrap();
        assert!(first.path().is_dir() && second.path().is_dir() && dir.path().join(".rootfs.mine").is_dir());
        second.publish().unwrap();
        assert!(first.publish().is_ok(), "an empty folder is replaced");
    }

    #[test]
    fn what_is_not_published_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::beside(&dir.path().join("rootfs")).unwrap();
        fs::write(staging.path().join("file"), "").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

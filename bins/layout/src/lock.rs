//! The second crash rule: flock(2) guards each shared thing, and the kernel opens the lock of the dead.
//!
//! A lock belongs to an open file, so it ends with its holder however that ends. That makes it the only
//! trustworthy sign of life: a pid may have been given to somebody else, a lock cannot.

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A held lock; dropping it opens it.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] OwnedFd);

impl Lock {
    /// Waits for the lock and takes it alone. Makes the file where it is missing (not its folder).
    pub fn exclusive(file: &Path) -> Result<Lock> {
        Self::take(file, FlockOperation::LockExclusive)
    }

    /// Waits for the lock and takes it together with others who share it.
    pub fn shared(file: &Path) -> Result<Lock> {
        Self::take(file, FlockOperation::LockShared)
    }

    /// Takes the lock alone, or says at once (`None`) that somebody holds it.
    pub fn try_exclusive(file: &Path) -> Result<Option<Lock>> {
        let fd = open_lock(file)?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(fd))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("lock {}", file.display())),
        }
    }

    /// Waits until nobody holds the lock; `false` when that takes longer than `within`. It makes no file: who waits
    /// for the end of something must not be in the way of its being removed. A file that is not there is held by nobody.
    ///
    /// flock(2) has no time-out of its own, so with one this asks every two milliseconds.
    pub fn wait_free(file: &Path, within: Option<Duration>) -> Result<bool> {
        let failed = || format!("wait for lock {}", file.display());
        let fd = match open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(true),
            Err(error) => return Err(error).with_context(failed),
        };
        let deadline = within.map(|time| Instant::now() + time);
        let how = match deadline {
            Some(_) => FlockOperation::NonBlockingLockShared,
            None => FlockOperation::LockShared,
        };
        loop {
            match flock(&fd, how) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) if deadline.is_some_and(|end| Instant::now() < end) => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(error) => return Err(error).with_context(failed),
            }
        }
    }

    /// Waits for the lock on a folder itself and takes it alone: no lock file is left behind, and the lock
    /// goes with the folder. `None` when the folder is not there, or was removed while waiting.
    pub fn on_dir(dir: &Path) -> Result<Option<Lock>> {
        Self::take_dir(dir, FlockOperation::LockExclusive)
    }

    /// As [`Lock::on_dir`], and `None` also when somebody else holds it.
    pub fn try_on_dir(dir: &Path) -> Result<Option<Lock>> {
        Self::take_dir(dir, FlockOperation::NonBlockingLockExclusive)
    }

    fn take_dir(dir: &Path, how: FlockOperation) -> Result<Option<Lock>> {
        let failed = || format!("lock {}", dir.display());
        let fd = match open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error).with_context(failed),
        };
        loop {
            match flock(&fd, how) {
                Ok(()) => break,
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error).with_context(failed),
            }
        }
        // Whoever held it before may have removed the folder; another of the same name is not the one we locked.
        let locked = rustix::fs::fstat(&fd).with_context(failed)?;
        match rustix::fs::stat(dir) {
            Ok(now) if (now.st_dev, now.st_ino) == (locked.st_dev, locked.st_ino) => Ok(Some(Lock(fd))),
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).with_context(failed),
        }
    }

    fn take(file: &Path, how: FlockOperation) -> Result<Lock> {
        let fd = open_lock(file)?;
        loop {
            match flock(&fd, how) {
                Ok(()) => return Ok(Lock(fd)),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).with_context(|| format!("lock {}", file.display())),
            }
        }
    }

    /// Whether somebody holds the lock at this moment. A file that is not there is held by nobody.
    pub fn is_held(file: &Path) -> Result<bool> {
        let fd = match open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("open lock {}", file.display())),
        };
        match flock(&fd, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error).with_context(|| format!("lock {}", file.display())),
        }
    }
}

impl AsFd for Lock {
    /// The open file that holds the lock: whoever inherits it holds the lock too.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open_lock(file: &Path) -> Result<OwnedFd> {
    let opened = match open(file, OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC, Mode::from_raw_mode(0o600)) {
        // A store that cannot be written can be read, and a lock needs no more than an open file.
        Err(Errno::ROFS) => open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|_| Errno::ROFS),
        opened => opened,
    };
    opened.with_context(|| format!("open lock {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        assert!(!Lock::is_held(&file).unwrap());
        let held = Lock::exclusive(&file).unwrap();
        assert!(Lock::is_held(&file).unwrap());
        assert!(Lock::try_exclusive(&file).unwrap().is_none());
        assert!(!Lock::wait_free(&file, Some(Duration::from_millis(5))).unwrap());
        let waiter = std::thread::spawn({
            let file = file.clone();
            move || Lock::wait_free(&file, None).unwrap()
        });
        drop(held);
        assert!(waiter.join().unwrap());
        assert!(!Lock::is_held(&file).unwrap());
        std::fs::remove_file(&file).unwrap();
        assert!(Lock::wait_free(&file, None).unwrap());
        assert!(!file.exists(), "who waits makes no file");
    }

    #[test]
    fn a_folder_that_was_removed_cannot_be_locked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        assert!(Lock::on_dir(&folder).unwrap().is_none());
        std::fs::create_dir(&folder).unwrap();
        let held = Lock::on_dir(&folder).unwrap().unwrap();
        assert!(Lock::try_on_dir(&folder).unwrap().is_none());
        let waiter = std::thread::spawn({
            let folder = folder.clone();
            move || Lock::on_dir(&folder).unwrap().is_none()
        });
        std::fs::remove_dir(&folder).unwrap();
        drop(held);
        assert!(waiter.join().unwrap());
    }
}

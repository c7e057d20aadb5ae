//! The gap between `create` and `start`: a named pipe (fifo(7)).
//!
//! The container's process opens it for writing, which blocks until somebody opens it for reading. `start`
//! does so. The process keeps its end open until execve closes it, so that `start` reads the end of the file
//! when the program runs, or the reason why it does not.

use anyhow::{Context, Result, bail};
use layout::exit;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Makes the pipe and gives a descriptor that only names it (O_PATH).
pub fn make(path: &Path) -> Result<OwnedFd> {
    let what = || format!("make {}", path.display());
    // Anybody in a user namespace of the container may be its root; nobody else can reach the folder.
    let mode = Mode::from_raw_mode(0o622);
    rustix::fs::mkfifoat(CWD, path, mode).with_context(what)?;
    // Again, because mkfifo(3) takes the caller's umask off, and the container's user may be anybody.
    rustix::fs::chmod(path, mode).with_context(what)?;
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).with_context(what)
}

/// Whether a process still waits at the pipe. That the pipe is there does not say so: whoever was killed in the middle of
/// `start` has let the process go and not removed it.
pub fn is_held_by(path: &Path, pid: Pid) -> bool {
    let Ok(fifo) = std::fs::metadata(path) else { return false };
    // Not everybody may look at everybody's files. Then the pipe is all that is known.
    let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())) else { return true };
    let is_it = |file: std::fs::Metadata| (file.dev(), file.ino()) == (fifo.dev(), fifo.ino());
    open.flatten().any(|entry| std::fs::metadata(entry.path()).is_ok_and(is_it))
}

/// The child's side. It holds the pipe by its O_PATH descriptor, and `/proc/self/fd` of the host to open
/// that by, as neither path exists in the container.
#[derive(Debug)]
pub struct Waiting {
    fifo: OwnedFd,
    own_fds: OwnedFd,
}

impl Waiting {
    /// Gets ready, while the host's `/proc` is still there.
    pub fn new(fifo: OwnedFd) -> Result<Waiting> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own_fds = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).context("open /proc/self/fd")?;
        if !crate::mounts::is_procfs(&own_fds)? {
            bail!("open /proc/self/fd: it is not on procfs");
        }
        Ok(Waiting { fifo, own_fds })
    }

    /// Blocks until `start`. What it gives is to be kept until execve.
    pub fn wait(self) -> Result<OwnedFd> {
        crate::narrate::narrate!("until `start` opens the other end", "open(exec.fifo, O_WRONLY)");
        let name = self.fifo.as_raw_fd().to_string();
        loop {
            match rustix::fs::openat(&self.own_fds, name.as_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
                Err(Errno::INTR) => continue,
                other => return other.context("open exec.fifo"),
            }
        }
    }
}

/// Tells `start` why the program does not run.
pub fn tell_failure(fifo: &OwnedFd, error: &anyhow::Error) {
    let mut packet = vec![exit::code_of(error)];
    packet.extend_from_slice(format!("{error:#}").as_bytes());
    let _ = rustix::io::write(fifo, &packet);
}

/// The side of `start`: lets the process go and waits until the program runs.
pub fn release(path: &Path, process: &OwnedFd) -> Result<()> {
    crate::narrate::narrate!("its process has been waiting for this", "open({}, O_RDONLY)", path.display());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => bail!("it has been started already"),
        other => other.with_context(|| format!("open {}", path.display()))?,
    };
    // From here on it runs: even if we are killed now, our opening has released it.
    std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    loop {
        let mut fds = [PollFd::new(&fifo, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.context("wait for the program")?,
        };
        if !fds[0].revents().is_empty() {
            return read_failure(&fifo);
        }
        if !fds[1].revents().is_empty() {
            bail!("its process ended before it could be started");
        }
    }
}

fn read_failure(fifo: &OwnedFd) -> Result<()> {
    let mut buffer = [0u8; 4096];
    match rustix::io::read(fifo, &mut buffer).context("read exec.fifo")? {
        0 => Ok(()),
        length => Err(exit::coded(buffer[0], String::from_utf8_lossy(&buffer[1..length]).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pidfd of a process that lives, and the pipe.
    fn pipe() -> (tempfile::TempDir, std::path::PathBuf, Waiting, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exec.fifo");
        let waiting = Waiting::new(make(&path).unwrap()).unwrap();
        let flags = rustix::process::PidfdFlags::empty();
        let own = rustix::process::pidfd_open(rustix::process::getpid(), flags).unwrap();
        (dir, path, waiting, own)
    }

    #[test]
    fn start_waits_until_the_program_runs() {
        let (_dir, path, waiting, process) = pipe();
        let child = std::thread::spawn(move || drop(waiting.wait().unwrap()));
        release(&path, &process).unwrap();
        child.join().unwrap();
        assert!(!path.exists());
        assert!(release(&path, &process).is_err());
    }

    #[test]
    fn start_learns_why_the_program_does_not_run() {
        let (_dir, path, waiting, process) = pipe();
        let child = std::thread::spawn(move || {
            tell_failure(&waiting.wait().unwrap(), &exit::coded(126, "exec format error"));
        });
        let error = release(&path, &process).unwrap_err();
        assert_eq!((exit::code_of(&error), error.to_string().as_str()), (126, "exec format error"));
        child.join().unwrap();
    }
}

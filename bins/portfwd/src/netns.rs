//! Stepping into a container's network namespace and back (setns(2), network_namespaces(7)).
//!
//! A socket belongs for life to the namespace that it was made in. So it is enough to be inside for the moment
//! in which a socket is made; setns moves one thread, and this program has only one.

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, Timespec, flock, open};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const OWN: &str = "/proc/self/ns/net";

/// A container's first process and its network namespace, both held open: neither can be mistaken for another
/// from here on.
#[derive(Debug)]
pub struct ContainerNet {
    process: OwnedFd,
    namespace: OwnedFd,
}

impl ContainerNet {
    /// Opens the process whose pid a file holds, and its network namespace.
    ///
    /// A pid alone proves nothing, for it may have been given to another process. So the process is pinned by a
    /// pidfd before its namespace is opened, and must live on after it.
    ///
    /// # Errors
    /// A pid file that cannot be read, a process that has ended, and one that shares the host's network.
    pub fn of_pid_file(file: &Path) -> Result<ContainerNet> {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let number: i32 = text.trim().parse().with_context(|| format!("read a pid from {}", file.display()))?;
        let gone = || format!("open process {number} of {}: it has ended", file.display());
        let pid = Pid::from_raw(number).with_context(|| format!("read a pid from {}", file.display()))?;
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => bail!(gone()),
            other => other.with_context(|| format!("open process {number}"))?,
        };
        let path = format!("/proc/{number}/ns/net");
        let namespace = match open_namespace(&path) {
            Err(Errno::NOENT | Errno::SRCH) => bail!(gone()),
            other => other.with_context(|| format!("open {path}"))?,
        };
        if has_ended(&process)? {
            bail!(gone());
        }
        if is_own(&namespace)? {
            bail!("process {number} has no network namespace of its own: it shares the host's network and ports");
        }
        Ok(ContainerNet { process, namespace })
    }

    /// The pidfd: readable once the process has ended.
    pub fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// The namespace, for the kernel to put an interface into.
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Does something inside of the namespace, and comes back.
    pub fn inside<T>(&self, act: impl FnOnce() -> T) -> Result<T> {
        let home = open_namespace(OWN).with_context(|| format!("open {OWN}"))?;
        self.enter()?;
        let result = act();
        enter(home.as_fd()).context("return to the host's network namespace")?;
        Ok(result)
    }

    /// Goes into the namespace for good.
    pub fn enter(&self) -> Result<()> {
        enter(self.namespace.as_fd()).context("enter the container's network namespace")
    }
}

/// A lock on the whole network namespace that this process is in, until it is dropped.
///
/// Bridges and subnets are the namespace's, and more than one `$CTR_ROOT` may take from them. So who looks for
/// free ones locks what they are taken from: the namespace is a file too, and flock(2) works on any file.
#[derive(Debug)]
pub struct NamespaceLock(#[allow(dead_code)] OwnedFd);

impl NamespaceLock {
    /// Waits for the lock.
    pub fn take() -> Result<NamespaceLock> {
        let fd = open_namespace(OWN).with_context(|| format!("open {OWN}"))?;
        loop {
            match flock(&fd, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(NamespaceLock(fd)),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).with_context(|| format!("lock {OWN}")),
            }
        }
    }
}

/// Whether the process of a pidfd has ended.
pub fn has_ended(process: impl AsFd) -> Result<bool> {
    let mut waiting = [PollFd::new(&process, PollFlags::IN)];
    let ended = poll(&mut waiting, Some(&Timespec::default())).context("look whether a process has ended")?;
    Ok(ended > 0)
}

fn enter(namespace: BorrowedFd) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
}

fn open_namespace(path: &str) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn is_own(namespace: &OwnedFd) -> Result<bool> {
    let own = rustix::fs::stat(OWN).with_context(|| format!("look at {OWN}"))?;
    let other = rustix::fs::fstat(namespace).context("look at the container's network namespace")?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

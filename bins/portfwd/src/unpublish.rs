//! `portfwd unpublish`: ends the forwarder of a container and waits until its ports are free.
//!
//! The lock on `ports.json` says whether there is a forwarder; its pid file says which process. A pid alone may be
//! anybody's by now. But as long as the lock is held its holder lives, and as long as its holder lives the pid is
//! its own: so the process is pinned by a pidfd, and *then* the lock is looked at again.

use crate::publish::{is_at, remove_if_there};
use anyhow::{Context, Result, bail};
use layout::{ContainerId, Layout};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a forwarder may take to end before it is killed. It gives itself two seconds to pass on what is under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// `portfwd unpublish`: nothing published is success.
pub fn run(layout: &Layout, container: &ContainerId) -> Result<()> {
    let path = layout.ports_file(container);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("open {}", path.display()))?,
    };
    for signal in [Signal::TERM, Signal::KILL] {
        if is_free(&file)? {
            break;
        }
        if let Some(process) = holder(layout, container, &file)? {
            match pidfd_send_signal(&process, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error).context("end the forwarder"),
            }
        }
        wait_until_free(&file)?;
    }
    if !is_free(&file)? {
        bail!(
            "unpublish ports of {}: the forwarder does not end; {} is still locked",
            container.short(),
            path.display()
        );
    }
    // The forwarder removes its files; one that was killed could not.
    if is_at(&file, &path) {
        remove_if_there(&path)?;
        remove_if_there(&layout.forwarder_pid_file(container))?;
    }
    Ok(())
}

/// The process that holds the lock, pinned; `None` when it has let go meanwhile.
fn holder(layout: &Layout, container: &ContainerId, file: &File) -> Result<Option<OwnedFd>> {
    let pid_file = layout.forwarder_pid_file(container);
    let pid = fs::read_to_string(&pid_file).ok().and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
    let process = match pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        Some(Ok(process)) => process,
        Some(Err(Errno::SRCH)) | None if is_free(file)? => return Ok(None),
        Some(Err(error)) => return Err(error).context("open the forwarder's process"),
        None => bail!("find the forwarder of {}: {} names no process", container.short(), pid_file.display()),
    };
    Ok(if is_free(file)? { None } else { Some(process) })
}

/// Whether nobody holds the lock. (It is taken for an instant to find out; nobody else tries to take it.)
fn is_free(file: &File) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            flock(file, FlockOperation::Unlock).context("unlock the ports file")?;
            Ok(true)
        }
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error).context("look at the lock on the ports file"),
    }
}

fn wait_until_free(file: &File) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_free(file)? && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

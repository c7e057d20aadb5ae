//! The container's first process, and the streams between it and the shim.

use super::streams::{self, Streams};
use crate::runtime;
use anyhow::{Context, Result};
use layout::container::Container;
use layout::{Layout, exit};
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use std::os::fd::{AsFd, OwnedFd};

/// A process of the container that is our child.
pub struct Process {
    /// Its pid on the host: good as long as we have not waited for it.
    pub pid: i32,
    /// What stands for it whatever becomes of the pid (pidfd_open(2)).
    pub pidfd: OwnedFd,
    /// Its streams.
    pub streams: Streams,
}

impl Process {
    /// Makes the first process, by the runtime's `create`. It waits to be started.
    pub fn create(layout: &Layout, container: &Container, command: &[String]) -> Result<Process> {
        let streams = streams::create_with_streams(layout, container, &runtime::from_words(command)?)?;
        let (pid, pidfd) = open_child(&layout.pid_file(&container.id))?;
        Ok(Process { pid, pidfd, streams })
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Whether it has ended, and nobody has taken its exit code yet.
    pub fn has_ended(&self) -> bool {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::PidFd(self.pidfd.as_fd()), peek), Ok(Some(_)))
    }

    /// Takes its exit code, once it has ended.
    pub fn exit_code(&self) -> u8 {
        exit_code(&self.pidfd)
    }
}

/// Takes the exit code of a child that has ended.
pub fn exit_code(pidfd: &OwnedFd) -> u8 {
    match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => code as u8,
            (None, signal) => exit::from_signal(signal.unwrap_or(libc::SIGKILL)),
        },
        Ok(None) | Err(_) => exit::from_signal(libc::SIGKILL),
    }
}

/// The child whose pid the runtime wrote to a file.
pub fn open_child(file: &std::path::Path) -> Result<(i32, OwnedFd)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let pid = text.trim().parse::<i32>().ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.with_context(|| format!("{} holds {text:?}, which is no pid", file.display()))?;
    // It is our child, so its pid cannot be given to another process before we wait for it.
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).with_context(|| format!("open process {}", pid.as_raw_nonzero()))?;
    Ok((pid.as_raw_nonzero().get(), pidfd))
}

//! `delete`: end what is still there of a container, and remove what is on disk of it.

use crate::narrate::narrate;
use crate::state::{Process, State, StateDir, Status};
use crate::{cgroup, hooks};
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::path::Path;

/// How long a process may take to die of SIGKILL: it may be in the middle of writing to a slow disk.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Removes a container. With `force` one that runs is ended first, and one that is not there is fine.
pub fn delete(root: &Path, id: &str, force: bool) -> Result<()> {
    let dir = StateDir::new(root, id).with_context(|| format!("delete {id}"))?;
    let state = match dir.state() {
        Ok(state) => state,
        // Its making was cut short before there was a process or a group, or there is none.
        Err(_) if force => return dir.remove().with_context(|| format!("delete {id}")),
        Err(error) => return Err(error).with_context(|| format!("delete {id}")),
    };
    let status = dir.status(&state);
    if !force && !matches!(status, Status::Created | Status::Stopped) {
        bail!("cannot delete container {id} that is not stopped: {}", status.as_str());
    }
    if let Some(process) = Process::find(&state) {
        end(&process, &state, status).with_context(|| format!("delete {id}"))?;
    }
    remove(&dir, &state).with_context(|| format!("delete {id}"))
}

/// Removes what is left of a container whose first process has ended. The state goes last: while it is there, this can be
/// done again, hooks included, by whoever finds that we were killed; and so long nobody else can have the name.
pub fn remove(dir: &StateDir, state: &State) -> Result<()> {
    if let Some(path) = &state.cgroup {
        // Nobody but its maker knows who is in a group that was cut short.
        cgroup::delete(path, &state.cgroup_folders, state.outlived || state.pid == 0)?;
    }
    state.rdt.remove()?;
    hooks::run_poststop(&state.poststop, &state.for_hooks(Status::Stopped), state.hooks_place());
    dir.remove()
}

fn end(process: &Process, state: &State, status: Status) -> Result<()> {
    let pid = process.pid.as_raw_pid();
    narrate!("its first process, and with it all in its pid namespace", "pidfd_send_signal({pid}, SIGKILL)");
    match pidfd_send_signal(&process.pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(error).with_context(|| format!("kill process {pid}")),
    }
    if let (Status::Paused, Some(path)) = (status, &state.cgroup) {
        cgroup::thaw(path)?;
    }
    loop {
        let mut fds = [PollFd::new(&process.pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&PATIENCE)) {
            Ok(0) => bail!("kill process {pid}: it is still there after {} seconds", PATIENCE.tv_sec),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).with_context(|| format!("wait for process {pid}")),
        }
    }
}

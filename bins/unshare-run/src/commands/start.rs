//! `start`: let the program of a created container go.

use crate::state::{Process, StateDir, Status};
use crate::{exec_fifo, run};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// `start`.
pub fn start(root: &Path, id: &str) -> Result<()> {
    let dir = StateDir::new(root, id).with_context(|| format!("start {id}"))?;
    let state = dir.state().with_context(|| format!("start {id}"))?;
    match (Process::find(&state), dir.status(&state)) {
        (Some(process), Status::Created) => {
            exec_fifo::release(&dir.exec_fifo(), &process.pidfd)?;
            // A container that is not as its hooks would have it does not run.
            state.run_poststart().inspect_err(|_| drop(run::send(libc::SIGKILL, &process)))
        }
        (_, Status::Paused) => bail!("start {id}: cannot start a paused container"),
        (_, Status::Running) => bail!("start {id}: cannot start an already running container"),
        (_, Status::Creating) => bail!("start {id}: it is still being created"),
        (_, Status::Stopped | Status::Created) => bail!("start {id}: cannot start a container that has stopped"),
    }
}

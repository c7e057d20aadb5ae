//! `pause` and `resume`: all processes of a container stop, and go on, without noticing.

use crate::cgroup;
use crate::state::{State, StateDir, Status};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Stops them.
pub fn pause(root: &Path, id: &str) -> Result<()> {
    let what = || format!("pause {id}");
    let (state, status) = find(root, id).with_context(what)?;
    if !matches!(status, Status::Created | Status::Running) {
        bail!("pause {id}: container not running");
    }
    group(&state).and_then(cgroup::freeze).with_context(what)
}

/// Lets them go on.
pub fn resume(root: &Path, id: &str) -> Result<()> {
    let what = || format!("resume {id}");
    let (state, status) = find(root, id).with_context(what)?;
    if status != Status::Paused {
        bail!("resume {id}: container not paused");
    }
    group(&state).and_then(cgroup::thaw).with_context(what)
}

/// A container's state, and where it is in its life.
pub fn find(root: &Path, id: &str) -> Result<(State, Status)> {
    let dir = StateDir::new(root, id)?;
    let state = dir.state()?;
    let status = dir.status(&state);
    Ok((state, status))
}

/// The container's group.
pub fn group(state: &State) -> Result<&str> {
    state.cgroup.as_deref().context("the container has no cgroup of its own (linux.cgroupsPath, linux.resources)")
}

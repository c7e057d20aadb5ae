//! Removing: out of sight first, then off the disk.

use super::{SHIM_GRACE, has_shim, hold, recover, signal_step, wait_end, wait_for_shim};
use crate::plan::{Plan, Step};
use crate::{client, volume};
use anyhow::{Context, Result, bail};
use layout::container::{Container, Status};
use layout::events;
use layout::{ContainerId, Layout};

/// The steps that remove a stopped container. The name goes first: then the folder is nobody's, and a
/// rename takes it out of sight at once. With `volumes` its anonymous volumes follow.
pub fn remove_plan(layout: &Layout, container: &Container, volumes: bool) -> Plan {
    let id = &container.id;
    // It may have been renamed since it was started.
    let name = layout.read_container(id).map_or_else(|_| container.name.clone(), |now| now.name);
    let rubbish = layout.tmp().join(id.as_str());
    let mut plan = Plan::default();
    if layout.id_of_name(&name).as_ref() == Some(id) {
        plan.push(Step::RemoveFile(layout.name(&name)));
    }
    plan.push(Step::Rename { from: layout.container(id), to: rubbish.clone() });
    plan.push(Step::RemoveTree(rubbish));
    if volumes {
        plan.steps.extend(volume::discard_step(layout, container));
    }
    plan
}

/// Takes a container that is down off the disk.
pub fn discard(layout: &Layout, container: &Container, volumes: bool) -> Result<()> {
    remove_plan(layout, container, volumes).execute(layout)?;
    events::of_container(layout, container, "destroy", &[]);
    Ok(())
}

/// Removes a container. One that runs is killed with `force`, else refused in docker's words. A start that is under way is
/// waited for; one that was killed half-way is taken down.
pub fn remove(layout: &Layout, container: &Container, force: bool, volumes: bool) -> Result<()> {
    let id = &container.id;
    let _operation = hold(layout, container)?;
    end_shim(layout, container, force)?;
    // With --rm its shim has removed it, or else who clears up after that.
    let is_gone = || !layout.container(id).is_dir();
    if is_gone() {
        return Ok(());
    }
    recover(layout, id)?;
    if is_gone() {
        return Ok(());
    }
    // What there was no room for is not needed any more.
    Step::RemoveTree(layout.run_dir(id)).execute(layout)?;
    remove_stillborn_run_dirs(layout, id)?;
    discard(layout, container, volumes)?;
    // Whoever was starting it was killed, but what he had called goes on: a shim that has come since we looked
    // has to go as well. One that comes now finds no container.
    if has_shim(layout, id)? && !client::abort(layout, id, "it is removed")? {
        kill(layout, container)?;
    }
    Ok(())
}

/// Has the container's shim end, if there is one: what it made ready is taken down, what runs is killed with `force`.
fn end_shim(layout: &Layout, container: &Container, force: bool) -> Result<()> {
    let id = &container.id;
    if !has_shim(layout, id)? {
        return Ok(());
    }
    match layout.read_state(id)?.status {
        Status::Exited | Status::Dead => return wait_for_shim(layout, container),
        Status::Created if client::abort(layout, id, "it is removed")? => return Ok(()),
        // It has just been started, or runs.
        _ => {}
    }
    if !force {
        bail!(still_up(layout, container)?);
    }
    kill(layout, container)
}

/// A shim that is killed before it has claimed the run folder leaves `run/ID.PID` (see `claim_run_dir`).
fn remove_stillborn_run_dirs(layout: &Layout, id: &ContainerId) -> Result<()> {
    let listed = || format!("list {}", layout.run().display());
    for entry in std::fs::read_dir(layout.run()).with_context(listed)? {
        let entry = entry.with_context(listed)?;
        let beside = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.strip_prefix(id.as_str()).is_some_and(|rest| rest.starts_with('.')));
        if beside {
            Step::RemoveTree(entry.path()).execute(layout)?;
        }
    }
    Ok(())
}

/// Docker's words for a container that cannot be removed because it is up.
pub fn still_up(layout: &Layout, container: &Container) -> Result<String> {
    let (id, status) = (&container.id, layout.read_state(&container.id)?.status);
    let first = if status == Status::Paused { "Unpause and then stop" } else { "Stop" };
    let status = status.as_str();
    Ok(format!(
        "You cannot remove a {status} container {id}. {first} the container before attempting removal or force remove"
    ))
}

/// Kills a container and waits for its end.
fn kill(layout: &Layout, container: &Container) -> Result<()> {
    let id = &container.id;
    let killed = signal_step(layout, id, "KILL").execute(layout);
    // It may have ended by itself in the same moment; then there was nobody to kill.
    let ended = wait_end(layout, id, Some(SHIM_GRACE))?;
    match killed {
        Err(error) if !ended => Err(error),
        _ if !ended => bail!("kill {}: it has not ended within {} seconds", container.name, SHIM_GRACE.as_secs()),
        _ => Ok(()),
    }
}

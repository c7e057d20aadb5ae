//! A container's life from outside: what is true of it, starting it, ending it, removing it.
//!
//! The truth is in two places. `state.json` says what happened last; the shim's lock says whether it is
//! still so. A run folder whose lock nobody holds is what a killed shim leaves, and whoever finds it
//! finishes the shim's work.
//!
//! Who starts, removes or renames a container holds a lock on its folder, so these happen one after the other. Who stops it, or
//! sends it a signal, waits until nobody does ([`settled`]), and lets go: its end may take long, and somebody may want to hurry it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`start`] | making it run |
//! | [`stop`] | ending it, and starting it again after that |
//! | [`remove`] | taking it off the disk |
//! | [`rename`] | another name |
//! | [`tear_down`] | taking down what a start put up |
//! | [`recover`] | what is true, and done, when somebody was killed half-way |

mod recover;
mod remove;
mod rename;
mod start;
mod stop;
mod tear_down;

pub use recover::{is_mount_point, recover, state};
pub use remove::{discard, remove, remove_plan, still_up};
pub use rename::rename;
pub use start::{files_plan, mount_call, network_plan, start, start_plan};
pub use stop::{grace, kill_plan, restart, restart_plan, signal_step, stop, stop_plan};
pub use tear_down::tear_down;

use anyhow::{Context, Result, bail};
use layout::container::{Container, State};
use layout::lock::Lock;
use layout::{ContainerId, Layout};
use std::time::Duration;

/// How long a shim may take to end after its container has.
const SHIM_GRACE: Duration = Duration::from_secs(30);

/// As [`state`], once nobody is starting, removing or renaming the container any more.
///
/// # Errors
/// `No such container: NAME`, when it has been removed.
pub fn settled(layout: &Layout, container: &Container) -> Result<State> {
    drop(hold(layout, container)?);
    state(layout, &container.id)
}

/// Waits for whoever starts, removes or renames the container, and keeps others from it.
pub fn hold(layout: &Layout, container: &Container) -> Result<Lock> {
    Lock::on_dir(&layout.container(&container.id))?.with_context(|| format!("No such container: {}", container.name))
}

/// Whether the container's shim lives, which is to say that the container is made ready or runs.
pub fn has_shim(layout: &Layout, id: &ContainerId) -> Result<bool> {
    Lock::is_held(&layout.shim_lock(id))
}

/// Waits until the container's shim is gone; `false` when that takes longer than `within`.
pub fn wait_end(layout: &Layout, id: &ContainerId, within: Option<Duration>) -> Result<bool> {
    Lock::wait_free(&layout.shim_lock(id), within)
}

/// Waits for a shim that is taking its container down.
fn wait_for_shim(layout: &Layout, container: &Container) -> Result<()> {
    if wait_end(layout, &container.id, Some(SHIM_GRACE))? {
        return Ok(());
    }
    bail!("{} ended, and is still being taken down after {} seconds", container.name, SHIM_GRACE.as_secs())
}

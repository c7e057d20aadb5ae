//! What is true of a container, though whoever knew it was killed, or the machine was switched off.

use super::{discard, has_shim, tear_down};
use crate::plan::Step;
use anyhow::{Context, Result, bail};
use layout::container::{State, Status};
use layout::lock::Lock;
use layout::{ContainerId, Layout, exit};
use std::path::Path;

/// Docker's exit code for a container that nobody saw end.
const UNKNOWN: i32 = 255;

/// What is true of a container now. If its shim was killed, what that left is cleared away first.
pub fn state(layout: &Layout, id: &ContainerId) -> Result<State> {
    let run_dir = layout.run_dir(id);
    let had_shim = run_dir.is_dir();
    if had_shim && !Lock::is_held(&layout.shim_lock(id))? {
        // Whoever holds the folder is starting or removing it right now, and does this itself.
        if let Some(_operation) = Lock::try_on_dir(&layout.container(id))?
            && let Err(error) = recover(layout, id)
        {
            // How it ended may be known though what it left cannot be cleared away now (the disk is full): the next who looks
            // tries again.
            let known = layout.read_state(id)?;
            return if known.status.is_up() { Err(error) } else { Ok(known) };
        }
    }
    let state = layout.read_state(id)?;
    // Said to be up, and no sign of a shim: so it was when the machine went down.
    if state.status.is_up()
        && !had_shim
        && !run_dir.is_dir()
        && let Some(_operation) = Lock::try_on_dir(&layout.container(id))?
    {
        recover(layout, id)?;
        return layout.read_state(id);
    }
    Ok(state)
}

/// Finishes the work of a shim, or of a start, that was killed. The caller holds the container's folder.
pub fn recover(layout: &Layout, id: &ContainerId) -> Result<()> {
    let run_dir = layout.run_dir(id);
    let had_shim = run_dir.is_dir();
    let is_mounted = is_mount_point(&layout.container_dir(id).rootfs());
    if !had_shim && !is_mounted && !layout.read_state(id)?.status.is_up() {
        return Ok(());
    }
    if has_shim(layout, id)? {
        bail!("container {id} has a living shim, which alone may take it down");
    }
    let container = layout.read_container(id)?;
    tear_down(layout, &container).with_context(|| format!("clean up after the shim of {}", container.name))?;
    let mut state = layout.read_state(id)?;
    let was_up = state.status.is_up();
    if was_up {
        // Nobody saw it end. Its processes are gone now, by SIGKILL if not before.
        state.status = Status::Exited;
        state.finished_at = layout::time::now();
        (state.exit_code, state.error) = match had_shim {
            true => (exit::from_signal(libc::SIGKILL).into(), "its shim was killed".to_owned()),
            false => (UNKNOWN, "the machine went down".to_owned()),
        };
    }
    state.pid = 0;
    layout.write_state(id, &state)?;
    // The disk may still be full; then it is done again by the next who looks.
    if !layout.last_state(id).exists() {
        Step::RemoveTree(run_dir).execute(layout)?;
    }
    if was_up && container.host_config.auto_remove {
        discard(layout, &container, true)?;
    }
    Ok(())
}

/// Whether something is mounted on this folder (statx(2), STATX_ATTR_MOUNT_ROOT).
pub fn is_mount_point(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
    rustix::fs::statx(CWD, path, AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS)
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

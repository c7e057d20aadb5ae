//! A container's life from outside: what is true of it, starting it, ending it, removing it.
//!
//! The truth is in two places. `state.json` says what happened last; the shim's lock says whether it is
//! still so. A run folder whose lock nobody holds is what a killed shim leaves, and whoever finds it
//! finishes the shim's work.

mod recover;

pub use recover::{is_mount_point, recover, state};

use crate::client::{End, Manner};
use crate::create::mounts::fill;
use crate::create::ports;
use crate::plan::{Plan, Step};
use crate::protocol::Deed;
use crate::{runtime, spec, volume};
use anyhow::{Context, Result, bail};
use layout::container::{Container, Status};
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, exit, publish};
use std::time::Duration;

/// How long a shim may take to end after its container has.
const SHIM_GRACE: Duration = Duration::from_secs(30);

/// Whether the container's shim lives, which is to say that the container is made ready or runs.
pub fn has_shim(layout: &Layout, id: &ContainerId) -> Result<bool> {
    Lock::is_held(&layout.shim_lock(id))
}

/// Waits until the container's shim is gone; `false` when that takes longer than `within`.
pub fn wait_end(layout: &Layout, id: &ContainerId, within: Option<Duration>) -> Result<bool> {
    Lock::wait_free(&layout.shim_lock(id), within)
}

/// The mount of a container's root.
pub fn mount_call(layout: &Layout, container: &Container) -> Call {
    let dir = layout.container_dir(&container.id);
    Call::new(Tool::Layerfs)
        .args(["mount", container.image.as_str()])
        .arg(dir.rootfs())
        .arg("--upper")
        .arg(dir.upper())
        .arg("--work")
        .arg(dir.work())
        // What a container changes need not survive a power cut.
        .arg("--volatile")
}

/// The steps that start a container: its files, its process (waiting), its network, its ports, and go.
pub fn start_plan(layout: &Layout, container: &Container, attach: Option<&Manner>) -> Result<Plan> {
    let id = &container.id;
    let mut plan = files_plan(layout, container)?;
    plan.note(
        "its parent, and its process, which waits in its new namespaces (unshare-run calls cgset for its limits)",
    );
    plan.call(Call::new(Tool::Ctr).args(["shim", "create", id.as_str(), "--"]).args(runtime::words(&runtime::create(
        layout,
        id,
        container.config.tty,
    ))));
    plan.extend(network_plan(layout, container));
    plan.note("go");
    plan.push(Step::Start {
        id: id.clone(),
        attach: attach.cloned(),
        command: runtime::words(&runtime::start(layout, id)),
    });
    Ok(plan)
}

/// What a container's process needs before it is made. A restart does this again, and the next.
pub fn files_plan(layout: &Layout, container: &Container) -> Result<Plan> {
    let mut plan = Plan::default();
    plan.note("its root filesystem: the image's layers, and on top of them a writable one");
    plan.call(mount_call(layout, container));
    plan.extend(fill::make_ready(layout, container));
    plan.extend(spec::at_start(layout, container)?);
    Ok(plan)
}

/// What it needs between that and being started.
pub fn network_plan(layout: &Layout, container: &Container) -> Plan {
    let id = &container.id;
    let mut plan = Plan::default();
    if container.host_config.network_mode == "bridge" {
        plan.note("its network: a cable from the bridge into the namespace, and an address");
        let mac = container.config.run.extra.get("MacAddress").and_then(|mac| mac.as_str());
        plan.call(
            Call::new(Tool::Portfwd)
                .args(["attach", "bridge", "--container", id.as_str(), "--name", &container.name])
                .args(mac.iter().flat_map(|mac| ["--mac", mac]))
                .arg("--pid-file")
                .arg(layout.pid_file(id)),
        );
        let publish = ports::publish_args(&ports::published(container));
        if !publish.is_empty() {
            plan.call(
                Call::new(Tool::Portfwd)
                    .args(["publish", "--container", id.as_str(), "--pid-file"])
                    .arg(layout.pid_file(id))
                    .args(publish.iter().flat_map(|port| ["--publish", port])),
            );
        }
    }
    plan
}

/// Starts a container; attached, stays until it ends or the user leaves, else until it runs. A container that runs
/// already is left alone.
pub fn start(layout: &Layout, container: &Container, attach: Option<&Manner>) -> Result<End> {
    let id = &container.id;
    let operation =
        Lock::on_dir(&layout.container(id))?.with_context(|| format!("No such container: {}", container.name))?;
    if has_shim(layout, id)? {
        let runs = match layout.read_state(id)?.status {
            // Its shim is still taking it down.
            Status::Exited | Status::Dead => wait_for_shim(layout, container).map(|()| false)?,
            // Somebody was killed between making it ready and starting it, or just after.
            Status::Created => !crate::client::abort(layout, id, "it is started anew")?,
            _ => true,
        };
        match (runs, attach) {
            (true, Some(manner)) => return crate::client::attach(layout, container, manner),
            (true, None) => return Ok(End::Exited(0)),
            (false, _) => {}
        }
    }
    recover(layout, id)?;
    let plan = match start_plan(layout, container, attach) {
        Ok(plan) => plan,
        Err(error) => return Err(give_up(layout, container, error)),
    };
    let Some((Step::Start { command, .. }, before)) = plan.steps.split_last() else { return Ok(End::Exited(0)) };
    for step in before {
        if let Err(error) = step.execute(layout) {
            return Err(give_up(layout, container, error));
        }
    }
    // Nobody else starts or removes it until it runs; its end may be hours away.
    crate::client::start(layout, id, attach, command, Some(operation))
}

/// Waits for a shim that is taking its container down.
fn wait_for_shim(layout: &Layout, container: &Container) -> Result<()> {
    if wait_end(layout, &container.id, Some(SHIM_GRACE))? {
        return Ok(());
    }
    bail!("{} ended, and is still being taken down after {} seconds", container.name, SHIM_GRACE.as_secs())
}

/// A start failed half-way: takes down what there is of the container, and passes the error on.
fn give_up(layout: &Layout, container: &Container, error: anyhow::Error) -> anyhow::Error {
    let id = &container.id;
    let undone = match has_shim(layout, id) {
        Ok(true) => crate::client::abort(layout, id, &format!("{error:#}")).map(drop),
        _ => {
            record_failure(layout, id, &error);
            tear_down(layout, container)
        }
    };
    match undone {
        Ok(()) => error,
        Err(more) => error.context(format!("and then, while taking it down: {more:#}")),
    }
}

/// Without a shim there is nobody else to write down why the container did not start.
fn record_failure(layout: &Layout, id: &ContainerId, error: &anyhow::Error) {
    if let Ok(mut state) = layout.read_state(id) {
        state.error = format!("{error:#}");
        state.exit_code = exit::code_of(error).into();
        // The error itself is on its way to the user; that it could not be written down as well adds nothing.
        let _ = publish::json(layout, &layout.container_dir(id).state_json(), &state);
    }
}

/// Takes down everything that start put up: ports, network, process, mount. Goes on past failures and
/// reports them together; what is not there is no failure.
pub fn tear_down(layout: &Layout, container: &Container) -> Result<()> {
    let failures: Vec<String> = tear_down_calls(layout, container)
        .iter()
        .filter_map(|call| call.run().err())
        .chain(spec::ipc::take_away(layout, container).err())
        .map(|error| format!("{error:#}"))
        .collect();
    if failures.is_empty() { Ok(()) } else { bail!(failures.join("; ")) }
}

fn tear_down_calls(layout: &Layout, container: &Container) -> Vec<Call> {
    let id = container.id.as_str();
    let mut calls = vec![runtime::delete(layout, &container.id)];
    if container.host_config.network_mode == "bridge" {
        if layout.ports_file(&container.id).exists() {
            calls.push(Call::new(Tool::Portfwd).args(["unpublish", "--container", id]));
        }
        calls.push(Call::new(Tool::Portfwd).args(["detach", "bridge", "--container", id]));
    }
    calls.push(Call::new(Tool::Layerfs).arg("umount").arg(layout.container_dir(&container.id).rootfs()));
    calls.extend(fill::let_go(layout, container));
    calls
}

/// A signal, sent on somebody's behalf: the shim passes it on, and does not start the container again.
pub fn signal_step(layout: &Layout, id: &ContainerId, signal: &str) -> Step {
    let call = runtime::kill(layout, id, signal.trim_start_matches("SIG"));
    Step::Tell { id: id.clone(), what: Deed::Kill, call }
}

/// The steps that stop a running container.
pub fn stop_plan(layout: &Layout, container: &Container, signal: Option<&str>, seconds: i64) -> Plan {
    let id = &container.id;
    let image_signal = Some(container.config.run.stop_signal.as_str()).filter(|s| !s.is_empty());
    let signal = signal.or(image_signal).unwrap_or("TERM");
    let mut plan = Plan::default();
    plan.push(signal_step(layout, id, signal));
    plan.push(Step::WaitEnd {
        id: id.clone(),
        within: u64::try_from(seconds).ok().map(Duration::from_secs),
        otherwise: Some(Box::new(signal_step(layout, id, "KILL"))),
    });
    plan
}

/// The steps that kill a container, if it has a shim, and wait for its end.
pub fn kill_plan(layout: &Layout, id: &ContainerId) -> Plan {
    let mut plan = Plan::default();
    plan.push(signal_step(layout, id, "KILL"));
    plan.push(Step::WaitEnd { id: id.clone(), within: None, otherwise: None });
    plan
}

/// The steps that remove a stopped container. The name goes first: then the folder is nobody's, and a
/// rename takes it out of sight at once. With `volumes` its anonymous volumes follow.
pub fn remove_plan(layout: &Layout, container: &Container, volumes: bool) -> Plan {
    let (id, name) = (&container.id, &container.name);
    let rubbish = layout.tmp().join(id.as_str());
    let mut plan = Plan::default();
    if layout.id_of_name(name).as_ref() == Some(id) {
        plan.push(Step::RemoveFile(layout.name(name)));
    }
    plan.push(Step::Rename { from: layout.container(id), to: rubbish.clone() });
    plan.push(Step::RemoveTree(rubbish));
    if volumes {
        plan.steps.extend(volume::discard_step(layout, container));
    }
    plan
}

/// Removes a container. One that runs is killed with `force`, else refused in docker's words.
pub fn remove(layout: &Layout, container: &Container, force: bool, volumes: bool) -> Result<()> {
    let id = &container.id;
    let _operation = loop {
        end_shim(layout, container, force)?;
        let Some(operation) = Lock::on_dir(&layout.container(id))? else { return Ok(()) };
        if !has_shim(layout, id)? {
            break operation;
        }
        // Somebody has started it between the two: it is looked at once more.
    };
    recover(layout, id)?;
    remove_stillborn_run_dirs(layout, id)?;
    remove_plan(layout, container, volumes).execute(layout)?;
    // Whoever was starting it was killed, but what he had called goes on: a shim that has come since we looked
    // has to go as well. One that comes now finds no container.
    if has_shim(layout, id)? && !crate::client::abort(layout, id, "it is removed")? {
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
        Status::Created if crate::client::abort(layout, id, "it is removed")? => return Ok(()),
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
    let (name, status) = (&container.name, layout.read_state(&container.id)?.status.as_str());
    if status == "restarting" {
        return Ok(format!(
            "You cannot remove a restarting container {}. Stop the container before attempting removal or force remove",
            container.id
        ));
    }
    Ok(format!(
        "cannot remove container \"/{name}\": container is {status}: stop the container before removing or force remove"
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

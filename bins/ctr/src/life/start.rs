//! Starting: the root filesystem, the process in its namespaces, its network, its ports, and go.

use super::{has_shim, hold, recover, tear_down, wait_for_shim};
use crate::client::{self, End, Manner};
use crate::create::mounts::{fill, option};
use crate::create::ports;
use crate::plan::{Plan, Step};
use crate::{runtime, spec};
use anyhow::{Result, bail};
use layout::container::{Container, Status};
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, exit};

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
    container.host_config.mounts.iter().try_for_each(option::check)?;
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
    if container.host_config.is_on_bridge() {
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
    let operation = hold(layout, container)?;
    if has_shim(layout, id)? {
        let runs = match layout.read_state(id)?.status {
            // Its shim is still taking it down.
            Status::Exited | Status::Dead => wait_for_shim(layout, container).map(|()| false)?,
            // Somebody was killed between making it ready and starting it, or just after.
            Status::Created => !client::abort(layout, id, "it is started anew")?,
            Status::Paused => bail!("cannot start a paused container, try unpause instead"),
            _ => true,
        };
        match (runs, attach) {
            (true, Some(manner)) => {
                // Whoever wants to stop it meanwhile does not wait for us.
                drop(operation);
                return client::attach(layout, container, manner);
            }
            (true, None) => return Ok(End::Exited(0)),
            (false, _) => {}
        }
    }
    recover(layout, id)?;
    if layout.run_dir(id).is_dir() {
        bail!("start {}: No space left on device to write down what becomes of it", container.name);
    }
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
    client::start(layout, id, attach, command, Some(operation))
}

/// A start failed half-way: takes down what there is of the container, and passes the error on.
fn give_up(layout: &Layout, container: &Container, error: anyhow::Error) -> anyhow::Error {
    let id = &container.id;
    let undone = match has_shim(layout, id) {
        Ok(true) => client::abort(layout, id, &format!("{error:#}")).map(drop),
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
        state.exit_code = exit::never_ran(exit::code_of(error)).into();
        // The error itself is on its way to the user; that it could not be written down as well adds nothing.
        let _ = layout.write_state(id, &state);
    }
}

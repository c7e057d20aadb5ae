//! Ending: a polite signal, and after a while SIGKILL. And starting again after that.

use super::{settled, start, start_plan};
use crate::plan::{Plan, Step};
use crate::protocol::Deed;
use crate::{runtime, signal};
use anyhow::Result;
use layout::container::Container;
use layout::events;
use layout::{ContainerId, Layout};
use std::time::Duration;

/// How long docker waits before SIGKILL, in seconds, when nobody says another time.
const GRACE: i64 = 10;

/// How long to wait before SIGKILL: what is asked for now, else what was when the container was made. `None` is for ever.
pub fn grace(container: &Container, asked: Option<i64>) -> Option<Duration> {
    let seconds = asked.or(container.config.stop_timeout).unwrap_or(GRACE);
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// A signal, sent on somebody's behalf: the shim passes it on, and does not start the container again.
pub fn signal_step(layout: &Layout, id: &ContainerId, signal: &str) -> Step {
    step(layout, id, Deed::Kill, signal)
}

fn step(layout: &Layout, id: &ContainerId, what: Deed, signal: &str) -> Step {
    let call = runtime::kill(layout, id, signal.trim_start_matches("SIG"));
    Step::Tell { id: id.clone(), what, call }
}

/// The steps that stop a running container.
///
/// # Errors
/// `Invalid signal: X`.
pub fn stop_plan(
    layout: &Layout,
    container: &Container,
    signal: Option<&str>,
    grace: Option<Duration>,
) -> Result<Plan> {
    end_plan(layout, container, Deed::Kill, signal, grace)
}

fn end_plan(
    layout: &Layout,
    container: &Container,
    what: Deed,
    signal: Option<&str>,
    grace: Option<Duration>,
) -> Result<Plan> {
    let id = &container.id;
    let of_the_image = Some(container.config.run.stop_signal.as_str()).filter(|s| !s.is_empty());
    let first = signal::number(signal.or(of_the_image).unwrap_or("TERM"))?;
    let mut plan = Plan::default();
    plan.push(step(layout, id, what, &signal::word(first)));
    plan.push(Step::WaitEnd {
        id: id.clone(),
        within: grace,
        otherwise: Some(Box::new(step(layout, id, what, "KILL"))),
    });
    Ok(plan)
}

/// Stops a container; one that does not run is left alone.
pub fn stop(layout: &Layout, container: &Container, signal: Option<&str>, grace: Option<Duration>) -> Result<()> {
    let plan = stop_plan(layout, container, signal, grace)?;
    if end(layout, container, &plan)? {
        events::of_container(layout, container, "stop", &[]);
    }
    Ok(())
}

/// Ends a container by these steps, if it runs.
fn end(layout: &Layout, container: &Container, plan: &Plan) -> Result<bool> {
    if !settled(layout, container)?.status.is_up() {
        return Ok(false);
    }
    match plan.execute(layout) {
        // It ended by itself before the signal came.
        Err(error) if super::state(layout, &container.id).is_ok_and(|state| state.status.is_up()) => Err(error),
        _ => Ok(true),
    }
}

/// The steps that kill a container, if it has a shim, and wait for its end.
pub fn kill_plan(layout: &Layout, id: &ContainerId) -> Plan {
    let mut plan = Plan::default();
    plan.push(signal_step(layout, id, "KILL"));
    plan.push(Step::WaitEnd { id: id.clone(), within: None, otherwise: None });
    plan
}

/// The steps that stop a running container and start it again. With `--rm` it is not removed in between.
///
/// # Errors
/// `Invalid signal: X`.
pub fn restart_plan(
    layout: &Layout,
    container: &Container,
    signal: Option<&str>,
    grace: Option<Duration>,
) -> Result<Plan> {
    let mut plan = end_plan(layout, container, Deed::KillToRestart, signal, grace)?;
    plan.extend(start_plan(layout, container, None)?);
    Ok(plan)
}

/// Stops a container, if it runs, and starts it.
pub fn restart(layout: &Layout, container: &Container, signal: Option<&str>, grace: Option<Duration>) -> Result<()> {
    let plan = end_plan(layout, container, Deed::KillToRestart, signal, grace)?;
    if end(layout, container, &plan)? {
        events::of_container(layout, container, "stop", &[]);
    }
    start(layout, container, None)?;
    events::of_container(layout, container, "restart", &[]);
    Ok(())
}

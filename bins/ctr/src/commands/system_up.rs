//! `ctr system up`: after a reboot, what was up is started again.

use super::Engine;
use crate::life;
use crate::plan::Plan;
use crate::shim::restart;
use anyhow::Result;
use layout::container::Container;
use layout::tool::{Call, Tool};
use layout::{Layout, time};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

/// So many containers start at once.
const AT_ONCE: usize = 4;

impl Engine {
    pub(super) fn system_up(&self) -> Result<u8> {
        let wanted = wanted(&self.layout)?;
        if self.explain {
            let mut plan = Plan::default();
            wanted.iter().for_each(|container| plan.call(start(container)));
            return self.explained(&plan);
        }
        let (rest, code) = (Mutex::new(wanted.iter()), AtomicU8::new(0));
        let next = || rest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(container) = next() {
                        match start(container).run() {
                            Ok(()) => println!("{}", container.name),
                            Err(error) => {
                                eprintln!("ctr: start {}: {error:#}", container.name);
                                code.store(1, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        Ok(code.into_inner())
    }
}

fn start(container: &Container) -> Call {
    Call::new(Tool::Ctr).args(["start", container.id.as_str()])
}

/// The containers that were started once, are down now, and would be started again by their policies: docker's rule when its
/// daemon starts. Looking at each also clears away what a killed shim or the reboot has left.
fn wanted(layout: &Layout) -> Result<Vec<Container>> {
    let mut wanted = Vec::new();
    for id in layout.container_ids()? {
        let looked = life::state(layout, &id).and_then(|state| Ok((layout.read_container(&id)?, state)));
        let (container, state) = match looked {
            Ok(both) => both,
            Err(_) if !layout.container(&id).exists() => continue,
            Err(error) => {
                eprintln!("ctr: look at container {}: {error:#}", id.short());
                continue;
            }
        };
        let policy = &container.host_config.restart_policy;
        let restarts = restart::is_wanted(policy, state.exit_code, state.stopped_on_purpose, state.restart_count);
        if restarts && !state.status.is_up() && state.started_at != time::ZERO {
            wanted.push(container);
        }
    }
    wanted.sort_by(|a, b| a.created.cmp(&b.created));
    Ok(wanted)
}

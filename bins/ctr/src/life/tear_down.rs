//! Taking down what a start put up, by whoever has to: the shim at the container's end, or who finds that it was killed.

use crate::create::mounts::fill;
use crate::{exec, runtime, spec};
use anyhow::{Result, bail};
use layout::Layout;
use layout::container::Container;
use layout::tool::{Call, Tool};

/// Takes down everything that start put up: ports, network, process, mount. Goes on past failures and
/// reports them together; what is not there is no failure.
pub fn tear_down(layout: &Layout, container: &Container) -> Result<()> {
    // Those whose parents were killed; the others remove their own.
    layout.exec_dirs(&container.id)?.iter().for_each(|(_, dir)| exec::forget_dead(dir));
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
    if container.host_config.is_on_bridge() {
        if layout.ports_file(&container.id).exists() {
            calls.push(Call::new(Tool::Portfwd).args(["unpublish", "--container", id]));
        }
        calls.push(Call::new(Tool::Portfwd).args(["detach", "bridge", "--container", id]));
    }
    calls.push(Call::new(Tool::Layerfs).arg("umount").arg(layout.container_dir(&container.id).rootfs()));
    calls.extend(fill::let_go(layout, container));
    calls
}

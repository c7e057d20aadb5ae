//! The steps around a container's volumes: new ones are made before the container, and filled with what its image has where they
//! are mounted, as docker does; and what a start needs of them.

use super::Wanted;
use crate::life;
use crate::plan::{Plan, Step};
use crate::volume;
use layout::Layout;
use layout::container::Container;
use layout::tool::{Call, Tool};
use std::fs;
use std::path::Path;

/// The steps that make the volumes that are not there yet.
pub fn make_volumes(layout: &Layout, wanted: &[Wanted]) -> Plan {
    let mut plan = Plan::default();
    for mount in wanted.iter().filter(|mount| is_new(layout, mount)) {
        plan.call(volume::create_call(&mount.point.name, mount.anonymous, &mount.labels, &mount.options));
    }
    plan
}

fn is_new(layout: &Layout, mount: &Wanted) -> bool {
    !mount.point.name.is_empty() && layout.read_volume(&mount.point.name).is_err()
}

/// The steps that copy what the image has into volumes that are empty. Its root is mounted for that, read-only.
pub fn fill_volumes(layout: &Layout, container: &Container, wanted: &[Wanted]) -> Plan {
    let mut plan = Plan::default();
    let rootfs = layout.container_dir(&container.id).rootfs();
    let empty: Vec<&Wanted> = wanted.iter().filter(|mount| mount.copy && is_empty(layout, mount)).collect();
    if empty.is_empty() {
        return plan;
    }
    plan.note("a volume that is empty gets what the image has in its place");
    plan.call(Call::new(Tool::Layerfs).args(["mount", "--read-only", container.image.as_str()]).arg(&rootfs));
    for mount in empty {
        let point = &mount.point;
        let mounted = layout.read_volume(&point.name).is_ok_and(|volume| volume.is_mounted()) || is_mounted(mount);
        if mounted {
            plan.call(volume::call("mount").arg(&point.name));
        }
        plan.call(
            Call::new(Tool::Layerfs)
                .args(["cp", "--fill", "--root"])
                .arg(&rootfs)
                .arg(format!(":{}/.", point.destination))
                .arg(&point.source),
        );
        if mounted {
            plan.call(volume::call("unmount").arg(&point.name));
        }
    }
    plan.call(Call::new(Tool::Layerfs).arg("umount").arg(&rootfs));
    plan
}

fn is_mounted(mount: &Wanted) -> bool {
    mount.options.contains_key("device")
}

fn is_empty(layout: &Layout, mount: &Wanted) -> bool {
    is_new(layout, mount) || fs::read_dir(&mount.point.source).is_ok_and(|mut files| files.next().is_none())
}

/// The steps before each start: a folder of the host that `-v` names is made if it is missing, as docker makes it, and what
/// comes from elsewhere is mounted.
pub fn make_ready(layout: &Layout, container: &Container) -> Plan {
    let mut plan = Plan::default();
    let is_request = |source: &str| container.host_config.mounts.iter().any(|mount| mount.source == source);
    for point in &container.mounts {
        let source = Path::new(&point.source);
        if point.kind == "bind" && !source.exists() && !is_request(&point.source) {
            plan.push(Step::MakeDirs(source.to_owned()));
        }
        if layout.read_volume(&point.name).is_ok_and(|volume| volume.is_mounted()) {
            plan.call(volume::call("mount").arg(&point.name));
        }
    }
    plan
}

/// The calls after each end: what was mounted for it, and for nobody else, is unmounted.
pub fn let_go(layout: &Layout, container: &Container) -> Vec<Call> {
    let volumes = container.mounts.iter().filter(|point| !point.name.is_empty());
    let mounted = volumes.filter(|point| life::is_mount_point(&layout.volume_data(&point.name)));
    mounted.map(|point| volume::call("unmount").arg(&point.name)).collect()
}

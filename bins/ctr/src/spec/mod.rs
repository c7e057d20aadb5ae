//! From a container to the OCI `config.json` that the runtime reads: docker's defaults with the
//! container's own wishes laid over them.
//!
//! | file | what it sets |
//! | --- | --- |
//! | [`process`] | the program, its user, its environment |
//! | [`namespaces`] | what it has to itself, and what it shares |
//! | [`mounts`] | the root filesystem, and what is mounted into it |
//! | [`init`] | the first process, where that is not the program |
//! | [`ipc`] | its shared memory |
//! | [`resources`] | how much of the machine it may use |
//! | [`security`] | what it may do |
//! | [`devices`], [`gpus`] | which devices of the host it has |

mod devices;
mod gpus;
mod init;
pub mod ipc;
mod mounts;
mod namespaces;
mod process;
pub mod resources;
pub mod security;

use crate::create::links;
use crate::plan::{Plan, Step};
use anyhow::{Context, Result};
use layout::container::Container;
use layout::images;
use layout::oci::defaults;
use layout::oci::image::ImageConfig;
use layout::oci::runtime::Spec;
use layout::{Digest, Layout};

/// The runtime configuration of a container.
///
/// # Errors
/// What it is to share, or to have of the host, is not there.
pub fn build(layout: &Layout, container: &Container, layers: &[Digest]) -> Result<Spec> {
    let mut spec = defaults::spec();
    process::set(&mut spec, layout, container, layers)?;
    namespaces::set(&mut spec, layout, container)?;
    mounts::set(&mut spec, layout, container)?;
    ipc::set(&mut spec, layout, container)?;
    init::set(&mut spec, container)?;
    resources::set(&mut spec, container)?;
    security::set(&mut spec, container)?;
    devices::set(spec.linux.get_or_insert_default(), container)?;
    gpus::set(&mut spec, container)?;
    Ok(spec)
}

/// The configuration of a container that is being made. What it depends on at the moment need not be there before the start,
/// which writes it anew: until then the configuration goes without.
pub fn build_at_create(layout: &Layout, container: &Container, layers: &[Digest]) -> Result<Spec> {
    match build(layout, container, layers) {
        Err(_) if is_of_the_moment(container) => build(layout, &without_the_moment(container), layers),
        spec => spec,
    }
}

fn without_the_moment(container: &Container) -> Container {
    let mut container = container.clone();
    container.config.run.user.clear();
    let host = &mut container.host_config;
    for mode in [&mut host.network_mode, &mut host.ipc_mode, &mut host.pid_mode] {
        if mode.starts_with("container:") {
            mode.clear();
        }
    }
    host.links = None;
    host.group_add = None;
    host.devices.clear();
    host.device_requests = None;
    host.blkio_weight_device.clear();
    for limits in [
        &mut host.blkio_device_read_bps,
        &mut host.blkio_device_write_bps,
        &mut host.blkio_device_read_iops,
        &mut host.blkio_device_write_iops,
    ] {
        *limits = None;
    }
    container
}

/// Whether the configuration depends on what is there at the moment: other containers' processes, the host's devices, users by
/// their names, of whom docker asks at the start only. It is written by each start then.
pub fn is_of_the_moment(container: &Container) -> bool {
    let host = &container.host_config;
    let joins = [&host.network_mode, &host.ipc_mode, &host.pid_mode].iter().any(|mode| mode.starts_with("container:"));
    let has_disks = [
        &host.blkio_device_read_bps,
        &host.blkio_device_write_bps,
        &host.blkio_device_read_iops,
        &host.blkio_device_write_iops,
    ]
    .iter()
    .any(|limits| limits.is_some());
    let is_number = |id: &str| id.bytes().all(|b| b.is_ascii_digit());
    let names_somebody = !container.config.run.user.split(':').all(is_number)
        || host.group_add.iter().flatten().any(|group| !is_number(group));
    joins
        || names_somebody
        || host.links.is_some()
        || host.privileged
        || !host.devices.is_empty()
        || host.device_requests.is_some()
        || has_disks
        || !host.blkio_weight_device.is_empty()
}

/// The steps before the process is made: the configuration, where it is of the moment, and the shared memory that others may
/// have too.
pub fn at_start(layout: &Layout, container: &Container) -> Result<Plan> {
    let mut plan = Plan { steps: ipc::provide(layout, container) };
    plan.steps.extend(links::hosts_step(layout, container)?);
    if is_of_the_moment(container) {
        plan.steps.extend(publish(layout, container)?);
    }
    Ok(plan)
}

/// The steps that write the configuration of a container that is there already.
pub fn publish(layout: &Layout, container: &Container) -> Result<[Step; 2]> {
    let image: ImageConfig =
        images::read_blob(layout, &container.image).with_context(|| format!("read the image of {}", container.name))?;
    let made = layout.tmp().join(format!("{}.config.json", container.id));
    let place = layout.container_dir(&container.id).config_json();
    Ok([
        Step::write_json(&made, &build(layout, container, &image.rootfs.diff_ids)?)?,
        Step::Rename { from: made, to: place },
    ])
}

/// The name of a container's cgroup, from the hierarchy's root.
pub fn cgroup(container: &Container) -> String {
    let id = &container.id;
    match container.host_config.cgroup_parent.as_str() {
        "" => format!("/ctr/{id}"),
        parent => match parent.trim_matches('/') {
            // The top of the hierarchy.
            "" => format!("/{id}"),
            parent => format!("/{parent}/{id}"),
        },
    }
}

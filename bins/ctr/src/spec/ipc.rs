//! `/dev/shm`: the files of shared memory, which go with the IPC namespace.
//!
//! A container's own is mounted inside of it, where nobody else can reach it. One that others may share is mounted on the
//! host first, at `containers/ID/shm`, and bound from there into each of them.

use crate::plan::Step;
use anyhow::{Context, Result};
use layout::container::{Container, HostConfig};
use layout::oci::defaults;
use layout::oci::runtime::{Mount, Spec};
use layout::{ContainerId, Layout};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::path::{Path, PathBuf};

const SHM: &str = "/dev/shm";

/// Sets what is at `/dev/shm`, after the other mounts.
pub fn set(spec: &mut Spec, layout: &Layout, container: &Container) -> Result<()> {
    let host = &container.host_config;
    if host.ipc_mode == "none" {
        spec.mounts.retain(|mount| mount.destination != Path::new(SHM));
    }
    let Some(source) = source(layout, &container.id, host)? else { return Ok(()) };
    let bound = Mount {
        destination: SHM.into(),
        kind: "bind".to_owned(),
        source: source.to_string_lossy().into_owned(),
        options: vec!["rbind".to_owned(), "rprivate".to_owned()],
        ..Mount::default()
    };
    // A volume that somebody asked to have there is not ours.
    spec.mounts
        .iter_mut()
        .filter(|mount| mount.destination == Path::new(SHM) && mount.kind == "tmpfs")
        .for_each(|mount| *mount = bound.clone());
    Ok(())
}

/// The steps that mount on the host what others may share.
pub fn provide(layout: &Layout, container: &Container) -> Vec<Step> {
    let host = &container.host_config;
    if host.ipc_mode != "shareable" {
        return Vec::new();
    }
    let size = if host.shm_size > 0 { host.shm_size } else { defaults::SHM_SIZE as i64 };
    vec![
        Step::Note("its shared memory, which other containers may share".to_owned()),
        Step::MountTmpfs { place: layout.container_dir(&container.id).shm(), data: format!("mode=1777,size={size}") },
    ]
}

/// Takes that away again; none there is fine.
pub fn take_away(layout: &Layout, container: &Container) -> Result<()> {
    if container.host_config.ipc_mode != "shareable" {
        return Ok(());
    }
    let place = layout.container_dir(&container.id).shm();
    match rustix::mount::unmount(&place, UnmountFlags::DETACH) {
        // Nothing is mounted there, or there is no such folder.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("unmount {}", place.display())),
    }
}

/// The folder of the host that it has there; none if it has one of its own.
fn source(layout: &Layout, id: &ContainerId, host: &HostConfig) -> Result<Option<PathBuf>> {
    Ok(match host.ipc_mode.as_str() {
        "host" => Some(SHM.into()),
        "shareable" => Some(layout.container_dir(id).shm()),
        mode => match mode.strip_prefix("container:") {
            None => None,
            Some(name) => {
                let donor = layout.find_container(name)?;
                let mode = layout.read_container(&donor)?.host_config.ipc_mode;
                Some(if mode == "host" { SHM.into() } else { layout.container_dir(&donor).shm() })
            }
        },
    })
}

//! From a container to the OCI `config.json` that the runtime reads: docker's defaults with the
//! container's own wishes laid over them.

use anyhow::{Context, Result};
use layout::container::{Container, HostConfig};
use layout::images::{self, Image};
use layout::oci::defaults;
use layout::oci::runtime::*;
use layout::rootfs::{self, User};
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, publish};
use std::path::{Path, PathBuf};

/// The period over which processor time is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// The runtime configuration of a container.
pub fn build(layout: &Layout, container: &Container, image: &Image) -> Result<Spec> {
    let mut spec = defaults::spec();
    let user = find_user(layout, image, &container.config.run.user)?;
    spec.process = Some(process(container, user, spec.process.take().unwrap_or_default()));
    spec.hostname = container.config.hostname.clone();
    spec.domainname = container.config.domainname.clone();
    if let Some(root) = &mut spec.root {
        root.readonly = container.host_config.readonly_rootfs;
    }
    let dir = layout.container_dir(&container.id);
    for (source, destination) in
        [(dir.resolv_conf(), "/etc/resolv.conf"), (dir.hostname(), "/etc/hostname"), (dir.hosts(), "/etc/hosts")]
    {
        spec.mounts.push(bind(&source, destination));
    }
    let mut linux = spec.linux.take().unwrap_or_default();
    if container.host_config.network_mode == "host" {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    }
    linux.cgroups_path = cgroup(&container.id);
    linux.resources = Some(resources(&container.host_config));
    spec.linux = Some(linux);
    Ok(spec)
}

/// The name of a container's cgroup, from the hierarchy's root.
pub fn cgroup(id: &ContainerId) -> String {
    format!("/ctr/{id}")
}

fn process(container: &Container, user: User, base: Process) -> Process {
    let config = &container.config;
    let dir = if config.run.working_dir.is_empty() { "/" } else { &config.run.working_dir };
    let mut args = vec![container.path.clone()];
    args.extend(container.args.iter().cloned());
    let mut env = config.run.env.clone().unwrap_or_default();
    if !env.iter().any(|line| line.starts_with("HOME=")) {
        env.push(format!("HOME={}", user.home));
    }
    let mut capabilities = base.capabilities.unwrap_or_default();
    if user.uid != 0 {
        // As execve(2) would have it when root becomes somebody else; the bounding set stays for setuid programs.
        capabilities.effective.clear();
        capabilities.permitted.clear();
    }
    Process {
        terminal: config.tty,
        user: ProcessUser { uid: user.uid, gid: user.gid, umask: None, additional_gids: user.additional_gids },
        args,
        env,
        cwd: PathBuf::from(dir),
        capabilities: Some(capabilities),
        ..base
    }
}

/// Looks the user up in the image's layers, which need not be mounted for it. An image that another tool put
/// into the store has not been extracted: `layerfs mount` does that.
fn find_user(layout: &Layout, image: &Image, wanted: &str) -> Result<User> {
    let folders = || -> Vec<PathBuf> {
        images::layer_names(layout, image.layers()).iter().rev().map(|name| layout.layer_diff(name)).collect()
    };
    let mut layers = folders();
    if layers.iter().any(|dir| !dir.is_dir()) {
        let scratch = publish::temp_dir(layout)?;
        Call::new(Tool::Layerfs).arg("mount").arg("--read-only").arg(image.id.as_str()).arg(scratch.path()).run()?;
        Call::new(Tool::Layerfs).arg("umount").arg(scratch.path()).run()?;
        layers = folders();
    }
    rootfs::find_user_in_layers(&layers, wanted).context("find the user that the container runs as")
}

fn bind(source: &Path, destination: &str) -> Mount {
    Mount {
        destination: destination.into(),
        kind: "bind".to_owned(),
        source: source.to_string_lossy().into_owned(),
        options: vec!["rbind".to_owned(), "rprivate".to_owned()],
        ..Mount::default()
    }
}

fn resources(host: &HostConfig) -> Resources {
    let memory = (host.memory > 0).then(|| Memory {
        limit: Some(host.memory),
        // Docker's default: as much swap as memory.
        swap: Some(host.memory.saturating_mul(2)),
        ..Memory::default()
    });
    let cpu = (host.nano_cpus > 0 || host.cpu_shares > 0).then(|| Cpu {
        shares: (host.cpu_shares > 0).then_some(host.cpu_shares),
        period: (host.nano_cpus > 0).then_some(CPU_PERIOD),
        quota: (host.nano_cpus > 0).then_some(host.nano_cpus / (1_000_000_000 / CPU_PERIOD as i64)),
        ..Cpu::default()
    });
    Resources {
        devices: defaults::device_rules(),
        memory,
        cpu,
        pids: host.pids_limit.filter(|limit| *limit != 0).map(|limit| Pids { limit }),
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_what_the_specification_calls_them() {
        let host =
            HostConfig { memory: 64 << 20, nano_cpus: 1_500_000_000, pids_limit: Some(10), ..HostConfig::default() };
        let resources = resources(&host);
        let memory = resources.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), Some(128 << 20)));
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period, cpu.shares), (Some(150_000), Some(100_000), None));
        assert_eq!(resources.pids.unwrap().limit, 10);
    }
}

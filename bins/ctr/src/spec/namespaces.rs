//! What it has to itself, what it shares with the host, and what with another container.
//!
//! A namespace that is shared with the host is not in the list: the runtime leaves the process in it. One that is
//! another container's is joined by the file of that container's process, which is known once that runs: so such a
//! configuration is written anew at each start.

use anyhow::{Result, bail};
use layout::container::{Container, HostConfig};
use layout::oci::runtime::{Linux, Namespace, NamespaceKind, Spec};
use layout::{ContainerId, Layout};
use std::collections::BTreeMap;

/// Sets the namespaces, and what lives in them.
pub fn set(spec: &mut Spec, layout: &Layout, container: &Container) -> Result<()> {
    let host = &container.host_config;
    spec.hostname = container.config.hostname.clone();
    spec.domainname = container.config.domainname.clone();
    if host.uts_mode == "host" {
        // The name is the host's, and not for us to change.
        (spec.hostname, spec.domainname) = (String::new(), String::new());
    }
    let linux = spec.linux.get_or_insert_default();
    for (kind, mode) in [
        (NamespaceKind::Network, host.network_mode.as_str()),
        (NamespaceKind::Ipc, &host.ipc_mode),
        (NamespaceKind::Pid, &host.pid_mode),
        (NamespaceKind::Uts, &host.uts_mode),
        (NamespaceKind::Cgroup, &host.cgroupns_mode),
    ] {
        if mode == "host" {
            linux.namespaces.retain(|namespace| namespace.kind != kind);
        } else if let Some(other) = mode.strip_prefix("container:") {
            join(linux, kind, &of_container(layout, kind, other)?);
        }
    }
    if let Some(donor) = network_of(layout, host)? {
        let donor = layout.read_container(&donor)?;
        spec.hostname = donor.config.hostname;
        spec.domainname = donor.config.domainname;
    }
    let linux = spec.linux.get_or_insert_default();
    linux.sysctl = if host.network_mode == "host" || host.network_mode.starts_with("container:") {
        host.sysctls.clone()
    } else {
        own_network().into_iter().chain(host.sysctls.clone()).collect()
    };
    Ok(())
}

/// What is allowed to anybody in a network that is the container's own, as with docker: every port, and `ping`.
fn own_network() -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())]);
    // In a user namespace there are not that many groups.
    let groups = std::fs::read_to_string("/proc/self/gid_map").unwrap_or_default();
    if groups.split_ascii_whitespace().eq(["0", "0", "4294967295"]) {
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    sysctls
}

/// The container whose network it shares, with the files in `/etc` that belong to it.
pub fn network_of(layout: &Layout, host: &HostConfig) -> Result<Option<ContainerId>> {
    host.network_mode.strip_prefix("container:").map(|name| layout.find_container(name)).transpose()
}

fn join(linux: &mut Linux, kind: NamespaceKind, path: &str) {
    linux.namespaces.retain(|namespace| namespace.kind != kind);
    linux.namespaces.push(Namespace { kind, path: Some(path.into()) });
}

/// The file of another container's namespace, in docker's words if it cannot be joined.
fn of_container(layout: &Layout, kind: NamespaceKind, name: &str) -> Result<String> {
    let id = layout.find_container(name)?;
    let state = crate::life::state(layout, &id)?;
    if !state.status.is_up() || state.pid == 0 {
        match kind {
            NamespaceKind::Network => bail!("cannot join network of a non running container: {id}"),
            NamespaceKind::Ipc => bail!("can't join IPC of container {id}: container {id} is not running"),
            _ => bail!("container {id} is not running"),
        }
    }
    if kind == NamespaceKind::Ipc {
        let mode = layout.read_container(&id)?.host_config.ipc_mode;
        if mode != "shareable" && mode != "host" {
            bail!(
                "can't join IPC of container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor \
                 container)"
            );
        }
    }
    let file = match kind {
        NamespaceKind::Network => "net",
        NamespaceKind::Ipc => "ipc",
        _ => "pid",
    };
    Ok(format!("/proc/{}/ns/{file}", state.pid))
}

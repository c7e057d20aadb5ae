//! `--ipc`, `--pid`, `--uts`, `--userns`, `--cgroupns`: what it has to itself, and what it shares.

use super::wrong::OfOption;
use crate::cli::{self, SecurityOptions};
use anyhow::{Result, anyhow, bail};
use layout::container::HostConfig;
use layout::{ContainerId, Layout};

/// Fills in the modes. `unified` says whether the machine has cgroup v2 alone.
pub fn fill(host: &mut HostConfig, layout: &Layout, options: &SecurityOptions, unified: bool) -> Result<()> {
    let word = |option: &Option<String>| option.clone().unwrap_or_default();
    host.ipc_mode = match word(&options.ipc).as_str() {
        "" => "private".to_owned(),
        mode @ ("private" | "shareable" | "none" | "host") => mode.to_owned(),
        mode => match mode.strip_prefix("container:") {
            Some("") => bail!("can't join IPC of container : invalid name or ID supplied: \"\""),
            Some(name) => of_container(layout, name)?,
            None => bail!("Invalid IPC mode: {mode}"),
        },
    };
    host.pid_mode = match word(&options.pid).as_str() {
        mode @ ("" | "host") => mode.to_owned(),
        mode => match mode.strip_prefix("container:") {
            Some(name) if !name.is_empty() => of_container(layout, name)?,
            _ => return Err(anyhow!("--pid: invalid PID mode")).of_option(),
        },
    };
    host.uts_mode = host_or_nothing(word(&options.uts), "--uts: invalid UTS mode")?;
    host.userns_mode = host_or_nothing(word(&options.userns), "--userns: invalid USER mode")?;
    host.cgroupns_mode = match word(&options.cgroupns).as_str() {
        // Docker's default: on v1 a container that sees the host's paths is what programs had got used to.
        "" if host.privileged || !unified => "host".to_owned(),
        "" => "private".to_owned(),
        mode @ ("host" | "private") => mode.to_owned(),
        _ => return Err(anyhow!("--cgroupns: invalid CGROUP mode")).of_option(),
    };
    Ok(())
}

/// `--network container:NAME` by its id; none for other networks.
pub fn network(layout: &Layout, network: &str) -> Result<Option<String>> {
    match network.strip_prefix("container:") {
        None => Ok(None),
        Some("") => bail!("Invalid network mode: invalid container format container:<name|id>"),
        Some(name) => of_container(layout, name).map(Some),
    }
}

/// The host name: its own, or that of whom it shares it with.
pub fn hostname(layout: &Layout, args: &cli::Create, id: &ContainerId) -> Result<String> {
    let (network, given) =
        (args.network.network.as_str(), args.process.hostname.as_ref().filter(|name| !name.is_empty()));
    if args.security.uts.as_deref() == Some("host") {
        match given {
            Some(_) => bail!("conflicting options: hostname and the UTS mode"),
            None => return Ok(host_name()),
        }
    }
    if let Some(name) = network.strip_prefix("container:") {
        match given {
            Some(_) => bail!("conflicting options: hostname and the network mode"),
            None if name.is_empty() => bail!("Invalid network mode: invalid container format container:<name|id>"),
            None => return Ok(layout.read_container(&layout.find_container(name)?)?.config.hostname),
        }
    }
    Ok(match given {
        Some(name) => name.clone(),
        None if network == "host" => host_name(),
        None => id.short().to_owned(),
    })
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What cannot go together with the host's network, or another container's, which has all of that already; in docker's order.
pub fn check(host: &HostConfig, args: &cli::Create) -> Result<()> {
    let is_another = host.network_mode.starts_with("container:");
    let is_not_its_own = is_another || host.network_mode == "host";
    let has_hosts = host.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty());
    let publishes = !host.port_bindings.is_empty() || host.publish_all_ports;
    let conflicts = [
        (is_another && !host.dns.is_empty(), "dns and the network mode"),
        (is_another && has_hosts, "custom host-to-IP mapping and the network mode"),
        (is_not_its_own && args.network.mac_address.is_some(), "mac-address and the network mode"),
        (is_another && publishes, "port publishing and the container type network mode"),
        (is_another && !args.network.expose.is_empty(), "port exposing and the container type network mode"),
    ];
    match conflicts.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => bail!("conflicting options: {what}"),
        None => Ok(()),
    }
}

/// `container:ID`, whatever name of it was given: names can change.
pub fn of_container(layout: &Layout, name: &str) -> Result<String> {
    Ok(format!("container:{}", layout.find_container(name)?))
}

fn host_or_nothing(mode: String, otherwise: &str) -> Result<String> {
    match mode.as_str() {
        "" | "host" => Ok(mode),
        _ => Err(anyhow!("{otherwise}")).of_option(),
    }
}

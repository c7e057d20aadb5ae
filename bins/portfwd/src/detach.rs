//! A container goes: cable, names, address. The bridge stays for the next one, until the network is removed.

use crate::bridge;
use crate::cleanup::Cleanup;
use crate::hosts_file;
use crate::netlink::Netlink;
use crate::network_file::Guard;
use crate::veth;
use anyhow::{Context, Result, bail};
use layout::{ContainerId, Layout};

/// `portfwd detach`: nothing there is success.
pub fn run(layout: &Layout, network: &str, container: &ContainerId) -> Result<()> {
    let guard = Guard::take(layout, network)?;
    let mut netlink = Netlink::open().context("open a netlink socket")?;
    leave(&guard, &mut netlink, container)
}

/// Takes a container out of the network, whatever is there of it. Goes on when a step fails, and reports all failures.
pub fn leave(guard: &Guard, netlink: &mut Netlink, container: &ContainerId) -> Result<()> {
    let Some(mut network) = guard.read()? else { return Ok(()) };
    let mut cleanup = Cleanup::default();
    cleanup.attempt(veth::unplug(netlink, bridge::group(guard), container).map(drop));
    if let Some(endpoint) = network.endpoints.remove(container.as_str()) {
        cleanup.attempt(guard.write(&network));
        cleanup.attempt(hosts_file::clear(guard.layout, &network, container.as_str(), &endpoint));
        cleanup.attempt(hosts_file::update_all(guard.layout, &network));
    }
    cleanup.finish()
}

/// `portfwd remove`: the network as a whole.
pub fn remove(layout: &Layout, name: &str) -> Result<()> {
    let guard = Guard::take(layout, name)?;
    let Some(network) = guard.read()? else { return Ok(()) };
    if !network.endpoints.is_empty() {
        let names: Vec<_> = network.endpoints.values().map(|endpoint| endpoint.name.as_str()).collect();
        bail!("remove network {name}: it has active endpoints: {}", names.join(", "));
    }
    let mut netlink = Netlink::open().context("open a netlink socket")?;
    bridge::remove(&guard, &mut netlink, &network)?;
    guard.remove()
}

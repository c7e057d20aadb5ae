//! The cable between a bridge and a container: a veth pair (veth(4)).
//!
//! The host's end is named after the container, so that it can be found without any file. The other end is made in the
//! container's namespace from the start: the host never sees an `eth0` that is not its own. When either end goes, the
//! other goes with it; so a cable also ends with its container's namespace, though the kernel takes its time over it.

use crate::delete_link::delete_link;
use crate::netlink::{Netlink, VethPair};
use crate::netns::ContainerNet;
use anyhow::{Context, Result, bail};
use layout::ContainerId;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// What the container's end is called in the container.
pub const INSIDE: &str = "eth0";
/// How long the kernel may take to notice that a cable is plugged in at both ends. It takes less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(20);

/// The address that a container's end gets.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// The address.
    pub ipv4: Ipv4Addr,
    /// The length of its subnet's prefix in bits.
    pub prefix_len: u8,
    /// Where everything else goes to.
    pub gateway: Ipv4Addr,
    /// The hardware address.
    pub hardware: [u8; 6],
}

/// The name of the host's end: 11 of the 15 bytes that a name can have (IFNAMSIZ).
pub fn name(container: &ContainerId) -> String {
    format!("veth{}", &container.as_str()[..7])
}

/// Plugs a container into the bridge of number `bridge`, and configures its end: address, default route, loopback.
/// The host's end is put into `group`. Gives a socket to the container's namespace.
pub fn plug(
    netlink: &mut Netlink,
    bridge: u32,
    group: u32,
    container: &ContainerId,
    net: &ContainerNet,
    address: &Address,
) -> Result<Netlink> {
    let here = name(container);
    let pair = VethPair {
        here: &here,
        bridge,
        group,
        namespace: net.namespace(),
        there: INSIDE,
        hardware_address: address.hardware,
    };
    match netlink.make_veth(&pair) {
        // The cable of the container's last run, or of this very attach done twice.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) && unplug(netlink, group, container)? => {
            netlink.make_veth(&pair).with_context(|| format!("make {here} again"))?;
        }
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            bail!("make {here}: the container has an {INSIDE} already, which is none of this network")
        }
        other => other.with_context(|| format!("make {here}, with {INSIDE} in the container"))?,
    }
    configure(net, address)
}

/// Removes a container's cable, if it is in `group`. Says whether there was one.
pub fn unplug(netlink: &mut Netlink, group: u32, container: &ContainerId) -> Result<bool> {
    let here = name(container);
    let link = netlink.link(&here).with_context(|| format!("look for {here}"))?;
    let Some(link) = link.filter(|link| link.group == group) else { return Ok(false) };
    delete_link(netlink, &link)?;
    Ok(true)
}

/// Waits until what is sent over a new cable arrives.
///
/// That both ends are up is noticed by a worker in the kernel a moment later (linkwatch), and until then what is sent is
/// dropped without a word. A container that connects somewhere as its first deed would lose its first packet, and TCP
/// takes a whole second to send it again.
pub fn wait_until_operational(
    host: &mut Netlink,
    bridge: &str,
    container: &ContainerId,
    inside: &mut Netlink,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    wait_for(inside, INSIDE, deadline)?;
    wait_for(host, &name(container), deadline)?;
    wait_for(host, bridge, deadline)
}

fn wait_for(netlink: &mut Netlink, name: &str, deadline: Instant) -> Result<()> {
    while !netlink.link(name).with_context(|| format!("look for {name}"))?.is_some_and(|link| link.is_operational) {
        if Instant::now() >= deadline {
            bail!("wait for {name}: it has not come up within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

fn configure(net: &ContainerNet, address: &Address) -> Result<Netlink> {
    let mut netlink = net.inside(Netlink::open)?.context("open a netlink socket in the container's namespace")?;
    let link = netlink.link(INSIDE).with_context(|| format!("look for {INSIDE} in the container"))?;
    let link = link.with_context(|| format!("look for {INSIDE} in the container: it is gone again"))?;
    netlink.configure(link.index, address.ipv4, address.prefix_len, address.gateway).with_context(|| {
        format!("give {INSIDE} in the container {}/{} and a default route", address.ipv4, address.prefix_len)
    })?;
    Ok(netlink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_is_named_after_its_container() {
        let id: ContainerId = format!("0123456789{}", "a".repeat(54)).parse().unwrap();
        assert_eq!(name(&id), "veth0123456");
    }
}

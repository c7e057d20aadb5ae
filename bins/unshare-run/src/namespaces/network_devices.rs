//! Network devices of the host that move into the container (`linux.netDevices`): a device is in one network namespace
//! at a time.
//!
//! The kernel is asked over a netlink socket (rtnetlink(7)), which belongs to the namespace that it was made in for as
//! long as it lives. With one made in each we can speak to both sides.

mod rtnetlink;

use super::{Namespaces, enter, flag, open};
use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{NamespaceKind, NetDevice, Spec};
use rtnetlink::Socket;
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use std::path::Path;

/// Moves the devices of a configuration into the network namespace of `process`, or into the one that it is to join. A
/// device keeps its lasting addresses, and is up afterwards.
pub fn move_in(spec: &Spec, namespaces: &Namespaces, process: Pid) -> Result<()> {
    let Some(linux) = spec.linux.as_ref().filter(|linux| !linux.net_devices.is_empty()) else { return Ok(()) };
    let target = match namespaces.path(NamespaceKind::Network) {
        Some(path) => open(path)?,
        None => open(Path::new(&format!("/proc/{}/ns/net", process.as_raw_pid())))?,
    };
    let outside = Socket::open()?;
    let inside = socket_in(&target)?;
    for (name, device) in &linux.net_devices {
        move_one(name, device, &outside, &inside, &target)
            .with_context(|| format!("move network device {name} into the container"))?;
    }
    Ok(())
}

fn socket_in(target: &OwnedFd) -> Result<Socket> {
    let own = open(Path::new("/proc/self/ns/net"))?;
    enter(target, flag(NamespaceKind::Network)).context("enter the container's network")?;
    let socket = Socket::open();
    enter(&own, flag(NamespaceKind::Network)).context("return to our own network")?;
    socket
}

fn move_one(name: &str, device: &NetDevice, outside: &Socket, inside: &Socket, target: &OwnedFd) -> Result<()> {
    let new_name = if device.name.is_empty() { name } else { &device.name };
    let index = outside.find(name)?.with_context(|| format!("the host has no device {name}"))?;
    let template = new_name.contains("%d");
    // The kernel would move it first and then fail to rename it.
    if !template && inside.find(new_name)?.is_some() {
        bail!("the container has a device {new_name} already");
    }
    let addresses = outside.lasting_addresses(index).context("ask for its addresses")?;
    let before = inside.devices()?;
    narrate!("a device moves", "ip link set {name} netns CONTAINER name {new_name}");
    outside.move_device(index, new_name, target)?;
    let moved = match template {
        // What the kernel made of `eth%d`, it alone knows.
        true => inside.devices()?.into_iter().find(|device| !before.contains(device)),
        false => inside.find(new_name)?,
    };
    let moved = moved.context("it is not there afterwards")?;
    inside.bring_up(moved).context("bring it up")?;
    for address in &addresses {
        inside.add_address(moved, address).context("give it its address again")?;
    }
    Ok(())
}

//! The bridge of a network: a switch in the kernel, with an address of its own, which is its containers' gateway.
//!
//! It is made with the first container and stays, with its rules, until the network is removed (or the machine is
//! switched off): to make and remove it takes the kernel several times as long as all else that a container needs. Several `$CTR_ROOT` may live on one host: names and
//! subnets are chosen by what the kernel has now, and whose an interface is, is told by its group: a number that the
//! kernel keeps with it from its making on, so that nothing is ever without an owner, whoever is killed when. A bridge
//! of the right name in another group is another's. When all is done the bridge is given its alias, which says whose it
//! is in words (`ip link show ctr0`); one without is half-made.

use crate::addresses::{self, choose_subnet, is_free};
use crate::cleanup::Cleanup;
use crate::cli::BridgeArgs;
use crate::delete_link;
use crate::firewall;
use crate::netlink::{Link, Netlink};
use crate::netns::NamespaceLock;
use crate::network_file::{self, Guard};
use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;
use layout::network::Network;
use layout::{Digest, Layout};
use std::collections::BTreeMap;
use std::fs;

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// What the names of bridges begin with.
const PREFIX: &str = "ctr";
/// Where the search for a free name ends: the kernel takes no more ports than this for one bridge either.
const MOST_BRIDGES: u32 = 1024;

/// What is asked for.
#[derive(Debug)]
pub struct Config {
    /// The network's name.
    pub network: String,
    /// Its subnet, if it may not be just any.
    pub subnet: Option<Ipv4Net>,
}

impl TryFrom<BridgeArgs> for Config {
    type Error = anyhow::Error;
    fn try_from(args: BridgeArgs) -> Result<Self> {
        let parse =
            |text: &String| text.parse::<Ipv4Net>().with_context(|| format!("{text:?} is no subnet (10.10.0.0/24)"));
        let subnet = args.subnet.as_ref().map(parse).transpose()?;
        Ok(Config { network: args.network, subnet: subnet.map(|subnet| subnet.trunc()) })
    }
}

/// A network whose bridge is there.
#[derive(Debug)]
pub struct Bridge {
    /// The network's file.
    pub network: Network,
    /// The bridge's interface number.
    pub index: u32,
}

/// `portfwd bridge`: makes what is not there and prints the network's file.
pub fn run(layout: &Layout, config: &Config) -> Result<()> {
    let guard = Guard::take(layout, &config.network)?;
    let mut netlink = Netlink::open().context("open a netlink socket")?;
    let bridge = ensure(&guard, &mut netlink, config.subnet)?;
    println!("{}", serde_json::to_string(&bridge.network).context("encode the network")?);
    Ok(())
}

/// The network with its bridge, both made if they are not there.
///
/// # Errors
/// A wanted subnet that is in use or not that of the network, no free subnet, or what the kernel and nft refuse.
pub fn ensure(guard: &Guard, netlink: &mut Netlink, wanted: Option<Ipv4Net>) -> Result<Bridge> {
    let known = guard.read()?;
    if let Some(network) = &known {
        if let Some(wanted) = wanted
            && wanted != network_file::subnet(network)?
        {
            bail!("make network {}: it is there already, with subnet {}", guard.name, network.subnet);
        }
        if let Some(link) = own_link(guard, netlink, &network.bridge)?.filter(|link| !link.alias.is_empty()) {
            mend(network)?;
            return Ok(Bridge { network: network.clone(), index: link.index });
        }
    }
    make(guard, netlink, known, wanted)
}

/// A bridge lives long, and the host's rules and settings may have been loaded anew in the meantime.
fn mend(network: &Network) -> Result<()> {
    forward_ipv4()?;
    if !firewall::is_open(&network.bridge) {
        firewall::open(&network.bridge, &network_file::subnet(network)?)?;
    }
    Ok(())
}

/// Removes the bridge of a network, all its cables and its rules. What is another's is left alone.
pub fn remove(guard: &Guard, netlink: &mut Netlink, network: &Network) -> Result<()> {
    let _lock = NamespaceLock::take()?;
    let name = &network.bridge;
    let Some(bridge) = own_link(guard, netlink, name)? else {
        // Somebody has removed the bridge. A cable may hang loose.
        return netlink.delete_group(group(guard)).context("remove the cables");
    };
    let mut cleanup = Cleanup::default();
    // The rules first: where there is no bridge any more, there are no rules either.
    let closing = firewall::Closing::begin(name);
    cleanup.attempt(delete_link::delete_group(netlink, &bridge));
    cleanup.attempt(closing.and_then(firewall::Closing::finish));
    cleanup.finish()
}

/// The group that all interfaces of a network are in: a number that two networks, be they of different roots, hardly
/// ever share.
pub fn group(guard: &Guard) -> u32 {
    let digest = Digest::of(alias(guard).as_bytes());
    let first = u32::from_str_radix(&digest.hex()[..8], 16).unwrap_or_default();
    // Not negative, as programs print it, and not small: small numbers are given out by people.
    (first & 0x7fff_ffff) | 0x4000_0000
}

/// The bridge of this name, if it is this network's.
fn own_link(guard: &Guard, netlink: &mut Netlink, name: &str) -> Result<Option<Link>> {
    let link = netlink.link(name).with_context(|| format!("look for bridge {name}"))?;
    Ok(link.filter(|link| link.group == group(guard)))
}

fn make(guard: &Guard, netlink: &mut Netlink, known: Option<Network>, wanted: Option<Ipv4Net>) -> Result<Bridge> {
    // From looking for what is free until it is taken, nobody else may look.
    let _lock = NamespaceLock::take()?;
    remove_leftovers(guard, netlink)?;
    let subnet = choose(guard, netlink, known.as_ref(), wanted)?;
    let gateway = addresses::gateway(&subnet).with_context(|| format!("find a gateway's address in {subnet}"))?;
    let name = make_under_free_name(guard, netlink, known.as_ref(), addresses::hardware_address(gateway))?;
    let network = Network {
        name: guard.name.to_owned(),
        created: known.map_or_else(layout::time::now, |network| network.created),
        driver: "bridge".to_owned(),
        bridge: name,
        subnet: subnet.to_string(),
        gateway,
        // Whoever was attached to a bridge that is no more is not attached.
        endpoints: BTreeMap::new(),
    };
    match finish(guard, netlink, &network, subnet) {
        Ok(index) => Ok(Bridge { network, index }),
        Err(error) => {
            let mut cleanup = Cleanup::after(error);
            cleanup.attempt(remove_leftovers(guard, netlink));
            Err(cleanup.into_error())
        }
    }
}

/// Everything from a bare bridge to a network that works.
fn finish(guard: &Guard, netlink: &mut Netlink, network: &Network, subnet: Ipv4Net) -> Result<u32> {
    let name = &network.bridge;
    let link = netlink.link(name).with_context(|| format!("look for bridge {name}"))?;
    let index = link.with_context(|| format!("look for bridge {name}: somebody has removed it"))?.index;
    netlink
        .set_up(index, network.gateway, subnet.prefix_len())
        .with_context(|| format!("set up bridge {name} with {}/{}", network.gateway, subnet.prefix_len()))?;
    forward_ipv4()?;
    firewall::open(name, &subnet)?;
    guard.write(network)?;
    netlink.set_alias(index, &alias(guard)).with_context(|| format!("set the alias of bridge {name}"))?;
    Ok(index)
}

/// Removes what there is of this network though its file does not say so: one that made it failed, or was killed.
fn remove_leftovers(guard: &Guard, netlink: &mut Netlink) -> Result<()> {
    let group = group(guard);
    let links = netlink.links().context("list the interfaces")?;
    let mut leftovers = links.iter().filter(|link| link.group == group).peekable();
    if leftovers.peek().is_none() {
        return Ok(());
    }
    let mut cleanup = Cleanup::default();
    for bridge in leftovers.filter(|link| link.name.starts_with(PREFIX)) {
        cleanup.attempt(firewall::close(&bridge.name));
    }
    cleanup.attempt(netlink.delete_group(group).context("remove what was left over"));
    cleanup.finish()
}

/// The wanted subnet, else the one that the network had, else one of the pool: free in any case.
fn choose(guard: &Guard, netlink: &mut Netlink, known: Option<&Network>, wanted: Option<Ipv4Net>) -> Result<Ipv4Net> {
    let routed = netlink.routed_subnets().context("list the routes")?;
    if let Some(wanted) = wanted {
        if !is_free(&wanted, &routed) {
            bail!("make network {}: subnet {wanted} is in use: see `ip route`", guard.name);
        }
        return Ok(wanted);
    }
    if let Some(known) = known {
        let subnet = network_file::subnet(known)?;
        if is_free(&subnet, &routed) {
            return Ok(subnet);
        }
    }
    // The other networks of this root get theirs back when they are used again.
    let mut taken = routed;
    for other in network_file::all(guard.layout)?.iter().filter(|other| other.name != guard.name) {
        taken.push(network_file::subnet(other)?);
    }
    choose_subnet(&taken).with_context(|| {
        format!("make network {}: the host's routes leave no subnet free: choose one with --subnet", guard.name)
    })
}

/// Makes the bridge under its old name, or the first of `ctr0`, `ctr1`, ... that nobody has.
fn make_under_free_name(
    guard: &Guard,
    netlink: &mut Netlink,
    known: Option<&Network>,
    hardware_address: [u8; 6],
) -> Result<String> {
    let group = group(guard);
    let old = known.map(|network| network.bridge.clone());
    for name in old.into_iter().chain((0..MOST_BRIDGES).map(|number| format!("{PREFIX}{number}"))) {
        match netlink.make_bridge(&name, group, hardware_address) {
            Ok(()) => return Ok(name),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => continue,
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                return Err(error).context(format!("make bridge {name}: the kernel has no bridges: modprobe bridge"));
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                return Err(error).context(format!("make bridge {name}: this needs root (CAP_NET_ADMIN)"));
            }
            Err(error) => return Err(error).with_context(|| format!("make bridge {name}")),
        }
    }
    bail!("make a bridge: all names from {PREFIX}0 to {PREFIX}{} are taken", MOST_BRIDGES - 1)
}

/// Whose interfaces they are, in words.
fn alias(guard: &Guard) -> String {
    let root = guard.layout.root();
    // The same root by another path is the same root.
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    format!("ctr network {} of {}", guard.name, root.display())
}

/// Has the host pass on packets between its interfaces: without it, it is an end point of networks, no router.
fn forward_ipv4() -> Result<()> {
    let now = fs::read_to_string(IP_FORWARD).with_context(|| format!("read {IP_FORWARD}"))?;
    if now.trim() == "0" {
        fs::write(IP_FORWARD, "1").with_context(|| format!("write 1 to {IP_FORWARD}"))?;
    }
    Ok(())
}

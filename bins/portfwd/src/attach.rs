//! A container comes: bridge, address, cable, names.

use crate::addresses::{choose_address, format_hardware_address, hardware_address};
use crate::bridge::{self, Bridge};
use crate::cleanup::Cleanup;
use crate::cli::AttachArgs;
use crate::detach;
use crate::hosts_file;
use crate::netlink::Netlink;
use crate::netns::ContainerNet;
use crate::network_file::{self, Guard};
use crate::veth;
use anyhow::{Context, Result, bail};
use layout::network::{Endpoint, Network};
use layout::{ContainerId, Layout};
use serde::Serialize;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// What is asked for.
#[derive(Debug)]
pub struct Config {
    /// The network's name.
    pub network: String,
    /// Who is attached.
    pub container: ContainerId,
    /// The name for the neighbours.
    pub name: String,
    /// The hardware address that it shall have.
    pub mac: Option<[u8; 6]>,
    /// The file with the pid of the container's first process.
    pub pid_file: PathBuf,
    /// The container's hosts file, if it is not in the container's folder.
    pub hosts: Option<PathBuf>,
}

impl From<AttachArgs> for Config {
    fn from(args: AttachArgs) -> Self {
        let name = args.name.unwrap_or_else(|| args.container.short().to_owned());
        Config {
            network: args.network,
            container: args.container,
            name,
            mac: args.mac,
            pid_file: args.pid_file,
            hosts: args.hosts,
        }
    }
}

/// What `attach` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    network: &'a str,
    bridge: &'a str,
    gateway: Ipv4Addr,
    #[serde(rename = "IPPrefixLen")]
    prefix_len: u8,
    #[serde(flatten)]
    endpoint: &'a Endpoint,
}

/// `portfwd attach`: what is there of this container already is replaced, its address kept if it can be.
pub fn run(layout: &Layout, config: &Config) -> Result<()> {
    check_host_name(&config.name)?;
    let net = ContainerNet::of_pid_file(&config.pid_file)?;
    let guard = Guard::take(layout, &config.network)?;
    let mut netlink = Netlink::open().context("open a netlink socket")?;
    let mut bridge = bridge::ensure(&guard, &mut netlink, None)?;
    match plug(&guard, &mut netlink, &mut bridge, config, &net) {
        Ok(report) => {
            println!("{report}");
            Ok(())
        }
        Err(error) => {
            let object = format!("attach {} to {}", config.container.short(), config.network);
            let mut cleanup = Cleanup::after(error.context(object));
            cleanup.attempt(detach::leave(&guard, &mut netlink, &config.container));
            Err(cleanup.into_error())
        }
    }
}

fn plug(
    guard: &Guard,
    netlink: &mut Netlink,
    Bridge { network, index }: &mut Bridge,
    config: &Config,
    net: &ContainerNet,
) -> Result<String> {
    let subnet = network_file::subnet(network)?;
    let previous = network.endpoints.remove(config.container.as_str()).map(|endpoint| endpoint.ipv4);
    let ipv4 = free_address(network, &subnet, previous)?;
    let hardware = config.mac.unwrap_or_else(|| hardware_address(ipv4));
    let endpoint = Endpoint {
        name: config.name.clone(),
        ipv4,
        mac_address: format_hardware_address(hardware),
        veth: veth::name(&config.container),
        hosts: unusual_hosts_file(guard.layout, config)?,
    };
    // On disk before in the kernel: whoever is killed between the two leaves something that detach knows of.
    network.endpoints.insert(config.container.to_string(), endpoint.clone());
    guard.write(network)?;
    let address = veth::Address { ipv4, prefix_len: subnet.prefix_len(), gateway: network.gateway, hardware };
    let mut inside = veth::plug(netlink, *index, bridge::group(guard), &config.container, net, &address)?;
    hosts_file::update_all(guard.layout, network)?;
    veth::wait_until_operational(netlink, &network.bridge, &config.container, &mut inside)?;
    let report = Report {
        network: &network.name,
        bridge: &network.bridge,
        gateway: network.gateway,
        prefix_len: subnet.prefix_len(),
        endpoint: &endpoint,
    };
    serde_json::to_string(&report).context("encode the endpoint")
}

/// The hosts file that was named, unless it is the one that would be found anyhow.
fn unusual_hosts_file(layout: &Layout, config: &Config) -> Result<Option<PathBuf>> {
    let named = config.hosts.as_ref().map(std::path::absolute).transpose().context("resolve the hosts file")?;
    Ok(named.filter(|file| *file != layout.container_dir(&config.container).hosts()))
}

/// What goes into a line of a hosts file must not end it.
fn check_host_name(name: &str) -> Result<()> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(is_good) {
        bail!("{name:?} is no host name: letters, digits, - _ and . only");
    }
    Ok(())
}

fn free_address(network: &Network, subnet: &ipnet::Ipv4Net, preferred: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
    let taken = network.endpoints.values().map(|endpoint| endpoint.ipv4).collect();
    choose_address(subnet, network.gateway, &taken, preferred)
        .with_context(|| format!("choose an address: all of {subnet} are taken"))
}

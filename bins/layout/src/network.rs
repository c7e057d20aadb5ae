//! The file of a network: `networks/NAME.json`. `portfwd` writes it, under the network's lock.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// What every `hosts` file begins with, as docker writes it.
pub const LOCALHOST: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// What docker calls a network's id: ours are known by their names, so it is made of that.
pub fn id(name: &str) -> String {
    crate::Digest::of(format!("network {name}").as_bytes()).hex().to_owned()
}

/// A bridge network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// Its name: `bridge` is the default one.
    pub name: String,
    /// When it was made.
    pub created: String,
    /// `bridge`.
    pub driver: String,
    /// The kernel's name of the bridge device: `ctr0`.
    pub bridge: String,
    /// The subnet in CIDR form: `172.18.0.0/16`.
    pub subnet: String,
    /// The bridge's own address, which is the containers' gateway.
    pub gateway: Ipv4Addr,
    /// Who is attached, by container id.
    #[serde(default)]
    pub endpoints: BTreeMap<String, Endpoint>,
}

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoint {
    /// The host name that goes into the `hosts` files.
    pub name: String,
    /// The address in the container.
    #[serde(rename = "IPv4Address")]
    pub ipv4: Ipv4Addr,
    /// The hardware address in the container.
    pub mac_address: String,
    /// The host's end of the veth pair.
    pub veth: String,
    /// The container's hosts file, when it is not the one in the container's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<PathBuf>,
}

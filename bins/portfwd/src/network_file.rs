//! `networks/NAME.json`: read and written under the network's lock.

use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;
use layout::lock::Lock;
use layout::network::Network;
use layout::{Layout, publish};

/// A network's lock and the name that it guards.
#[derive(Debug)]
pub struct Guard<'a> {
    /// The layout that the network is in.
    pub layout: &'a Layout,
    /// The network's name.
    pub name: &'a str,
    _lock: Lock,
}

impl<'a> Guard<'a> {
    /// Waits for the lock of a network, whether it exists or not.
    pub fn take(layout: &'a Layout, name: &'a str) -> Result<Guard<'a>> {
        check_name(name)?;
        Ok(Guard { layout, name, _lock: Lock::exclusive(&layout.network_lock(name))? })
    }

    /// Reads the network's file; `None` when there is none.
    pub fn read(&self) -> Result<Option<Network>> {
        let file = self.layout.network(self.name);
        if !file.try_exists().with_context(|| format!("look for {}", file.display()))? {
            return Ok(None);
        }
        publish::read_json(&file).map(Some)
    }

    /// Publishes the network's file.
    pub fn write(&self, network: &Network) -> Result<()> {
        publish::json(self.layout, &self.layout.network(self.name), network)
    }

    /// Removes the network's file.
    pub fn remove(&self) -> Result<()> {
        let file = self.layout.network(self.name);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }
}

/// All networks of the layout, by name. One that is removed meanwhile is passed over.
pub fn all(layout: &Layout) -> Result<Vec<Network>> {
    let dir = layout.networks();
    let mut networks = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") && path.exists() {
            networks.push(publish::read_json::<Network>(&path)?);
        }
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

/// The subnet that a network's file names.
pub fn subnet(network: &Network) -> Result<Ipv4Net> {
    network.subnet.parse().with_context(|| format!("read the subnet {:?} of network {}", network.subnet, network.name))
}

/// A network's name becomes a file's name, so it must not lead elsewhere.
fn check_name(name: &str) -> Result<()> {
    if !layout::container::is_name(name) {
        bail!("{name:?} is no network name: letters, digits, _ . - and at least two of them, a letter or digit first");
    }
    Ok(())
}

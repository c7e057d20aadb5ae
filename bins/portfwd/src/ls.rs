//! `portfwd ls`: the networks' files, as they are on disk.

use crate::network_file;
use anyhow::{Context, Result};
use layout::Layout;

/// Prints all networks: as a table, a line an endpoint, or as JSON.
pub fn run(layout: &Layout, json: bool) -> Result<()> {
    let networks = network_file::all(layout)?;
    if json {
        println!("{}", serde_json::to_string(&networks).context("encode the networks")?);
        return Ok(());
    }
    println!("{:<16} {:<8} {:<18} {:<14} {:<16} NAME", "NETWORK", "BRIDGE", "SUBNET", "CONTAINER", "ADDRESS");
    for network in networks {
        let head = format!("{:<16} {:<8} {:<18}", network.name, network.bridge, network.subnet);
        if network.endpoints.is_empty() {
            println!("{}", head.trim_end());
        }
        for (id, endpoint) in &network.endpoints {
            let short = id.get(..12).unwrap_or(id);
            println!("{head} {short:<14} {:<16} {}", endpoint.ipv4, endpoint.name);
        }
    }
    Ok(())
}

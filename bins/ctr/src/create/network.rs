//! What it is connected to.

use super::{modes, ports};
use crate::cli::NetworkOptions;
use anyhow::{Result, bail};
use layout::Layout;
use layout::container::{Config, HostConfig};

/// Fills in what the options say about its network.
pub fn fill(host: &mut HostConfig, layout: &Layout, options: &NetworkOptions, config: &Config) -> Result<()> {
    let of_container = modes::network(layout, &options.network)?;
    if of_container.is_none() && !matches!(options.network.as_str(), "bridge" | "default" | "host" | "none") {
        bail!("--network {}: bridge, host and none are there; networks of one's own come later", options.network);
    }
    let mut bindings = ports::Bindings::new();
    for port in &options.publish {
        ports::parse(port, &mut bindings)?;
    }
    if options.publish_all {
        for port in config.run.exposed_ports.iter().flatten().map(|(port, _)| port) {
            if !bindings.contains_key(port) {
                ports::parse(port, &mut bindings)?;
            }
        }
    }
    let network = if options.network == "default" { "bridge" } else { &options.network };
    host.network_mode = of_container.unwrap_or_else(|| network.to_owned());
    host.port_bindings = bindings;
    host.publish_all_ports = options.publish_all;
    Ok(())
}

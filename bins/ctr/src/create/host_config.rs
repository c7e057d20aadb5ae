//! What a container may use of the host, from the options.

use super::ports;
use crate::cli;
use anyhow::{Context, Result, bail};
use layout::container::{Config, HostConfig};
use layout::units;

/// Docker refuses less than this; the kernel may take it, but few programs start in it.
const SMALL_MEMORY: u64 = 6 << 20;

/// What it may use of the host.
pub fn build(args: &cli::Create, config: &Config) -> Result<HostConfig> {
    if !matches!(args.network.network.as_str(), "bridge" | "default" | "host" | "none") {
        bail!("--network {}: bridge, host and none are there; networks of one's own come later", args.network.network);
    }
    let mut bindings = ports::Bindings::new();
    for port in &args.network.publish {
        ports::parse(port, &mut bindings)?;
    }
    if args.network.publish_all {
        for port in config.run.exposed_ports.iter().flatten().map(|(port, _)| port) {
            if !bindings.contains_key(port) {
                ports::parse(port, &mut bindings)?;
            }
        }
    }
    Ok(HostConfig {
        network_mode: if args.network.network == "default" {
            "bridge".to_owned()
        } else {
            args.network.network.clone()
        },
        port_bindings: bindings,
        publish_all_ports: args.network.publish_all,
        readonly_rootfs: args.storage.read_only,
        auto_remove: args.life.rm,
        memory: memory(args)?,
        nano_cpus: args.resources.cpus.as_deref().map(nano_cpus).transpose()?.unwrap_or(0),
        cpu_shares: args.resources.cpu_shares.unwrap_or(0),
        pids_limit: args.resources.pids_limit,
        ..HostConfig::default()
    })
}

fn memory(args: &cli::Create) -> Result<i64> {
    let Some(text) = &args.resources.memory else { return Ok(0) };
    let bytes = units::parse_bytes(text).context("read --memory")?;
    if bytes > 0 && bytes < SMALL_MEMORY {
        eprintln!(
            "WARNING: {text} of memory is less than the 6m that docker asks for; the container may not even start"
        );
    }
    Ok(bytes as i64)
}

fn nano_cpus(text: &str) -> Result<i64> {
    let here = std::thread::available_parallelism().map_or(1, |number| number.get());
    match text.parse::<f64>() {
        Ok(cpus) if (0.01..=here as f64).contains(&cpus) => Ok((cpus * 1e9).round() as i64),
        _ => bail!("--cpus {text}: Range of CPUs is from 0.01 to {here}.00, as there are only {here} CPUs available"),
    }
}

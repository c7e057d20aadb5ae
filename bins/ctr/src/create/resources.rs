//! How much of the machine it may use.

use crate::cli::ResourceOptions;
use anyhow::{Context, Result, bail};
use layout::container::HostConfig;
use layout::units;

/// Docker refuses less than this; the kernel may take it, but few programs start in it.
const SMALL_MEMORY: u64 = 6 << 20;

/// Fills in what the options say about its share.
pub fn fill(host: &mut HostConfig, options: &ResourceOptions) -> Result<()> {
    host.memory = memory(options)?;
    host.nano_cpus = options.cpus.as_deref().map(nano_cpus).transpose()?.unwrap_or(0);
    host.cpu_shares = options.cpu_shares.unwrap_or(0);
    host.pids_limit = options.pids_limit;
    Ok(())
}

fn memory(options: &ResourceOptions) -> Result<i64> {
    let Some(text) = &options.memory else { return Ok(0) };
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

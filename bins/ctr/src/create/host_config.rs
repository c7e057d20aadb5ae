//! What a container may use of the host, from the options: each group of options fills its part.

use super::{life, network, resources, security, storage, watch};
use crate::cli;
use anyhow::Result;
use layout::container::{Config, HostConfig};

/// What it may use of the host.
pub fn build(args: &cli::Create, config: &Config) -> Result<HostConfig> {
    let mut host = HostConfig::default();
    life::fill(&mut host, &args.life);
    watch::fill(&mut host, &args.watch)?;
    network::fill(&mut host, &args.network, config)?;
    storage::fill(&mut host, &args.storage)?;
    resources::fill(&mut host, &args.resources)?;
    security::fill(&mut host, &args.security);
    Ok(host)
}

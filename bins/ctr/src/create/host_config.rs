//! What a container may use of the host, from the options: each group of options fills its part.

use super::{life, modes, network, resources, security, storage, watch};
use crate::cli;
use anyhow::Result;
use layout::Layout;
use layout::container::HostConfig;

/// What it may use of the host.
pub fn build(layout: &Layout, args: &cli::Create, name: &str) -> Result<HostConfig> {
    let mut host = HostConfig::default();
    life::fill(&mut host, &args.life);
    watch::fill(&mut host, &args.watch)?;
    network::fill(&mut host, layout, &args.network, name)?;
    host.group_add = Some(args.process.group_add.clone()).filter(|groups| !groups.is_empty());
    storage::fill(&mut host, &args.storage)?;
    let mut warnings = resources::fill(&mut host, &args.resources)?;
    warnings.extend(security::fill(&mut host, layout, &args.security)?);
    modes::check(&host, args)?;
    for warning in warnings {
        eprintln!("WARNING: {warning}");
    }
    Ok(host)
}

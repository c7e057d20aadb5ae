//! The options of `ctr update`.

use super::LimitOptions;
use clap::Args;

/// `ctr update`
#[derive(Debug, Args)]
pub struct Update {
    /// What may be used.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// When it is started again: no, on-failure[:MOST], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

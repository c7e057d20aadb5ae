//! `create` and `run`: what is mounted into a container.

use clap::Args;

/// What is mounted into it.
#[derive(Debug, Args)]
pub struct StorageOptions {
    /// Mount the root filesystem read-only
    #[arg(long)]
    pub read_only: bool,
}

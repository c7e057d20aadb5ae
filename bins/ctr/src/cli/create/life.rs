//! `create` and `run`: how long a container lives, and what is kept of it.

use clap::Args;
use std::path::PathBuf;

/// How long it lives, and what is kept of it.
#[derive(Debug, Args)]
pub struct LifeOptions {
    /// Name of the container (default: a random one)
    #[arg(long)]
    pub name: Option<String>,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Signal that stop sends first (default: SIGTERM)
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds that stop waits before SIGKILL (default: 10)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub stop_timeout: Option<i64>,
    /// Write the container id to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
}

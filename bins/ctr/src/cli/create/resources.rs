//! `create` and `run`: how much of the machine a container may use.

use clap::Args;

/// How much it may use.
#[derive(Debug, Args)]
pub struct ResourceOptions {
    /// Memory limit: 64m, 1g
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Number of processors: 1.5
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// Share of processor time relative to others (default: 1024)
    #[arg(short, long, value_name = "NUMBER")]
    pub cpu_shares: Option<u64>,
    /// Number of processes and threads (-1: no limit)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
}

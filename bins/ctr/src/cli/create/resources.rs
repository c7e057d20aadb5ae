//! `create`, `run` and `update`: how much of the machine a container may use.

use clap::Args;

/// What `update` can change as well.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub struct LimitOptions {
    /// Memory limit: 64m, 1g
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Memory that it is pressed down to when the host runs short
    #[arg(long, value_name = "BYTES")]
    pub memory_reservation: Option<String>,
    /// Limit of memory and swap together (-1: as much swap as there is)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Limit of kernel memory (deprecated: it counts as memory)
    #[arg(long, value_name = "BYTES")]
    pub kernel_memory: Option<String>,
    /// Number of processors: 1.5
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// Share of processor time relative to others (default: 1024)
    #[arg(short, long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub cpu_shares: Option<i64>,
    /// Microseconds over which processor time is counted
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_period: Option<i64>,
    /// Microseconds of processor time in each period
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// The period for real-time processes
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_rt_period: Option<i64>,
    /// Microseconds for real-time processes in each such period
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// Processors that it may run on: 0-3, 0,1
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that it may use: 0-3, 0,1
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Number of processes and threads (-1: no limit)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Share of disk time relative to others, 10 to 1000 (0: the default)
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
}

/// How much it may use.
#[derive(Debug, Args)]
pub struct ResourceOptions {
    /// What can be changed later.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// How readily its memory is swapped, 0 to 100 (-1: as the machine's)
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub memory_swappiness: Option<i64>,
    /// Have it wait for memory, rather than be ended, when it has none left
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub oom_kill_disable: Option<bool>,
    /// How readily the kernel ends it when the machine has no memory left: -1000 to 1000
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub oom_score_adj: Option<i32>,
    /// Share of one disk's time: DEVICE:WEIGHT
    #[arg(long, value_name = "DEVICE:WEIGHT")]
    pub blkio_weight_device: Vec<String>,
    /// Bytes a second read from a disk: DEVICE:10mb
    #[arg(long, value_name = "DEVICE:BYTES")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second written to a disk
    #[arg(long, value_name = "DEVICE:BYTES")]
    pub device_write_bps: Vec<String>,
    /// Reads a second from a disk
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub device_read_iops: Vec<String>,
    /// Writes a second to a disk
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub device_write_iops: Vec<String>,
    /// Limit of each process: nofile=SOFT[:HARD]
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// Make its cgroup in this one (default: /ctr)
    #[arg(long, value_name = "CGROUP")]
    pub cgroup_parent: Option<String>,
}

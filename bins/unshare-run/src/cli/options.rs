//! The options of the subcommands. (Of runc's some mean nothing here; they are taken, so that its callers need not know.)

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A container, and nothing else.
#[derive(Debug, Clone, Args)]
pub struct Id {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Where a new container comes from, and what it gets from us.
#[derive(Debug, Clone, Args)]
pub struct Create {
    /// The container's new name
    #[arg(value_name = "ID")]
    pub id: String,
    /// Folder with config.json
    #[arg(long, short = 'b', default_value = ".", value_name = "DIR")]
    pub bundle: PathBuf,
    /// Write the process's number here
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Send the terminal's master end to this unix socket
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Pass on this many file descriptors from 3 on
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// Leave it the caller's keyring (keyrings(7))
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Taken for runc's callers; the root is always changed with pivot_root(2)
    #[arg(long)]
    pub no_pivot: bool,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// As for `create`.
    #[command(flatten)]
    pub create: Create,
    /// Do not wait for the end
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// Leave what is left of it for `delete`
    #[arg(long)]
    pub keep: bool,
    /// Taken for runc's callers; orphans are never adopted
    #[arg(long)]
    pub no_subreaper: bool,
}

/// `kill`.
#[derive(Debug, Clone, Args)]
pub struct Kill {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Name or number
    #[arg(default_value = "SIGTERM", value_name = "SIGNAL")]
    pub signal: String,
    /// Send it to every process of the container's cgroup
    #[arg(long, short = 'a')]
    pub all: bool,
}

/// `delete`.
#[derive(Debug, Clone, Args)]
pub struct Delete {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// End it first if it runs; succeed if it is not there
    #[arg(long, short = 'f')]
    pub force: bool,
}

/// `exec`.
#[derive(Debug, Clone, Args)]
pub struct Exec {
    /// Give it a terminal of its own
    #[arg(long, short = 't')]
    pub tty: bool,
    /// Do not wait for the end
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// Run as this user, in numbers [default: as the container's first process]
    #[arg(long, short = 'u', value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Further groups
    #[arg(long, short = 'g', value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// Folder to start in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set an environment variable
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Add a capability
    #[arg(long, short = 'c', value_name = "CAP")]
    pub cap: Vec<String>,
    /// It can never gain privileges
    #[arg(long)]
    pub no_new_privs: bool,
    /// Take the whole process from this JSON file instead
    #[arg(long, short = 'p', value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Write the process's number here
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Send the terminal's master end to this unix socket
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Pass on this many file descriptors from 3 on
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// Run it in this group inside of the container's cgroup, which must be there
    #[arg(long, value_name = "[CONTROLLER:]PATH")]
    pub cgroup: Vec<String>,
    /// Also in a paused container: it begins when that goes on
    #[arg(long)]
    pub ignore_paused: bool,
    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Command and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// `table` or `json`
    #[arg(long, short = 'f', value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    pub format: ListFormat,
    /// As --format json
    #[arg(long)]
    pub json: bool,
    /// The names alone
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

/// Form of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns
    Table,
    /// One JSON array
    Json,
}

/// `ps`.
#[derive(Debug, Clone, Args)]
pub struct Ps {
    /// `table`, or `json`: the numbers alone
    #[arg(long, short = 'f', value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    pub format: ListFormat,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Options for ps(1) [default: -ef]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PS OPTION")]
    pub options: Vec<String>,
}

/// `update`: the limits that are to change.
#[derive(Debug, Clone, Default, Args)]
pub struct Update {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Take them from this JSON file instead (`linux.resources` of a config.json), `-` for standard input
    #[arg(long, short = 'r', value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Share of the disks when they are short, 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// Length of a period, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// Processor time in each period, in microseconds; -1 is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// Processor time that may be saved up, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_burst: Option<u64>,
    /// Share of the processors when they are short: 1024 is the usual
    #[arg(long, visible_alias = "cpu-shares", value_name = "N")]
    pub cpu_share: Option<u64>,
    /// Period for real-time tasks, in microseconds
    #[arg(long, value_name = "N")]
    pub cpu_rt_period: Option<u64>,
    /// Processor time of real-time tasks in each such period, in microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// 1: run only when nobody else wants to
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_idle: Option<i64>,
    /// Which processors: 0-2,4
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory of which nodes
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Taken for runc's callers; the kernel has no such limit any more
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub kernel_memory: Option<String>,
    /// Likewise
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Memory limit: 64m; -1 is no limit
    #[arg(long, short = 'm', value_name = "BYTES", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory that it keeps when memory is short
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 is no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// How many tasks; -1 is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Not supported: Intel RDT
    #[arg(long, value_name = "SCHEMA")]
    pub l3_cache_schema: Option<String>,
    /// Not supported: Intel RDT
    #[arg(long, value_name = "SCHEMA")]
    pub mem_bw_schema: Option<String>,
}

/// `events`.
#[derive(Debug, Clone, Args)]
pub struct Events {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Once, and no more
    #[arg(long)]
    pub stats: bool,
    /// How often: 500ms, 5s, 1m
    #[arg(long, default_value = "5s", value_name = "TIME")]
    pub interval: String,
}

/// What runc has and this runtime has not: whatever follows is taken.
#[derive(Debug, Clone, Args)]
pub struct Unsupported {
    /// Anything
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
    pub args: Vec<String>,
}

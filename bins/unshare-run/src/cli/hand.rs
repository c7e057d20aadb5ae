//! The flags by hand: each asks for one part of a container. `crate::by_hand` makes an OCI configuration of them.

use clap::Args;
use std::path::PathBuf;

/// A container by hand: flags that become an OCI configuration (`unshare-run spec` prints it).
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Hand {
    /// What it sees of the machine.
    #[command(flatten, next_help_heading = "Namespaces: what it sees of the machine (with =FILE it joins that one)")]
    pub namespaces: NamespaceFlags,
    /// Which files it has.
    #[command(flatten, next_help_heading = "Files: what it finds below /")]
    pub files: FileFlags,
    /// Who it is.
    #[command(flatten, next_help_heading = "Process: who it is, and how it starts")]
    pub process: ProcessFlags,
    /// What it may do.
    #[command(flatten, next_help_heading = "Power: what it may do")]
    pub power: PowerFlags,
    /// How much it may use.
    #[command(flatten, next_help_heading = "Limits: how much of the machine it may use (cgset does it)")]
    pub limits: LimitFlags,
    /// Command and arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Namespaces: a new one, or with a file (`/proc/PID/ns/net`) the one that the file stands for.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct NamespaceFlags {
    /// New process numbers: the command is process 1 and sees only its children
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub pid: Option<Option<PathBuf>>,
    /// A mount table of its own
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub mount: Option<Option<PathBuf>>,
    /// A host name of its own
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub uts: Option<Option<PathBuf>>,
    /// System V IPC and POSIX message queues of its own
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub ipc: Option<Option<PathBuf>>,
    /// Network devices, addresses, routes and ports of its own: only a loopback device, which is up
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub net: Option<Option<PathBuf>>,
    /// Sees its own cgroup as the root of the cgroup tree
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub cgroup: Option<Option<PathBuf>>,
    /// Clocks of its own, for the time since boot (see --monotonic, --boottime)
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub time: Option<Option<PathBuf>>,
    /// Users of its own: who is root in there is somebody else outside. A new one needs one of the maps below
    #[arg(long, require_equals = true, value_name = "FILE")]
    pub userns: Option<Option<PathBuf>>,
    /// Root inside is you outside (implies --userns)
    #[arg(long)]
    pub map_root_user: bool,
    /// The users inside are those that /etc/subuid and /etc/subgid set aside for you: from 0 on, or with
    /// --map-root-user from 1 on (implies --userns)
    #[arg(long)]
    pub map_auto: bool,
    /// So many users, from this number on inside, are those from that number on outside: 0:100000:65536 (implies --userns)
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT")]
    pub map_users: Vec<String>,
    /// The same for groups; needed with --map-users
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT")]
    pub map_groups: Vec<String>,
    /// How far the clock that never stops counting is ahead inside (implies --time)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub monotonic: Option<i64>,
    /// The same for the clock that counts while the machine sleeps, too: uptime shows it (implies --time)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub boottime: Option<i64>,
    /// Host name (needs --uts)
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// NIS domain name (needs --uts)
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// Set a kernel parameter of one of its namespaces: net.ipv4.ip_forward=1
    #[arg(long, value_name = "NAME=VALUE")]
    pub sysctl: Vec<String>,
}

/// Files: another root, and what is mounted in it.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FileFlags {
    /// Folder that becomes `/`, with docker's default mounts, devices and capabilities [default: the host's root, as it is]
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// The root cannot be written to
    #[arg(long, requires = "rootfs")]
    pub read_only: bool,
    /// Show a file or folder of the host inside, with `:ro` only to be read
    #[arg(long, requires = "rootfs", value_name = "SOURCE:TARGET[:ro]")]
    pub bind: Vec<String>,
    /// An empty folder in memory: /tmp:size=64m,mode=1777
    #[arg(long, requires = "rootfs", value_name = "TARGET[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Show all of /proc and /sys, also what is the machine's own business, and let it be written to
    #[arg(long, requires = "rootfs")]
    pub unmasked: bool,
}

/// Process: user, environment, terminal.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ProcessFlags {
    /// Run as this user, by number or as the root's /etc/passwd knows it
    #[arg(long, short = 'u', value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// A further group, likewise
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Folder to start in [default: / with --rootfs, else the current one]
    #[arg(long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Set an environment variable; with --rootfs the environment starts empty but for PATH
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Give it a terminal of its own
    #[arg(long, short = 't')]
    pub tty: bool,
    /// Have an init start it, which is process 1 in its place: passes signals on, and reaps whoever has lost his parent
    #[arg(long)]
    pub init: bool,
    /// Limit of one process: nofile=1024:2048 (setrlimit(2))
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
}

/// Power: capabilities and system calls.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct PowerFlags {
    /// Give it a capability: sys_admin, CAP_SYS_ADMIN, all
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Take a capability away, for ever; with `all`, only those of --cap-add are left
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// No program that it executes gives it more power (set-user-ID bits have no effect)
    #[arg(long)]
    pub no_new_privs: bool,
    /// Filter its system calls by this file, a profile of docker's or an OCI seccomp object; or `unconfined`
    #[arg(long, value_name = "FILE")]
    pub seccomp: Option<PathBuf>,
}

/// Limits, for a cgroup of its own. Without any there is none.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct LimitFlags {
    /// Memory limit: 64m, 1.5g
    #[arg(long, short = 'm', value_name = "BYTES")]
    pub memory: Option<String>,
    /// Memory and swap together, or -1 for any amount of swap
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, requires = "memory")]
    pub memory_swap: Option<String>,
    /// Processors it may use: 0.5, 2
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<f64>,
    /// Its share when processors are short; 1024 is the usual one
    #[arg(long, value_name = "NUMBER")]
    pub cpu_shares: Option<u64>,
    /// The processors it may run on: 0-2,4
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// How many tasks it may have
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
    /// The group that its group is made in: that of a plain user has to be his (`cgset create --delegate`)
    #[arg(long, value_name = "GROUP")]
    pub cgroup_parent: Option<String>,
}

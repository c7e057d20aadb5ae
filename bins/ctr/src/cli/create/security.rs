//! `create` and `run`: what a container may do.

use clap::Args;

/// What it may do.
#[derive(Debug, Args)]
pub struct SecurityOptions {
    /// Hold nothing back: all capabilities and devices, and no system call filter
    #[arg(long)]
    pub privileged: bool,
    /// Add a capability: NET_ADMIN, ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Take a capability away: CHOWN, ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, apparmor=PROFILE, label=..., systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Give it a device of the host, or a folder of devices: HOST[:CONTAINER[:rwm]]; or one by its CDI name
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Allow it to use devices by number: c 42:* rmw
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// Give it GPUs: all, a number, or device=NAME,... (as CDI files on the host describe them)
    #[arg(long, value_name = "REQUEST")]
    pub gpus: Option<String>,
    /// Set a kernel parameter of its namespaces: net.ipv4.ip_forward=1
    #[arg(long, value_name = "NAME=VALUE")]
    pub sysctl: Vec<String>,
    /// Shared memory and queues: private, shareable, none, host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Processes that it sees: its own (default), host's or container:NAME's
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// Host name: its own (default) or host's
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// User ids: host's
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Cgroups that it sees: private or host (default: private on cgroup v2, host on v1)
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
    /// Run an init as its first process, which passes signals on and reaps orphans
    #[arg(long)]
    pub init: bool,
    /// The runtime: runc (default), which stands for this machine's
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,
    /// Isolation technology: default, as on Linux there is no other
    #[arg(long, value_name = "NAME")]
    pub isolation: Option<String>,
}

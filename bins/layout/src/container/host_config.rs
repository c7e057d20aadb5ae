//! What a container may use of the host: docker's `HostConfig`, key by key and in docker's order, so that what `inspect`
//! shows is this file as it is. An option that docker leaves out of the JSON when it is not used is left out here too.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What it may use of the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// Volumes and folders as `-v` names them: `SOURCE:DESTINATION[:OPTIONS]`.
    pub binds: Option<Vec<String>>,
    /// Where the container's id was written to (`--cidfile`).
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    /// Where its output goes.
    pub log_config: LogConfig,
    /// `default`, which is `bridge`; `bridge`, `host`, `none`, `container:ID`.
    pub network_mode: String,
    /// Ports to publish, by the container's port: `80/tcp`.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// Whether it is started again when it ends.
    pub restart_policy: RestartPolicy,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// What manages its volumes; empty is `local`, the only one there is.
    pub volume_driver: String,
    /// Containers whose volumes it has too: `NAME[:ro|rw]`.
    pub volumes_from: Option<Vec<String>>,
    /// Capabilities beyond the default ones.
    pub cap_add: Option<Vec<String>>,
    /// Default capabilities that it lacks.
    pub cap_drop: Option<Vec<String>>,
    /// `private`, or `host`.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Vec<String>,
    /// Options of `resolv.conf`.
    pub dns_options: Vec<String>,
    /// Domains to search.
    pub dns_search: Vec<String>,
    /// More lines of `/etc/hosts`: `NAME:ADDRESS`.
    pub extra_hosts: Option<Vec<String>>,
    /// More groups of its process.
    pub group_add: Option<Vec<String>>,
    /// `private`, `shareable`, `none`, `host`, `container:ID`.
    pub ipc_mode: String,
    /// Docker's legacy key, always empty.
    pub cgroup: String,
    /// Linked containers: `/NAME:/OWN/ALIAS`.
    pub links: Option<Vec<String>>,
    /// How readily the kernel ends it for want of memory: -1000 to 1000.
    pub oom_score_adj: i32,
    /// Empty (its own), `host`, or `container:ID`.
    pub pid_mode: String,
    /// Whether nothing is held back from it.
    pub privileged: bool,
    /// Whether ports that the image exposes are published at random ports of the host.
    pub publish_all_ports: bool,
    /// Whether its root filesystem cannot be written to.
    pub readonly_rootfs: bool,
    /// `seccomp=...`, `no-new-privileges`, ...
    pub security_opt: Option<Vec<String>>,
    /// Options of the root filesystem.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opt: BTreeMap<String, String>,
    /// Filesystems in memory: folder → options.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    /// Empty (its own), or `host`.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// Empty, or `host`.
    pub userns_mode: String,
    /// The bytes of `/dev/shm`.
    pub shm_size: i64,
    /// Kernel settings of its namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// The program that runs it.
    pub runtime: String,
    /// The terminal it was made at: lines, characters.
    pub console_size: [u16; 2],
    /// Always empty: a word for other systems than Linux.
    pub isolation: String,
    /// Relative weight; 0 is the default.
    pub cpu_shares: u64,
    /// Memory limit in bytes; 0 is none.
    pub memory: i64,
    /// Billionths of a processor; 0 is no limit.
    pub nano_cpus: i64,
    /// The cgroup that its own is made in.
    pub cgroup_parent: String,
    /// Relative weight of its input and output, 10 to 1000; 0 is the default.
    pub blkio_weight: u16,
    /// The same, by device.
    pub blkio_weight_device: Vec<WeightDevice>,
    /// Bytes a second that it may read, by device.
    pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
    /// Bytes a second that it may write.
    pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
    /// Reads a second.
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
    /// Writes a second.
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
    /// Microseconds over which processor time is counted.
    pub cpu_period: u64,
    /// Microseconds that it may run in each period; 0 and less is no limit.
    pub cpu_quota: i64,
    /// The same for its real-time processes.
    pub cpu_realtime_period: u64,
    /// Microseconds for real-time processes in each such period.
    pub cpu_realtime_runtime: i64,
    /// Processors that it may run on: `0-3`, `0,1`.
    pub cpuset_cpus: String,
    /// Memory nodes likewise.
    pub cpuset_mems: String,
    /// Devices of the host.
    pub devices: Vec<DeviceMapping>,
    /// Rules for devices: `c 42:* rmw`.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// Devices by what they can do (`--gpus`).
    pub device_requests: Option<Vec<DeviceRequest>>,
    /// Limit of kernel memory, which no kernel of today has.
    pub kernel_memory: i64,
    /// Always 0.
    #[serde(rename = "KernelMemoryTCP")]
    pub kernel_memory_tcp: i64,
    /// Memory that it is pressed down to when the host runs short.
    pub memory_reservation: i64,
    /// Limit of memory and swap together; -1 is none.
    pub memory_swap: i64,
    /// 0 to 100; none is the kernel's own.
    pub memory_swappiness: Option<i64>,
    /// Whether it waits instead of being ended when it is out of memory.
    pub oom_kill_disable: Option<bool>,
    /// Task limit; none and 0 are no limit.
    pub pids_limit: Option<i64>,
    /// Resource limits of its processes.
    pub ulimits: Option<Vec<Ulimit>>,
    /// Always 0: a word for other systems than Linux.
    pub cpu_count: i64,
    /// Always 0, likewise.
    pub cpu_percent: i64,
    /// Always 0, likewise.
    #[serde(rename = "IOMaximumIOps")]
    pub io_maximum_iops: u64,
    /// Always 0, likewise.
    #[serde(rename = "IOMaximumBandwidth")]
    pub io_maximum_bandwidth: u64,
    /// What is mounted into it, as `--mount` says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountRequest>,
    /// Files that it cannot see into.
    pub masked_paths: Option<Vec<String>>,
    /// Files that it cannot write to.
    pub readonly_paths: Option<Vec<String>>,
    /// Whether an init that reaps and forwards signals is its first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl HostConfig {
    /// Whether it has an address in the default network.
    pub fn is_on_bridge(&self) -> bool {
        matches!(self.network_mode.as_str(), "" | "default" | "bridge")
    }
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    /// The host's address; empty is all.
    pub host_ip: String,
    /// The host's port; empty is any free one.
    pub host_port: String,
}

/// Where the output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    /// `json-file`, `local`, `journald`, `syslog`, `none`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its options: `max-size`, `max-file`, `tag`, ...
    pub config: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { kind: "json-file".to_owned(), config: BTreeMap::new() }
    }
}

/// Whether it is started again when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// `no`, `on-failure`, `always`, `unless-stopped`.
    pub name: String,
    /// How often, with `on-failure`; 0 is without end.
    pub maximum_retry_count: u32,
}

impl Default for RestartPolicy {
    fn default() -> RestartPolicy {
        RestartPolicy { name: "no".to_owned(), maximum_retry_count: 0 }
    }
}

/// A device's weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WeightDevice {
    /// The device's file on the host.
    pub path: String,
    /// 10 to 1000.
    pub weight: u16,
}

/// A device's limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ThrottleDevice {
    /// The device's file on the host.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// A device of the host in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceMapping {
    /// Its file on the host.
    pub path_on_host: String,
    /// Its file in the container.
    pub path_in_container: String,
    /// `r`, `w`, `m`: read, write, make.
    pub cgroup_permissions: String,
}

/// Devices by what they can do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceRequest {
    /// Who provides them: `nvidia`, `cdi`, empty for whoever does.
    pub driver: String,
    /// How many; -1 is all.
    pub count: i64,
    /// Which, by name.
    #[serde(rename = "DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
    /// What they can do: a list of alternatives, each a list of what is needed together.
    pub capabilities: Vec<Vec<String>>,
    /// For the driver.
    pub options: BTreeMap<String, String>,
}

/// A resource limit (getrlimit(2)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ulimit {
    /// `nofile`, `nproc`, ...
    pub name: String,
    /// What it cannot be raised above; -1 is no limit.
    pub hard: i64,
    /// What holds now.
    pub soft: i64,
}

/// One `--mount`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountRequest {
    /// `bind`, `volume`, `tmpfs`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// A folder of the host, or the volume's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The folder in the container.
    pub target: String,
    /// Whether it cannot be written to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What only binds have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    /// What only volumes have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    /// What only filesystems in memory have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// What only binds have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BindOptions {
    /// `rprivate`, `shared`, ...
    #[serde(skip_serializing_if = "String::is_empty")]
    pub propagation: String,
    /// Whether what is mounted below stays behind.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    /// Whether a missing source is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_mountpoint: bool,
}

/// What only volumes have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeOptions {
    /// Whether a new volume stays empty, rather than getting what the image has in that folder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copy: bool,
    /// Labels of a new volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who makes a new volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<DriverConfig>,
}

/// Who makes a volume, and how.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DriverConfig {
    /// `local`.
    pub name: String,
    /// Its options: `type`, `device`, `o`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// What only filesystems in memory have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    /// Bytes; 0 is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub size_bytes: i64,
    /// Permissions; 0 is 1777.
    #[serde(skip_serializing_if = "is_zero")]
    pub mode: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

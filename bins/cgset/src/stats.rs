//! What a group uses: the same numbers from the files of either generation.
//!
//! Times are nanoseconds, sizes bytes. A number that the kernel does not count for this group is `None`, and so is a limit
//! where there is none.

mod cpu;
mod devices;
mod memory;
pub mod parse;
mod pressure;
mod print;

pub use print::print;

use crate::group::{ControllerFolder, Group, read_optional};
use crate::hierarchy::Version;
use crate::{freeze, stats::parse::number};
use anyhow::Result;
use pressure::Pressure;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All counters of a group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Stats {
    /// The group's name.
    pub name: String,
    /// `v1`, `v2` or `hybrid`.
    pub version: &'static str,
    /// Processor time.
    pub cpu: Cpu,
    /// Processors and memory nodes.
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub io: Io,
    /// Huge pages, by their size.
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// RDMA devices, by their name.
    pub rdma: BTreeMap<String, Rdma>,
    /// Whether it is frozen.
    pub frozen: bool,
}

/// Processor time, since the group was made.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cpu {
    /// All of it.
    pub usage_ns: Option<u64>,
    /// In programs.
    pub user_ns: Option<u64>,
    /// In the kernel.
    pub system_ns: Option<u64>,
    /// On each processor (v1).
    pub per_cpu_ns: Option<Vec<u64>>,
    /// How many periods of its quota have passed.
    pub periods: Option<u64>,
    /// In how many of them the quota was used up.
    pub throttled_periods: Option<u64>,
    /// How long its tasks had to wait for the next period, added up.
    pub throttled_ns: Option<u64>,
    /// In how many periods it used what it had saved up.
    pub bursts: Option<u64>,
    /// How much of that it used.
    pub burst_ns: Option<u64>,
    /// How much of the time its tasks waited for a processor.
    pub pressure: Option<Pressure>,
}

/// Which processors and memory nodes it may use, the limits of the groups above included.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cpuset {
    /// Processors: `0-2,4`.
    pub cpus: Option<String>,
    /// Memory nodes.
    pub mems: Option<String>,
}

/// Memory.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Memory {
    /// What is charged to the group now, cached files included.
    pub usage: Option<u64>,
    /// The part of it that is cached files not used of late: it is given back when memory is short. What `docker
    /// stats` shows is `usage` less this.
    pub inactive_file: Option<u64>,
    /// The part of it that is cached files.
    pub cache: Option<u64>,
    /// The most it ever was.
    pub peak: Option<u64>,
    /// The limit.
    pub limit: Option<u64>,
    /// How often the limit was met.
    pub failures: Option<u64>,
    /// What is in swap.
    pub swap: Option<u64>,
    /// The most that ever was.
    pub swap_peak: Option<u64>,
    /// The limit of that.
    pub swap_limit: Option<u64>,
    /// How often that limit was met.
    pub swap_failures: Option<u64>,
    /// Memory and swap together (v1).
    pub memory_swap: Option<Counter>,
    /// How often no memory was left to give (v2).
    pub oom_events: Option<u64>,
    /// How many processes the kernel has killed for want of memory.
    pub oom_kills: Option<u64>,
    /// The part of it that the kernel uses on the group's behalf.
    pub kernel: Option<u64>,
    /// The part of that which is buffers of TCP.
    pub kernel_tcp: Option<u64>,
    /// How much of the time its tasks waited for memory.
    pub pressure: Option<Pressure>,
    /// All of `memory.stat`.
    pub detail: Map<String, Value>,
}

/// Something that is counted and limited.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Counter {
    /// Now.
    pub usage: Option<u64>,
    /// The most it ever was.
    pub peak: Option<u64>,
    /// The limit.
    pub limit: Option<u64>,
    /// How often the limit was met.
    pub failures: Option<u64>,
}

/// Huge pages of one size, in bytes.
pub type Hugetlb = Counter;

/// Tasks: processes and threads.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pids {
    /// How many there are.
    pub current: Option<u64>,
    /// How many there may be.
    pub limit: Option<u64>,
    /// The most there ever were.
    pub peak: Option<u64>,
    /// How many forks failed at the limit.
    pub failures: Option<u64>,
}

/// Block devices, all together.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Io {
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Reads.
    pub reads: Option<u64>,
    /// Writes.
    pub writes: Option<u64>,
    /// Each by itself.
    pub devices: Vec<DeviceIo>,
    /// How much of the time its tasks waited for disks.
    pub pressure: Option<Pressure>,
}

/// One block device.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceIo {
    /// Its numbers: `8:0`.
    pub device: String,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Bytes given up (trim).
    pub discard_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Times that something was given up.
    pub discards: u64,
}

/// One RDMA device.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct Rdma {
    pub hca_handles: Option<u64>,
    pub hca_objects: Option<u64>,
}

impl Stats {
    /// Reads the counters of a group.
    pub fn of(group: &Group) -> Result<Stats> {
        group.require()?;
        let folder = |controller| group.controller(controller);
        // Waiting is counted in the v2 tree, also where the controllers are in v1 trees.
        let pressure = |of: &str| match group.unified_folder() {
            Some(folder) => Pressure::read(&folder.join(format!("{of}.pressure"))),
            None => Ok(None),
        };
        let mut cpu = match folder("cpu")? {
            Some(ControllerFolder { version: Version::V1, path }) => {
                cpu::v1(&path, folder("cpuacct")?.map(|f| f.path).as_deref())?
            }
            // Time is counted without the controller too.
            _ => group.unified_folder().map(|path| cpu::v2(&path)).transpose()?.unwrap_or_default(),
        };
        let mut memory = match folder("memory")? {
            Some(ControllerFolder { version: Version::V2, path }) => memory::v2(&path)?,
            Some(ControllerFolder { version: Version::V1, path }) => memory::v1(&path)?,
            None => Memory::default(),
        };
        let mut io = match (folder("blkio")?, folder("io")?) {
            (Some(ControllerFolder { version: Version::V1, path }), _) => devices::io_v1(&path)?,
            (_, Some(found)) => devices::io_v2(&found.path)?,
            _ => Io::default(),
        };
        (cpu.pressure, memory.pressure, io.pressure) = (pressure("cpu")?, pressure("memory")?, pressure("io")?);
        Ok(Stats {
            name: group.name.to_string(),
            version: group.hierarchy.kind(),
            cpu,
            cpuset: folder("cpuset")?.map(|found| cpuset(&found)).transpose()?.unwrap_or_default(),
            memory,
            pids: folder("pids")?.map(|found| pids(&found)).transpose()?.unwrap_or_default(),
            io,
            hugetlb: folder("hugetlb")?.map(|found| devices::hugetlb(&found)).transpose()?.unwrap_or_default(),
            rdma: folder("rdma")?.map(|found| devices::rdma(&found.path)).transpose()?.unwrap_or_default(),
            frozen: freeze::is_frozen(group).unwrap_or(false),
        })
    }
}

fn pids(found: &ControllerFolder) -> Result<Pids> {
    let events = read_optional(&found.path.join("pids.events"))?.unwrap_or_default();
    Ok(Pids {
        current: number(&found.path.join("pids.current"))?,
        limit: number(&found.path.join("pids.max"))?,
        peak: number(&found.path.join("pids.peak"))?,
        failures: parse::keyed(&events, "max"),
    })
}

fn cpuset(found: &ControllerFolder) -> Result<Cpuset> {
    let read = |v1: &str, v2: &str| {
        read_optional(&found.path.join(match found.version {
            Version::V1 => v1,
            Version::V2 => v2,
        }))
    };
    Ok(Cpuset {
        cpus: read("cpuset.effective_cpus", "cpuset.cpus.effective")?,
        mems: read("cpuset.effective_mems", "cpuset.mems.effective")?,
    })
}

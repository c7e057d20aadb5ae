//! What a group uses: the same numbers from the files of either generation.
//!
//! Times are nanoseconds, sizes bytes. A number that the kernel does not count for this group is missing.

use crate::group::{Group, read_optional};
use crate::hierarchy::Version;
use anyhow::{Context, Result};
use layout::units::binary_size;
use serde::Serialize;
use std::path::Path;

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
    /// Memory.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub io: Io,
}

/// Processor time, since the group was made.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Cpu {
    /// All of it.
    pub usage_ns: Option<u64>,
    /// In programs.
    pub user_ns: Option<u64>,
    /// In the kernel.
    pub system_ns: Option<u64>,
    /// How many periods of its quota have passed.
    pub periods: Option<u64>,
    /// In how many of them the quota was used up.
    pub throttled_periods: Option<u64>,
    /// How long its tasks had to wait for the next period, added up.
    pub throttled_ns: Option<u64>,
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
    /// The most it ever was.
    pub peak: Option<u64>,
    /// The limit; missing when there is none.
    pub limit: Option<u64>,
    /// What is in swap.
    pub swap: Option<u64>,
    /// How many processes the kernel has killed for want of memory.
    pub oom_kills: Option<u64>,
}

/// Tasks: processes and threads.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pids {
    /// How many there are.
    pub current: Option<u64>,
    /// How many there may be; missing when there is no limit.
    pub limit: Option<u64>,
}

/// Bytes to and from block devices.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Io {
    /// Read.
    pub read_bytes: Option<u64>,
    /// Written.
    pub write_bytes: Option<u64>,
}

impl Stats {
    /// Reads the counters of a group.
    pub fn of(group: &Group) -> Result<Stats> {
        group.require()?;
        let folder = |controller| group.controller(controller);
        Ok(Stats {
            name: group.name.to_string(),
            version: group.hierarchy.kind(),
            cpu: match folder("cpu")? {
                Some(found) if found.version == Version::V2 => cpu_v2(&found.path)?,
                Some(found) => cpu_v1(&found.path, folder("cpuacct")?.map(|f| f.path).as_deref())?,
                None => Cpu::default(),
            },
            memory: match folder("memory")? {
                Some(found) if found.version == Version::V2 => memory_v2(&found.path)?,
                Some(found) => memory_v1(&found.path)?,
                None => Memory::default(),
            },
            pids: match folder("pids")? {
                Some(found) => Pids {
                    current: number(&found.path.join("pids.current"))?,
                    limit: number(&found.path.join("pids.max"))?,
                },
                None => Pids::default(),
            },
            io: match (folder("blkio")?, folder("io")?) {
                (Some(found), _) if found.version == Version::V1 => io_v1(&found.path)?,
                (_, Some(found)) => io_v2(&found.path)?,
                _ => Io::default(),
            },
        })
    }
}

fn cpu_v1(cpu: &Path, cpuacct: Option<&Path>) -> Result<Cpu> {
    let stat = read_optional(&cpu.join("cpu.stat"))?.unwrap_or_default();
    let mut found = Cpu {
        periods: keyed(&stat, "nr_periods"),
        throttled_periods: keyed(&stat, "nr_throttled"),
        throttled_ns: keyed(&stat, "throttled_time"),
        ..Cpu::default()
    };
    if let Some(cpuacct) = cpuacct {
        found.usage_ns = number(&cpuacct.join("cpuacct.usage"))?;
        found.user_ns = number(&cpuacct.join("cpuacct.usage_user"))?;
        found.system_ns = number(&cpuacct.join("cpuacct.usage_sys"))?;
    }
    Ok(found)
}

fn cpu_v2(folder: &Path) -> Result<Cpu> {
    let stat = read_optional(&folder.join("cpu.stat"))?.unwrap_or_default();
    let nanoseconds = |key| keyed(&stat, key).map(|microseconds| microseconds * 1000);
    Ok(Cpu {
        usage_ns: nanoseconds("usage_usec"),
        user_ns: nanoseconds("user_usec"),
        system_ns: nanoseconds("system_usec"),
        periods: keyed(&stat, "nr_periods"),
        throttled_periods: keyed(&stat, "nr_throttled"),
        throttled_ns: nanoseconds("throttled_usec"),
    })
}

fn memory_v1(folder: &Path) -> Result<Memory> {
    let stat = read_optional(&folder.join("memory.stat"))?.unwrap_or_default();
    let oom = read_optional(&folder.join("memory.oom_control"))?.unwrap_or_default();
    // No limit is the greatest multiple of the page size that a signed number holds.
    let limit = number(&folder.join("memory.limit_in_bytes"))?.filter(|limit| *limit < i64::MAX as u64 - (1 << 20));
    Ok(Memory {
        usage: number(&folder.join("memory.usage_in_bytes"))?,
        inactive_file: keyed(&stat, "total_inactive_file"),
        peak: number(&folder.join("memory.max_usage_in_bytes"))?,
        limit,
        swap: keyed(&stat, "total_swap"),
        oom_kills: keyed(&oom, "oom_kill"),
    })
}

fn memory_v2(folder: &Path) -> Result<Memory> {
    let stat = read_optional(&folder.join("memory.stat"))?.unwrap_or_default();
    let events = read_optional(&folder.join("memory.events"))?.unwrap_or_default();
    Ok(Memory {
        usage: number(&folder.join("memory.current"))?,
        inactive_file: keyed(&stat, "inactive_file"),
        peak: number(&folder.join("memory.peak"))?,
        limit: number(&folder.join("memory.max"))?,
        swap: number(&folder.join("memory.swap.current"))?,
        oom_kills: keyed(&events, "oom_kill"),
    })
}

/// Lines `8:0 Read 4096`.
fn io_v1(folder: &Path) -> Result<Io> {
    let file = folder.join("blkio.throttle.io_service_bytes_recursive");
    let text = read_optional(&file)?.unwrap_or_default();
    let sum = |operation| {
        text.lines()
            .filter_map(|line| line.split_once(' ')?.1.split_once(' '))
            .filter(|(name, _)| *name == operation)
            .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
            .sum()
    };
    Ok(Io { read_bytes: Some(sum("Read")), write_bytes: Some(sum("Write")) })
}

/// Lines `8:0 rbytes=4096 wbytes=0 ...`.
fn io_v2(folder: &Path) -> Result<Io> {
    let text = read_optional(&folder.join("io.stat"))?.unwrap_or_default();
    let sum = |key| {
        text.split_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter(|(name, _)| *name == key)
            .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
            .sum()
    };
    Ok(Io { read_bytes: Some(sum("rbytes")), write_bytes: Some(sum("wbytes")) })
}

/// A file that holds one number; `None` when it is missing or says `max`.
fn number(file: &Path) -> Result<Option<u64>> {
    match read_optional(file)? {
        None => Ok(None),
        Some(text) if text == "max" => Ok(None),
        Some(text) => text.parse().map(Some).with_context(|| format!("read {}: {text:?} is no number", file.display())),
    }
}

/// The number after a key in lines of `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Prints the counters.
pub fn print(group: &Group, json: bool) -> Result<()> {
    let stats = Stats::of(group)?;
    if json {
        println!("{}", serde_json::to_string(&stats).context("encode JSON")?);
        return Ok(());
    }
    let bytes = |n: Option<u64>| n.map_or("-".to_owned(), binary_size);
    let seconds = |n: Option<u64>| n.map_or("-".to_owned(), |ns| format!("{:.3}s", ns as f64 / 1e9));
    let count = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    let (cpu, memory) = (&stats.cpu, &stats.memory);
    println!("cpu      {} (user {}, system {})", seconds(cpu.usage_ns), seconds(cpu.user_ns), seconds(cpu.system_ns));
    println!("waited   {} for its quota", seconds(cpu.throttled_ns));
    println!("memory   {} of {} (peak {})", bytes(memory.usage), limit(memory.limit, binary_size), bytes(memory.peak));
    println!("swap     {}", bytes(memory.swap));
    println!("killed   {} for want of memory", count(memory.oom_kills));
    println!("tasks    {} of {}", count(stats.pids.current), limit(stats.pids.limit, |n| n.to_string()));
    println!("io       {} read, {} written", bytes(stats.io.read_bytes), bytes(stats.io.write_bytes));
    Ok(())
}

fn limit(limit: Option<u64>, print: impl Fn(u64) -> String) -> String {
    limit.map_or("no limit".to_owned(), print)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn the_same_numbers_come_from_either_generation() {
        let v1 = folder(&[
            ("memory.usage_in_bytes", "5000\n"),
            ("memory.max_usage_in_bytes", "6000\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.stat", "cache 1\ninactive_file 2\ntotal_swap 7\ntotal_inactive_file 3\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ]);
        let v2 = folder(&[
            ("memory.current", "5000\n"),
            ("memory.peak", "6000\n"),
            ("memory.max", "max\n"),
            ("memory.swap.current", "7\n"),
            ("memory.stat", "anon 1\ninactive_file 3\n"),
            ("memory.events", "low 0\noom 9\noom_kill 2\n"),
        ]);
        let expected = Memory {
            usage: Some(5000),
            inactive_file: Some(3),
            peak: Some(6000),
            limit: None,
            swap: Some(7),
            oom_kills: Some(2),
        };
        assert_eq!(memory_v1(v1.path()).unwrap(), expected);
        assert_eq!(memory_v2(v2.path()).unwrap(), expected);
    }

    #[test]
    fn times_are_nanoseconds_whatever_the_kernel_counts_in() {
        let v1 = folder(&[
            ("cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_time 3000\n"),
            ("cpuacct.usage", "9000\n"),
            ("cpuacct.usage_user", "5000\n"),
            ("cpuacct.usage_sys", "4000\n"),
        ]);
        let text = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 4\nnr_throttled 2\nthrottled_usec 3\n";
        let v2 = folder(&[("cpu.stat", text)]);
        let found = cpu_v2(v2.path()).unwrap();
        assert_eq!(found.usage_ns, Some(9000));
        assert_eq!(cpu_v1(v1.path(), Some(v1.path())).unwrap(), found);
    }

    #[test]
    fn bytes_of_all_devices_are_added_up() {
        let v1 = folder(&[(
            "blkio.throttle.io_service_bytes_recursive",
            "8:0 Read 10\n8:0 Write 1\n8:16 Read 5\n8:16 Total 5\nTotal 16\n",
        )]);
        let v2 = folder(&[("io.stat", "8:0 rbytes=10 wbytes=1 rios=1\n8:16 rbytes=5 wbytes=0\n")]);
        let expected = Io { read_bytes: Some(15), write_bytes: Some(1) };
        assert_eq!(io_v1(v1.path()).unwrap(), expected);
        assert_eq!(io_v2(v2.path()).unwrap(), expected);
    }
}

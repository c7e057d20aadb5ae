//! The counters for people.

use super::Stats;
use super::pressure::Pressure;
use crate::group::Group;
use anyhow::{Context, Result};
use layout::units::binary_size;
use std::io::Write;

/// Prints the counters.
pub fn print(group: &Group, json: bool) -> Result<()> {
    let stats = Stats::of(group)?;
    let text = match json {
        true => serde_json::to_string(&stats).context("encode JSON")? + "\n",
        false => lines(&stats).into_iter().map(|(what, text)| format!("{what:<8} {text}\n")).collect(),
    };
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

fn bytes(n: Option<u64>) -> String {
    n.map_or("-".to_owned(), binary_size)
}

fn seconds(n: Option<u64>) -> String {
    n.map_or("-".to_owned(), |ns| format!("{:.3}s", ns as f64 / 1e9))
}

fn count(n: Option<u64>) -> String {
    n.map_or("-".to_owned(), |n| n.to_string())
}

fn limit(limit: Option<u64>, print: impl Fn(u64) -> String) -> String {
    limit.map_or("no limit".to_owned(), print)
}

/// What each line is about, and the line.
fn lines(stats: &Stats) -> Vec<(String, String)> {
    let (cpu, memory, pids, io) = (&stats.cpu, &stats.memory, &stats.pids, &stats.io);
    let mut lines = Vec::new();
    let mut line = |what: &str, text: String| lines.push((what.to_owned(), text));
    let (user, system) = (seconds(cpu.user_ns), seconds(cpu.system_ns));
    line("cpu", format!("{} (user {user}, system {system})", seconds(cpu.usage_ns)));
    let periods = [count(cpu.throttled_periods), count(cpu.periods)].join(" of ");
    line("waited", format!("{} for its quota (in {periods} periods)", seconds(cpu.throttled_ns)));
    if let Some(cpus) = &stats.cpuset.cpus {
        line("runs on", format!("processors {cpus}, memory nodes {}", stats.cpuset.mems.as_deref().unwrap_or("-")));
    }
    let most = limit(memory.limit, binary_size);
    line("memory", format!("{} of {most} (peak {})", bytes(memory.usage), bytes(memory.peak)));
    line("cached", format!("{} of it files, {} not used of late", bytes(memory.cache), bytes(memory.inactive_file)));
    line("swap", format!("{} of {}", bytes(memory.swap), limit(memory.swap_limit, binary_size)));
    line("met", format!("its memory limit {} times", count(memory.failures)));
    line("killed", format!("{} for want of memory", count(memory.oom_kills)));
    let most = limit(pids.limit, |n| n.to_string());
    line("tasks", format!("{} of {most} ({} forks failed)", count(pids.current), count(pids.failures)));
    line("io", format!("{} read, {} written", bytes(io.read_bytes), bytes(io.write_bytes)));
    for disk in &io.devices {
        let (read, written) = (binary_size(disk.read_bytes), binary_size(disk.write_bytes));
        let text = format!("{read} in {} reads, {written} in {} writes", disk.reads, disk.writes);
        line(&format!("  {}", disk.device), text);
    }
    for (size, pages) in &stats.hugetlb {
        line(&format!("huge {size}"), format!("{} of {}", bytes(pages.usage), limit(pages.limit, binary_size)));
    }
    for (device, used) in &stats.rdma {
        let text = format!("{} handles, {} objects", count(used.hca_handles), count(used.hca_objects));
        line(&format!("rdma {device}"), text);
    }
    let pressures = [("cpu", &cpu.pressure), ("memory", &memory.pressure), ("io", &io.pressure)];
    for (of, pressure) in pressures {
        if let Some(Pressure { some, full }) = pressure {
            let text = format!("for {of}: some {:.2}%, all {:.2}% of the last 10 s", some.avg10, full.avg10);
            line("waiting", text);
        }
    }
    if stats.frozen {
        line("frozen", "yes (cgset thaw)".to_owned());
    }
    lines
}

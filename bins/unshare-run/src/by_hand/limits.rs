//! Limits, as `cgset` takes them.

use crate::cli::LimitFlags;
use anyhow::{Context, Result, bail};
use layout::oci::defaults;
use layout::oci::runtime::{Cpu, Memory, Pids, Resources};

/// The kernel counts processor time in periods of so many microseconds.
const PERIOD: u64 = 100_000;

/// The resources that the flags stand for. Without limits, no group.
pub fn resources(flags: &LimitFlags, has_rootfs: bool) -> Result<Option<Resources>> {
    if *flags == LimitFlags::default() {
        return Ok(None);
    }
    Ok(Some(Resources {
        memory: memory(flags)?,
        cpu: cpu(flags)?,
        pids: flags.pids_limit.map(|limit| Pids { limit }),
        devices: if has_rootfs { defaults::device_rules() } else { Vec::new() },
        ..Resources::default()
    }))
}

/// The group's path, where the flags give it a place.
pub fn group(flags: &LimitFlags, name: &str) -> String {
    let parent = flags.cgroup_parent.as_ref().map(|parent| parent.trim_matches('/'));
    parent.map_or_else(String::new, |parent| format!("/{parent}/{name}"))
}

fn memory(flags: &LimitFlags) -> Result<Option<Memory>> {
    let Some(limit) = &flags.memory else { return Ok(None) };
    let bytes = |text: &str| layout::units::parse_bytes(text).map(|bytes| bytes as i64);
    let swap = match flags.memory_swap.as_deref() {
        Some("-1") => Some(-1),
        other => other.map(bytes).transpose().context("--memory-swap")?,
    };
    Ok(Some(Memory { limit: Some(bytes(limit).context("--memory")?), swap, ..Memory::default() }))
}

fn cpu(flags: &LimitFlags) -> Result<Option<Cpu>> {
    if flags.cpus.is_none() && flags.cpu_shares.is_none() && flags.cpuset_cpus.is_none() {
        return Ok(None);
    }
    if let Some(cpus) = flags.cpus
        && !(cpus > 0.0 && cpus <= 10_000.0)
    {
        bail!("--cpus {cpus}: it must be above 0");
    }
    Ok(Some(Cpu {
        quota: flags.cpus.map(|cpus| (cpus * PERIOD as f64).round() as i64),
        period: flags.cpus.map(|_| PERIOD),
        shares: flags.cpu_shares,
        cpus: flags.cpuset_cpus.clone(),
        ..Cpu::default()
    }))
}

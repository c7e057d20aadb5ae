//! `update`: other limits for a container that is there. The flags become `linux.resources`, which `cgset` sets.

use super::pause::{find, group};
use crate::bundle;
use crate::cgroup;
use crate::cli::Update;
use crate::narrate::warn;
use crate::state::Status;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{BlockIo, Cpu, Memory, Pids, Resources};
use std::path::Path;

/// Changes the limits.
pub fn update(root: &Path, options: &Update) -> Result<()> {
    let what = || format!("update {}", options.id);
    let (state, status) = find(root, &options.id).with_context(what)?;
    if matches!(status, Status::Creating | Status::Stopped) {
        bail!("update {}: container not running", options.id);
    }
    let wanted = match &options.resources {
        Some(file) => read(file),
        None => resources(options),
    };
    let wanted = wanted.with_context(what)?;
    if wanted == Resources::default() {
        return Ok(());
    }
    group(&state).and_then(|group| cgroup::set(group, &wanted)).with_context(what)
}

/// Reads `linux.resources` from a file, or from standard input.
fn read(file: &Path) -> Result<Resources> {
    if file == Path::new("-") { bundle::read_stdin() } else { bundle::read_json(file) }
}

/// What the flags say.
fn resources(options: &Update) -> Result<Resources> {
    if options.l3_cache_schema.is_some() || options.mem_bw_schema.is_some() {
        bail!("--l3-cache-schema and --mem-bw-schema: Intel RDT is not supported");
    }
    if options.kernel_memory.is_some() || options.kernel_memory_tcp.is_some() {
        warn("--kernel-memory and --kernel-memory-tcp are ignored: the kernel has no such limits any more");
    }
    let memory = Memory {
        limit: bytes("--memory", options.memory.as_deref())?,
        reservation: bytes("--memory-reservation", options.memory_reservation.as_deref())?,
        swap: bytes("--memory-swap", options.memory_swap.as_deref())?,
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: options.cpu_share,
        quota: options.cpu_quota,
        period: options.cpu_period,
        burst: options.cpu_burst,
        realtime_runtime: options.cpu_rt_runtime,
        realtime_period: options.cpu_rt_period,
        idle: options.cpu_idle,
        cpus: options.cpuset_cpus.clone(),
        mems: options.cpuset_mems.clone(),
        ..Cpu::default()
    };
    let block_io = BlockIo { weight: options.blkio_weight.filter(|weight| *weight != 0), ..BlockIo::default() };
    Ok(Resources {
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        // As runc has it, 0 says nothing.
        pids: options.pids_limit.filter(|limit| *limit != 0).map(|limit| Pids { limit }),
        block_io: (block_io != BlockIo::default()).then_some(block_io),
        ..Resources::default()
    })
}

/// Reads `64m`; -1 is no limit, and an empty word says nothing.
fn bytes(flag: &str, text: Option<&str>) -> Result<Option<i64>> {
    match text {
        None | Some("") => Ok(None),
        Some("-1") => Ok(Some(-1)),
        Some(text) => {
            let bytes = layout::units::parse_bytes(text).with_context(|| flag.to_owned())?;
            Ok(Some(i64::try_from(bytes).with_context(|| format!("{flag} {text}: more bytes than the kernel counts"))?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_set() {
        assert_eq!(resources(&Update::default()).unwrap(), Resources::default());
        let options = Update {
            memory: Some("64m".to_owned()),
            memory_swap: Some("-1".to_owned()),
            cpu_quota: Some(-1),
            pids_limit: Some(0),
            ..Update::default()
        };
        let json = serde_json::to_value(resources(&options).unwrap()).unwrap();
        assert_eq!(json, serde_json::json!({"memory": {"limit": 67108864, "swap": -1}, "cpu": {"quota": -1}}));
        let refused = Update { l3_cache_schema: Some("x".to_owned()), ..Update::default() };
        assert!(resources(&refused).is_err());
    }
}

//! How much of the machine it may use: `linux.resources`, which `cgset` writes into the files of its cgroup, and the limits of
//! each of its processes.

use anyhow::{Context, Result, bail};
use layout::container::{self, Container, HostConfig};
use layout::oci::runtime::*;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// The period over which processor time is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// Sets the limits.
pub fn set(spec: &mut Spec, container: &Container) -> Result<()> {
    let host = &container.host_config;
    let linux = spec.linux.get_or_insert_default();
    linux.cgroups_path = super::cgroup(container);
    let devices = linux.resources.take().unwrap_or_default().devices;
    linux.resources = Some(Resources { devices, ..resources(host)? });
    if let Some(process) = &mut spec.process {
        process.rlimits = rlimits(host);
        process.oom_score_adj = Some(host.oom_score_adj).filter(|score| *score != 0);
    }
    Ok(())
}

/// The limits of its cgroup. What is not limited is not mentioned.
pub fn resources(host: &HostConfig) -> Result<Resources> {
    let (memory, cpu, disks) = (memory(host), cpu(host), disks(host)?);
    Ok(Resources {
        memory: Some(memory).filter(|memory| *memory != Memory::default()),
        cpu: Some(cpu).filter(|cpu| *cpu != Cpu::default()),
        pids: host.pids_limit.filter(|limit| *limit != 0).map(|limit| Pids { limit }),
        block_io: Some(disks).filter(|disks| *disks != BlockIo::default()),
        ..Resources::default()
    })
}

fn memory(host: &HostConfig) -> Memory {
    let given = |bytes: i64| Some(bytes).filter(|bytes| *bytes != 0);
    Memory {
        limit: given(host.memory),
        reservation: given(host.memory_reservation),
        swap: given(host.memory_swap),
        swappiness: host.memory_swappiness.and_then(|percent| u64::try_from(percent).ok()),
        disable_oom_killer: host.oom_kill_disable.filter(|disable| *disable),
        ..Memory::default()
    }
}

fn cpu(host: &HostConfig) -> Cpu {
    let given = |value: u64| Some(value).filter(|value| *value != 0);
    let list = |list: &String| Some(list.clone()).filter(|list| !list.is_empty());
    // A number of processors is so much time in each of docker's periods.
    let quota = host.nano_cpus / (1_000_000_000 / CPU_PERIOD as i64);
    let (period, quota) = if host.nano_cpus > 0 { (CPU_PERIOD, quota) } else { (host.cpu_period, host.cpu_quota) };
    Cpu {
        shares: given(host.cpu_shares),
        period: given(period),
        quota: Some(quota).filter(|quota| *quota != 0),
        realtime_period: given(host.cpu_realtime_period),
        realtime_runtime: Some(host.cpu_realtime_runtime).filter(|runtime| *runtime != 0),
        cpus: list(&host.cpuset_cpus),
        mems: list(&host.cpuset_mems),
        ..Cpu::default()
    }
}

fn disks(host: &HostConfig) -> Result<BlockIo> {
    let limits = |limits: &Option<Vec<container::ThrottleDevice>>| {
        let one = |limit: &container::ThrottleDevice| {
            number(&limit.path).map(|(major, minor)| ThrottleDevice { major, minor, rate: limit.rate })
        };
        limits.iter().flatten().map(one).collect::<Result<Vec<_>>>()
    };
    let weight = |weight: &container::WeightDevice| {
        let (major, minor) = number(&weight.path)?;
        anyhow::Ok(WeightDevice { major, minor, weight: Some(weight.weight), leaf_weight: None })
    };
    Ok(BlockIo {
        weight: Some(host.blkio_weight).filter(|weight| *weight != 0),
        weight_device: host.blkio_weight_device.iter().map(weight).collect::<Result<_>>()?,
        throttle_read_bps_device: limits(&host.blkio_device_read_bps)?,
        throttle_write_bps_device: limits(&host.blkio_device_write_bps)?,
        throttle_read_iops_device: limits(&host.blkio_device_read_iops)?,
        throttle_write_iops_device: limits(&host.blkio_device_write_iops)?,
        ..BlockIo::default()
    })
}

/// The number of a disk, which is what the kernel knows it by.
fn number(path: &str) -> Result<(i64, i64)> {
    let stat = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("stat {path}: no such file or directory"),
        stat => stat.with_context(|| format!("stat {path}"))?,
    };
    if !stat.file_type().is_block_device() && !stat.file_type().is_char_device() {
        bail!("{path} is no device");
    }
    Ok((rustix::fs::major(stat.rdev()).into(), rustix::fs::minor(stat.rdev()).into()))
}

fn rlimits(host: &HostConfig) -> Vec<Rlimit> {
    let limit = |limit: &container::Ulimit| Rlimit {
        kind: format!("RLIMIT_{}", limit.name.to_ascii_uppercase()),
        // -1 is the kernel's RLIM_INFINITY, all ones.
        hard: limit.hard as u64,
        soft: limit.soft as u64,
    };
    host.ulimits.iter().flatten().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_what_the_specification_calls_them() {
        let host = HostConfig {
            memory: 64 << 20,
            memory_swap: -1,
            nano_cpus: 1_500_000_000,
            pids_limit: Some(10),
            oom_kill_disable: Some(false),
            ..HostConfig::default()
        };
        let limits = resources(&host).unwrap();
        let memory = limits.memory.unwrap();
        assert_eq!((memory.limit, memory.swap, memory.disable_oom_killer), (Some(64 << 20), Some(-1), None));
        let cpu = limits.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period, cpu.shares), (Some(150_000), Some(100_000), None));
        assert_eq!(limits.pids.unwrap().limit, 10);
        assert_eq!(resources(&HostConfig::default()).unwrap(), Resources::default());
    }

    #[test]
    fn disks_are_looked_up_by_their_files() {
        let limit = |path: &str| container::ThrottleDevice { path: path.to_owned(), rate: 5 };
        let on = |path| HostConfig { blkio_device_read_bps: Some(vec![limit(path)]), ..HostConfig::default() };
        let limits = resources(&on("/dev/null")).unwrap().block_io.unwrap();
        assert_eq!(limits.throttle_read_bps_device, [ThrottleDevice { major: 1, minor: 3, rate: 5 }]);
        let said = |path| resources(&on(path)).unwrap_err().to_string();
        assert_eq!(said("/dev/nope"), "stat /dev/nope: no such file or directory");
        assert_eq!(said("/dev"), "/dev is no device");
    }

    #[test]
    fn no_limit_is_all_ones() {
        let limit = container::Ulimit { name: "core".to_owned(), hard: -1, soft: 0 };
        let found = rlimits(&HostConfig { ulimits: Some(vec![limit]), ..HostConfig::default() });
        assert_eq!((found[0].kind.as_str(), found[0].hard, found[0].soft), ("RLIMIT_CORE", u64::MAX, 0));
    }
}

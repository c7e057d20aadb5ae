//! How much of the machine it may use: `linux.resources`, which `cgset` writes into the files of its cgroup.

use layout::container::{Container, HostConfig};
use layout::oci::defaults;
use layout::oci::runtime::{Cpu, Linux, Memory, Pids, Resources};

/// The period over which processor time is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// Sets the limits.
pub fn set(linux: &mut Linux, container: &Container) {
    linux.cgroups_path = super::cgroup(&container.id);
    linux.resources = Some(resources(&container.host_config));
}

fn resources(host: &HostConfig) -> Resources {
    let memory = (host.memory > 0).then(|| Memory {
        limit: Some(host.memory),
        // Docker's default: as much swap as memory.
        swap: Some(host.memory.saturating_mul(2)),
        ..Memory::default()
    });
    let cpu = (host.nano_cpus > 0 || host.cpu_shares > 0).then(|| Cpu {
        shares: (host.cpu_shares > 0).then_some(host.cpu_shares),
        period: (host.nano_cpus > 0).then_some(CPU_PERIOD),
        quota: (host.nano_cpus > 0).then_some(host.nano_cpus / (1_000_000_000 / CPU_PERIOD as i64)),
        ..Cpu::default()
    });
    Resources {
        devices: defaults::device_rules(),
        memory,
        cpu,
        pids: host.pids_limit.filter(|limit| *limit != 0).map(|limit| Pids { limit }),
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_what_the_specification_calls_them() {
        let host =
            HostConfig { memory: 64 << 20, nano_cpus: 1_500_000_000, pids_limit: Some(10), ..HostConfig::default() };
        let resources = resources(&host);
        let memory = resources.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), Some(128 << 20)));
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period, cpu.shares), (Some(150_000), Some(100_000), None));
        assert_eq!(resources.pids.unwrap().limit, 10);
    }
}

//! The flags, as `linux.resources`: they override the file.

use crate::cli::{self, Cpus, LimitArgs};
use crate::convert;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{
    BlockIo, DeviceRule, HugepageLimit, InterfacePriority, Pids, Resources, ThrottleDevice, WeightDevice,
};
use rustix::fs::{FileType, major, minor, stat};
use std::path::{Path, PathBuf};

/// The period of `--cpus`, in microseconds: docker's.
const PERIOD: u64 = 100_000;

/// Puts the flags over what the file said. Tells whether the limit of swap was not asked for by name.
pub fn override_with(resources: &mut Resources, args: &LimitArgs) -> Result<bool> {
    memory(resources, args);
    cpu(resources, args);
    if let Some(limit) = args.pids_limit {
        resources.pids = Some(Pids { limit });
    }
    disks(resources, args)?;
    let pages = args.hugetlb.iter().map(|(size, limit)| HugepageLimit { page_size: size.clone(), limit: *limit });
    resources.hugepage_limits.retain(|page| !args.hugetlb.iter().any(|(size, _)| *size == page.page_size));
    resources.hugepage_limits.extend(pages);
    devices(resources, &args.device_cgroup_rule);
    if args.net_class.is_some() || !args.net_prio.is_empty() {
        let network = resources.network.get_or_insert_default();
        network.class_id = args.net_class.or(network.class_id);
        let named = |(name, priority): &(String, u32)| InterfacePriority { name: name.clone(), priority: *priority };
        network.priorities.extend(args.net_prio.iter().map(named));
    }
    resources.unified.extend(args.unified.iter().cloned());
    Ok(args.memory.is_some() && args.memory_swap.is_none())
}

fn memory(resources: &mut Resources, args: &LimitArgs) {
    let given = [args.memory, args.memory_swap, args.memory_reservation].iter().any(Option::is_some);
    if !given && args.memory_swappiness.is_none() && args.oom_kill_disable.is_none() {
        return;
    }
    let memory = resources.memory.get_or_insert_default();
    // A new memory limit makes a swap limit that was meant for the old one meaningless.
    memory.swap = args.memory_swap.or(args.memory.map(convert::default_swap)).or(memory.swap);
    memory.limit = args.memory.or(memory.limit);
    memory.reservation = args.memory_reservation.or(memory.reservation);
    memory.swappiness = args.memory_swappiness.or(memory.swappiness);
    memory.disable_oom_killer = args.oom_kill_disable.or(memory.disable_oom_killer);
}

fn cpu(resources: &mut Resources, args: &LimitArgs) {
    let (quota, period) = match args.cpus {
        Some(Cpus::Max) => (Some(-1), None),
        Some(Cpus::Quota(quota)) => (Some(quota), Some(PERIOD)),
        None => (args.cpu_quota, args.cpu_period),
    };
    let mut cpu = resources.cpu.take().unwrap_or_default();
    cpu.quota = quota.or(cpu.quota);
    cpu.period = period.or(cpu.period);
    cpu.burst = args.cpu_burst.or(cpu.burst);
    cpu.shares = args.cpu_shares.or(cpu.shares);
    cpu.idle = args.cpu_idle.or(cpu.idle);
    cpu.realtime_runtime = args.cpu_rt_runtime.or(cpu.realtime_runtime);
    cpu.realtime_period = args.cpu_rt_period.or(cpu.realtime_period);
    cpu.cpus = args.cpuset_cpus.clone().or(cpu.cpus);
    cpu.mems = args.cpuset_mems.clone().or(cpu.mems);
    resources.cpu = Some(cpu).filter(|cpu| *cpu != Default::default());
}

fn disks(resources: &mut Resources, args: &LimitArgs) -> Result<()> {
    let mut io = resources.block_io.take().unwrap_or_default();
    io.weight = args.blkio_weight.or(io.weight);
    for (path, weight) in &args.blkio_weight_device {
        let (major, minor) = disk(path)?;
        io.weight_device.push(WeightDevice { major, minor, weight: Some(*weight as u16), leaf_weight: None });
    }
    let throttle = |list: &mut Vec<ThrottleDevice>, flags: &[(PathBuf, u64)]| -> Result<()> {
        for (path, rate) in flags {
            let (major, minor) = disk(path)?;
            list.push(ThrottleDevice { major, minor, rate: *rate });
        }
        Ok(())
    };
    throttle(&mut io.throttle_read_bps_device, &args.device_read_bps)?;
    throttle(&mut io.throttle_write_bps_device, &args.device_write_bps)?;
    throttle(&mut io.throttle_read_iops_device, &args.device_read_iops)?;
    throttle(&mut io.throttle_write_iops_device, &args.device_write_iops)?;
    resources.block_io = Some(io).filter(|io| *io != BlockIo::default());
    Ok(())
}

/// The numbers of a disk.
fn disk(path: &Path) -> Result<(i64, i64)> {
    let about = stat(path).with_context(|| format!("find disk {}", path.display()))?;
    if FileType::from_raw_mode(about.st_mode) != FileType::BlockDevice {
        bail!("find disk {}: it is not a block device (lsblk --paths lists them)", path.display());
    }
    Ok((i64::from(major(about.st_rdev)), i64::from(minor(about.st_rdev))))
}

/// Rules allow; what they do not name is denied, unless a list in the file decides that.
fn devices(resources: &mut Resources, rules: &[cli::DeviceRule]) {
    if !rules.is_empty() && resources.devices.is_empty() {
        resources.devices.push(DeviceRule { allow: false, kind: None, major: None, minor: None, access: None });
    }
    resources.devices.extend(rules.iter().map(|rule| DeviceRule {
        allow: true,
        kind: Some(rule.kind.clone()),
        major: rule.major,
        minor: rule.minor,
        access: Some(rule.access.clone()),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn overridden(value: Value, args: &LimitArgs) -> (Resources, bool) {
        let mut resources = serde_json::from_value(value).unwrap();
        let implied = override_with(&mut resources, args).unwrap();
        (resources, implied)
    }

    #[test]
    fn flags_override_the_file() {
        let file = json!({"memory": {"limit": 10, "swap": 20}, "cpu": {"shares": 512, "period": 50000},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 1}, {"pageSize": "1GB", "limit": 2}]});
        let flags = LimitArgs {
            memory: Some(64),
            cpus: Some(Cpus::Quota(50_000)),
            pids_limit: Some(-1),
            hugetlb: vec![("2MB".to_owned(), 9)],
            unified: vec![("memory.high".to_owned(), "5".to_owned())],
            ..LimitArgs::default()
        };
        let (found, swap_is_implied) = overridden(file, &flags);
        let memory = found.memory.unwrap();
        assert_eq!((memory.limit, memory.swap, swap_is_implied), (Some(64), Some(128), true));
        let cpu = found.cpu.unwrap();
        assert_eq!((cpu.shares, cpu.quota, cpu.period), (Some(512), Some(50_000), Some(100_000)));
        assert_eq!(found.pids, Some(Pids { limit: -1 }));
        let pages: Vec<_> = found.hugepage_limits.iter().map(|page| (page.page_size.as_str(), page.limit)).collect();
        assert_eq!(pages, [("1GB", 2), ("2MB", 9)]);
        assert_eq!(found.unified["memory.high"], "5");
    }

    #[test]
    fn without_flags_the_file_stays_as_it_is() {
        let file = json!({"memory": {"limit": 10}, "blockIO": {"weight": 20}, "network": {"classID": 5}});
        let (found, swap_is_implied) = overridden(file.clone(), &LimitArgs::default());
        assert_eq!((found, swap_is_implied), (serde_json::from_value(file).unwrap(), false));
        assert_eq!(overridden(json!({}), &LimitArgs::default()).0, Resources::default());
    }

    #[test]
    fn a_disk_is_a_block_device() {
        let flags = |path: &str| LimitArgs { device_read_bps: vec![(path.into(), 5)], ..LimitArgs::default() };
        for (path, said) in [("/dev/null", "not a block device"), ("/no/such/disk", "No such file")] {
            let error = override_with(&mut Resources::default(), &flags(path)).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }

    #[test]
    fn a_rule_denies_all_other_devices() {
        let rule = cli::DeviceRule { kind: "c".to_owned(), major: Some(1), minor: None, access: "r".to_owned() };
        let flags = LimitArgs { device_cgroup_rule: vec![rule], ..LimitArgs::default() };
        let (found, _) = overridden(json!({}), &flags);
        assert!(!found.devices[0].allow && found.devices[1].allow && found.devices.len() == 2);
    }
}

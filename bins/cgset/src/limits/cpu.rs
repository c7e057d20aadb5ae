//! Processor time, and which processors (kernel: scheduler/sched-bwc.rst, cgroup-v1/cpusets.rst; cgroup-v2.rst, "CPU").

use crate::convert::{cpu_max, weight_of_shares};
use crate::hierarchy::Version;
use crate::limits::Setting;
use anyhow::{Result, bail};
use layout::oci::runtime::{Cpu, Resources};

/// What is asked of the cpu controller.
pub fn settings(resources: &Resources, version: Version) -> Result<Vec<Setting>> {
    match (&resources.cpu, version) {
        (None, _) => Ok(Vec::new()),
        (Some(cpu), Version::V1) => v1(cpu),
        (Some(cpu), Version::V2) => Ok(v2(cpu)),
    }
}

/// What is asked of the cpuset controller: the same files on both.
pub fn cpuset(resources: &Resources, _: Version) -> Result<Vec<Setting>> {
    let Some(cpu) = &resources.cpu else { return Ok(Vec::new()) };
    let list = |file, value: &Option<String>| value.as_deref().filter(|v| !v.is_empty()).map(|v| Setting::new(file, v));
    Ok([list("cpuset.cpus", &cpu.cpus), list("cpuset.mems", &cpu.mems)].into_iter().flatten().collect())
}

/// An idle group has no share, and the kernel refuses to give it one.
fn shares(cpu: &Cpu) -> Option<u64> {
    cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1))
}

fn v1(cpu: &Cpu) -> Result<Vec<Setting>> {
    let shares = shares(cpu);
    if let Some(shares) = shares.filter(|shares| !(2..=262_144).contains(shares)) {
        // The kernel would take the nearest that it can, and say nothing.
        bail!("set cpu.shares to {shares}: the kernel allows 2 to 262144");
    }
    let given = |file: &str, value: Option<u64>| value.filter(|v| *v != 0).map(|v| Setting::new(file, v));
    let quota = |file: &str, value: Option<i64>| value.filter(|v| *v != 0).map(|v| Setting::new(file, v));
    let all = [
        // Idle or not goes first: a group that is to be idle no more can then be given a share.
        cpu.idle.map(|idle| Setting::new("cpu.idle", idle)),
        given("cpu.shares", shares),
        given("cpu.cfs_period_us", cpu.period),
        given("cpu.cfs_burst_us", cpu.burst),
        quota("cpu.cfs_quota_us", cpu.quota),
        given("cpu.rt_period_us", cpu.realtime_period),
        quota("cpu.rt_runtime_us", cpu.realtime_runtime),
    ];
    Ok(all.into_iter().flatten().collect())
}

fn v2(cpu: &Cpu) -> Vec<Setting> {
    let quota = cpu.quota.filter(|q| *q != 0);
    let period = cpu.period.filter(|p| *p != 0);
    let time = (quota.is_some() || period.is_some()).then(|| Setting::new("cpu.max", cpu_max(quota, period)));
    let all = [
        cpu.idle.map(|idle| Setting::new("cpu.idle", idle)),
        shares(cpu).map(|shares| Setting::new("cpu.weight", weight_of_shares(shares))),
        cpu.burst.filter(|b| *b != 0).map(|burst| Setting::new("cpu.max.burst", burst)),
        time,
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::setting::tests::shown;
    use serde_json::{Value, json};

    fn on(version: Version, cpu: Value) -> Result<String> {
        let resources = serde_json::from_value(json!({ "cpu": cpu })).unwrap();
        Ok([shown(&settings(&resources, version)?), shown(&cpuset(&resources, version)?)].join("; "))
    }

    #[test]
    fn time_is_several_files_on_v1_and_one_on_v2() {
        let asked = json!({"shares": 512, "quota": 50000, "period": 100000, "burst": 9, "cpus": "0-1", "mems": "0"});
        let v1 = "cpu.shares=512, cpu.cfs_period_us=100000, cpu.cfs_burst_us=9, cpu.cfs_quota_us=50000; \
                  cpuset.cpus=0-1, cpuset.mems=0";
        assert_eq!(on(Version::V1, asked.clone()).unwrap(), v1);
        let v2 = "cpu.weight=59, cpu.max.burst=9, cpu.max=50000 100000; cpuset.cpus=0-1, cpuset.mems=0";
        assert_eq!(on(Version::V2, asked).unwrap(), v2);
    }

    #[test]
    fn what_is_0_or_empty_was_not_asked_for() {
        let nothing = json!({"shares": 0, "quota": 0, "period": 0, "burst": 0, "cpus": "", "realtimeRuntime": 0});
        assert_eq!(on(Version::V1, nothing.clone()).unwrap(), "; ");
        assert_eq!(on(Version::V2, nothing).unwrap(), "; ");
        assert_eq!(on(Version::V2, json!({"quota": -1})).unwrap(), "cpu.max=max; ");
    }

    #[test]
    fn an_idle_group_has_no_share() {
        assert_eq!(on(Version::V2, json!({"idle": 1, "shares": 512})).unwrap(), "cpu.idle=1; ");
        assert_eq!(on(Version::V1, json!({"idle": 0, "shares": 512})).unwrap(), "cpu.idle=0, cpu.shares=512; ");
    }

    #[test]
    fn shares_that_v1_would_change_are_refused() {
        for shares in [1, 262_145] {
            assert!(on(Version::V1, json!({ "shares": shares })).is_err());
            on(Version::V2, json!({ "shares": shares })).unwrap();
        }
    }

    #[test]
    fn realtime_is_v1s() {
        let asked = json!({"realtimeRuntime": 950, "realtimePeriod": 1000});
        assert_eq!(on(Version::V1, asked.clone()).unwrap(), "cpu.rt_period_us=1000, cpu.rt_runtime_us=950; ");
        assert_eq!(on(Version::V2, asked).unwrap(), "; ");
    }
}

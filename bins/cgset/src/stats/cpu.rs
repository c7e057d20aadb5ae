//! Processor time: v1 counts nanoseconds in several files, v2 microseconds in one.

use super::Cpu;
use super::parse::{keyed, number};
use crate::group::read_optional;
use anyhow::Result;
use std::path::Path;

/// From the folders of the controllers `cpu` and `cpuacct`.
pub fn v1(cpu: &Path, cpuacct: Option<&Path>) -> Result<Cpu> {
    let stat = read_optional(&cpu.join("cpu.stat"))?.unwrap_or_default();
    let mut found = Cpu {
        periods: keyed(&stat, "nr_periods"),
        throttled_periods: keyed(&stat, "nr_throttled"),
        throttled_ns: keyed(&stat, "throttled_time"),
        bursts: keyed(&stat, "nr_bursts"),
        burst_ns: keyed(&stat, "burst_time"),
        ..Cpu::default()
    };
    if let Some(cpuacct) = cpuacct {
        found.usage_ns = number(&cpuacct.join("cpuacct.usage"))?;
        found.user_ns = number(&cpuacct.join("cpuacct.usage_user"))?;
        found.system_ns = number(&cpuacct.join("cpuacct.usage_sys"))?;
        let each = read_optional(&cpuacct.join("cpuacct.usage_percpu"))?;
        found.per_cpu_ns = each.map(|text| text.split_whitespace().filter_map(|n| n.parse().ok()).collect());
    }
    Ok(found)
}

/// From the one folder.
pub fn v2(folder: &Path) -> Result<Cpu> {
    let stat = read_optional(&folder.join("cpu.stat"))?.unwrap_or_default();
    let nanoseconds = |key| keyed(&stat, key).map(|microseconds| microseconds.saturating_mul(1000));
    Ok(Cpu {
        usage_ns: nanoseconds("usage_usec"),
        user_ns: nanoseconds("user_usec"),
        system_ns: nanoseconds("system_usec"),
        periods: keyed(&stat, "nr_periods"),
        throttled_periods: keyed(&stat, "nr_throttled"),
        throttled_ns: nanoseconds("throttled_usec"),
        bursts: keyed(&stat, "nr_bursts"),
        burst_ns: nanoseconds("burst_usec"),
        ..Cpu::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::devices::tests::folder;

    #[test]
    fn times_are_nanoseconds_whatever_the_kernel_counts_in() {
        let files = folder(&[
            ("cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_time 3000\nnr_bursts 1\nburst_time 7000\n"),
            ("cpuacct.usage", "9000\n"),
            ("cpuacct.usage_user", "5000\n"),
            ("cpuacct.usage_sys", "4000\n"),
        ]);
        let text = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 4\nnr_throttled 2\nthrottled_usec 3\n\
                    nr_bursts 1\nburst_usec 7\n";
        let found = v2(folder(&[("cpu.stat", text)]).path()).unwrap();
        assert_eq!((found.usage_ns, found.burst_ns), (Some(9000), Some(7000)));
        assert_eq!(v1(files.path(), Some(files.path())).unwrap(), found);
    }

    #[test]
    fn v1_counts_each_processor() {
        let files = folder(&[("cpuacct.usage_percpu", "5 7 \n")]);
        assert_eq!(v1(files.path(), Some(files.path())).unwrap().per_cpu_ns, Some(vec![5, 7]));
    }
}

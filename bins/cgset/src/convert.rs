//! From v1's numbers to v2's.
//!
//! OCI's `linux.resources` was written for v1; two of its numbers mean something else on v2. The formulas are the
//! ones that runtimes agreed on, so that a container weighs the same under any of them.

use anyhow::{Result, bail};

/// `cpu.shares` (2 to 262144, usual 1024) to `cpu.weight` (1 to 10000, usual 100).
///
/// A straight line from (2, 1) to (262144, 10000): what runc up to 1.3.1 and crun up to 1.22 do, so what docker
/// and podman do on most machines (opencontainers/runc pull request 2213; crun(1), "CGROUP v2"). Its flaw is that
/// the usual number of one generation is not that of the other: 1024 becomes 39. Newer ones bend the line so that
/// it goes through (1024, 100) (opencontainers/cgroups pull request 20).
pub fn weight_of_shares(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9_999 / 262_142
}

/// Quota and period to the line of `cpu.max`: `50000 100000`, or `max 100000`.
///
/// What is not given is the kernel's default: no limit, a period of 100 ms (cgroup-v2.rst, "cpu.max").
pub fn cpu_max(quota: Option<i64>, period: Option<u64>) -> String {
    let period = period.filter(|p| *p > 0).unwrap_or(100_000);
    match quota {
        Some(quota) if quota > 0 => format!("{quota} {period}"),
        _ => format!("max {period}"),
    }
}

/// OCI's `swap` (memory and swap together) to `memory.swap.max` (swap alone).
///
/// # Errors
/// A sum that cannot be taken apart: no memory limit to subtract, or one greater than the sum.
pub fn swap_alone(swap: i64, memory: Option<i64>) -> Result<i64> {
    match (swap, memory) {
        (-1, _) => Ok(-1),
        (_, None | Some(..=0)) => {
            bail!("set a swap limit of {swap}: it counts memory and swap, and memory has no limit")
        }
        (swap, Some(memory)) if swap < memory => {
            bail!("set a swap limit of {swap}: it counts memory and swap, and memory alone may be {memory}")
        }
        (swap, Some(memory)) => Ok(swap - memory),
    }
}

/// The limit of memory and swap for a group that was given only a memory limit: as much swap as memory.
///
/// docker does so too (docs.docker.com, "--memory-swap details").
pub fn default_swap(memory: i64) -> i64 {
    if memory < 0 { -1 } else { memory.saturating_mul(2) }
}

/// A limit as v2 writes it: a number, or `max` for -1.
pub fn or_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_the_weight_that_runc_and_crun_write() {
        for (shares, weight) in
            [(0, 1), (2, 1), (512, 20), (1024, 39), (2048, 79), (262_144, 10_000), (999_999, 10_000)]
        {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
    }

    #[test]
    fn a_quota_and_a_period_are_one_line() {
        assert_eq!(cpu_max(Some(50_000), Some(100_000)), "50000 100000");
        assert_eq!(cpu_max(Some(-1), None), "max 100000");
        assert_eq!(cpu_max(None, Some(20_000)), "max 20000");
        assert_eq!(cpu_max(Some(20_000), None), "20000 100000");
    }

    #[test]
    fn swap_is_what_is_left_of_the_sum() {
        assert_eq!(swap_alone(96, Some(64)).unwrap(), 32);
        assert_eq!(swap_alone(64, Some(64)).unwrap(), 0);
        assert_eq!(swap_alone(-1, Some(64)).unwrap(), -1);
        assert!(swap_alone(32, Some(64)).is_err());
        assert!(swap_alone(32, None).is_err());
        assert_eq!(default_swap(64), 128);
        assert_eq!(default_swap(-1), -1);
        assert_eq!(or_max(-1), "max");
    }
}

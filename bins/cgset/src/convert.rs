//! From v1's numbers to v2's.
//!
//! OCI's `linux.resources` was written for v1; two of its numbers mean something else on v2. The formulas are the
//! ones that runtimes agreed on, so that a container weighs the same under any of them.

use anyhow::{Result, bail};

/// `cpu.shares` (2 to 262144, usual 1024) to `cpu.weight` (1 to 10000, usual 100).
///
/// On a scale of logarithms, the curve through (2, 1), (1024, 100) and (262144, 10000): what runc from 1.3.2 and crun
/// from 1.23 on do (opencontainers/cgroups pull request 20). Older ones draw a straight line from the first to the
/// last, by which the usual 1024 becomes 39, and a container weighs less than its neighbours that nobody gave a share.
pub fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = (shares as f64).log2();
    10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil() as u64
}

/// `blkio.weight` (10 to 1000) to `io.weight` (1 to 10000): a straight line, as in runc.
pub fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9_999 / 990
}

/// Quota and period to the line of `cpu.max`: `50000 100000`, or `max 100000`. Without the second number the kernel keeps
/// the period as it is.
pub fn cpu_max(quota: Option<i64>, period: Option<u64>) -> String {
    let quota = quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
    match period {
        Some(period) => format!("{quota} {period}"),
        None => quota,
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

/// The limit of memory and swap for whoever names only one of memory: as much swap as memory, as docker's command line has
/// it (docs.docker.com, "--memory-swap details"). In OCI's file what is not named is not limited.
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
        for (shares, weight) in [
            (0, 1),
            (2, 1),
            (3, 2),
            (256, 35),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_144, 10_000),
            (999_999, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
    }

    #[test]
    fn weights_of_disks_are_stretched() {
        for (weight, stretched) in [(10, 1), (500, 4950), (1000, 10_000)] {
            assert_eq!(io_weight(weight), stretched, "{weight}");
        }
    }

    #[test]
    fn a_quota_and_a_period_are_one_line() {
        assert_eq!(cpu_max(Some(50_000), Some(100_000)), "50000 100000");
        assert_eq!(cpu_max(Some(-1), None), "max");
        assert_eq!(cpu_max(None, Some(20_000)), "max 20000");
        assert_eq!(cpu_max(Some(20_000), None), "20000");
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

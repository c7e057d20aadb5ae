//! How much of the machine it may use: the options, with docker's checks and words.

use super::wrong::OfOption;
use super::{disks, machine::Machine, ulimits};
use crate::cli::{LimitOptions, ResourceOptions};
use anyhow::{Context, Result, anyhow, bail};
use layout::container::HostConfig;
use layout::units;

/// Docker refuses a limit of less than this; the kernel may take it, but few programs start in it.
const SMALL_MEMORY: i64 = 6 << 20;
/// What the kernel takes as a period or quota of processor time, in microseconds.
const CFS: std::ops::RangeInclusive<i64> = 1_000..=1_000_000;

/// Fills in what the options say about its share. Gives docker's warnings.
pub fn fill(host: &mut HostConfig, options: &ResourceOptions) -> Result<Vec<String>> {
    limits(host, &options.limits)?;
    host.memory_swappiness = options.memory_swappiness.filter(|percent| *percent != -1);
    host.oom_kill_disable = Some(options.oom_kill_disable.unwrap_or(false));
    host.oom_score_adj = options.oom_score_adj.unwrap_or(0);
    host.cgroup_parent = options.cgroup_parent.clone().unwrap_or_default();
    disks::fill(host, options).of_option()?;
    if host.memory > 0 && host.memory_swap == 0 {
        // Docker's default: as much swap as memory.
        host.memory_swap = host.memory.saturating_mul(2);
    }
    check_once(host)?;
    let machine = Machine::here();
    let mut warnings = ulimits::fill(host, &options.ulimit).of_option()?;
    warnings.extend(check(host, &machine)?);
    warnings.extend(machine.discard(host));
    Ok(warnings)
}

/// What `update` can change too; what is not said becomes 0.
pub fn limits(host: &mut HostConfig, options: &LimitOptions) -> Result<()> {
    host.memory = bytes("-m, --memory", options.memory.as_deref())?;
    host.memory_reservation = bytes("--memory-reservation", options.memory_reservation.as_deref())?;
    host.memory_swap = match options.memory_swap.as_deref() {
        Some("-1") => -1,
        text => bytes("--memory-swap", text)?,
    };
    host.kernel_memory = bytes("--kernel-memory", options.kernel_memory.as_deref())?;
    host.nano_cpus = options.cpus.as_deref().map(nano_cpus).transpose().of_option()?.unwrap_or(0);
    host.cpu_shares = match options.cpu_shares.unwrap_or(0) {
        shares @ (0 | 2..=262_144) => shares as u64,
        1 => bail!("the minimum allowed cpu-shares is 2"),
        shares if shares < 0 => bail!("shares: invalid argument"),
        _ => bail!("the maximum allowed cpu-shares is 262144"),
    };
    host.cpu_period = not_negative("cpu-period", options.cpu_period)?;
    host.cpu_quota = options.cpu_quota.unwrap_or(0);
    host.cpu_realtime_period = not_negative("cpu-rt-period", options.cpu_rt_period)?;
    host.cpu_realtime_runtime = options.cpu_rt_runtime.unwrap_or(0);
    host.cpuset_cpus = options.cpuset_cpus.clone().unwrap_or_default();
    host.cpuset_mems = options.cpuset_mems.clone().unwrap_or_default();
    // 0 is not said, below 0 is no limit; docker keeps the two apart as none and -1.
    host.pids_limit = options.pids_limit.filter(|limit| *limit != 0).map(|limit| limit.max(-1));
    host.blkio_weight = options.blkio_weight.unwrap_or(0);
    Ok(())
}

fn bytes(flag: &str, text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(0) };
    let Ok(bytes) = units::parse_bytes(text) else {
        return Err(anyhow!("invalid argument \"{text}\" for \"{flag}\" flag: invalid size: '{text}'")).of_option();
    };
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn not_negative(flag: &str, value: Option<i64>) -> Result<u64> {
    let value = value.unwrap_or(0);
    u64::try_from(value).with_context(|| format!("invalid argument \"{value}\" for \"--{flag}\" flag")).of_option()
}

fn nano_cpus(text: &str) -> Result<i64> {
    let invalid = |why: &str| anyhow!("invalid argument \"{text}\" for \"--cpus\" flag: {why}");
    // `1/2` is a number too.
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let (Ok(above), Ok(below)) = (above.parse::<f64>(), below.parse::<f64>()) else {
        return Err(invalid(&format!("failed to parse {text} as a rational number")));
    };
    let nano_cpus = above / below * 1e9;
    if !nano_cpus.is_finite() {
        return Err(invalid(&format!("failed to parse {text} as a rational number")));
    }
    // What a number of this kind cannot hold is far below a billionth.
    if (nano_cpus - nano_cpus.round()).abs() > 1e-3 {
        return Err(invalid("value is too precise"));
    }
    Ok(nano_cpus.round() as i64)
}

/// What only a new container can be wrong about.
fn check_once(host: &HostConfig) -> Result<()> {
    if let Some(percent) = host.memory_swappiness
        && !(0..=100).contains(&percent)
    {
        return Err(anyhow!("invalid value: {percent}. Valid memory swappiness range is 0-100")).of_option();
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        bail!("Invalid value {}, range for oom score adj is [-1000, 1000]", host.oom_score_adj);
    }
    if host.memory_swap > 0 && host.memory == 0 {
        bail!("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if host.cgroup_parent.split('/').any(|name| name == "..") || host.cgroup_parent.contains(':') {
        bail!("--cgroup-parent {}: it is a path from the top of the cgroups, and leads nowhere up", host.cgroup_parent);
    }
    Ok(())
}

/// Docker's checks, in its order. Gives its warnings.
pub fn check(host: &HostConfig, machine: &Machine) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    check_memory(host, &mut warnings)?;
    check_time(host, machine)?;
    machine.check_set("CPUs", "cpus", &host.cpuset_cpus)?;
    machine.check_set("memory nodes", "mems", &host.cpuset_mems)?;
    if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        bail!("Range of blkio weight is from 10 to 1000");
    }
    if host.oom_kill_disable == Some(true) && host.memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources."
                .to_owned(),
        );
    }
    Ok(warnings)
}

fn check_memory(host: &HostConfig, warnings: &mut Vec<String>) -> Result<()> {
    let (memory, swap, reservation) = (host.memory, host.memory_swap, host.memory_reservation);
    if memory > 0 && memory < SMALL_MEMORY {
        // Docker refuses. Our users' documents have `--memory 4MB`, and the kernel takes it.
        warnings.push(format!(
            "{memory} bytes of memory are less than the 6MB that docker asks for; the container may not even start."
        ));
    }
    if memory > 0 && swap > 0 && swap < memory {
        bail!("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if reservation > 0 && reservation < SMALL_MEMORY {
        bail!("Minimum memory reservation allowed is 6MB");
    }
    if memory > 0 && reservation > 0 && memory < reservation {
        bail!("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if host.kernel_memory > 0 {
        if host.kernel_memory < SMALL_MEMORY {
            bail!("Minimum kernel memory limit allowed is 6MB");
        }
        warnings
            .push("Specifying a kernel memory limit is deprecated and will be removed in a future release.".to_owned());
    }
    Ok(())
}

fn check_time(host: &HostConfig, machine: &Machine) -> Result<()> {
    if host.nano_cpus != 0 {
        if host.cpu_period > 0 {
            bail!("Conflicting options: Nano CPUs and CPU Period cannot both be set");
        }
        if host.cpu_quota > 0 {
            bail!("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        }
        // 0.01 of a processor is the least that the kernel takes with docker's period of 100 ms.
        if host.nano_cpus < 10_000_000 || host.nano_cpus > machine.processors as i64 * 1_000_000_000 {
            let here = machine.processors;
            bail!("Range of CPUs is from 0.01 to {here}.00, as there are only {here} CPUs available");
        }
    }
    if host.cpu_period != 0 && !CFS.contains(&(host.cpu_period as i64)) {
        bail!("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    }
    if host.cpu_quota > 0 && host.cpu_quota < *CFS.start() {
        bail!("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if host.cpu_realtime_period != 0 && !machine.has_realtime() {
        bail!("Your kernel does not support CPU real-time period");
    }
    if host.cpu_realtime_runtime != 0 && !machine.has_realtime() {
        bail!("Your kernel does not support CPU real-time runtime");
    }
    if host.cpu_realtime_period > 0
        && u64::try_from(host.cpu_realtime_runtime).is_ok_and(|runtime| runtime > host.cpu_realtime_period)
    {
        bail!("cpu real-time runtime cannot be higher than cpu real-time period");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        resources: ResourceOptions,
    }

    fn filled(options: &str) -> Result<HostConfig> {
        let words = std::iter::once("x").chain(options.split_whitespace());
        let mut host = HostConfig::default();
        fill(&mut host, &Command::try_parse_from(words)?.resources)?;
        Ok(host)
    }

    #[test]
    fn docker_s_words_for_what_cannot_be() {
        for (options, words) in [
            ("--memory-swap 50m", "You should always set the Memory limit when using Memoryswap"),
            ("-m 100m --memory-swap 50m", "Minimum memoryswap limit should be larger"),
            ("-m 64m --memory-reservation 128m", "Minimum memory limit can not be less than memory reservation"),
            ("--memory-reservation 1m", "Minimum memory reservation allowed is 6MB"),
            ("--memory-swappiness 101", "invalid value: 101. Valid memory swappiness range is 0-100"),
            ("--kernel-memory 1m", "Minimum kernel memory limit allowed is 6MB"),
            ("-c 1", "the minimum allowed cpu-shares is 2"),
            ("-c -1", "shares: invalid argument"),
            ("--cpus 10000", "Range of CPUs is from 0.01 to"),
            ("--cpus 0.001", "Range of CPUs is from 0.01 to"),
            ("--cpus x", "invalid argument \"x\" for \"--cpus\" flag: failed to parse x as a rational number"),
            (
                "--cpus 0.0123456789123",
                "invalid argument \"0.0123456789123\" for \"--cpus\" flag: value is too precise",
            ),
            ("--cpus 1/0", "failed to parse 1/0 as a rational number"),
            ("-m x", "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'"),
            ("--cpus 1 --cpu-quota 50000", "Nano CPUs and CPU Quota cannot both be set"),
            ("--cpus 1 --cpu-period 50000", "Nano CPUs and CPU Period cannot both be set"),
            ("--cpu-period 10", "CPU cfs period can not be less than 1ms"),
            ("--cpu-quota 10", "CPU cfs quota can not be less than 1ms"),
            ("--cpu-rt-period 100 --cpu-rt-runtime 950", "real-time"),
            ("--oom-score-adj 1001", "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
            ("--blkio-weight 5", "Range of blkio weight is from 10 to 1000"),
            ("--cgroup-parent /a/../b", "leads nowhere up"),
        ] {
            let said = format!("{:#}", filled(options).unwrap_err());
            assert!(said.contains(words), "{options}: {said}");
        }
    }

    #[test]
    fn what_is_said_is_kept_and_what_is_not_is_dockers_default() {
        let host = filled("-m 64m --pids-limit 0 --oom-score-adj -5").unwrap();
        assert_eq!((host.memory, host.pids_limit, host.oom_score_adj), (64 << 20, None, -5));
        assert_eq!((host.oom_kill_disable, host.memory_swappiness), (Some(false), None));
        assert_eq!(filled("--pids-limit -7").unwrap().pids_limit, Some(-1));
        assert_eq!(filled("-m 64m --memory-swap -1").unwrap().memory_swap, -1);
        for (cpus, nano_cpus) in [("1/2", 500_000_000), (".5", 500_000_000), ("1e-1", 100_000_000)] {
            assert_eq!(filled(&format!("--cpus {cpus}")).unwrap().nano_cpus, nano_cpus);
        }
    }
}

//! `update`: other limits, or another restart policy, for a container that is there.
//!
//! One that runs gets the limits at once, through the runtime; and what is on disk is replaced, for each start to come.

use crate::cli::Update;
use crate::create::{machine::Machine, resources, watch, wrong::WrongOption};
use crate::plan::{Plan, Step};
use crate::{life, runtime, spec};
use anyhow::{Context, Result, bail};
use layout::Layout;
use layout::container::{Container, HostConfig, Status};
use layout::oci::runtime::{Cpu, Memory, Resources};
use layout::tool::Call;

/// What is to be done, and what the user is to know of it.
pub struct Change {
    /// The steps.
    pub plan: Plan,
    /// Docker's warnings.
    pub warnings: Vec<String>,
}

/// Whether the options can be read at all. What they say is another matter, and each container's.
///
/// # Errors
/// A [`WrongOption`].
pub fn read(options: &Update) -> Result<()> {
    match resources::limits(&mut HostConfig::default(), &options.limits) {
        Err(error) if error.is::<WrongOption>() => Err(error),
        _ => Ok(()),
    }
}

/// The steps that change a container. The caller holds its folder.
///
/// # Errors
/// A limit that cannot be, or that contradicts one that it has.
pub fn change(layout: &Layout, container: &Container, options: &Update) -> Result<Change> {
    let mut wanted = HostConfig::default();
    resources::limits(&mut wanted, &options.limits)?;
    let machine = Machine::here();
    let mut warnings = resources::check(&wanted, &machine)?;
    warnings.extend(machine.discard(&mut wanted));
    let mut changed = container.clone();
    let host = &mut changed.host_config;
    if let Some(text) = options.restart.as_deref().filter(|text| !text.is_empty()) {
        let policy = watch::restart_policy(text)?;
        if host.auto_remove && policy.name != "no" {
            bail!(
                "{}: Restart policy cannot be updated because AutoRemove is enabled for the container",
                what(container)
            );
        }
        host.restart_policy = policy;
    }
    merge(host, &wanted).with_context(|| what(container))?;

    let mut plan = Plan::default();
    let limits = spec::resources::resources(&wanted)?;
    let is_up = matches!(life::state(layout, &container.id)?.status, Status::Running | Status::Paused);
    if is_up && limits != Resources::default() {
        plan.note("the limits of its cgroup, at once (unshare-run calls cgset)");
        plan.call(live(layout, container, &limits));
    }
    plan.note("what is on disk, for each start to come");
    let made = layout.tmp().join(format!("{}.container.json", container.id));
    plan.push(Step::write_json(&made, &changed)?);
    plan.push(Step::Rename { from: made, to: layout.container_dir(&container.id).container_json() });
    if !spec::is_of_the_moment(&changed) {
        plan.steps.extend(spec::publish(layout, &changed)?);
    }
    Ok(Change { plan, warnings })
}

fn what(container: &Container) -> String {
    format!("Cannot update container {}", container.id)
}

/// Lays what is wanted over what there is; what is 0 was not said. Docker's rules, in its words.
fn merge(host: &mut HostConfig, wanted: &HostConfig) -> Result<()> {
    let conflicts = [
        (wanted.nano_cpus > 0 && host.cpu_period > 0, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (wanted.nano_cpus > 0 && host.cpu_quota > 0, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (wanted.cpu_period > 0 && host.nano_cpus > 0, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (wanted.cpu_quota > 0 && host.nano_cpus > 0, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    ];
    if let Some((_, why)) = conflicts.iter().find(|(is_there, _)| *is_there) {
        bail!("Conflicting options: {why}");
    }
    if wanted.memory != 0 && wanted.memory > host.memory_swap && wanted.memory_swap == 0 {
        bail!(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        );
    }
    set(&mut host.memory, wanted.memory);
    set(&mut host.memory_swap, wanted.memory_swap);
    set(&mut host.memory_reservation, wanted.memory_reservation);
    set(&mut host.kernel_memory, wanted.kernel_memory);
    set(&mut host.nano_cpus, wanted.nano_cpus);
    set(&mut host.cpu_shares, wanted.cpu_shares);
    set(&mut host.cpu_period, wanted.cpu_period);
    set(&mut host.cpu_quota, wanted.cpu_quota);
    set(&mut host.cpu_realtime_period, wanted.cpu_realtime_period);
    set(&mut host.cpu_realtime_runtime, wanted.cpu_realtime_runtime);
    set(&mut host.cpuset_cpus, wanted.cpuset_cpus.clone());
    set(&mut host.cpuset_mems, wanted.cpuset_mems.clone());
    set(&mut host.blkio_weight, wanted.blkio_weight);
    set(&mut host.pids_limit, wanted.pids_limit);
    Ok(())
}

fn set<T: Default + PartialEq>(old: &mut T, new: T) {
    if new != T::default() {
        *old = new;
    }
}

/// The runtime's `update`, with the flags that runc's has.
fn live(layout: &Layout, container: &Container, limits: &Resources) -> Call {
    let (none, no_time) = (Memory::default(), Cpu::default());
    let (memory, cpu) = (limits.memory.as_ref().unwrap_or(&none), limits.cpu.as_ref().unwrap_or(&no_time));
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    let natural = |value: Option<u64>| value.map(|value| value.to_string());
    let flags = [
        ("--memory", number(memory.limit)),
        ("--memory-swap", number(memory.swap)),
        ("--memory-reservation", number(memory.reservation)),
        ("--cpu-share", natural(cpu.shares)),
        ("--cpu-period", natural(cpu.period)),
        ("--cpu-quota", number(cpu.quota)),
        ("--cpu-rt-period", natural(cpu.realtime_period)),
        ("--cpu-rt-runtime", number(cpu.realtime_runtime)),
        ("--cpuset-cpus", cpu.cpus.clone()),
        ("--cpuset-mems", cpu.mems.clone()),
        ("--pids-limit", number(limits.pids.map(|pids| pids.limit))),
        ("--blkio-weight", limits.block_io.as_ref().and_then(|io| io.weight).map(|weight| weight.to_string())),
    ];
    let given = flags.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
    runtime::runtime(layout).arg("update").args(given.flatten()).arg(container.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_stays() {
        let mut host = HostConfig { memory: 5, memory_swap: 10, cpu_shares: 7, ..HostConfig::default() };
        merge(&mut host, &HostConfig { cpu_shares: 9, pids_limit: Some(3), ..HostConfig::default() }).unwrap();
        assert_eq!((host.memory, host.cpu_shares, host.pids_limit), (5, 9, Some(3)));
    }

    #[test]
    fn docker_s_words_for_what_cannot_be() {
        let said = |host: HostConfig, wanted: HostConfig| merge(&mut host.clone(), &wanted).unwrap_err().to_string();
        let swap = HostConfig { memory: 5, memory_swap: 10, ..HostConfig::default() };
        let memory = HostConfig { memory: 20, ..HostConfig::default() };
        assert!(said(swap, memory).starts_with("Memory limit should be smaller than already set memoryswap limit"));
        let cpus = HostConfig { nano_cpus: 1, ..HostConfig::default() };
        let quota = HostConfig { cpu_quota: 5000, ..HostConfig::default() };
        let both = "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set";
        assert_eq!(said(cpus, quota), both);
    }
}

//! Its share of processors and disks: `scheduler`, `ioPriority`, `execCPUAffinity` (sched(7), ioprio_set(2)).

use super::numbers;
use crate::narrate::narrate;
use crate::sys::{self, SchedAttr};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{IoPriority, Process, Scheduler};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The policies, each at its number (linux/sched.h).
const POLICIES: [&str; 7] =
    ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];

/// The flags, each at its bit.
const FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/// The classes, each at its number (linux/ioprio.h).
const CLASSES: [&str; 4] = ["IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/// Checks what a process says of it.
pub fn check(process: &Process) -> Result<()> {
    process.scheduler.as_ref().map(attributes).transpose()?;
    process.io_priority.as_ref().map(io_priority).transpose()?;
    if let Some(affinity) = &process.exec_cpu_affinity {
        processors(&affinity.initial).context("process.execCPUAffinity.initial")?;
        processors(&affinity.last).context("process.execCPUAffinity.final")?;
    }
    Ok(())
}

/// Takes it on. To come before others takes `CAP_SYS_NICE`.
pub fn apply(process: &Process) -> Result<()> {
    if let Some(priority) = &process.io_priority {
        narrate!("its place in the queue for disks", "ioprio_set({}, {})", priority.class, priority.priority);
        sys::ioprio_set(io_priority(priority)?)
            .with_context(|| format!("set ioPriority {} {}", priority.class, priority.priority))?;
    }
    if let Some(scheduler) = &process.scheduler {
        narrate!("its share of the processors", "sched_setattr({})", scheduler.policy);
        sys::sched_setattr(attributes(scheduler)?).with_context(|| format!("set scheduler {}", scheduler.policy))?;
    }
    Ok(())
}

/// Has this process, and what it makes from now on, run on these processors; an empty list changes nothing.
pub fn run_on(list: &str) -> Result<()> {
    let Some(set) = processors(list)? else { return Ok(()) };
    narrate!("the processors that it may run on", "sched_setaffinity({list})");
    sched_setaffinity(None, &set).with_context(|| format!("run on processors {list}"))
}

fn processors(list: &str) -> Result<Option<CpuSet>> {
    if list.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    numbers::parse(list, CpuSet::MAX_CPU)?.into_iter().for_each(|number| set.set(number));
    Ok(Some(set))
}

/// A scheduler as the kernel takes it.
fn attributes(scheduler: &Scheduler) -> Result<SchedAttr> {
    let Scheduler { policy, nice, priority, flags, runtime, deadline, period } = scheduler;
    let Some(number) = POLICIES.iter().position(|known| known == policy) else {
        bail!("process.scheduler.policy {policy:?}: it must be one of {}", POLICIES.join(", "));
    };
    let nice = nice.unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        bail!("process.scheduler.nice {nice}: it must be from -20 to 19");
    }
    let priority = priority.unwrap_or(0);
    match policy.as_str() {
        "SCHED_FIFO" | "SCHED_RR" if !(1..=99).contains(&priority) => {
            bail!("process.scheduler.priority {priority}: for {policy} it must be from 1 to 99")
        }
        "SCHED_FIFO" | "SCHED_RR" => {}
        _ if priority != 0 => bail!("process.scheduler.priority: {policy} knows none"),
        _ => {}
    }
    if policy != "SCHED_DEADLINE" && (runtime, deadline, period) != (&None, &None, &None) {
        bail!("process.scheduler.runtime, deadline, period: they are for SCHED_DEADLINE");
    }
    let mut bits = 0;
    for flag in flags {
        let Some(bit) = FLAGS.iter().position(|known| known == flag) else {
            bail!("process.scheduler.flags {flag:?}: it must be one of {}", FLAGS.join(", "));
        };
        bits |= 1 << bit;
    }
    let time = |value: &Option<u64>| value.unwrap_or(0);
    Ok(SchedAttr {
        policy: number as u32,
        flags: bits,
        nice,
        priority: priority as u32,
        runtime: time(runtime),
        deadline: time(deadline),
        period: time(period),
        ..SchedAttr::default()
    })
}

/// A place in the queue as the kernel takes it: the class above 13 bits of level.
fn io_priority(wanted: &IoPriority) -> Result<u32> {
    let IoPriority { class, priority } = wanted;
    let Some(number @ 1..) = CLASSES.iter().position(|known| known == class) else {
        bail!("process.ioPriority.class {class:?}: it must be one of {}", CLASSES[1..].join(", "));
    };
    if !(0..8).contains(priority) {
        bail!("process.ioPriority.priority {priority}: it must be from 0 to 7");
    }
    Ok((number as u32) << 13 | *priority as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedulers_have_the_kernels_numbers() {
        let text = r#"{"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3, "nice": 0,
                       "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"]}"#;
        let wanted = SchedAttr { policy: 6, flags: 5, runtime: 1, deadline: 2, period: 3, ..SchedAttr::default() };
        assert_eq!(attributes(&serde_json::from_str(text).unwrap()).unwrap(), wanted);
        let fifo = Scheduler { policy: "SCHED_FIFO".to_owned(), priority: Some(7), ..Scheduler::default() };
        assert_eq!(attributes(&fifo).unwrap(), SchedAttr { policy: 1, priority: 7, ..SchedAttr::default() });
    }

    #[test]
    fn what_a_policy_does_not_know_is_refused() {
        for (words, text) in [
            ("policy", r#"{"policy": "SCHED_BEST"}"#),
            ("policy", "{}"),
            ("nice", r#"{"policy": "SCHED_OTHER", "nice": 20}"#),
            ("from 1 to 99", r#"{"policy": "SCHED_RR"}"#),
            ("knows none", r#"{"policy": "SCHED_BATCH", "priority": 1}"#),
            ("SCHED_DEADLINE", r#"{"policy": "SCHED_BATCH", "runtime": 1}"#),
            ("flags", r#"{"policy": "SCHED_OTHER", "flags": ["FAST"]}"#),
        ] {
            let error = attributes(&serde_json::from_str(text).unwrap()).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn places_in_the_queue_have_the_kernels_numbers() {
        let place = |class: &str, priority| io_priority(&IoPriority { class: class.to_owned(), priority }).ok();
        assert_eq!(place("IOPRIO_CLASS_RT", 3), Some(0x2003));
        assert_eq!(place("IOPRIO_CLASS_IDLE", 0), Some(0x6000));
        assert_eq!((place("IOPRIO_CLASS_BE", 8), place("IOPRIO_CLASS_NONE", 0), place("RT", 0)), (None, None, None));
    }
}

//! A signal to every process of a group, however fast they fork.
//!
//! v2 has a file for it: a 1 in `cgroup.kill` kills the tree, and a fork that is under way while it does so fails
//! (kernel 5.14; cgroup-v2.rst). The v2 tree of a hybrid machine has it too, and the processes of the group are in
//! there as well, unless somebody put them into a v1 folder by hand.
//!
//! For those, for older kernels and for other signals the group is frozen first: frozen processes cannot fork, and
//! cannot end either, so that the pids that are listed stay theirs. Then all get the signal and are thawed, which is
//! when it reaches them. What was born between two lists is met in the next round.

use crate::group::Group;
use crate::{freeze, processes, sys};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal as Name;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a killed group may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `signal` to the whole tree. After SIGKILL the tree is empty.
pub fn kill(group: &Group, signal: Signal) -> Result<()> {
    if signal != Signal::KILL {
        return stop_the_world(group, || send(group, signal));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    loop {
        let mut left = processes::in_tree(group)?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("kill {}: still there after {} seconds: {}", group.name, PATIENCE.as_secs(), list(&left));
        }
        let within_reach = processes::in_unified_tree(group)?;
        if kill_by_file(group)? {
            left.retain(|pid| !within_reach.contains(pid));
        }
        if !left.is_empty() {
            stop_the_world(group, || send(group, signal))?;
        }
        // On v1 the frozen do not die, and a signal thaws nobody.
        freeze::thaw_tree(group)?;
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Has the kernel kill what is in the v2 tree, where it can.
fn kill_by_file(group: &Group) -> Result<bool> {
    let Some(file) = group.unified_folder().map(|folder| folder.join("cgroup.kill")) else { return Ok(false) };
    if !file.exists() {
        return Ok(false);
    }
    group.write(&file, "1")?;
    Ok(true)
}

/// Does `work` while the group is frozen, and leaves it as it was, whatever comes of that.
fn stop_the_world(group: &Group, work: impl FnOnce() -> Result<()>) -> Result<()> {
    if freeze::is_frozen(group)? {
        return work();
    }
    freeze::freeze(group)?;
    let result = work();
    let thawed = freeze::thaw(group);
    result.and(thawed)
}

fn send(group: &Group, signal: Signal) -> Result<()> {
    let mut open: Vec<(i32, OwnedFd)> = Vec::new();
    for pid in processes::in_tree(group)? {
        // 0 would be this process's own group of processes.
        let Some(checked) = Pid::from_raw(pid) else {
            bail!("signal {}: it holds a process in a pid namespace out of sight; do it from the host", group.name);
        };
        match pidfd_open(checked, PidfdFlags::empty()) {
            Ok(fd) => open.push((pid, fd)),
            Err(Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("open process {pid}")),
        }
    }
    // A pid may have passed to somebody else between the list and the open, but then it is no longer on the list.
    let still = processes::in_tree(group)?;
    for (pid, fd) in open.iter().filter(|(pid, _)| still.contains(pid)) {
        match pidfd_send_signal(fd, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("send a signal to process {pid}")),
        }
    }
    Ok(())
}

/// Reads `KILL`, `SIGKILL`, `9`, `RTMIN+3` or `37`.
pub fn parse_signal(text: &str) -> Result<Signal> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i32>().ok() };
    let number = match (text.parse::<i32>(), name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Ok(number), ..) => Some(number),
        (_, Some(above), _) => offset(above).and_then(|above| sys::RT_SIGNALS.start().checked_add(above)),
        (_, _, Some(below)) => offset(below).and_then(|below| sys::RT_SIGNALS.end().checked_add(below)),
        _ => format!("SIG{name}").parse::<Name>().ok().map(|signal| signal as i32),
    };
    match number.and_then(|number| Signal::from_named_raw(number).or_else(|| sys::rt_signal(number))) {
        Some(signal) => Ok(signal),
        None => bail!("{text:?} is no signal: a name such as TERM or RTMIN+3, or a number from 1 to 64"),
    }
}

/// Pids for people.
pub fn list(pids: &BTreeSet<i32>) -> String {
    pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["KILL", "SIGKILL", "sigkill", "9"] {
            assert_eq!(parse_signal(text).unwrap(), Signal::KILL, "{text}");
        }
        for (text, number) in [("RTMIN", 34), ("SIGRTMIN+3", 37), ("rtmax-1", 63), ("64", 64), ("TERM", 15)] {
            assert_eq!(parse_signal(text).unwrap().as_raw(), number, "{text}");
        }
        for bad in ["", "NOPE", "0", "-9", "99", "32", "RTMIN+40", "RTMAX+1", "RTMINx"] {
            assert!(parse_signal(bad).is_err(), "{bad}");
        }
    }
}

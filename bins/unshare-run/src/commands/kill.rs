//! `kill`: a signal to a container's first process, or to all of its cgroup.

use crate::state::{Process, StateDir, Status};
use crate::{cgroup, run};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::path::Path;

/// The real-time signals, as programs in C number them: the first two of the kernel's are kept by the C library.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Sends a signal.
pub fn kill(root: &Path, id: &str, signal: &str, all: bool) -> Result<()> {
    let what = || format!("kill {id}");
    let number = parse_signal(signal).with_context(what)?;
    let dir = StateDir::new(root, id).with_context(what)?;
    let state = dir.state().with_context(what)?;
    let status = dir.status(&state);
    if all && status == Status::Stopped && state.cgroup.is_none() {
        return Ok(());
    }
    // Where the first process's end would leave the others alive, all are meant.
    let all = all || (state.outlived && number == libc::SIGKILL && status != Status::Stopped);
    if let (true, Some(path)) = (all, &state.cgroup) {
        return cgroup::kill(path, number).with_context(what);
    }
    let Some(process) = Process::find(&state).filter(|_| !matches!(status, Status::Creating | Status::Stopped)) else {
        bail!("kill {id}: container not running");
    };
    run::send(number, &process).with_context(what)?;
    if let (libc::SIGKILL, Status::Paused, Some(path)) = (number, status, &state.cgroup) {
        // On v1 the frozen do not even die.
        cgroup::thaw(path).with_context(what)?;
    }
    Ok(())
}

/// Reads `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`. 0 only asks whether there is anybody to send it to.
pub fn parse_signal(text: &str) -> Result<i32> {
    if let Ok(number) = text.parse::<i32>() {
        if (0..=64).contains(&number) {
            return Ok(number);
        }
        bail!("unable to signal init: invalid argument: signals are numbered from 1 to 64, not {number}");
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = || format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32);
    match real_time(name).or_else(named) {
        Some(number) => Ok(number),
        None => bail!("unknown signal {text:?}"),
    }
}

/// Reads `RTMIN`, `RTMIN+N`, `RTMAX-N`.
fn real_time(name: &str) -> Option<i32> {
    let (base, rest) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => (*REAL_TIME.start(), rest),
        (_, Some(rest)) => (*REAL_TIME.end(), rest),
        _ => return None,
    };
    let signed = rest.is_empty() || rest.starts_with(['+', '-']);
    let offset = if rest.is_empty() { Some(0) } else { rest.parse::<i32>().ok() };
    let number = base.checked_add(offset.filter(|_| signed)?)?;
    REAL_TIME.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let known = [("TERM", 15), ("SIGKILL", 9), ("hup", 1), ("sigusr1", 10), ("37", 37), ("0", 0), ("64", 64)];
        let real_time = [("RTMIN", 34), ("SIGRTMIN+3", 37), ("rtmax-14", 50), ("RTMAX", 64)];
        for (text, number) in known.into_iter().chain(real_time) {
            assert_eq!(parse_signal(text).unwrap(), number, "{text}");
        }
        for bad in ["", "SIG", "0x9", "65", "-1", "NOPE", "RTMIN-1", "RTMAX+1", "RTMIN3", "RTMIN+", "99999999999"] {
            assert!(parse_signal(bad).is_err(), "{bad}");
        }
    }
}

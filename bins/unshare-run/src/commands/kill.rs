//! `kill`: a signal to a container's first process, or to all of its cgroup.

use crate::state::{Process, StateDir, Status};
use crate::{cgroup, run};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::path::Path;

/// Sends a signal.
pub fn kill(root: &Path, id: &str, signal: &str, all: bool) -> Result<()> {
    let what = || format!("kill {id}");
    let number = parse_signal(signal).with_context(what)?;
    let dir = StateDir::new(root, id).with_context(what)?;
    let state = dir.state().with_context(what)?;
    if let (true, Some(path)) = (all, &state.cgroup) {
        return cgroup::kill(path, number).with_context(what);
    }
    match (Process::find(&state), dir.status(&state)) {
        (Some(process), Status::Created | Status::Running) => run::send(number, &process).with_context(what),
        _ => bail!("kill {id}: container not running"),
    }
}

/// Reads `TERM`, `SIGTERM`, `term`, `15`, and the real-time signals by number.
pub fn parse_signal(text: &str) -> Result<i32> {
    if let Ok(number) = text.parse::<i32>() {
        if (1..=64).contains(&number) {
            return Ok(number);
        }
        bail!("signal {text}: signals are numbered from 1 to 64");
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    match name.parse::<Signal>() {
        Ok(signal) => Ok(signal as i32),
        Err(_) => bail!("signal {text:?}: there is none of that name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in
            [("TERM", 15), ("SIGKILL", 9), ("hup", 1), ("37", 37), ("0x9", 0), ("0", 0), ("65", 0), ("NOPE", 0)]
        {
            assert_eq!(parse_signal(text).unwrap_or(0), number, "{text}");
        }
    }
}

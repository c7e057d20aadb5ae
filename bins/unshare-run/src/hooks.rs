//! Hooks: programs that the configuration has run at points of the container's life (config.md "POSIX-platform Hooks").
//!
//! Each gets the container's state on standard input. What it prints is told only if it fails. Input and output are
//! files in memory, not pipes: nobody waits for a hook that does not read, or for a grandchild that keeps the output
//! open.

use crate::narrate::{narrate, warn};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The kinds, in the order of a container's life.
pub const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// How much of what a failing hook printed is told.
const TOLD: u64 = 4096;

/// The container's state as hooks get it (runtime.md "State").
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookState<'a> {
    /// Version of the specification that the configuration follows.
    pub oci_version: &'a str,
    /// The container's name.
    pub id: &'a str,
    /// Where it is in its life.
    pub status: &'a str,
    /// Its first process, as seen by who runs the hook; none when it has ended.
    #[serde(skip_serializing_if = "is_none")]
    pub pid: i32,
    /// The folder that it was made from.
    pub bundle: &'a Path,
    /// Notes of the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: &'a BTreeMap<String, String>,
}

fn is_none(pid: &i32) -> bool {
    *pid == 0
}

/// Where hooks run.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The folder they start in; where there is none, that of whoever runs them.
    pub folder: Option<&'a Path>,
    /// The environment of those that name none; where there is none, that of whoever runs them.
    pub env: Option<&'a [String]>,
}

/// Runs hooks one after the other, as `kind`. The first that fails ends it.
pub fn run(kind: &str, hooks: &[Hook], state: &HookState<'_>, place: Place<'_>) -> Result<()> {
    for (number, hook) in hooks.iter().enumerate() {
        run_one(hook, state, place).with_context(|| format!("error running {kind} hook #{number}"))?;
    }
    Ok(())
}

/// Runs the hooks after a container's end. All of them have their turn, and what fails is a warning.
pub fn run_poststop(hooks: &[Hook], state: &HookState<'_>, place: Place<'_>) {
    for (number, hook) in hooks.iter().enumerate() {
        if let Err(error) = run_one(hook, state, place) {
            warn(&format!("error running poststop hook #{number}: {error:#}"));
        }
    }
}

fn run_one(hook: &Hook, state: &HookState<'_>, place: Place<'_>) -> Result<()> {
    narrate!(
        "a hook: a program that the configuration wants run now",
        "execve({}, {:?})",
        hook.path.display(),
        hook.args
    );
    let mut input = memory_file()?;
    let json = serde_json::to_vec(state).context("encode the state")?;
    input.write_all(&json).and_then(|()| input.rewind()).context("write the state")?;
    let mut output = memory_file()?;
    let end = |file: &File| file.try_clone().context("duplicate a file in memory");
    let mut command = Command::new(&hook.path);
    command.stdin(input).stdout(end(&output)?).stderr(end(&output)?);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    if let Some(env) = hook.env.as_deref().or(place.env) {
        command.env_clear().envs(env.iter().filter_map(|variable| variable.split_once('=')));
    }
    if let Some(folder) = place.folder {
        command.current_dir(folder);
    }
    let mut child = command.spawn().with_context(|| format!("run {}", hook.path.display()))?;
    let timely = await_end(&child, hook.timeout);
    if !matches!(timely, Ok(true)) {
        // It is our child and not reaped, so this reaches nobody else.
        let _ = child.kill();
    }
    let status = child.wait().context("wait for the hook")?;
    if !timely? {
        bail!("{}: hook ran past specified timeout of {:.1}s", hook.path.display(), hook.timeout.unwrap_or(0) as f64);
    }
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    // What it said adds to the error, but is not the error.
    let _ = output.rewind().and_then(|()| output.take(TOLD).read_to_end(&mut said));
    match String::from_utf8_lossy(&said).trim_end() {
        "" => bail!("{}: {status}", hook.path.display()),
        said => bail!("{}: {status}: {said}", hook.path.display()),
    }
}

fn memory_file() -> Result<File> {
    Ok(rustix::fs::memfd_create(c"hook", MemfdFlags::CLOEXEC).context("make a file in memory")?.into())
}

/// Waits until a child has ended, or for so many seconds; says whether it has.
fn await_end(child: &Child, seconds: Option<i64>) -> Result<bool> {
    let Some(seconds) = seconds else { return Ok(true) };
    let pid = Pid::from_raw(child.id() as i32).context("the hook has no process number")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("open a pidfd of the hook")?;
    // A number that no clock reaches is no limit.
    let Some(deadline) = Instant::now().checked_add(Duration::from_secs(seconds.unsigned_abs())) else {
        return Ok(true);
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("wait for the hook"),
            Ok(count) => return Ok(count > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Hook {
        Hook { path: "/bin/sh".into(), args: ["any", "-c", script].map(str::to_owned).to_vec(), ..Hook::default() }
    }

    fn run_here(hook: Hook) -> Result<()> {
        let annotations = BTreeMap::from([("a".to_owned(), "x".repeat(200_000))]);
        let state = HookState {
            oci_version: "1.2.0",
            id: "web",
            status: "creating",
            pid: 7,
            bundle: Path::new("/b"),
            annotations: &annotations,
        };
        run("prestart", &[hook], &state, Place { folder: Some(Path::new("/")), env: None })
    }

    #[test]
    fn a_hook_need_not_read_its_input_nor_close_its_output() {
        run_here(shell("exit 0")).unwrap();
        run_here(shell("sleep 1 & exit 0")).unwrap();
        run_here(shell("test $(wc -c) -gt 200000 && test $0 = /bin/sh -o $0 = any && test $(pwd) = /")).unwrap();
    }

    #[test]
    fn what_a_failing_hook_printed_is_told() {
        let error = format!("{:#}", run_here(shell("echo out; echo err >&2; exit 3")).unwrap_err());
        assert_eq!(error, "error running prestart hook #0: /bin/sh: exit status: 3: out\nerr");
        let error = format!("{:#}", run_here(Hook { path: "/no/such".into(), ..Hook::default() }).unwrap_err());
        assert!(error.contains("run /no/such: No such file"), "{error}");
    }

    #[test]
    fn a_hook_that_takes_too_long_is_ended() {
        let begin = Instant::now();
        let error = run_here(Hook { timeout: Some(1), ..shell("sleep 1000") }).unwrap_err();
        assert!(format!("{error:#}").contains("timeout of 1.0s"), "{error:#}");
        assert!(begin.elapsed() < Duration::from_secs(60));
        run_here(Hook { timeout: Some(i64::MAX), ..shell("exit 0") }).unwrap();
    }

    #[test]
    fn the_environment_is_what_is_given() {
        run_here(Hook { env: Some(vec!["A=b=c".to_owned()]), ..shell("test $A = b=c && test -z \"$CARGO\"") }).unwrap();
        run_here(Hook { env: Some(Vec::new()), ..shell("test -z \"$CARGO_PKG_NAME$HOME\"") }).unwrap();
    }
}

//! `exec`: which process, in which container, and who stays with it.

use super::create::prepare;
use crate::cli;
use crate::create::Console;
use crate::exec::{self, Request};
use crate::process::user;
use crate::run::{self, Forward, Signals};
use crate::state::{Process, StateDir, Status};
use crate::validate::validate_process;
use crate::{bundle, by_hand};
use anyhow::{Context, Result, bail};
use layout::oci::capabilities;
use layout::oci::runtime::{Linux, Process as ProcessConfig, Spec};
use std::path::Path;

/// Runs a process in a container; gives its exit code, or 0 when detached.
pub fn exec(root: &Path, options: &cli::Exec) -> Result<u8> {
    prepare(options.preserve_fds)?;
    let id = &options.id;
    let what = || format!("exec in {id}");
    let dir = StateDir::new(root, id).with_context(what)?;
    let mut state = dir.state().with_context(what)?;
    let init = match (Process::find(&state), dir.status(&state)) {
        (Some(init), Status::Created | Status::Running) => init,
        (Some(init), Status::Paused) if options.ignore_paused => init,
        (_, Status::Paused) => {
            bail!("exec in {id}: cannot exec in a paused container (use --ignore-paused to override)")
        }
        (_, status) => bail!("exec in {id}: cannot exec in a {} container", status.as_str()),
    };
    let spec = dir.config().with_context(what)?;
    let process = wanted(options, &spec).with_context(what)?;
    validate_process(&process).with_context(what)?;
    user::check(&process.user, spec.linux.as_ref().unwrap_or(&Linux::default())).with_context(what)?;
    let console = match (&options.console_socket, process.terminal) {
        (Some(path), _) => Console::Socket(path.clone()),
        (None, true) if !options.detach => Console::Ours,
        (None, _) => Console::None,
    };
    state.cgroup_folders = state.cgroup_folders.inside(&options.cgroup).with_context(what)?;
    // Before the process is there: no signal may end us and leave it.
    let signals = if options.detach { None } else { Some(Signals::take()?) };
    let (child, master) = exec::exec(&Request {
        init: &init,
        process: &process,
        spec: &spec,
        state: &state,
        console,
        preserve_fds: options.preserve_fds,
        pid_file: options.pid_file.as_deref(),
    })?;
    match signals {
        Some(signals) => run::wait(&child, master, &signals, Forward::All),
        None => Ok(0),
    }
}

/// The process that is wanted: the container's own, but for what the options say.
fn wanted(options: &cli::Exec, spec: &Spec) -> Result<ProcessConfig> {
    if let Some(file) = &options.process {
        return bundle::read_process(file);
    }
    let mut process = spec.process.clone().context("config.json has no process")?;
    if options.command.is_empty() {
        bail!("process args cannot be empty: no command is given");
    }
    process.args.clone_from(&options.command);
    process.terminal = options.tty;
    process.env.extend(options.env.iter().cloned());
    if let Some(variable) = options.env.iter().find(|variable| !variable.contains('=')) {
        bail!("--env {variable:?}: it must have the form NAME=VALUE");
    }
    if let Some(cwd) = &options.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some(user) = &options.user {
        process.user = by_hand::parse_user(user)?;
    }
    process.user.additional_gids.extend(&options.additional_gids);
    process.no_new_privileges |= options.no_new_privs;
    if let Some(label) = &options.process_label {
        process.selinux_label.clone_from(label);
    }
    if let Some(profile) = &options.apparmor {
        process.apparmor_profile.clone_from(profile);
    }
    for name in &options.cap {
        let Some(bit) = capabilities::bit(name) else { bail!("--cap {name}: there is no such capability") };
        let name = capabilities::names(bit).concat();
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            if !set.contains(&name) {
                set.push(name.clone());
            }
        }
    }
    Ok(process)
}

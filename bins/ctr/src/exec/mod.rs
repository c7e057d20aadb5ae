//! `ctr exec`: another process in the namespaces of a container that runs.
//!
//! The runtime makes it, from a description like that of the container's first process. Its parent is a small process
//! ([`session`]) that stays for as long as it runs: it goes on when the terminal that it was typed at is gone.

mod serve;
pub mod session;

use crate::client::Manner;
use crate::create::environment::{set_from_file, set_or_inherit, without_names_alone};
use crate::plan::{Plan, Step, to_json};
use crate::spec::security;
use crate::{cli, client, defaults, life, runtime};
use anyhow::{Context, Result, bail};
use layout::container::{Container, Status};
use layout::events;
use layout::lock::Lock;
use layout::oci::runtime::{ConsoleSize, Process, ProcessUser, Spec};
use layout::paths::ExecDir;
use layout::{ContainerId, Layout, exit, publish, rootfs};
use std::path::PathBuf;

/// The steps of `ctr exec`: what is to run, and running it.
pub fn plan(layout: &Layout, container: &Container, args: &cli::Exec) -> Result<Plan> {
    let id = &container.id;
    let exec = layout::id::random_hex(32)?;
    let dir = layout.exec_dir(id, &exec);
    let process = process(layout, container, args)?;
    let attached = match args.detach {
        true => None,
        false => Some(Manner::new(args.interactive, false, &defaults::detach_keys(args.detach_keys.as_deref()))?),
    };
    let mut plan = Plan::default();
    plan.note("what is to run, in the words of a container's config.json");
    plan.push(Step::MakeDir { path: dir.0.clone(), mode: 0o700 });
    plan.push(Step::write(dir.process_json(), to_json(&process)?));
    plan.note("its parent, which stays with it, and itself");
    let call = runtime::exec(layout, id, &dir, args.tty);
    let command = runtime::words(&call);
    let wanted = session::Wanted { tty: args.tty, input: args.interactive && !args.detach, attached, command };
    plan.push(Step::Exec { id: id.clone(), exec, wanted });
    Ok(plan)
}

/// Runs the command; its exit code is ours.
pub fn exec(layout: &Layout, container: &Container, args: &cli::Exec) -> Result<u8> {
    let plan = plan(layout, container, args)?;
    let Some((Step::Exec { id, exec, .. }, _)) = plan.steps.split_last() else { return Ok(0) };
    // As docker writes it: the program, a space, its arguments.
    let (program, words) = args.command().split_first().context("exec needs a command")?;
    let line = format!("{program} {}", words.join(" "));
    for action in ["exec_create", "exec_start"] {
        note(layout, container, &format!("{action}: {line}"), exec, None);
    }
    let done = plan.execute(layout);
    // If it came to a parent, that removes it when the process ends.
    forget_dead(&layout.exec_dir(id, exec));
    done.map_err(|error| match life::state(layout, id).map(|state| check_that_it_runs(container, state.status)) {
        // It has ended in this moment.
        Ok(Err(why)) => exit::coded(1, format!("{why:#}")),
        _ => error,
    })
}

/// The ids of the processes of `exec` that are there: those whose parents hold their folders. None is null, as docker shows it.
pub fn running(layout: &Layout, id: &ContainerId) -> Result<Option<Vec<String>>> {
    let dirs = layout.exec_dirs(id)?.into_iter().filter(|(_, dir)| Lock::is_held(&dir.0).unwrap_or(false));
    let ids: Vec<String> = dirs.map(|(exec, _)| exec).collect();
    Ok(Some(ids).filter(|ids| !ids.is_empty()))
}

/// Removes the folder of a process whose parent is gone, or never came to be.
pub fn forget_dead(dir: &ExecDir) {
    if let Ok(Some(_held)) = Lock::try_on_dir(&dir.0) {
        let _ = std::fs::remove_dir_all(&dir.0);
    }
}

/// Docker's words for a container that no process can be made in.
pub fn check_that_it_runs(container: &Container, status: Status) -> Result<()> {
    match status {
        Status::Running => Ok(()),
        Status::Paused => bail!("Container {} is paused, unpause the container before exec", container.name),
        Status::Restarting => bail!("Container {} is restarting, wait until the container is running", container.id),
        _ => bail!("Container {} is not running", container.id),
    }
}

/// The process: the container's first one, but for what the options say.
fn process(layout: &Layout, container: &Container, args: &cli::Exec) -> Result<Process> {
    let dir = layout.container_dir(&container.id);
    let spec: Spec = publish::read_json(&dir.config_json())?;
    let mut process = spec.process.context("config.json has no process")?;
    process.args = args.command().to_vec();
    process.terminal = args.tty;
    let size = if args.tty && !args.detach { client::size() } else { None };
    process.console_size = size.map(|(height, width)| ConsoleSize { height, width });
    if let Some(cwd) = args.workdir.as_ref().filter(|cwd| !cwd.is_empty()) {
        if !cwd.starts_with('/') {
            return Err(exit::coded(exit::CANNOT_EXECUTE, "Cwd must be an absolute path"));
        }
        process.cwd = PathBuf::from(cwd);
    }
    let set_on_purpose = |name: &str| container.config.run.env.iter().flatten().any(|line| line.starts_with(name));
    if let Some(wanted) = args.user.as_ref().filter(|user| !user.is_empty()) {
        let user = rootfs::find_user(&dir.rootfs(), wanted);
        let user = user.map_err(|error| exit::coded(exit::CANNOT_EXECUTE, format!("{error:#}")))?;
        // The container's own HOME is that of the user it runs as, unless somebody set it on purpose.
        if !set_on_purpose("HOME=") {
            set_or_inherit(&mut process.env, &format!("HOME={}", user.home))?;
        }
        if user.uid != 0 {
            // As execve(2) would have it when root becomes somebody else.
            let sets = process.capabilities.get_or_insert_default();
            sets.effective.clear();
            sets.permitted.clear();
        } else if let Some(sets) = &mut process.capabilities {
            sets.effective.clone_from(&sets.bounding);
            sets.permitted.clone_from(&sets.bounding);
        }
        process.user = ProcessUser { uid: user.uid, gid: user.gid, umask: None, additional_gids: user.additional_gids };
    }
    if args.privileged {
        process.capabilities = Some(security::all_capabilities(process.user.uid)?);
    }
    if args.tty && !process.env.iter().any(|line| line.starts_with("TERM=")) {
        process.env.push("TERM=xterm".to_owned());
    }
    for file in &args.env_file {
        set_from_file(&mut process.env, file).map_err(|error| exit::coded(1, format!("{error:#}")))?;
    }
    for line in &args.env {
        set_or_inherit(&mut process.env, line)?;
    }
    process.env = without_names_alone(process.env);
    Ok(process)
}

/// Notes what happened to a process of `exec`.
fn note(layout: &Layout, container: &Container, action: &str, exec: &str, code: Option<u8>) {
    let code = code.map(|code| code.to_string());
    let code = code.iter().map(|code| ("exitCode", code.as_str()));
    let more: Vec<(&str, &str)> = std::iter::once(("execID", exec)).chain(code).collect();
    events::of_container(layout, container, action, &more);
}

//! Becoming the process that the configuration asks for: limits, capabilities, user, folder, program.
//!
//! The order matters. What needs privilege comes before the user changes, and the capabilities come last, as each
//! step before may need one of them. Only the system call filter may come after them: see [`program`].

pub mod capabilities;
mod environment;
pub mod find_program;
mod folder;
pub mod labels;
pub mod limits;
pub mod machine;
mod numbers;
pub mod program;
pub mod scheduling;
pub mod user;

use crate::narrate::narrate;
use crate::seccomp::Filter;
use crate::sys;
use anyhow::{Context, Result, bail};
use capabilities::Sets;
use environment::environment;
use find_program::find_program;
use folder::{check_inside, enter_folder};
use layout::oci::runtime::{Linux, Process};
use program::Program;
use rustix::fs::Mode;
use user::set_user;

/// What a process is to become.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its own part of the configuration.
    pub process: &'a Process,
    /// What the container's part says of all its processes.
    pub linux: &'a Linux,
    /// Its system call filter.
    pub filter: Option<&'a Filter>,
}

/// Takes on everything but the program itself and the filter, and finds the program.
pub fn become_process(wanted: Wanted<'_>, warn: &mut dyn FnMut(String)) -> Result<Program> {
    let process = wanted.process;
    // Signals and file mode mask are inherited; the container is not to depend on who starts it.
    sys::reset_signals();
    rustix::process::umask(Mode::from_raw_mode(process.user.umask.unwrap_or(0o022)));
    let env = environment(&process.env, process.user.uid);
    scheduling::apply(process)?;
    machine::apply(wanted.linux)?;
    if process.no_new_privileges {
        narrate!("no set-user-id program gives it more", "prctl(PR_SET_NO_NEW_PRIVS)");
        rustix::thread::set_no_new_privs(true).context("set no_new_privs")?;
    }
    let sets = Sets::new(process.capabilities.as_ref(), capabilities::permitted()?, warn);
    // Root may enter folders that the user may not, the user may enter some (on NFS) that root may not.
    let entered = enter_folder(&process.cwd)?;
    sets.bound()?;
    set_user(&process.user)?;
    // Who may yet gain privileges needs one to load a filter.
    let loading = match wanted.filter {
        Some(_) if !process.no_new_privileges => sets.with_sys_admin(),
        _ => sets,
    };
    loading.apply(warn)?;
    if !entered && !enter_folder(&process.cwd)? {
        bail!("enter folder {}: permission denied", process.cwd.display());
    }
    check_inside(&process.cwd)?;
    let name = process.args.first().context("the configuration names no program: process.args is empty")?;
    let path = find_program(name, &env)?;
    let program = Program::new(path, &process.args, &env, wanted.filter, (loading != sets).then_some(sets))?;
    // Last: a limit of few files or little memory is for the program, not for us.
    limits::take_on(&process.rlimits)?;
    Ok(program)
}

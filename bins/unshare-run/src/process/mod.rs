//! Becoming the process that the configuration asks for: limits, capabilities, user, folder, program.
//!
//! The order matters. What needs privilege comes before the user changes, and the capabilities come last, as each
//! step before may need one of them.

pub mod capabilities;
mod environment;
pub mod find_program;
mod folder;
mod limits;
mod user;

pub use limits::resource;

use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use capabilities::Sets;
use environment::environment;
use find_program::{exec_error, find_program};
use folder::{check_inside, enter_folder};
use layout::oci::runtime::Process;
use limits::set_limit;
use rustix::fs::Mode;
use rustix::io::Errno;
use std::ffi::CString;
use std::path::PathBuf;
use user::set_user;

/// A program that is found and ready to be executed.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<CString>,
    env: Vec<CString>,
}

/// Takes on everything but the program itself, and finds that.
pub fn become_process(process: &Process, warn: &mut dyn FnMut(String)) -> Result<Program> {
    // Signals and file mode mask are inherited; the container is not to depend on who starts it.
    sys::reset_signals();
    rustix::process::umask(Mode::from_raw_mode(process.user.umask.unwrap_or(0o022)));
    for limit in &process.rlimits {
        set_limit(limit, warn)?;
    }
    let env = environment(&process.env, process.user.uid);
    if process.no_new_privileges {
        narrate!("no set-user-id program gives it more", "prctl(PR_SET_NO_NEW_PRIVS)");
        rustix::thread::set_no_new_privs(true).context("set no_new_privs")?;
    }
    let sets = Sets::new(process.capabilities.as_ref(), capabilities::permitted()?, warn);
    // Root may enter folders that the user may not, the user may enter some (on NFS) that root may not.
    let entered = enter_folder(&process.cwd)?;
    sets.bound()?;
    set_user(&process.user)?;
    sets.apply(warn)?;
    if !entered && !enter_folder(&process.cwd)? {
        bail!("enter folder {}: permission denied", process.cwd.display());
    }
    check_inside(&process.cwd)?;
    let name = process.args.first().context("the configuration names no program: process.args is empty")?;
    let path = find_program(name, &env)?;
    let c_strings = |texts: &[String]| -> Result<Vec<CString>> {
        texts.iter().map(|text| CString::new(text.as_str()).with_context(|| format!("{text:?} holds a NUL"))).collect()
    };
    Ok(Program { args: c_strings(&process.args)?, env: c_strings(&env)?, path })
}

impl Program {
    /// The environment that it will have.
    pub fn environment(&self) -> Vec<String> {
        self.env.iter().map(|variable| variable.to_string_lossy().into_owned()).collect()
    }

    /// Executes it; it keeps standard input, output, error and the next `preserve` descriptors. Returns only to say why not.
    pub fn execute(self, preserve: u32) -> anyhow::Error {
        if let Err(error) = sys::close_on_exec_from(3).and_then(|()| sys::keep_on_exec(3..3 + preserve as i32)) {
            return anyhow::Error::new(error).context("close all other files");
        }
        narrate!("from here on it is the program", "execve({}, {:?})", self.path.display(), self.args);
        let path = match CString::new(self.path.as_os_str().as_encoded_bytes()) {
            Ok(path) => path,
            Err(error) => return error.into(),
        };
        match nix::unistd::execve(&path, &self.args, &self.env) {
            Ok(never) => match never {},
            Err(errno) => exec_error(&self.path, Errno::from_raw_os_error(errno as i32)),
        }
    }
}

//! `init`: what a process 1 has to do, for programs that were not written to be one.
//!
//! The kernel treats process 1 of a pid namespace as it does the machine's: a signal that it has no handler for does not
//! reach it, whoever has lost his parent becomes its child, and when it ends all others are ended. So it starts the
//! program as a child, for whom signals are what they are everywhere, passes on to it whatever comes, reaps whoever dies,
//! and ends as the program ends.

use crate::process::find_program::{exec_error, find_program};
use crate::run::{Signals, send};
use crate::state::Process;
use crate::sys::{self, Cloned};
use anyhow::{Context, Result, bail};
use layout::exit;
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use std::ffi::{CString, OsStr, OsString};
use std::path::Path;

/// The command line; called by the name that docker's init has, `/sbin/docker-init -- sh`, this is that of `init`.
pub fn by_name(mut args: Vec<OsString>) -> Vec<OsString> {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    if name == Some(OsStr::new("docker-init")) {
        args.insert(1, "init".into());
    }
    args
}

/// Runs the program; gives its exit code.
pub fn run(command: &[String]) -> Result<u8> {
    let leads = leads_session();
    if rustix::process::getpid() != Pid::INIT {
        // Without a pid namespace, orphans would go to the machine's process 1: this way they come to us.
        rustix::process::set_child_subreaper(Some(Pid::INIT)).context("become the reaper of orphans")?;
    }
    let signals = Signals::take()?;
    let child = match sys::fork().context("fork")? {
        Cloned::Parent { pid, pidfd } => Process { pid, pidfd },
        Cloned::Child => become_program(command, leads),
    };
    loop {
        let mut fds = [PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.context("wait for signals")?,
        };
        for signal in signals.pending()? {
            pass_on(&signal, &child, leads)?;
        }
        if let Some(code) = reap(child.pid)? {
            return Ok(code);
        }
    }
}

/// Whether the terminal, if there is one, is ours to give: we lead its session.
fn leads_session() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid())
}

/// Passes a signal on to the program. Not those of the keyboard while we share a process group with it, as then
/// the terminal sends them to it as well.
fn pass_on(signal: &crate::run::Pending, child: &Process, leads: bool) -> Result<()> {
    match Signal::try_from(signal.number) {
        Ok(Signal::SIGCHLD | Signal::SIGTTIN | Signal::SIGTTOU | Signal::SIGPIPE) => Ok(()),
        _ if signal.from_kernel && !leads => Ok(()),
        _ => send(signal.number, child),
    }
}

/// Reaps whoever has ended; gives the exit code once the program is among them.
fn reap(program: Pid) -> Result<Option<u8>> {
    let mut code = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => {
                let ended = status.exit_status().map(|code| code as u8);
                code = ended.or(status.terminating_signal().map(exit::from_signal));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(code),
            Err(error) => return Err(error).context("wait for children"),
        }
    }
}

/// The child: the program, in front of the terminal if that is ours to give.
fn become_program(command: &[String], leads: bool) -> ! {
    let error = match execute(command, leads) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("unshare-run: {error:#}");
    sys::exit_now(exit::code_of(&error));
}

fn execute(command: &[String], leads: bool) -> Result<std::convert::Infallible> {
    if leads {
        rustix::process::setpgid(None, None).context("make a process group")?;
        // SIGTTOU is blocked, as all are, so this does not stop us. Without a terminal there is nothing to give.
        let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    }
    sys::reset_signals();
    let Some(name) = command.first() else { bail!("no program is given") };
    let env: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let path = find_program(name, &env)?;
    let c_strings = |texts: &[String]| -> Result<Vec<CString>> {
        texts.iter().map(|text| CString::new(text.as_str()).with_context(|| format!("{text:?} holds a NUL"))).collect()
    };
    let program = CString::new(path.as_os_str().as_encoded_bytes())?;
    match nix::unistd::execve(&program, &c_strings(command)?, &c_strings(&env)?) {
        Ok(never) => Ok(never),
        Err(errno) => Err(exec_error(&path, Errno::from_raw_os_error(errno as i32))),
    }
}

//! Namespaces, pivot_root, capabilities: start a process that sees another machine (an OCI runtime).
//!
//! Read in this order: [`by_hand`] makes a configuration of flags and [`bundle`] reads one, [`validate`]
//! checks it; [`create`] makes the container as its parent ([`clone`], [`namespaces`], [`cgroup`], [`protocol`]), and
//! [`init`] is the other side: what the new process does with itself ([`mounts`] and all in it, [`terminal`], then
//! [`process`]). [`exec_fifo`] is the gap between `create` and `start`, [`hooks`] are run around both; [`state`] is what
//! is on disk. [`exec`] joins a container, [`run`] and [`proxy`] are the foreground, and [`reaper`] is an init to run in
//! it. Each subcommand is a file in [`commands`].

#![deny(unsafe_code)]

mod bundle;
mod by_hand;
mod cgroup;
mod cli;
mod clone;
mod commands;
mod create;
mod exec;
mod exec_fifo;
#[cfg(test)]
mod fuzz;
mod hooks;
mod init;
mod kernel_settings;
mod mounts;
mod namespaces;
mod narrate;
mod process;
mod protocol;
mod proxy;
mod rdt;
mod reaper;
mod run;
mod seccomp;
mod self_exe;
mod state;
#[allow(unsafe_code)]
mod sys;
mod terminal;
mod validate;

use clap::Parser;
use cli::Cli;
use layout::exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words = reaper::by_name(std::env::args_os().collect());
    self_exe::protect_early(&words);
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::TOOL } else { 0 });
        }
    };
    let failed = commands::exit_code_of_failure(&cli);
    let result = narrate::set_up(&cli.global).and_then(|()| commands::dispatch(cli));
    let Err(error) = result else { return exit::report("unshare-run", result) };
    narrate::log("error", &format!("{error:#}"));
    let code = exit::code_of(&error);
    let told = exit::coded(if code == exit::TOOL { failed } else { code }, format!("{error:#}"));
    exit::report("unshare-run", Err(told))
}

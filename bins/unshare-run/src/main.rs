//! Namespaces, pivot_root, capabilities: start a process that sees another machine (an OCI runtime).
//!
//! Read in this order: [`spec_from_flags`] makes a configuration of flags and [`bundle`] reads one, [`validate`]
//! checks it; [`create`] makes the container as its parent ([`clone`], [`namespaces`], [`cgroup`], [`protocol`]), and
//! [`init`] is the other side: what the new process does with itself ([`mounts`] and all in it, [`terminal`], then
//! [`process`]). [`exec_fifo`] is the gap between `create` and `start`; [`state`] is what is on disk, for [`kill`],
//! [`delete`], [`exec`] and [`list`]. [`run`] and [`proxy`] are the foreground.

#![deny(unsafe_code)]

mod bundle;
mod cgroup;
mod cli;
mod clone;
mod create;
mod delete;
mod exec;
mod exec_fifo;
mod init;
mod kernel_settings;
mod kill;
mod list;
mod mounts;
mod namespaces;
mod narrate;
mod process;
mod protocol;
mod proxy;
mod run;
mod seccomp;
mod self_exe;
mod spec_from_flags;
mod start;
mod state;
#[allow(unsafe_code)]
mod sys;
mod terminal;
mod validate;

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Cli, Command};
use layout::exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::TOOL } else { 0 });
        }
    };
    let result = narrate::set_up(&cli.global).and_then(|()| dispatch(cli));
    if let Err(error) = &result {
        narrate::log("error", &format!("{error:#}"));
    }
    exit::report("unshare-run", result)
}

fn dispatch(cli: Cli) -> Result<u8> {
    let root = match cli.global.root {
        Some(root) => std::path::absolute(root)?,
        None => layout::Layout::from_env()?.runtime_root(),
    };
    let done = |()| 0;
    match cli.command {
        None => start::by_hand(&root, &cli.hand),
        Some(_) if cli.hand != cli::Hand::default() => {
            bail!(
                "read the command line: options by hand go with `-- COMMAND`, or after `spec`, not with other subcommands"
            )
        }
        Some(Command::Create(options)) => start::create(&root, &options).map(done),
        Some(Command::Start { id }) => start::start(&root, &id).map(done),
        Some(Command::Run(options)) => start::run(&root, &options),
        Some(Command::State { id }) => list::state(&root, &id).map(print),
        Some(Command::Kill(options)) => kill::kill(&root, &options.id, &options.signal, options.all).map(done),
        Some(Command::Delete(options)) => delete::delete(&root, &options.id, options.force).map(done),
        Some(Command::Exec(options)) => start::exec(&root, &options),
        Some(Command::List(options)) => list::list(&root, &options).map(print),
        Some(Command::Spec(hand)) => start::spec(&hand).map(print),
    }
}

/// Prints what a command has to say; an empty list says nothing.
fn print(text: String) -> u8 {
    if !text.is_empty() {
        exit::end_with_the_reader();
        println!("{text}");
    }
    0
}

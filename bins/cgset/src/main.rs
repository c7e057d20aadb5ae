//! cgset: how much of the machine a process may use. One subcommand is one verb on a cgroup's folders.
#![deny(unsafe_code)]

mod cli;
mod convert;
mod create;
mod delete;
mod devices;
mod devices_bpf;
mod devices_v1;
mod freeze;
mod group;
mod hierarchy;
mod kill;
mod limits;
mod processes;
mod show;
mod stats;
#[allow(unsafe_code)]
mod sys;
mod v1;
mod v2;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Cli, Command};
use group::Group;
use hierarchy::Hierarchy;
use limits::Limits;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => layout::exit::report("cgset", run(cli)),
        Err(usage) => {
            let failed = usage.use_stderr();
            // Nothing is left to be told of a closed standard output or error.
            let _ = usage.print();
            ExitCode::from(if failed { layout::exit::TOOL } else { 0 })
        }
    }
}

fn run(cli: Cli) -> Result<u8> {
    let group = |name: &str| -> Result<Group> { Ok(Group::new(name.parse()?, Hierarchy::detect()?, cli.verbose)) };
    match cli.command {
        Command::Create { name, limits, pids, json } => {
            let group = group(&name)?;
            let answer = || if json { print_json(&show::Folders::of(&group)) } else { Ok(()) };
            create::create(&group, &Limits::from_args(&limits)?, &pids, answer)?;
        }
        Command::Set { name, limits, pids } => create::set(&group(&name)?, &Limits::from_args(&limits)?, &pids)?,
        Command::Show { name, json } => show::show(&group(&name)?, json)?,
        Command::Add { name, pids } => create::add(&group(&name)?, &pids)?,
        Command::Exec { name, command } => return Err(create::exec(&group(&name)?, &command)),
        Command::Stats { name, json } => stats::print(&group(&name)?, json)?,
        Command::Freeze { name } => {
            let group = group(&name)?;
            group.require()?;
            freeze::freeze(&group)?;
        }
        Command::Thaw { name } => {
            let group = group(&name)?;
            group.require()?;
            freeze::thaw(&group)?;
        }
        Command::Kill { name, signal } => {
            let signal = kill::parse_signal(&signal)?;
            let group = group(&name)?;
            group.require()?;
            kill::kill(&group, signal)?;
        }
        Command::Delete { name, kill, parents } => {
            let group = group(&name)?;
            if kill {
                kill::kill(&group, rustix::process::Signal::KILL)?;
            }
            delete::delete(&group, parents)?;
        }
        Command::Where { name, folders: _, json: true } => print_json(&show::Folders::of(&group(&name)?))?,
        Command::Where { name, folders, json: false } => show::print_where(&group(&name)?, folders)?,
    }
    Ok(0)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string(value).context("encode JSON")?;
    writeln!(std::io::stdout(), "{json}").context("write to standard output")
}

//! cgset: how much of the machine a process may use. One subcommand is one verb on a cgroup's folders.
#![deny(unsafe_code)]

mod absent;
mod cli;
mod control_files;
mod convert;
mod create;
mod delegate;
mod delete;
mod devices;
mod devices_bpf;
mod devices_v1;
mod events;
mod freeze;
mod group;
mod hierarchy;
mod kill;
mod limits;
mod make_room;
mod processes;
mod refused;
mod show;
mod stats;
#[allow(unsafe_code)]
mod sys;
mod v1;
mod v2;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Cli, Command, Deferred};
use create::Options;
use group::Group;
use hierarchy::Hierarchy;
use limits::Limits;
use show::Part;
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
        Command::Create(Deferred(args)) => {
            let group = group(&args.name)?;
            let limits = Limits::from_args(&args.limits, &group.hierarchy)?;
            let answer = || if args.json { print_json(&show::Folders::of(&group)) } else { Ok(()) };
            let options = Options { owner: args.delegate, make_room: args.make_room };
            create::create(&group, &limits, &options, &args.pids, answer)?;
        }
        Command::Set(Deferred(args)) => {
            let group = group(&args.name)?;
            create::set(&group, &Limits::from_args(&args.limits, &group.hierarchy)?, &args.pids)?;
        }
        Command::Show { name, json } => show::show(&group(&name)?, json)?,
        Command::Add { name, pids } => create::add(&group(&name)?, &pids)?,
        Command::Exec { name, command } => return Err(create::exec(&group(&name)?, &command)),
        Command::Processes { name, json } => processes::print(&group(&name)?, json)?,
        Command::Stats { name, json } => stats::print(&group(&name)?, json)?,
        Command::Events { name, json } => events::print(&group(&name)?, json)?,
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
        Command::Where { name, folders, all, file, json } => {
            let part = match (folders, all, &file) {
                (true, ..) => Part::Folders,
                (_, true, _) => Part::All,
                (.., Some(name)) => Part::File(name),
                _ => Part::Written,
            };
            show::print_where(&group(&name)?, part, json)?;
        }
    }
    Ok(0)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string(value).context("encode JSON")?;
    writeln!(std::io::stdout(), "{json}").context("write to standard output")
}

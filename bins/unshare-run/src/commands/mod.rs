//! The subcommands, one a file: what each has to do before and around the mechanism that it asks for.

mod by_hand;
mod create;
pub mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod update;

use crate::cli::{Cli, Command, Hand};
use anyhow::{Result, bail};
use layout::exit;

/// What the tool exits with when it fails: by hand as all our tools, with a subcommand as runc does.
pub fn exit_code_of_failure(cli: &Cli) -> u8 {
    match cli.command {
        None | Some(Command::Spec(_)) => exit::TOOL,
        // Here 1 may as well be the program's own.
        Some(Command::Exec(_)) => 255,
        Some(_) => 1,
    }
}

/// Does what the command line says; gives the exit code.
pub fn dispatch(cli: Cli) -> Result<u8> {
    let root = match cli.global.root {
        Some(root) => std::path::absolute(root)?,
        None => layout::Layout::from_env()?.runtime_root(),
    };
    let done = |()| 0;
    if cli.global.systemd_cgroup && matches!(cli.command, Some(Command::Create(_) | Command::Run(_))) {
        bail!("--systemd-cgroup: cgroups by way of systemd are not supported, leave the flag out");
    }
    match cli.command {
        None => by_hand::by_hand(&root, &cli.hand),
        Some(_) if cli.hand != Hand::default() => {
            bail!(
                "read the command line: options by hand go with `-- COMMAND`, or after `spec`, not with other subcommands"
            )
        }
        Some(Command::Create(options)) => create::create(&root, &options).map(done),
        Some(Command::Start(options)) => start::start(&root, &options.id).map(done),
        Some(Command::Run(options)) => run::run(&root, &options),
        Some(Command::State(options)) => state::state(&root, &options.id).map(print),
        Some(Command::Kill(options)) => kill::kill(&root, &options.id, &options.signal, options.all).map(done),
        Some(Command::Delete(options)) => delete::delete(&root, &options.id, options.force).map(done),
        Some(Command::Exec(options)) => exec::exec(&root, &options),
        Some(Command::List(options)) => list::list(&root, &options).map(print),
        Some(Command::Init { command }) => crate::reaper::run(&command),
        Some(Command::Ps(options)) => ps::ps(&root, &options).map(print),
        Some(Command::Pause(options)) => pause::pause(&root, &options.id).map(done),
        Some(Command::Resume(options)) => pause::resume(&root, &options.id).map(done),
        Some(Command::Update(options)) => update::update(&root, &options).map(done),
        Some(Command::Events(options)) => events::events(&root, &options).map(done),
        Some(Command::Features) => features::features().map(print),
        Some(Command::Checkpoint(_) | Command::Restore(_)) => {
            bail!("checkpoint and restore are not supported by this runtime")
        }
        Some(Command::Spec(options)) => spec::spec(&options).map(print),
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

//! `ctr`: the engine. Docker's command line over six tools, and the parent of each running container.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`commands`] | from a command to its work |
//! | [`plan`] | the steps of a command, which are done, or shown (`--explain`) |
//! | [`create`], [`spec`] | from an image and options to a container on disk, and to the runtime's `config.json` |
//! | [`life`] | starting, stopping, removing, and what is true when somebody was killed |
//! | [`shim`] | the parent of one container |
//! | [`protocol`], [`client`] | what the shim and its clients say to each other |
//! | [`runtime`] | calls of the runtime |
//! | [`exec`] | another process in a container, and its parent |
//! | [`defaults`] | what the user is used to, by docker's `config.json` |
//! | [`update`] | other limits for a container that is there |
//! | [`signal`] | signals as users write them |
//! | [`registry`] | when an image is pulled, and the commands that pull and push |
//! | [`show`] | what the user sees |
//! | [`volume`] | making and removing volumes |
//! | [`doctor`] | what this machine can do |

#![deny(unsafe_code)]

mod cli;
mod client;
mod commands;
mod create;
mod defaults;
mod doctor;
mod exec;
mod life;
mod plan;
mod protocol;
mod registry;
mod runtime;
mod shim;
mod show;
mod signal;
mod spec;
#[allow(unsafe_code)]
mod sys;
mod update;
mod volume;

use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let done = match words.get(1) {
        Some(word) if word == "shim" => cli::Shim::try_parse_from(&words[1..]).map(|shim| commands::shim(shim.command)),
        _ => parse(&words).map(commands::run),
    };
    match done {
        Ok(result) => layout::exit::report("ctr", result),
        Err(error) => {
            match unknown_command(&error, &words) {
                Some(words) => eprintln!("{words}\nSee 'ctr --help'"),
                // When printing fails there is nobody left to tell.
                None => drop(error.print()),
            }
            ExitCode::from(wrong_usage(&error))
        }
    }
}

/// Reads the command line: in the plain form, in which `--help` is, or else in the one that takes whatever docker takes.
fn parse(words: &[OsString]) -> Result<cli::Cli, clap::Error> {
    let plain = || cli::grouped(cli::Cli::command());
    let matches = match plain().try_get_matches_from(words) {
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(error),
        Err(error) if error.use_stderr() => cli::as_pflag(plain()).try_get_matches_from(words),
        matches => matches,
    };
    cli::Cli::from_arg_matches(&matches?)
}

/// What is said of a first word that is no command, in docker's words. Two that docker has are to come.
fn unknown_command(error: &clap::Error, words: &[OsString]) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let command = words.iter().skip(1).find(|word| !word.as_encoded_bytes().starts_with(b"-"))?;
    match name.as_str() {
        _ if command != name.as_str() => None,
        "compose" | "network" => Some(format!("ctr: '{name}' is not there yet")),
        _ => Some(format!("ctr: '{name}' is not a ctr command.")),
    }
}

/// Docker's exit code for a command line that makes no sense: 1 for words that are too many or too few, or no command at all; else it is
/// about an option. That somebody asks for help is no mistake.
fn wrong_usage(error: &clap::Error) -> u8 {
    use clap::error::{ContextKind, ErrorKind as E};
    let is_option = || error.get(ContextKind::InvalidArg).is_some_and(|arg| arg.to_string().starts_with('-'));
    match error.kind() {
        E::DisplayHelp | E::DisplayVersion | E::DisplayHelpOnMissingArgumentOrSubcommand => 0,
        E::InvalidSubcommand | E::MissingSubcommand | E::MissingRequiredArgument => 1,
        E::UnknownArgument | E::TooFewValues if !is_option() => 1,
        _ => layout::exit::TOOL,
    }
}

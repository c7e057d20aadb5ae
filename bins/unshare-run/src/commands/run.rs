//! `run`: create and start in one, and stay until its end.

use super::create::{detached_console, kept_fds, prepare, read_bundle, request};
use crate::cli;
use crate::create::{self, Console};
use crate::run::{self, Forward, Signals};
use anyhow::Result;
use std::path::Path;

/// `run`: create and start in one.
pub fn run(root: &Path, options: &cli::Run) -> Result<u8> {
    prepare(kept_fds(&options.create))?;
    let (bundle, spec) = read_bundle(&options.create)?;
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    let console = match (&options.create.console_socket, options.detach) {
        (None, false) if terminal => Console::Ours,
        _ => detached_console(&options.create),
    };
    if options.detach {
        create::create(&request(root, &options.create, &bundle, &spec, false, console))?;
        return Ok(0);
    }
    let signals = Signals::take()?;
    let created = create::create(&request(root, &options.create, &bundle, &spec, false, console))?;
    run::foreground(created, &signals, Forward::All, options.keep)
}

//! A root filesystem that another program writes as a tar to its standard output.

use crate::interrupt::{self, Helper};
use crate::untar::{self, Summary};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};

/// What becomes of the program's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is the cause of our own error.
    Kept,
    /// The user sees it as it comes: the program takes long, and tells how far it is.
    Shown,
}

/// Runs the program and extracts what it writes into `dest`, an empty folder of our own. `end` is the signal that ends the
/// program when we are stopped.
///
/// # Errors
/// The program fails, or what it writes is no archive of a root filesystem.
pub fn extract(command: &mut Command, end: Signal, said: Said, dest: &Path) -> Result<Summary> {
    let mut errors = tempfile::tempfile().context("make a temporary file")?;
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if said == Said::Kept {
        command.stderr(errors.try_clone().context("share a temporary file")?);
    }
    let mut helper = Helper::start(command, end)?;
    let archive = helper.child.stdout.take().context("take its standard output")?;
    // It reads to the end; or closes its own, when this is no archive, and so stops a program that has more to write.
    let extracted = untar::extract(archive, dest);
    let status = helper.wait()?;
    interrupt::check()?;
    // An archive that breaks off is what a program leaves that has failed: that it has is the better news.
    if !status.success() && !is_broken_pipe(status) {
        let mut text = String::new();
        errors.rewind().and_then(|()| errors.read_to_string(&mut text)).context("read what it said")?;
        match text.trim_end() {
            "" => bail!("{status}"),
            text => bail!("{text}"),
        }
    }
    extracted
}

/// Whether it ended because we no longer listened.
fn is_broken_pipe(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(Signal::SIGPIPE as i32)
}

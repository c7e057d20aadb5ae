//! Leaving the terminal: a child goes on in the background, the parent learns how it started and ends.

use crate::sys::{self, Fork};
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{Read, Write};

/// What the child says when it is ready. Anything else is what went wrong.
const READY: &str = "ready";

/// The child's way to tell its parent, once.
#[derive(Debug)]
pub struct Parent(File);

/// Forks. In the parent: waits for the child's word and gives `None`. In the child: gives the way to say it.
///
/// The child is in a session of its own: closing the terminal sends it no SIGHUP, and Ctrl-C no SIGINT.
///
/// # Errors
/// In the parent, what the child failed with.
pub fn go_to_background() -> Result<Option<Parent>> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).context("make a pipe")?;
    match sys::fork().context("fork")? {
        Fork::Child => {
            rustix::process::setsid().context("start a session")?;
            Ok(Some(Parent(write.into())))
        }
        Fork::Parent => {
            // Else the pipe never ends, should the child die without a word.
            drop(write);
            let mut word = String::new();
            File::from(read).read_to_string(&mut word).context("listen to the background process")?;
            match word.as_str() {
                READY => Ok(None),
                "" => bail!("the background process ended before it was ready"),
                other => bail!("{other}"),
            }
        }
    }
}

impl Parent {
    /// Lets go of the caller's terminal and folder, then tells the parent that all is well.
    pub fn ready(mut self) -> Result<()> {
        rustix::process::chdir("/").context("change folder to /")?;
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).context("open /dev/null")?;
        nix::unistd::dup2_stdin(&null).context("let go of standard input")?;
        nix::unistd::dup2_stdout(&null).context("let go of standard output")?;
        nix::unistd::dup2_stderr(&null).context("let go of standard error")?;
        self.0.write_all(READY.as_bytes()).context("tell the parent")
    }

    /// Tells the parent what went wrong; it is the parent that says so to the user.
    pub fn failed(mut self, error: &anyhow::Error) {
        // Without a parent there is nobody to tell.
        let _ = self.0.write_all(format!("{error:#}").as_bytes());
    }
}

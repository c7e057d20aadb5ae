//! Ctrl-C and SIGTERM as something that is asked for, not something that happens: signalfd(2).
//!
//! The signals are blocked, so they end nobody; they wait in a file descriptor that is polled together with
//! the child that runs. So there is no handler, and what has to be cleaned up is cleaned up by ordinary returns.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::cell::Cell;
use std::os::fd::AsFd;
use std::time::Duration;

/// The signals that end a build.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The blocked signals.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    received: Cell<Option<Signal>>,
}

/// What happened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The other file descriptor is readable.
    Readable,
    /// A signal came.
    Signal,
    /// Neither, for the time that was given.
    Nothing,
}

impl Signals {
    /// Blocks the signals from now on. Programs that are started get an empty mask from the standard library.
    pub fn block() -> Result<Signals> {
        let set: SigSet = ENDING.into_iter().collect();
        set.thread_block().context("block signals")?;
        let fd =
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("make a signalfd")?;
        Ok(Signals { fd, received: Cell::new(None) })
    }

    /// Goes on, unless a signal came.
    ///
    /// # Errors
    /// The signal, with 128 and its number as exit code.
    pub fn check(&self) -> Result<()> {
        self.take()?;
        match self.received.get() {
            Some(signal) => {
                Err(layout::exit::coded(layout::exit::from_signal(signal as i32), format!("ended by {signal}")))
            }
            None => Ok(()),
        }
    }

    /// Waits until `fd` is readable or a new signal comes, no longer than `timeout`.
    pub fn wait(&self, fd: impl AsFd, timeout: Option<Duration>) -> Result<Event> {
        let timeout = timeout.map(Timespec::try_from).transpose().context("wait for a child")?;
        loop {
            let mut fds = [PollFd::new(&fd, PollFlags::IN), PollFd::new(&self.fd, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Ok(Event::Nothing),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for a child"),
            }
            if !fds[0].revents().is_empty() {
                return Ok(Event::Readable);
            }
            if self.take()? {
                return Ok(Event::Signal);
            }
        }
    }

    /// Reads a pending signal; whether there was one.
    fn take(&self) -> Result<bool> {
        match self.fd.read_signal() {
            Ok(None) => Ok(false),
            Ok(Some(info)) => {
                let signal = Signal::try_from(info.ssi_signo as i32).context("read a signal")?;
                self.received.set(Some(signal));
                Ok(true)
            }
            Err(error) => bail!("read a signal: {error}"),
        }
    }
}

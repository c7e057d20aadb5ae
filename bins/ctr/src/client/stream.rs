//! Being connected: what is written there comes out here, what is typed here goes in there.

use super::terminal::{RawTerminal, size};
use super::{Manner, Session};
use crate::protocol::{Control, Kind, control, encode};
use anyhow::{Context, Result, bail};
use layout::exit;
use layout::lock::Lock;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// What is passed on to a container.
const FORWARDED: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// One end of a connection: a container's first process, or one of `exec`, is at the other.
pub struct Link<'a> {
    /// The connection.
    pub session: Session,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it reads anything.
    pub input: bool,
    /// How we are connected.
    pub manner: &'a Manner,
    /// Sends a signal on. Without it signals do to us what they do to any program.
    pub forward: Option<&'a dyn Fn(Signal)>,
    /// What to say when the other side is gone without a word.
    pub lost: String,
    /// What nobody else may hold until it runs.
    pub held: Option<Lock>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the process, which had this exit code.
    Exited(u8),
    /// The user has left; the process goes on.
    Detached,
}

impl End {
    /// The exit code for it, where leaving is no failure (`run`, `start`).
    pub fn code(self) -> u8 {
        match self {
            End::Exited(code) => code,
            End::Detached => 0,
        }
    }

    /// The exit code for it, and docker's words, where it is one (`attach`, `exec`).
    pub fn or_failure(self) -> Result<u8> {
        match self {
            End::Exited(code) => Ok(code),
            End::Detached => {
                eprintln!("read escape sequence");
                Ok(1)
            }
        }
    }
}

/// Tells the other side the size of this terminal.
pub fn announce_size(session: &mut Session, tty: bool) -> Result<()> {
    match size() {
        Some((rows, cols)) if tty => session.say(&Control::Resize { rows, cols }),
        _ => Ok(()),
    }
}

/// Passes streams, sizes and signals on until the process ends or the user leaves.
pub fn run(link: Link<'_>) -> Result<End> {
    let reads_input = link.manner.interactive && link.input;
    let raw = if reads_input && link.tty { RawTerminal::enter()? } else { None };
    let caught = match (link.forward, &raw) {
        (Some(_), _) => FORWARDED.into_iter().collect(),
        // They end us, and the terminal has to be restored before.
        (None, Some(_)) => [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect(),
        (None, None) => SigSet::empty(),
    };
    link.session.socket.set_nonblocking(true).context("connect to the container")?;
    let mut attached = Attached {
        reads_input,
        detach_keys: link.manner.detach_keys.clone(),
        link,
        to_send: Vec::new(),
        end: None,
        ended_by: None,
    };
    let end = attached.serve(caught);
    drop(raw);
    match attached.ended_by {
        Some(signal) => die_of(signal),
        None => end,
    }
}

/// Ends as if the signal had not been caught.
fn die_of(signal: Signal) -> Result<End> {
    let _ = SigSet::from(signal).thread_unblock();
    let _ = nix::sys::signal::raise(signal);
    Err(exit::silent(exit::from_signal(signal as i32)))
}

struct Attached<'a> {
    link: Link<'a>,
    /// What the other side has not taken yet. As long as there is some, no input is read.
    to_send: Vec<u8>,
    reads_input: bool,
    detach_keys: super::DetachKeys,
    end: Option<End>,
    /// The signal that is to end us.
    ended_by: Option<Signal>,
}

impl Attached<'_> {
    fn serve(&mut self, mut signals: SigSet) -> Result<End> {
        signals.add(Signal::SIGWINCH);
        // A shim that is gone is an error to be told, not a reason to die silently.
        signals.add(Signal::SIGPIPE);
        signals.thread_block().context("block signals")?;
        let signal_file = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("make a file for signals")?;
        let stdin = std::io::stdin();
        loop {
            let reads_input = self.reads_input && self.to_send.is_empty();
            let writing = if self.to_send.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            let mut fds = vec![
                PollFd::new(&self.link.session.socket, PollFlags::IN | writing),
                PollFd::from_borrowed_fd(signal_file.as_fd(), PollFlags::IN),
            ];
            if reads_input {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for events"),
            }
            let woken: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if woken[1] {
                self.signals(&signal_file)?;
            }
            if reads_input && woken[2] {
                self.read_input(stdin.as_fd())?;
            }
            self.flush();
            if woken[0] {
                self.receive()?;
            }
            if let Some(end) = self.end {
                return Ok(end);
            }
        }
    }

    /// Reads what the shim sent: output, or the end.
    fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; 32 << 10];
        let gone = match self.link.session.socket.read(&mut buffer) {
            Ok(n) => {
                self.link.session.decoder.push(&buffer[..n]);
                n == 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
            Err(_) => true,
        };
        while let Some((kind, payload)) = self.link.session.decoder.next()? {
            match kind {
                Kind::Stdout if self.link.manner.hides[0] => {}
                Kind::Stderr if self.link.manner.hides[1] => {}
                Kind::Stdout => self.write_out(std::io::stdout(), &payload)?,
                Kind::Stderr => self.write_out(std::io::stderr(), &payload)?,
                Kind::Stdin => {}
                Kind::Control => match serde_json::from_slice(&payload).context("understand the shim")? {
                    Control::Started => self.link.held = None,
                    Control::Exited { code } => self.end = Some(End::Exited(code)),
                    Control::Failed { code, message } => return Err(exit::coded(code, message)),
                    Control::Refused { message } => bail!(message),
                    _ => {}
                },
            }
        }
        if gone && self.end.is_none() {
            bail!("{}", self.link.lost);
        }
        Ok(())
    }

    /// When nobody reads our output any more (`| head -1`) we end as by SIGPIPE, and the container goes on.
    fn write_out(&mut self, mut stream: impl Write, bytes: &[u8]) -> Result<()> {
        match stream.write_all(bytes).and_then(|()| stream.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.end = Some(End::Exited(exit::from_signal(libc::SIGPIPE)));
                Ok(())
            }
            other => other.context("write what the container wrote"),
        }
    }

    fn read_input(&mut self, stdin: impl AsFd) -> Result<()> {
        let mut buffer = [0; 16 << 10];
        match rustix::io::read(stdin, &mut buffer) {
            Ok(0) => {
                self.reads_input = false;
                self.to_send.extend(encode(Kind::Stdin, b""));
            }
            Ok(n) => self.type_in(&buffer[..n]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            // A terminal that was hung up.
            Err(rustix::io::Errno::IO) => self.reads_input = false,
            Err(error) => return Err(error).context("read standard input"),
        }
        Ok(())
    }

    /// Passes keys on, until they are those that leave.
    fn type_in(&mut self, bytes: &[u8]) {
        if !self.link.tty {
            self.to_send.extend(encode(Kind::Stdin, bytes));
            return;
        }
        let (keys, leaves) = self.detach_keys.pass(bytes);
        if !keys.is_empty() {
            self.to_send.extend(encode(Kind::Stdin, &keys));
        }
        if leaves {
            self.end = Some(End::Detached);
        }
    }

    fn flush(&mut self) {
        while !self.to_send.is_empty() {
            match self.link.session.socket.write(&self.to_send) {
                Ok(n) => drop(self.to_send.drain(..n)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The shim is gone; `receive` finds out and says so.
                Err(_) => return self.to_send.clear(),
            }
        }
    }

    /// A new terminal size goes to the shim, a signal to the container.
    fn signals(&mut self, file: &SignalFd) -> Result<()> {
        while let Some(info) = file.read_signal().context("read a signal")? {
            let signal = Signal::try_from(info.ssi_signo as i32).context("read a signal")?;
            match (signal, self.link.forward) {
                (Signal::SIGWINCH, _) => {
                    if let (true, Some((rows, cols))) = (self.link.tty, size()) {
                        self.to_send.extend(control(&Control::Resize { rows, cols })?);
                    }
                }
                (Signal::SIGPIPE, _) => {}
                (_, Some(forward)) => forward(signal),
                (_, None) => {
                    self.ended_by = Some(signal);
                    self.end = Some(End::Detached);
                }
            }
        }
        Ok(())
    }
}

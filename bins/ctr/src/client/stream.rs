//! Being attached: what the container writes comes out here, what is typed here goes in there.

use super::Session;
use super::terminal::{RawTerminal, size};
use crate::protocol::{Control, Kind, control, encode};
use crate::runtime;
use anyhow::{Context, Result, bail};
use layout::container::Container;
use layout::lock::Lock;
use layout::{Layout, exit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// Ctrl-P Ctrl-Q leaves a container running.
const DETACH_KEYS: [u8; 2] = [0x10, 0x11];

/// What is passed on to the container when it has no terminal of its own to make signals from keys.
const FORWARDED: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// Tells the container the size of this terminal.
pub fn announce_size(session: &mut Session, container: &Container) -> Result<()> {
    match size() {
        Some((rows, cols)) if container.config.tty => session.say(&Control::Resize { rows, cols }),
        _ => Ok(()),
    }
}

/// Passes streams, sizes and signals on until the container ends, and gives its exit code; or 0 when the user
/// detaches.
pub fn run(
    layout: &Layout,
    session: Session,
    container: &Container,
    interactive: bool,
    held: Option<Lock>,
) -> Result<u8> {
    let interactive = interactive && container.config.open_stdin;
    let _raw = if interactive && container.config.tty { RawTerminal::enter()? } else { None };
    let mut attached = Attached {
        layout,
        container,
        session,
        to_send: Vec::new(),
        reads_input: interactive,
        detach_keys_seen: 0,
        outcome: None,
        held,
    };
    attached.session.socket.set_nonblocking(true).context("connect to the shim")?;
    attached.serve()
}

struct Attached<'a> {
    layout: &'a Layout,
    container: &'a Container,
    session: Session,
    /// What the shim has not taken yet. As long as there is some, no input is read.
    to_send: Vec<u8>,
    reads_input: bool,
    detach_keys_seen: usize,
    outcome: Option<u8>,
    /// What nobody else may hold until the container runs.
    held: Option<Lock>,
}

impl Attached<'_> {
    fn serve(&mut self) -> Result<u8> {
        let mut signals: SigSet = FORWARDED.into_iter().collect();
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
                PollFd::new(&self.session.socket, PollFlags::IN | writing),
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
            if let Some(code) = self.outcome {
                return Ok(code);
            }
        }
    }

    /// Reads what the shim sent: output, or the end.
    fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; 32 << 10];
        let gone = match self.session.socket.read(&mut buffer) {
            Ok(n) => {
                self.session.decoder.push(&buffer[..n]);
                n == 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
            Err(_) => true,
        };
        while let Some((kind, payload)) = self.session.decoder.next()? {
            match kind {
                Kind::Stdout => self.write_out(std::io::stdout(), &payload)?,
                Kind::Stderr => self.write_out(std::io::stderr(), &payload)?,
                Kind::Stdin => {}
                Kind::Control => match serde_json::from_slice(&payload).context("understand the shim")? {
                    Control::Started => self.held = None,
                    Control::Exited { code } => self.outcome = Some(code),
                    Control::Failed { code, message } => return Err(exit::coded(code, message)),
                    _ => {}
                },
            }
        }
        if gone && self.outcome.is_none() {
            bail!("lost {}: its shim was killed, and the container with it", self.container.name);
        }
        Ok(())
    }

    /// When nobody reads our output any more (`| head -1`) we end as by SIGPIPE, and the container goes on.
    fn write_out(&mut self, mut stream: impl Write, bytes: &[u8]) -> Result<()> {
        match stream.write_all(bytes).and_then(|()| stream.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.outcome = Some(exit::from_signal(libc::SIGPIPE));
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

    /// Passes keys on; the first detach key is held back until it is clear whether the second follows.
    fn type_in(&mut self, bytes: &[u8]) {
        if !self.container.config.tty {
            self.to_send.extend(encode(Kind::Stdin, bytes));
            return;
        }
        let mut keys = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if byte == DETACH_KEYS[self.detach_keys_seen] {
                self.detach_keys_seen += 1;
                if self.detach_keys_seen == DETACH_KEYS.len() {
                    self.outcome = Some(0);
                    break;
                }
                continue;
            }
            keys.extend_from_slice(&DETACH_KEYS[..std::mem::take(&mut self.detach_keys_seen)]);
            if byte == DETACH_KEYS[0] {
                self.detach_keys_seen = 1;
            } else {
                keys.push(byte);
            }
        }
        if !keys.is_empty() {
            self.to_send.extend(encode(Kind::Stdin, &keys));
        }
    }

    fn flush(&mut self) {
        while !self.to_send.is_empty() {
            match self.session.socket.write(&self.to_send) {
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
            if signal == Signal::SIGWINCH {
                if let (true, Some((rows, cols))) = (self.container.config.tty, size()) {
                    self.to_send.extend(control(&Control::Resize { rows, cols })?);
                }
                continue;
            }
            if signal == Signal::SIGPIPE {
                continue;
            }
            let name = signal.as_str().trim_start_matches("SIG");
            // It may have ended in this moment; then the shim is about to say so.
            let _ = runtime::kill(self.layout, &self.container.id, name).run();
        }
        Ok(())
    }
}

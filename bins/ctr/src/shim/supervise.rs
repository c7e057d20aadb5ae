//! The shim's loop: one thread that waits for everything at once and never for one thing alone.

use super::clients::Client;
use super::json_log::JsonLog;
use super::{Ended, Shim};
use crate::protocol::{Control, Kind};
use anyhow::{Context, Result};
use layout::exit;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal as KernelSignal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::os::fd::AsFd;

/// Input that the container has not read yet; beyond this, clients wait.
const MAX_INPUT: usize = 1 << 20;

/// What the loop keeps.
struct Supervisor {
    shim: Shim,
    log: JsonLog,
    clients: Vec<Client>,
    /// Input that the container has not taken yet.
    input: Vec<u8>,
    /// Whether the input ends after what is queued.
    input_ends: bool,
}

/// Serves the container until it has ended, then takes it down.
pub fn supervise(shim: Shim) -> Result<()> {
    let log = JsonLog::open(&shim.layout.container_dir(&shim.container.id).log(&shim.container.id))?;
    let mut supervisor = Supervisor { shim, log, clients: Vec::new(), input: Vec::new(), input_ends: false };
    let ended = supervisor.serve()?;
    let word = supervisor.shim.finish(ended);
    // Somebody may have connected since the loop ended, and waits for a word.
    supervisor.accept();
    for client in &mut supervisor.clients {
        client.say(&word);
    }
    // Those who only wait have their word now; those who are attached may take their time to read the rest.
    for client in &mut supervisor.clients {
        client.flush_all();
    }
    Ok(())
}

/// What woke the loop.
#[derive(Clone, Copy)]
enum Source {
    Process,
    Signal,
    Listener,
    Input,
    Output(usize),
    Client(usize),
}

impl Supervisor {
    /// The loop. Ends when the container has ended or will not be started.
    fn serve(&mut self) -> Result<Ended> {
        // Nothing but SIGKILL ends a shim before its container: a signal is read like any other event.
        let mut signals = SigSet::all();
        signals.remove(Signal::SIGCHLD);
        signals.thread_block().context("block signals")?;
        let signal_file = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("make a file for signals")?;
        loop {
            for source in self.wait(&signal_file)? {
                match source {
                    Source::Process => return Ok(self.process_ended()),
                    Source::Signal => self.signal(&signal_file),
                    Source::Listener => self.accept(),
                    Source::Input => self.feed_input(),
                    Source::Output(i) => drop(self.read_output(i)),
                    Source::Client(i) => {
                        if let Some(ended) = self.serve_client(i) {
                            return Ok(ended);
                        }
                    }
                }
            }
            self.part_with_clients();
            self.shim.streams.outputs.retain(|(kind, _)| *kind != Kind::Control);
        }
    }

    /// Forgets the clients that are gone. The input of a container that was started with one (`run -i`) ends with it.
    fn part_with_clients(&mut self) {
        let typed_in = |client: &Client| client.typed && !client.alive;
        if self.clients.iter().any(typed_in) && self.shim.container.config.stdin_once && !self.shim.streams.tty {
            self.input_ends = true;
            self.feed_input();
        }
        self.clients.retain(|client| client.alive);
    }

    /// Waits for something to happen (poll(2)) and says what.
    fn wait(&self, signals: &SignalFd) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Process, Source::Signal, Source::Listener];
        let mut fds = vec![
            PollFd::new(&self.shim.pidfd, PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            PollFd::new(&self.shim.listener, PollFlags::IN),
        ];
        if let (Some(stdin), false) = (&self.shim.streams.stdin, self.input.is_empty()) {
            sources.push(Source::Input);
            fds.push(PollFd::new(stdin, PollFlags::OUT));
        }
        if !self.clients.iter().any(Client::is_behind) {
            for (i, (_, fd)) in self.shim.streams.outputs.iter().enumerate() {
                sources.push(Source::Output(i));
                fds.push(PollFd::new(fd, PollFlags::IN));
            }
        }
        for (i, client) in self.clients.iter().enumerate() {
            let reading = if self.input.len() < MAX_INPUT { PollFlags::IN } else { PollFlags::empty() };
            let writing = if client.has_output() { PollFlags::OUT } else { PollFlags::empty() };
            sources.push(Source::Client(i));
            fds.push(PollFd::new(client, reading | writing));
        }
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for events"),
            }
        }
        let mut woken: Vec<Source> = sources
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(source, _)| source)
            .collect();
        // The end comes last: what was written and asked for before it is served first.
        let ended = matches!(woken.first(), Some(Source::Process));
        woken.rotate_left(usize::from(ended));
        Ok(woken)
    }

    /// SIGTERM and the like mean: end the container. The rest is ignored; the terminal is not ours.
    fn signal(&self, file: &SignalFd) {
        while let Ok(Some(info)) = file.read_signal() {
            if matches!(info.ssi_signo as i32, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT) {
                let _ = pidfd_send_signal(&self.shim.pidfd, KernelSignal::KILL);
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.shim.listener.accept() {
            self.clients.extend(Client::new(socket));
        }
    }

    /// Gives the container what it can take of the input.
    fn feed_input(&mut self) {
        let Some(stdin) = &self.shim.streams.stdin else {
            self.input.clear();
            return;
        };
        match rustix::io::write(stdin, &self.input) {
            Ok(n) => drop(self.input.drain(..n)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            // It has closed its input: nobody will ever read the rest.
            Err(_) => {
                self.input.clear();
                self.input_ends = true;
            }
        }
        if self.input.is_empty() && self.input_ends {
            self.shim.streams.stdin = None;
        }
    }

    /// Reads once from an output; to the log and to all who are attached. `false` when there was nothing.
    fn read_output(&mut self, i: usize) -> bool {
        let mut buffer = [0; 32 << 10];
        let (kind, fd) = &mut self.shim.streams.outputs[i];
        match rustix::io::read(&*fd, &mut buffer) {
            Ok(n) if n > 0 => {
                let kind = *kind;
                // A log that cannot be written (a full disk) must not take the container down with it.
                if let Err(error) = self.log.write(kind, &buffer[..n]) {
                    self.shim.state.error = format!("{error:#}");
                }
                for client in self.clients.iter_mut().filter(|client| client.attached) {
                    client.send(kind, &buffer[..n]);
                }
                true
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
            // The end, which a terminal says with EIO. The mark has the loop drop it after this round.
            _ => {
                *kind = Kind::Control;
                false
            }
        }
    }

    /// Serves one client; a start that fails, or an abort, ends the container.
    fn serve_client(&mut self, i: usize) -> Option<Ended> {
        self.clients[i].flush();
        for (kind, payload) in self.clients[i].receive() {
            match kind {
                Kind::Stdin => {
                    self.clients[i].typed = true;
                    self.take_input(&payload);
                }
                Kind::Control => {
                    let Ok(word) = serde_json::from_slice(&payload) else {
                        self.clients[i].alive = false;
                        return None;
                    };
                    if let Some(ended) = self.obey(i, word) {
                        return Some(ended);
                    }
                }
                Kind::Stdout | Kind::Stderr => {}
            }
        }
        None
    }

    fn take_input(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.input.extend_from_slice(bytes);
        } else if self.shim.container.config.stdin_once && !self.shim.streams.tty {
            self.input_ends = true;
        }
        self.feed_input();
    }

    fn obey(&mut self, i: usize, word: Control) -> Option<Ended> {
        match word {
            Control::Attach { stdin } => {
                self.clients[i].attached = true;
                self.clients[i].typed = stdin;
            }
            Control::Resize { rows, cols } => self.shim.streams.resize(rows, cols),
            // It runs: that cannot be undone by starting it again, or by giving up on the start.
            Control::Start { .. } if self.runs() => {
                let message = format!("container {} runs already", self.shim.container.name);
                self.clients[i].say(&Control::Failed { code: exit::TOOL, message });
            }
            Control::Abort { .. } if self.runs() => self.clients[i].say(&Control::Started),
            Control::Start { command } => match self.shim.start(&command) {
                Ok(()) => self.clients[i].say(&Control::Started),
                Err(error) => {
                    return Some(Ended::Failed { code: exit::code_of(&error), message: format!("{error:#}") });
                }
            },
            Control::Do { what, command } => {
                let answer = match self.shim.carry_out(what, &command) {
                    Ok(()) => Control::Done,
                    Err(error) => Control::Refused { message: format!("{error:#}") },
                };
                self.clients[i].say(&answer);
            }
            Control::Abort { reason } => return Some(Ended::Failed { code: exit::TOOL, message: reason }),
            Control::Started
            | Control::Failed { .. }
            | Control::Exited { .. }
            | Control::Done
            | Control::Refused { .. } => {}
        }
        None
    }

    fn runs(&self) -> bool {
        self.shim.state.status.is_up()
    }

    /// The process ended: takes its exit code and the rest of its output.
    fn process_ended(&mut self) -> Ended {
        let code = match waitid(WaitId::PidFd(self.shim.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => code as u8,
                (None, signal) => exit::from_signal(signal.unwrap_or(libc::SIGKILL)),
            },
            Ok(None) | Err(_) => exit::from_signal(libc::SIGKILL),
        };
        // With the first process of the namespace all others have ended, so what is in the pipes now is all.
        for i in 0..self.shim.streams.outputs.len() {
            while self.shim.streams.outputs[i].0 != Kind::Control && self.read_output(i) {}
        }
        self.shim.state.oom_killed = code == exit::from_signal(libc::SIGKILL) && self.shim.ran_out_of_memory();
        if let Err(error) = self.log.finish() {
            self.shim.state.error = format!("{error:#}");
        }
        Ended::Exited(code)
    }
}

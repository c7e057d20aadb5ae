//! The shim's loop: one thread that waits for everything at once and never for one thing alone.

use super::Shim;
use super::clients::Client;
use super::ending::Ended;
use super::health::{Check, Monitor};
use super::log::Log;
use super::restart::BackOff;
use super::streams::Streams;
use crate::protocol::Control;
use crate::sys;
use anyhow::{Context, Result};
use layout::container::{Health, Status};
use layout::exit;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What is read from an output at once: all that a pipe holds.
const READ: usize = 64 << 10;

/// What is still read when the container has ended: more than pipes hold. Who has left the container with its
/// streams in hand (`--pid host`) may write for ever.
const MAX_LAST_READS: usize = 32;

/// After so long with nothing but output to pass on, the next thing to do is taken to be far away.
const QUIET: Duration = Duration::from_secs(1);

/// What the loop keeps.
pub struct Supervisor {
    pub(super) shim: Shim,
    pub(super) log: Log,
    pub(super) clients: Vec<Client>,
    /// What was read last; here, so that it is there once.
    pub(super) buffer: Box<[u8]>,
    pub(super) back_off: BackOff,
    /// When it is started again.
    pub(super) restart_at: Option<Instant>,
    /// When it has had its time to end by itself.
    pub(super) kill_at: Option<Instant>,
    pub(super) health: Option<Monitor>,
    /// When it gives back the memory that was needed for what has happened.
    pub(super) rest_at: Option<Instant>,
}

/// Serves the container until it has ended, then takes it down.
pub fn supervise(shim: Shim, log: Log) -> Result<()> {
    let mut supervisor = Supervisor {
        shim,
        log,
        clients: Vec::new(),
        buffer: vec![0; READ].into(),
        back_off: BackOff::default(),
        restart_at: None,
        kill_at: None,
        health: None,
        rest_at: None,
    };
    let ended = supervisor.serve()?;
    let word = supervisor.shim.finish(ended);
    // Somebody may have connected since the loop ended, and waits for a word.
    supervisor.accept();
    for client in &mut supervisor.clients {
        client.part(&word);
    }
    supervisor.wait_for_clients()
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
    ProbeOutput,
    ProbeEnd,
}

impl Source {
    /// Whether this is not what a container's everyday is made of.
    fn is_rare(&self) -> bool {
        !matches!(self, Source::Input | Source::Output(_))
    }
}

impl Supervisor {
    /// The loop. Ends when the container has ended for good, or will not be started.
    fn serve(&mut self) -> Result<Ended> {
        // Nothing but SIGKILL ends a shim before its container: a signal is read like any other event.
        let signals = SigSet::all();
        signals.thread_block().context("block signals")?;
        let signal_file = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("make a file for signals")?;
        loop {
            let sources = self.wait(&signal_file)?;
            if sources.iter().any(Source::is_rare) {
                self.rest_at = Some(Instant::now() + QUIET);
            }
            for source in sources {
                let ended = match source {
                    Source::Process => self.process_ended(),
                    Source::Client(i) => self.serve_client(i),
                    other => {
                        self.serve_source(other, &signal_file);
                        None
                    }
                };
                if let Some(ended) = ended {
                    return Ok(ended);
                }
            }
            if let Some(ended) = self.look_at_the_clock() {
                return Ok(ended);
            }
            self.part_with_clients();
        }
    }

    fn serve_source(&mut self, source: Source, signals: &SignalFd) {
        match source {
            Source::Signal => self.signal(signals),
            Source::Listener => self.accept(),
            Source::Input => {
                if let Some(streams) = self.streams() {
                    streams.input.feed();
                }
            }
            Source::Output(i) => drop(self.read_output(i)),
            Source::ProbeOutput => {
                if let Some(probe) = self.health.as_mut().and_then(|monitor| monitor.probe.as_mut()) {
                    probe.output.read();
                }
            }
            Source::ProbeEnd => self.check_health(Monitor::probe_ended),
            Source::Process | Source::Client(_) => {}
        }
    }

    pub(super) fn streams(&mut self) -> Option<&mut Streams> {
        self.shim.process.as_mut().map(|process| &mut process.streams)
    }

    /// Waits for something to happen (poll(2)), or for the next thing to be due, and says what woke it.
    fn wait(&self, signals: &SignalFd) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Signal, Source::Listener];
        let mut fds = vec![
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            PollFd::new(&self.shim.listener, PollFlags::IN),
        ];
        let full = self.shim.process.as_ref().is_some_and(|process| process.streams.input.is_full());
        for (i, client) in self.clients.iter().enumerate() {
            let reading = if full { PollFlags::empty() } else { PollFlags::IN };
            let writing = if client.has_output() { PollFlags::OUT } else { PollFlags::empty() };
            sources.push(Source::Client(i));
            fds.push(PollFd::new(client, reading | writing));
        }
        if let Some(probe) = self.health.as_ref().and_then(|monitor| monitor.probe.as_ref()) {
            if let Some(stream) = &probe.output.stream {
                sources.push(Source::ProbeOutput);
                fds.push(PollFd::new(stream, PollFlags::IN));
            }
            sources.push(Source::ProbeEnd);
            fds.push(PollFd::new(&probe.pidfd, PollFlags::IN));
        }
        if let Some(process) = &self.shim.process {
            if let Some(input) = process.streams.input.behind() {
                sources.push(Source::Input);
                fds.push(PollFd::new(input, PollFlags::OUT));
            }
            for (i, output) in process.streams.outputs.iter().enumerate() {
                if let Some(file) = &output.file {
                    sources.push(Source::Output(i));
                    fds.push(PollFd::new(file, PollFlags::IN));
                }
            }
            // The end comes last: what was written and asked for before it is served first.
            sources.push(Source::Process);
            fds.push(PollFd::new(&process.pidfd, PollFlags::IN));
        }
        let timeout = self.next_due().map(|due| until(due, Instant::now()));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        Ok(sources.into_iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(source, _)| source).collect())
    }

    /// Those who only wait have their word by now; those who are attached may take their time to read the rest.
    fn wait_for_clients(&mut self) -> Result<()> {
        loop {
            self.clients.retain(|client| client.alive);
            if self.clients.is_empty() {
                return Ok(());
            }
            let mut fds: Vec<PollFd> = self.clients.iter().map(|client| PollFd::new(client, PollFlags::OUT)).collect();
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for clients"),
            }
            self.clients.iter_mut().for_each(Client::flush);
        }
    }

    /// When there is something to do though nothing happens. The clock is the kernel's monotonic one: nobody can set it.
    fn next_due(&self) -> Option<Instant> {
        let check = self.health.as_ref().filter(|_| self.is_running()).map(Monitor::deadline);
        [self.restart_at, self.kill_at, check, self.rest_at].into_iter().flatten().min()
    }

    fn is_running(&self) -> bool {
        self.shim.state.status == Status::Running
    }

    /// Does what is due.
    fn look_at_the_clock(&mut self) -> Option<Ended> {
        let now = Instant::now();
        if self.is_running() {
            let (layout, id) = (self.shim.layout.clone(), self.shim.container.id.clone());
            self.check_health(|monitor, health| monitor.tick(&layout, &id, health));
        }
        if self.kill_at.is_some_and(|due| due <= now) {
            self.kill_at = None;
            if let Some(process) = &self.shim.process {
                process.signal(rustix::process::Signal::KILL);
            }
        }
        if self.rest_at.is_some_and(|due| due <= now) {
            self.rest_at = None;
            sys::give_back_code();
        }
        match self.restart_at {
            Some(_) if self.shim.ends_for_good => Some(Ended::Exited(self.shim.state.exit_code as u8)),
            Some(due) if due <= now => self.start_again(),
            _ => None,
        }
    }

    fn start_again(&mut self) -> Option<Ended> {
        self.restart_at = None;
        match self.shim.start_again() {
            Ok(()) => {
                self.watch_health();
                None
            }
            // As with docker: a restart that fails is not tried again.
            Err(error) => {
                self.shim.state.error = format!("{error:#}");
                Some(Ended::Exited(exit::code_of(&error)))
            }
        }
    }

    /// Begins the health checks of a container that has just been started, if it has any.
    pub(super) fn watch_health(&mut self) {
        let Some(check) = Check::of(&self.shim.container.config) else { return };
        self.health = Some(Monitor::new(check));
        let health = self.shim.state.health.get_or_insert_default();
        *health = Health { status: "starting".to_owned(), failing_streak: 0, log: std::mem::take(&mut health.log) };
        self.publish();
    }

    /// Has the monitor do something, and publishes what it has found.
    fn check_health(&mut self, work: impl FnOnce(&mut Monitor, &mut Health) -> Option<String>) {
        let (Some(monitor), Some(health)) = (&mut self.health, &mut self.shim.state.health) else { return };
        let checks = health.log.last().map(|check| check.start.clone());
        let changed = work(monitor, health);
        if health.log.last().map(|check| check.start.clone()) != checks {
            self.publish();
        }
        if let Some(status) = changed {
            self.shim.note(&format!("health_status: {status}"), &[]);
        }
    }

    /// Publishes the state. When that cannot be done now (a full disk), the next change tries again.
    fn publish(&self) {
        let _ = self.shim.publish_state();
    }

    /// The process ended: takes its exit code and the rest of its output. None when it is to be started again.
    fn process_ended(&mut self) -> Option<Ended> {
        let process = self.shim.process.as_ref()?;
        let (code, outputs) = (process.exit_code(), process.streams.outputs.len());
        for i in 0..outputs {
            // What is in the pipes now is all: with the first process of the namespace all others have ended.
            for _ in 0..MAX_LAST_READS {
                if !self.read_output(i) {
                    break;
                }
            }
        }
        if let Err(error) = self.log.finish() {
            self.shim.state.error = format!("{error:#}");
        }
        (self.health, self.kill_at) = (None, None);
        if !self.shim.process_ended(code) {
            return Some(Ended::Exited(code));
        }
        // To those who are attached this is the end; who waits for the container's end waits on.
        let ended = Control::Exited { code };
        for client in self.clients.iter_mut().filter(|client| client.attached) {
            client.part(&ended);
        }
        self.restart_at = Some(Instant::now() + self.back_off.after(self.shim.started.elapsed()));
        self.shim.wait_for_restart();
        None
    }
}

/// How long it is from now to then, for poll(2).
fn until(due: Instant, now: Instant) -> Timespec {
    let time = due.saturating_duration_since(now);
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}

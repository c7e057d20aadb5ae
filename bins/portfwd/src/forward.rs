//! The forwarder: one thread that waits for everything at once (epoll(7)) and does what can be done.

use crate::forward_tcp::{Accepted, Connections};
use crate::forward_udp::Sessions;
use crate::listen::{Listener, Protocol};
use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fs::Timespec;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How many events are taken at once.
const EVENTS: usize = 256;
/// How long nobody is accepted when there is no room.
const PAUSE: Duration = Duration::from_millis(50);
/// How long nothing may move of what is under way when the container has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long all of that may take: a client that reads slowly must not keep the container from being taken down.
const ALL_LAST_WORDS: Duration = Duration::from_secs(2);

/// Where everything is forwarded to: an address of the container, reached from inside of its namespace.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The address.
    pub address: Ipv4Addr,
}

/// What an event is about, as the 64 bits that the kernel keeps for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The container's first process has ended.
    Process,
    /// Somebody asks this process to end.
    Signal,
    /// Something has come to the listener of this place in the list.
    Listener(u64),
    /// The client's end of a connection.
    Client(u64),
    /// The container's end of a connection.
    Server(u64),
    /// Datagrams from the container for a client.
    Session(u64),
}

impl Token {
    const KINDS: u64 = 6;

    fn pack(self) -> u64 {
        match self {
            Token::Process => 0,
            Token::Signal => 1,
            Token::Listener(id) => 2 + id * Self::KINDS,
            Token::Client(id) => 3 + id * Self::KINDS,
            Token::Server(id) => 4 + id * Self::KINDS,
            Token::Session(id) => 5 + id * Self::KINDS,
        }
    }

    fn unpack(bits: u64) -> Token {
        let id = bits / Self::KINDS;
        match bits % Self::KINDS {
            0 => Token::Process,
            1 => Token::Signal,
            2 => Token::Listener(id),
            3 => Token::Client(id),
            4 => Token::Server(id),
            _ => Token::Session(id),
        }
    }
}

/// The list of what is waited for. A file that is closed leaves it by itself.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Has the kernel say `token` when one of `changes` happens to a file.
    pub fn add(&self, file: impl AsFd, token: Token, changes: EventFlags) -> rustix::io::Result<()> {
        epoll::add(&self.0, file, EventData::new_u64(token.pack()), changes)
    }

    fn change(&self, file: impl AsFd, token: Token, changes: EventFlags) -> rustix::io::Result<()> {
        epoll::modify(&self.0, file, EventData::new_u64(token.pack()), changes)
    }

    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.and_then(|duration| Timespec::try_from(duration).ok());
        match epoll::wait(&self.0, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("wait for events"),
        }
    }
}

/// All listeners of a container and what has come of them.
#[derive(Debug)]
pub struct Forwarder {
    watch: Watch,
    signals: SignalFd,
    listeners: Vec<Listener>,
    target: Target,
    connections: Connections,
    sessions: Sessions,
    paused_until: Option<Instant>,
    end_by: Option<Instant>,
    end_at_last: Option<Instant>,
}

impl Forwarder {
    /// Makes ready to forward from `listeners`; nothing is accepted yet.
    pub fn new(listeners: Vec<Listener>, target: Target) -> Result<Forwarder> {
        let watch = Watch(epoll::create(CreateFlags::CLOEXEC).context("make an epoll instance")?);
        let mut forwarder = Forwarder {
            watch,
            signals: catch_signals()?,
            listeners,
            target,
            connections: Connections::new(raise_file_limit()?),
            sessions: Sessions::default(),
            paused_until: None,
            end_by: None,
            end_at_last: None,
        };
        forwarder.watch.add(&forwarder.signals, Token::Signal, EventFlags::IN).context("wait for signals")?;
        forwarder.listen(EventFlags::IN, true)?;
        Ok(forwarder)
    }

    /// Forwards until the process of a pidfd ends or SIGTERM comes.
    pub fn run(mut self, process: BorrowedFd) -> Result<()> {
        self.watch.add(process, Token::Process, EventFlags::IN).context("wait for the container's end")?;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let timeout = self.timeout();
            self.watch.wait(&mut events, timeout)?;
            let moves = !events.is_empty() || self.connections.is_busy();
            for event in &events {
                self.handle(Token::unpack(event.data.u64()), process)?;
            }
            self.connections.take_turns();
            self.sessions.expire(Instant::now());
            if moves {
                self.go_on_winding_down();
            }
            match (self.end_by, self.paused_until) {
                (Some(by), _) if Instant::now() >= by || !self.connections.is_sending() => return Ok(()),
                (None, Some(until)) if Instant::now() >= until => self.resume()?,
                _ => {}
            }
        }
    }

    fn handle(&mut self, token: Token, process: BorrowedFd) -> Result<()> {
        match token {
            Token::Process => {
                epoll::delete(&self.watch.0, process).context("stop waiting for the container's end")?;
                self.wind_down();
            }
            Token::Signal => {
                self.signals.read_signal().context("take a signal")?;
                self.wind_down();
            }
            Token::Listener(place) => self.arrive(place)?,
            Token::Client(id) => self.connections.client_ready(id),
            Token::Server(id) => self.connections.server_ready(id),
            Token::Session(id) => self.sessions.answer(id, &self.listeners),
        }
        Ok(())
    }

    fn arrive(&mut self, place: u64) -> Result<()> {
        // The list is empty once the end has begun.
        let Some(listener) = self.listeners.get(place as usize) else { return Ok(()) };
        let target = SocketAddr::from((self.target.address, listener.port.container_port));
        match listener.protocol {
            Protocol::Udp => self.sessions.arrive(&self.watch, place, listener, target),
            Protocol::Tcp => {
                if self.connections.accept(&self.watch, listener.socket.as_fd(), target) == Accepted::NoRoom {
                    self.pause()?;
                }
            }
        }
        Ok(())
    }

    /// Lets go of the ports at once, and of the connections when what the container sent has arrived.
    fn wind_down(&mut self) {
        self.listeners.clear();
        self.end_at_last.get_or_insert(Instant::now() + ALL_LAST_WORDS);
    }

    /// Something has moved: if the end has begun, there may be more to come. (Counted from now, not from the beginning of
    /// the end: this process may have had no processor all the time.)
    fn go_on_winding_down(&mut self) {
        self.end_by = self.end_at_last.map(|at_last| at_last.min(Instant::now() + LAST_WORDS));
    }

    /// Lets clients wait in the kernel's queue for a while.
    fn pause(&mut self) -> Result<()> {
        self.paused_until = Some(Instant::now() + PAUSE);
        self.listen(EventFlags::empty(), false)
    }

    fn resume(&mut self) -> Result<()> {
        self.paused_until = None;
        self.listen(EventFlags::IN, false)
    }

    fn listen(&mut self, changes: EventFlags, new: bool) -> Result<()> {
        for (place, listener) in (0..).zip(&self.listeners) {
            let token = Token::Listener(place);
            let result = match new {
                true => self.watch.add(&listener.socket, token, changes),
                false => self.watch.change(&listener.socket, token, changes),
            };
            result.context("wait for clients")?;
        }
        Ok(())
    }

    fn timeout(&self) -> Option<Duration> {
        if self.connections.is_busy() {
            return Some(Duration::ZERO);
        }
        let next = [self.end_by, self.paused_until, self.sessions.next_expiry()].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }
}

/// Blocks the signals that would end this process without a word, and has those that ask for its end come as events.
/// SIGHUP is blocked and never looked at: the terminal that it was started from is none of its business.
fn catch_signals() -> Result<SignalFd> {
    let mut asking = SigSet::empty();
    asking.add(Signal::SIGTERM);
    asking.add(Signal::SIGINT);
    let mut blocked = asking;
    blocked.add(Signal::SIGHUP);
    blocked.thread_set_mask().context("block signals")?;
    SignalFd::with_flags(&asking, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("make a signalfd")
}

/// Takes as many files as the hard limit allows: the soft limit of 1024 is there for programs that use select(2).
fn raise_file_limit() -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raise the limit of open files")?;
    Ok(limit.current.unwrap_or(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        for token in [
            Token::Process,
            Token::Signal,
            Token::Listener(0),
            Token::Listener(7),
            Token::Client(0),
            Token::Client(1 << 40),
            Token::Server(1),
            Token::Session(12345),
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}

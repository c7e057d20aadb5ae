//! Forwarding TCP: a connection of a client, a connection to the container, and two flows between them.

use crate::forward::{Token, Watch};
use crate::splice::{Flow, Progress};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, connect, socket_with, sockopt};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Two sockets and two pipes.
const FILES_PER_CONNECTION: u64 = 6;
/// What else this process has open, generously.
const OTHER_FILES: u64 = 128;
/// How many connections are accepted before those that are open have their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// All connections under way.
#[derive(Debug)]
pub struct Connections {
    open: HashMap<u64, Connection>,
    /// Those that have more to do at once, in the order of their turns.
    busy: VecDeque<u64>,
    next: u64,
    most: usize,
}

#[derive(Debug)]
struct Connection {
    client: OwnedFd,
    server: OwnedFd,
    connected: bool,
    up: Flow,
    down: Flow,
}

/// Why accepting stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Nobody waits any more, or it is others' turn: epoll will say so again.
    All,
    /// There are no files left for another connection.
    NoRoom,
}

impl Connections {
    /// No connections; `files` is how many files this process may have open.
    pub fn new(files: u64) -> Connections {
        let most = files.saturating_sub(OTHER_FILES) / FILES_PER_CONNECTION;
        Connections { open: HashMap::new(), busy: VecDeque::new(), next: 0, most: most.max(1) as usize }
    }

    /// Whether some connection waits for its turn and not for the kernel.
    pub fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Whether something that the container sent may still be on its way to a client.
    pub fn is_sending(&self) -> bool {
        self.open.values().any(|connection| connection.connected && !connection.down.is_done())
    }

    /// Takes the clients that wait at a listener, and begins to connect each to `target`.
    pub fn accept(&mut self, watch: &Watch, listener: BorrowedFd, target: SocketAddr) -> Accepted {
        for _ in 0..ACCEPTED_AT_ONCE {
            if self.open.len() >= self.most {
                return Accepted::NoRoom;
            }
            let client = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => client,
                Err(Errno::AGAIN) => return Accepted::All,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => return Accepted::NoRoom,
                // That client has given up already (accept(2), "Error handling"); the next one may not have.
                Err(_) => continue,
            };
            let id = self.next;
            self.next += 1;
            // A client that cannot be served finds its connection closed, as it would without a forwarder.
            if let Ok(connection) = Connection::begin(watch, id, client, target) {
                self.open.insert(id, connection);
            }
        }
        Accepted::All
    }

    /// Something happened at the client's end of a connection.
    pub fn client_ready(&mut self, id: u64) {
        self.step(id);
    }

    /// Something happened at the container's end of a connection.
    pub fn server_ready(&mut self, id: u64) {
        if let Some(connection) = self.open.get_mut(&id)
            && !connection.connected
        {
            // The answer to connect(2) is in: a refusal is the client's to know.
            match sockopt::socket_error(&connection.server) {
                Ok(Ok(())) => connection.connected = true,
                _ => return self.break_off(id),
            }
        }
        self.step(id);
    }

    /// Gives each busy connection one turn.
    pub fn take_turns(&mut self) {
        for _ in 0..self.busy.len() {
            if let Some(id) = self.busy.pop_front() {
                self.step(id);
            }
        }
    }

    fn step(&mut self, id: u64) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        if !connection.connected {
            return;
        }
        let (client, server) = (connection.client.as_fd(), connection.server.as_fd());
        // The answer first: when the container has refused the rest of a request, it may have said why.
        match (connection.down.pump(server, client), connection.up.pump(client, server)) {
            (Ok(Progress::Done), Ok(Progress::Done)) => drop(self.open.remove(&id)),
            (Err(_), _) | (_, Err(_)) => self.break_off(id),
            (Ok(Progress::More), _) | (_, Ok(Progress::More)) if !self.busy.contains(&id) => self.busy.push_back(id),
            _ => {}
        }
    }

    /// Ends a connection as it was ended: whose peer was reset is reset (a close with linger time 0).
    fn break_off(&mut self, id: u64) {
        if let Some(connection) = self.open.remove(&id) {
            for socket in [&connection.client, &connection.server] {
                // Where that fails the close is an ordinary one.
                let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
            }
        }
    }
}

impl Connection {
    fn begin(watch: &Watch, id: u64, client: OwnedFd, target: SocketAddr) -> rustix::io::Result<Connection> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let server = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        for socket in [&client, &server] {
            // What was sent as one piece goes on at once; collecting small pieces is up to the sender.
            sockopt::set_tcp_nodelay(socket, true)?;
        }
        // A client that vanished without a word is noticed some day.
        sockopt::set_socket_keepalive(&client, true)?;
        match connect(&server, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        // Edge-triggered: one event when something changes, and never a change of what is waited for.
        let changes = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        watch.add(&client, Token::Client(id), changes)?;
        watch.add(&server, Token::Server(id), changes)?;
        Ok(Connection { client, server, connected: false, up: Flow::new()?, down: Flow::new()? })
    }
}

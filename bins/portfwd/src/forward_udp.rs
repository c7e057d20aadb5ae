//! Forwarding UDP: datagrams know no connections, so each client gets a socket of its own towards the container. What
//! comes back at that socket is that client's answer. A socket that nobody used for a while is closed.

use crate::forward::{Token, Watch};
use crate::listen::Listener;
use rustix::event::epoll::EventFlags;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{connect, recv, recvfrom, send, sendto, socket_with};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a client may be silent, as docker-proxy has it.
const IDLE: Duration = Duration::from_secs(90);
/// How often it is looked for silent clients.
const SWEEP: Duration = Duration::from_secs(10);
/// The most clients at once: beyond it newcomers are dropped, as datagrams may be.
const MOST_SESSIONS: usize = 4096;
/// The longest datagram.
const DATAGRAM: usize = 65_535;
/// How many datagrams of one socket are passed on before the others have their turn.
const TURN: usize = 64;

/// All clients that were heard of lately.
#[derive(Debug, Default)]
pub struct Sessions {
    open: HashMap<u64, Session>,
    by_client: HashMap<(u64, SocketAddr), u64>,
    next: u64,
    next_sweep: Option<Instant>,
}

#[derive(Debug)]
struct Session {
    listener: u64,
    client: SocketAddr,
    server: OwnedFd,
    last_use: Instant,
}

impl Sessions {
    /// Passes on what clients have sent to a listener. What cannot be delivered is dropped: that is UDP.
    pub fn arrive(&mut self, watch: &Watch, place: u64, listener: &Listener, target: SocketAddr) {
        let mut datagram = [0u8; DATAGRAM];
        for _ in 0..TURN {
            let Ok((length, _, from)) = recvfrom(&listener.socket, &mut datagram[..], RecvFlags::DONTWAIT) else {
                return;
            };
            let Some(client) = from.and_then(|from| SocketAddr::try_from(from).ok()) else { continue };
            if let Some(session) = self.find_or_open(watch, place, client, target) {
                session.last_use = Instant::now();
                let _ = send(&session.server, &datagram[..length], SendFlags::DONTWAIT);
            }
        }
    }

    /// Passes on what the container has sent to a client.
    pub fn answer(&mut self, id: u64, listeners: &[Listener]) {
        let Some(session) = self.open.get_mut(&id) else { return };
        let Some(listener) = listeners.get(session.listener as usize) else { return };
        let mut datagram = [0u8; DATAGRAM];
        for _ in 0..TURN {
            // An error is the container's refusal of an earlier datagram (nobody listens there): nothing to pass on.
            let Ok((length, _)) = recv(&session.server, &mut datagram[..], RecvFlags::DONTWAIT) else { return };
            session.last_use = Instant::now();
            let _ = sendto(&listener.socket, &datagram[..length], SendFlags::DONTWAIT, &session.client);
        }
    }

    /// Closes what nobody has used for a while.
    pub fn expire(&mut self, now: Instant) {
        if self.next_sweep.is_none_or(|next| now < next) {
            return;
        }
        self.open.retain(|_, session| now < session.last_use + IDLE);
        self.by_client.retain(|_, id| self.open.contains_key(id));
        self.next_sweep = (!self.open.is_empty()).then(|| now + SWEEP);
    }

    /// When [`Sessions::expire`] has something to do again.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.next_sweep
    }

    fn find_or_open(
        &mut self,
        watch: &Watch,
        listener: u64,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Option<&mut Session> {
        let key = (listener, client);
        if !self.by_client.contains_key(&key) {
            if self.open.len() >= MOST_SESSIONS {
                return None;
            }
            let server = open_towards(target).ok()?;
            let id = self.next;
            watch.add(&server, Token::Session(id), EventFlags::IN).ok()?;
            self.next += 1;
            self.open.insert(id, Session { listener, client, server, last_use: Instant::now() });
            self.by_client.insert(key, id);
            self.next_sweep.get_or_insert(Instant::now() + SWEEP);
        }
        self.open.get_mut(self.by_client.get(&key)?)
    }
}

fn open_towards(target: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    // A connected socket hears its peer alone.
    connect(&socket, &target)?;
    Ok(socket)
}

//! The connections of those who are attached, or who wait.

use super::spool::Spool;
use crate::protocol::{Control, Decoder, Kind, encode, header};
use anyhow::{Context, Result};
use layout::Layout;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// What is kept in memory for a client that is behind; what is more goes to a file. So the container never waits for a
/// client, no client loses anything, and this process stays small.
const MAX_QUEUED: usize = 64 << 10;

/// One connection.
pub struct Client {
    socket: UnixStream,
    layout: Layout,
    decoder: Decoder,
    /// What is to be sent, from `sent` on.
    queue: Vec<u8>,
    sent: usize,
    /// What is to be sent after that.
    spool: Option<Spool>,
    /// What is to be sent last of all, and then nothing any more.
    last: Option<Vec<u8>>,
    /// Whether it wants the container's output.
    pub attached: bool,
    /// Whether the container's input comes from it.
    pub typed: bool,
    /// Whether the other side is still there.
    pub alive: bool,
}

impl Client {
    /// A new connection.
    pub fn new(layout: &Layout, socket: UnixStream) -> Result<Client> {
        socket.set_nonblocking(true).context("serve a client")?;
        Ok(Client {
            socket,
            layout: layout.clone(),
            decoder: Decoder::default(),
            queue: Vec::new(),
            sent: 0,
            spool: None,
            last: None,
            attached: false,
            typed: false,
            alive: true,
        })
    }

    /// Reads what has come, as messages. A client that sends nonsense is dropped.
    pub fn receive(&mut self) -> Vec<(Kind, Vec<u8>)> {
        let mut buffer = [0; 16 << 10];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.alive = false,
            Ok(n) => self.decoder.push(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.alive = false,
        }
        let mut messages = Vec::new();
        loop {
            match self.decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return messages,
                Err(_) => {
                    self.alive = false;
                    return messages;
                }
            }
        }
    }

    /// Sends a message: what the other side takes at once goes without a copy, the rest waits for it.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) {
        if !self.alive || self.last.is_some() {
            return;
        }
        let header = header(kind, payload.len());
        let mut gone = 0;
        if !self.has_output() {
            match self.socket.write_vectored(&[IoSlice::new(&header), IoSlice::new(payload)]) {
                Ok(n) => gone = n,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => self.alive = false,
            }
        }
        let rest_of_header = &header[gone.min(header.len())..];
        let rest = &payload[gone.saturating_sub(header.len())..];
        if self.spool.is_none() && self.queue.len() - self.sent + rest_of_header.len() + rest.len() <= MAX_QUEUED * 2 {
            self.queue.extend_from_slice(rest_of_header);
            self.queue.extend_from_slice(rest);
        } else if let Err(error) = self.spool([rest_of_header, rest]) {
            let message = format!("lost output: nothing more can be kept for this client, which is behind: {error:#}");
            self.part(&Control::Refused { message });
        }
    }

    fn spool(&mut self, parts: [&[u8]; 2]) -> Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::new(&self.layout)?),
        };
        spool.append(parts)
    }

    /// Queues a word.
    pub fn say(&mut self, word: &Control) {
        // A Control is plain data and always encodes.
        if let Ok(payload) = serde_json::to_vec(word) {
            self.send(Kind::Control, &payload);
        }
    }

    /// Says a last word, and parts when all is sent.
    pub fn part(&mut self, word: &Control) {
        self.attached = false;
        let word = serde_json::to_vec(word).map(|payload| encode(Kind::Control, &payload));
        self.last.get_or_insert(word.unwrap_or_default());
        self.flush();
    }

    /// Sends what can be sent without waiting.
    pub fn flush(&mut self) {
        while self.alive && self.fill() {
            match self.socket.write(&self.queue[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.alive = false,
            }
        }
    }

    /// Gets what is to be sent next into the queue; `false` when there is nothing.
    fn fill(&mut self) -> bool {
        if self.sent < self.queue.len() {
            return true;
        }
        self.queue.clear();
        self.sent = 0;
        if let Some(spool) = &mut self.spool {
            match spool.take(MAX_QUEUED, &mut self.queue) {
                Ok(true) => return true,
                Ok(false) => self.spool = None,
                Err(_) => self.alive = false,
            }
        }
        // It may never be behind again.
        self.queue.shrink_to(0);
        match &mut self.last {
            Some(word) if !word.is_empty() => self.queue = std::mem::take(word),
            Some(_) => self.alive = false,
            None => {}
        }
        !self.queue.is_empty()
    }

    /// Sends all that is queued, however long the other side takes to read it.
    pub fn flush_all(&mut self) {
        if self.socket.set_nonblocking(false).is_ok() {
            self.flush();
        }
    }

    /// Whether it is so far behind that a process with nobody else to write to should wait for it.
    pub fn is_behind(&self) -> bool {
        self.spool.is_some()
    }

    /// Whether something waits to be sent.
    pub fn has_output(&self) -> bool {
        self.sent < self.queue.len() || self.spool.is_some() || self.last.is_some()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

//! The connections of those who are attached, or who wait.

use crate::protocol::{Control, Decoder, Kind, encode};
use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// When a client is this many bytes behind, the container has to wait for it, as with docker.
const MAX_BEHIND: usize = 1 << 20;

/// One connection.
pub struct Client {
    socket: UnixStream,
    decoder: Decoder,
    to_send: Vec<u8>,
    /// Whether it wants the container's output.
    pub attached: bool,
    /// Whether the container's input comes from it.
    pub typed: bool,
    /// Whether the other side is still there.
    pub alive: bool,
}

impl Client {
    /// A new connection.
    pub fn new(socket: UnixStream) -> Result<Client> {
        socket.set_nonblocking(true).context("serve a client")?;
        Ok(Client {
            socket,
            decoder: Decoder::default(),
            to_send: Vec::new(),
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

    /// Queues a message and sends what can be sent at once.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) {
        self.to_send.extend(encode(kind, payload));
        self.flush();
    }

    /// Queues a word.
    pub fn say(&mut self, word: &Control) {
        // A Control is plain data and always encodes.
        if let Ok(payload) = serde_json::to_vec(word) {
            self.send(Kind::Control, &payload);
        }
    }

    /// Sends what can be sent without waiting.
    pub fn flush(&mut self) {
        while !self.to_send.is_empty() && self.alive {
            match self.socket.write(&self.to_send) {
                Ok(n) => drop(self.to_send.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.alive = false,
            }
        }
    }

    /// Sends all that is queued, however long the other side takes to read it.
    pub fn flush_all(&mut self) {
        if self.socket.set_nonblocking(false).is_ok() {
            self.flush();
        }
    }

    /// Whether something waits to be sent.
    pub fn has_output(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// Whether it is so far behind that the container should wait.
    pub fn is_behind(&self) -> bool {
        self.to_send.len() > MAX_BEHIND
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

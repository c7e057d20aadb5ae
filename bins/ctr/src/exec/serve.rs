//! The loop of a process's parent: its streams to the caller, if there still is one, and its end.

use crate::protocol::{Control, Kind};
use crate::shim::clients::Client;
use crate::shim::process::exit_code;
use crate::shim::streams::Streams;
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Input that the process has not read yet; beyond this, the caller waits.
const MAX_INPUT: usize = 1 << 20;

struct Serving<'a> {
    streams: Streams,
    pidfd: &'a OwnedFd,
    client: Option<Client>,
    /// Input that the process has not taken yet.
    input: Vec<u8>,
    /// Whether the input ends after what is queued.
    input_ends: bool,
}

/// Serves a process until it has ended; gives its exit code. What it writes when nobody is there is dropped.
pub fn serve(streams: Streams, pidfd: &OwnedFd, client: Option<Client>) -> Result<u8> {
    let mut serving = Serving { streams, pidfd, client, input: Vec::new(), input_ends: false };
    while !serving.turn()? {}
    let code = exit_code(pidfd);
    // What it has written is in the pipes now. What others write there later, which it has left behind, is not its output.
    for i in 0..serving.streams.outputs.len() {
        while serving.read_output(i) {}
    }
    if let Some(client) = &mut serving.client {
        client.say(&Control::Exited { code });
        client.flush_all();
    }
    Ok(code)
}

impl Serving<'_> {
    /// Waits for something to happen (poll(2)), and deals with it. `true` when the process has ended.
    fn turn(&mut self) -> Result<bool> {
        let (mut fds, inputs, outputs) = (vec![PollFd::new(self.pidfd, PollFlags::IN)], 1, self.streams.outputs.len());
        let stdin = self.streams.stdin.as_ref().filter(|_| !self.input.is_empty());
        fds.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        let first_output = inputs + usize::from(stdin.is_some());
        let reads = !self.client.as_ref().is_some_and(Client::is_behind);
        fds.extend(self.streams.outputs.iter().filter(|_| reads).map(|(_, fd)| PollFd::new(fd, PollFlags::IN)));
        let the_client = fds.len();
        if let Some(client) = &self.client {
            let reading = if self.input.len() < MAX_INPUT { PollFlags::IN } else { PollFlags::empty() };
            let writing = if client.has_output() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(client, reading | writing));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        let woken: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for i in 0..if reads { outputs } else { 0 } {
            if woken[first_output + i] {
                self.read_output(i);
            }
        }
        self.streams.outputs.retain(|(kind, _)| *kind != Kind::Control);
        if woken.get(the_client).is_some_and(|woken| *woken) {
            self.serve_client();
        }
        self.feed_input();
        Ok(woken[0])
    }

    /// Reads once from an output, for the caller. `false` when there was nothing; the mark of an end has the output forgotten.
    fn read_output(&mut self, i: usize) -> bool {
        let mut buffer = [0; 32 << 10];
        let (kind, fd) = &mut self.streams.outputs[i];
        match rustix::io::read(&*fd, &mut buffer) {
            Ok(n) if n > 0 => {
                if let (Some(client), Kind::Stdout | Kind::Stderr) = (&mut self.client, *kind) {
                    client.send(*kind, &buffer[..n]);
                }
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            _ => {
                *kind = Kind::Control;
                false
            }
        }
    }

    /// Takes what the caller sends. When it is gone, the process reads an end, unless it has a terminal.
    fn serve_client(&mut self) {
        let Some(client) = &mut self.client else { return };
        client.flush();
        for (kind, payload) in client.receive() {
            match kind {
                Kind::Stdin if payload.is_empty() => self.input_ends = !self.streams.tty,
                Kind::Stdin => self.input.extend_from_slice(&payload),
                Kind::Control => {
                    if let Ok(Control::Resize { rows, cols }) = serde_json::from_slice(&payload) {
                        self.streams.resize(rows, cols);
                    }
                }
                Kind::Stdout | Kind::Stderr => {}
            }
        }
        if !client.alive {
            self.client = None;
            self.input_ends |= !self.streams.tty;
        }
    }

    /// Gives the process what it can take of the input.
    fn feed_input(&mut self) {
        let Some(stdin) = &self.streams.stdin else {
            self.input.clear();
            return;
        };
        if !self.input.is_empty() {
            match rustix::io::write(stdin, &self.input) {
                Ok(n) => drop(self.input.drain(..n)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // It has closed its input: nobody will ever read the rest.
                Err(_) => {
                    self.input.clear();
                    self.input_ends = true;
                }
            }
        }
        if self.input.is_empty() && self.input_ends {
            self.streams.stdin = None;
        }
    }
}

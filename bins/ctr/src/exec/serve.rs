//! The loop of a process's parent: its streams to the caller, if there still is one, and its end.

use crate::protocol::{Control, Kind};
use crate::shim::clients::Client;
use crate::shim::process::exit_code;
use crate::shim::streams::Streams;
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

struct Serving<'a> {
    streams: Streams,
    pidfd: &'a OwnedFd,
    client: Option<Client>,
}

/// Serves a process until it has ended; gives its exit code. What it writes when nobody is there is dropped.
pub fn serve(streams: Streams, pidfd: &OwnedFd, client: Option<Client>) -> Result<u8> {
    let mut serving = Serving { streams, pidfd, client };
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
        let mut fds = vec![PollFd::new(self.pidfd, PollFlags::IN)];
        fds.extend(self.streams.input.behind().map(|input| PollFd::new(input, PollFlags::OUT)));
        // Nobody else gets what it writes: it waits with us for a caller that is behind.
        let reads = !self.client.as_ref().is_some_and(Client::is_behind);
        let files = self.streams.outputs.iter().filter_map(|output| output.file.as_ref());
        fds.extend(files.filter(|_| reads).map(|file| PollFd::new(file, PollFlags::IN)));
        if let Some(client) = &self.client {
            let reading = if self.streams.input.is_full() { PollFlags::empty() } else { PollFlags::IN };
            let writing = if client.has_output() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(client, reading | writing));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        let woken = |fd: Option<&PollFd>| fd.is_some_and(|fd| !fd.revents().is_empty());
        let (ended, asked) = (woken(fds.first()), self.client.is_some() && woken(fds.last()));
        drop(fds);
        // None of these waits, whoever it was that woke us.
        for i in 0..if reads { self.streams.outputs.len() } else { 0 } {
            self.read_output(i);
        }
        if asked {
            self.serve_client();
        }
        self.streams.input.feed();
        Ok(ended)
    }

    /// Reads once from an output, for the caller. `false` when there was nothing.
    fn read_output(&mut self, i: usize) -> bool {
        let mut buffer = [0; 32 << 10];
        let output = &mut self.streams.outputs[i];
        let Some(bytes) = output.read(&mut buffer) else { return false };
        if let Some(client) = &mut self.client {
            client.send(output.kind, bytes);
        }
        true
    }

    /// Takes what the caller sends. When it is gone, the process reads an end, unless it has a terminal.
    fn serve_client(&mut self) {
        let Some(client) = &mut self.client else { return };
        client.flush();
        for (kind, payload) in client.receive() {
            match kind {
                Kind::Stdin if payload.is_empty() => self.streams.end_input(),
                Kind::Stdin => self.streams.input.push(&payload),
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
            self.streams.end_input();
        }
    }
}

//! Between container and clients: output, input, and what clients ask for.

use super::clients::Client;
use super::ending::Ended;
use super::supervise::Supervisor;
use crate::protocol::{Control, Kind};
use layout::exit;
use std::time::Instant;

impl Supervisor {
    /// Forgets the clients that are gone. The input of a container that was started with one (`run -i`) ends with it.
    pub(super) fn part_with_clients(&mut self) {
        let typed_in = |client: &Client| client.typed && !client.alive;
        if self.clients.iter().any(typed_in) && self.input_ends_with_the_client() {
            self.end_input();
        }
        self.clients.retain(|client| client.alive);
    }

    fn input_ends_with_the_client(&self) -> bool {
        self.shim.container.config.stdin_once
    }

    pub(super) fn accept(&mut self) {
        while let Ok((socket, _)) = self.shim.listener.accept() {
            self.clients.extend(Client::new(&self.shim.layout, socket));
        }
    }

    fn end_input(&mut self) {
        if let Some(streams) = self.streams() {
            streams.end_input();
        }
    }

    /// Reads once from an output; to the log and to all who are attached. `false` when there was nothing.
    pub(super) fn read_output(&mut self, i: usize) -> bool {
        let Some(process) = &mut self.shim.process else { return false };
        let output = &mut process.streams.outputs[i];
        let Some(bytes) = output.read(&mut self.buffer) else { return false };
        // A log that cannot be written (a full disk) must not take the container down with it.
        if let Err(error) = self.log.write(output.kind, bytes) {
            self.shim.state.error = format!("{error:#}");
        }
        for client in self.clients.iter_mut().filter(|client| client.attached) {
            client.send(output.kind, bytes);
        }
        true
    }

    /// Serves one client; a start that fails, or an abort, ends the container.
    pub(super) fn serve_client(&mut self, i: usize) -> Option<Ended> {
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

    /// Input from a client; its end is said with none.
    fn take_input(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            // One that waits for its next start has no process, and takes nothing.
            if let Some(streams) = self.streams() {
                streams.input.push(bytes);
            }
        } else if self.input_ends_with_the_client() {
            self.end_input();
        }
    }

    pub(super) fn obey(&mut self, i: usize, word: Control) -> Option<Ended> {
        match word {
            Control::Attach { stdin } => {
                self.clients[i].attached = true;
                self.clients[i].typed = stdin;
            }
            Control::Resize { rows, cols } => {
                if let Some(streams) = self.streams() {
                    streams.resize(rows, cols);
                    self.shim.note("resize", &[("height", &rows.to_string()), ("width", &cols.to_string())]);
                }
            }
            // It runs: that cannot be undone by starting it again, or by giving up on the start.
            Control::Start { .. } if self.runs() => {
                let message = format!("container {} runs already", self.shim.container.name);
                self.clients[i].say(&Control::Failed { code: exit::TOOL, message });
            }
            Control::Abort { .. } if self.runs() => self.clients[i].say(&Control::Started),
            Control::Start { command } => match self.shim.start(&command) {
                Ok(()) => {
                    self.clients[i].say(&Control::Started);
                    self.watch_health();
                    self.rest_at = Some(Instant::now());
                }
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

    pub(super) fn runs(&self) -> bool {
        self.shim.state.status.is_up()
    }
}

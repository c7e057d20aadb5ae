//! The other side of the shim's socket: starting, attaching, waiting.

mod stream;
mod terminal;

use crate::protocol::{Control, Decoder, Deed, Kind, control};
use anyhow::{Context, Result, bail};
use layout::container::Container;
use layout::lock::Lock;
use layout::{ContainerId, Layout, exit, socket};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A connection to a shim.
pub struct Session {
    socket: UnixStream,
    decoder: Decoder,
}

impl Session {
    /// Connects to the shim of a container.
    pub fn connect(layout: &Layout, id: &ContainerId) -> Result<Session> {
        Ok(Session { socket: socket::connect(&layout.attach_socket(id))?, decoder: Decoder::default() })
    }

    /// Says a word.
    pub fn say(&mut self, word: &Control) -> Result<()> {
        self.socket.write_all(&control(word)?).context("speak to the shim")
    }

    /// Waits for the next word; output that comes before it is dropped. `None` when the shim is gone.
    fn next_word(&mut self) -> Result<Option<Control>> {
        loop {
            while let Some((kind, payload)) = self.decoder.next()? {
                if kind == Kind::Control {
                    return Ok(Some(serde_json::from_slice(&payload).context("understand the shim")?));
                }
            }
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => self.decoder.push(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error).context("listen to the shim"),
            }
        }
    }
}

/// Has the shim start the container. Attached, everything it writes comes here, and its exit code is ours;
/// else this ends as soon as it runs. `held` is let go when it runs.
pub fn start(
    layout: &Layout,
    id: &ContainerId,
    attach: bool,
    interactive: bool,
    command: &[String],
    held: Option<Lock>,
) -> Result<u8> {
    let container = layout.read_container(id)?;
    let mut session = Session::connect(layout, id)?;
    let start = Control::Start { command: command.to_vec() };
    if attach {
        session.say(&Control::Attach { stdin: interactive })?;
        // Before the start, so that the program finds its terminal at the right size.
        stream::announce_size(&mut session, &container)?;
        session.say(&start)?;
        return stream::run(layout, session, &container, interactive, held);
    }
    session.say(&start)?;
    let word = session.next_word()?;
    drop(held);
    match word {
        Some(Control::Started) => Ok(0),
        Some(Control::Failed { code, message }) => Err(exit::coded(code, message)),
        Some(other) => bail!("start {}: the shim answered {other:?}", container.name),
        None => bail!("start {}: its shim was killed", container.name),
    }
}

/// Has the shim of a container do something to it, by a command of the runtime.
///
/// # Errors
/// When it cannot be done, in the runtime's words; or `container NAME is not running`.
pub fn tell(layout: &Layout, id: &ContainerId, what: Deed, command: &[String]) -> Result<()> {
    let mut word = None;
    if let Ok(mut session) = Session::connect(layout, id) {
        session.say(&Control::Do { what, command: command.to_vec() })?;
        word = session.next_word()?;
    }
    match word {
        Some(Control::Done) => Ok(()),
        Some(Control::Refused { message }) => bail!(message),
        // It ended in this moment, or its shim was killed.
        _ => bail!("Container {id} is not running"),
    }
}

/// Connects to a running container.
pub fn attach(layout: &Layout, container: &Container, interactive: bool) -> Result<u8> {
    let mut session = Session::connect(layout, &container.id)?;
    session.say(&Control::Attach { stdin: interactive })?;
    stream::announce_size(&mut session, container)?;
    stream::run(layout, session, container, interactive, None)
}

/// Waits for a container's end and gives its exit code.
pub fn wait(layout: &Layout, id: &ContainerId) -> Result<i32> {
    // No `Attach`: only the last word comes.
    if let Ok(mut session) = Session::connect(layout, id)
        && let Some(Control::Exited { code } | Control::Failed { code, .. }) = session.next_word()?
    {
        return Ok(code.into());
    }
    Ok(crate::life::state(layout, id)?.exit_code)
}

/// Has the shim of a container that is not started yet take it down, and waits until it is done. `false` if the
/// container runs: somebody, who may have been killed since, had asked for its start before.
pub fn abort(layout: &Layout, id: &ContainerId, reason: &str) -> Result<bool> {
    // A shim has its lock a moment before it can be spoken to.
    while !crate::life::wait_end(layout, id, Some(Duration::from_millis(5)))? {
        let Ok(mut session) = Session::connect(layout, id) else { continue };
        session.say(&Control::Abort { reason: reason.to_owned() })?;
        if session.next_word()? == Some(Control::Started) {
            return Ok(false);
        }
        crate::life::wait_end(layout, id, None)?;
    }
    Ok(true)
}

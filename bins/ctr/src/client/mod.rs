//! The other side of the shim's socket: starting, attaching, waiting.

mod detach_keys;
mod manner;
mod stream;
mod terminal;

pub use detach_keys::DetachKeys;
pub use manner::Manner;
pub use stream::{End, Link, announce_size, run as stay};
pub use terminal::size;

use crate::life;
use crate::protocol::{Control, Decoder, Deed, Kind, control};
use anyhow::{Context, Result, bail};
use layout::container::Container;
use layout::events;
use layout::lock::Lock;
use layout::{ContainerId, Layout, exit, socket};
use nix::sys::signal::Signal;
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

    /// A connection that is there already.
    pub fn over(socket: UnixStream) -> Session {
        Session { socket, decoder: Decoder::default() }
    }

    /// Says a word.
    pub fn say(&mut self, word: &Control) -> Result<()> {
        self.socket.write_all(&control(word)?).context("speak to the shim")
    }

    /// Waits for the next word; output that comes before it is dropped. `None` when the shim is gone.
    pub fn next_word(&mut self) -> Result<Option<Control>> {
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

/// Has the shim start the container. Attached, everything it writes comes here until it ends, or the user leaves; else this
/// ends as soon as it runs. `held` is let go when it runs.
pub fn start(
    layout: &Layout,
    id: &ContainerId,
    attach: Option<&Manner>,
    command: &[String],
    held: Option<Lock>,
) -> Result<End> {
    let container = layout.read_container(id)?;
    let mut session = Session::connect(layout, id)?;
    let start = Control::Start { command: command.to_vec() };
    if let Some(manner) = attach {
        let mut link = link(layout, &container, session, manner)?;
        link.session.say(&start)?;
        link.held = held;
        return run(layout, &container, link);
    }
    session.say(&start)?;
    let word = session.next_word()?;
    drop(held);
    match word {
        Some(Control::Started) => Ok(End::Exited(0)),
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
pub fn attach(layout: &Layout, container: &Container, manner: &Manner) -> Result<End> {
    let session = Session::connect(layout, &container.id)?;
    run(layout, container, link(layout, container, session, manner)?)
}

/// Asks for a container's streams.
fn link<'a>(layout: &Layout, container: &Container, mut session: Session, manner: &'a Manner) -> Result<Link<'a>> {
    session.say(&Control::Attach { stdin: manner.interactive && container.config.open_stdin })?;
    // Before a start, so that the program finds its terminal at the right size.
    announce_size(&mut session, container.config.tty)?;
    events::of_container(layout, container, "attach", &[]);
    let lost = format!("lost {}: its shim was killed, and the container with it", container.name);
    Ok(Link {
        session,
        tty: container.config.tty,
        manner,
        input: container.config.open_stdin,
        forward: None,
        lost,
        held: None,
    })
}

fn run(layout: &Layout, container: &Container, link: Link<'_>) -> Result<End> {
    // It may have ended in this moment; then the shim is about to say so.
    let forward = |signal: Signal| drop(life::signal_step(layout, &container.id, signal.as_str()).execute(layout));
    let end = if link.manner.sig_proxy { stay(Link { forward: Some(&forward), ..link }) } else { stay(link) }?;
    if end == End::Detached {
        events::of_container(layout, container, "detach", &[]);
    }
    Ok(end)
}

/// Waits for a container's end and gives its exit code.
pub fn wait(layout: &Layout, id: &ContainerId) -> Result<i32> {
    // No `Attach`: only the last word comes.
    if let Ok(mut session) = Session::connect(layout, id)
        && let Some(Control::Exited { code } | Control::Failed { code, .. }) = session.next_word()?
    {
        return Ok(code.into());
    }
    Ok(life::state(layout, id)?.exit_code)
}

/// Has the shim of a container that is not started yet take it down, and waits until it is done. `false` if the
/// container runs: somebody, who may have been killed since, had asked for its start before.
pub fn abort(layout: &Layout, id: &ContainerId, reason: &str) -> Result<bool> {
    // A shim has its lock a moment before it can be spoken to.
    while !life::wait_end(layout, id, Some(Duration::from_millis(5)))? {
        let Ok(mut session) = Session::connect(layout, id) else { continue };
        session.say(&Control::Abort { reason: reason.to_owned() })?;
        if session.next_word()? == Some(Control::Started) {
            return Ok(false);
        }
        life::wait_end(layout, id, None)?;
    }
    Ok(true)
}

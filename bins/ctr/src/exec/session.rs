//! The parent of a process of `exec`.
//!
//! It is made by a fork and leaves the caller behind, as a container's shim does; the caller stays connected to it
//! by a pair of sockets, in the words of [`crate::protocol`]. When the caller is killed, or leaves, only that ends.

use super::serve::serve;
use crate::client::{End, Link, Manner, Session};
use crate::protocol::Control;
use crate::shim::clients::Client;
use crate::shim::process::open_child;
use crate::shim::{leave_the_caller, streams};
use crate::sys::{self, Side};
use crate::{client, runtime};
use anyhow::{Context, Result, bail};
use layout::container::Container;
use layout::lock::Lock;
use layout::paths::ExecDir;
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, exit};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// What is wanted of the process.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it has something to read.
    pub input: bool,
    /// How we are connected to it; not at all when it runs in the background.
    pub attached: Option<Manner>,
    /// The runtime's `exec`.
    pub command: Vec<String>,
}

impl Wanted {
    /// `ctr shim exec`, which does the same.
    pub fn to_call(&self, id: &ContainerId, exec: &str) -> Call {
        let mut call = Call::new(Tool::Ctr).args(["shim", "exec"]);
        call = match &self.attached {
            Some(manner) => call.args(manner.to_args()),
            None => call.arg("--detach"),
        };
        if self.tty {
            call = call.arg("--tty");
        }
        call.args([id.as_str(), exec, "--"]).args(&self.command)
    }
}

/// Runs the process. Attached, its exit code is ours; else this ends as soon as it runs.
pub fn run(layout: &Layout, id: &ContainerId, exec: &str, wanted: &Wanted) -> Result<u8> {
    let container = layout.read_container(id)?;
    sys::close_from(3).context("close inherited files")?;
    let (ours, theirs) = UnixStream::pair().context("make a pair of sockets")?;
    match sys::fork_process()? {
        Side::Parent => {
            drop(theirs);
            let end = connect(&container, Session::over(ours), wanted)?;
            if wanted.attached.is_some() && end != End::Detached {
                // Its parent is about to say so to everybody else.
                drop(Lock::on_dir(&layout.exec_dir(id, exec).0));
            }
            if end == End::Detached {
                super::note(layout, &container, "exec_detach", exec, None);
            }
            end.or_failure()
        }
        Side::Child => {
            drop(ours);
            let ended = Client::new(layout, theirs).and_then(|client| parent(layout, &container, exec, wanted, client));
            std::process::exit(if ended.is_ok() { 0 } else { exit::TOOL.into() });
        }
    }
}

/// The caller's side.
fn connect(container: &Container, mut session: Session, wanted: &Wanted) -> Result<End> {
    if let Some(manner) = &wanted.attached {
        // The window may have become another since the terminal was ordered.
        client::announce_size(&mut session, wanted.tty)?;
        let lost = format!("lost the command in {}: its parent was killed", container.name);
        let link = Link { session, tty: wanted.tty, input: wanted.input, manner, forward: None, lost, held: None };
        return client::stay(link);
    }
    match session.next_word()? {
        Some(Control::Started) => Ok(End::Exited(0)),
        Some(Control::Failed { message, .. }) => Err(exit::coded(1, message)),
        _ => bail!("exec in {}: the parent of the command was killed", container.name),
    }
}

/// The parent's whole life.
fn parent(layout: &Layout, container: &Container, exec: &str, wanted: &Wanted, mut client: Client) -> Result<()> {
    let dir = layout.exec_dir(&container.id, exec);
    // Held as long as the process is there: `inspect` shows it.
    let _held = Lock::on_dir(&dir.0)?;
    let made = make_process(layout, container, exec, wanted);
    let (streams, pidfd) = match made {
        Ok(made) => made,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&dir.0);
            let code = match exit::code_of(&error) {
                exit::TOOL => exit::CANNOT_EXECUTE,
                code => code,
            };
            client.say(&Control::Failed { code, message: format!("{error:#}") });
            return Err(error);
        }
    };
    client.say(&Control::Started);
    let client = wanted.attached.as_ref().map(|_| client);
    let code = serve(streams, &pidfd, client)?;
    super::note(layout, container, "exec_die", exec, Some(code));
    let _ = std::fs::remove_dir_all(&dir.0);
    Ok(())
}

/// Leaves the caller behind and has the runtime make the process, which becomes a child of this one.
fn make_process(
    layout: &Layout,
    container: &Container,
    exec: &str,
    wanted: &Wanted,
) -> Result<(streams::Streams, OwnedFd)> {
    leave_the_caller()?;
    rustix::process::set_child_subreaper(rustix::process::getpid().into()).context("become the subreaper")?;
    let ExecDir(dir) = layout.exec_dir(&container.id, exec);
    let dir = ExecDir(dir);
    let console = wanted.tty.then(|| dir.console_socket());
    let streams = streams::with_streams(&runtime::from_words(&wanted.command)?, wanted.input, console.as_deref())?;
    let (_, pidfd) = open_child(&dir.pid_file())?;
    Ok((streams, pidfd))
}

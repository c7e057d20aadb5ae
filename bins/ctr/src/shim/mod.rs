//! The shim: the parent of one container.
//!
//! Somebody has to be there as long as the container is: to read what it writes, to learn how it ends, to
//! take down what was put up for it. Docker has a daemon and a shim for that; here it is one small process a
//! container. `ctr shim create` makes it: it leaves the terminal and the session behind, takes the lock
//! that says "this container is alive", runs the runtime's `create`, and stays.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`process`], [`streams`] | the container's process, and the pipes or the terminal between it and the shim |
//! | [`log`] | what it writes, written down |
//! | [`clients`], [`spool`] | the connections of those who are attached; what waits for those who are behind |
//! | [`supervise`] | the loop that waits for all of these, and for the end |
//! | [`traffic`], [`signals`] | what it does with them |
//! | [`deeds`] | what is done to it: started, paused, sent a signal |
//! | [`restart`], [`health`] | whether it is started again, and whether it is well |
//! | [`ending`] | what is true when it has ended, and taking it down |

pub mod clients;
pub mod deeds;
pub mod ending;
pub mod health;
pub mod log;
pub mod process;
pub mod restart;
pub mod signals;
pub mod spool;
pub mod streams;
pub mod supervise;
pub mod traffic;

use self::log::Log;
use self::process::Process;
use crate::life;
use crate::sys::{self, Side};
use anyhow::{Context, Result, bail};
use layout::container::{Container, State};
use layout::events;
use layout::lock::Lock;
use layout::{ContainerId, Layout, exit, socket};
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::time::Instant;

/// A shim with a container that is ready to be started.
pub struct Shim {
    /// The layout.
    pub layout: Layout,
    /// What was asked for.
    pub container: Container,
    /// What became of it.
    pub state: State,
    /// Where clients come in.
    pub listener: UnixListener,
    /// The container's first process; none while it waits for its next start.
    pub process: Option<Process>,
    /// The runtime's `create` and `start`, for a restart.
    pub create: Vec<String>,
    /// See above; none before the first start.
    pub start: Vec<String>,
    /// When it was started, for a clock that nobody sets.
    pub started: Instant,
    /// Whether somebody wants it to end: then no policy has it started again.
    pub ends_for_good: bool,
    /// Whether somebody is to start it anew when it has ended: then it stays, even with `--rm`.
    pub stays: bool,
    /// Held as long as the container is up.
    pub lock: Option<Lock>,
}

/// Makes the shim of a container: returns in the caller as soon as the container is ready, and never in the shim.
pub fn create(layout: &Layout, id: &ContainerId, command: &[String]) -> Result<u8> {
    close_inherited_files()?;
    let container = layout.read_container(id)?;
    let (mut answer, report) = std::io::pipe().context("make a pipe")?;
    match sys::fork_process()? {
        Side::Parent => {
            drop(report);
            read_answer(&mut answer)
        }
        Side::Child => {
            drop(answer);
            let code = run(layout, container, command, report).map_or(exit::TOOL, |()| 0);
            std::process::exit(code.into());
        }
    }
}

/// What the shim reports: nothing when all is well, else the exit code in the first byte and the message.
fn read_answer(answer: &mut PipeReader) -> Result<u8> {
    let mut bytes = Vec::new();
    answer.read_to_end(&mut bytes).context("wait for the shim")?;
    match bytes.split_first() {
        None => bail!("the shim ended before the container was ready"),
        Some((0, _)) => Ok(0),
        Some((code, message)) => Err(exit::coded(*code, String::from_utf8_lossy(message))),
    }
}

/// The shim's whole life.
fn run(layout: &Layout, container: Container, command: &[String], mut report: PipeWriter) -> Result<()> {
    match prepare(layout, container, command) {
        Ok((shim, log)) => {
            let _ = report.write_all(&[0]);
            drop(report);
            supervise::supervise(shim, log)
        }
        Err(error) => {
            let mut answer = vec![exit::code_of(&error)];
            answer.extend_from_slice(format!("{error:#}").as_bytes());
            let _ = report.write_all(&answer);
            Err(error)
        }
    }
}

/// Leaves the caller behind, takes the lock and makes the container's process.
fn prepare(layout: &Layout, container: Container, command: &[String]) -> Result<(Shim, Log)> {
    leave_the_caller()?;
    // The runtime ends after `create`; the container's process then becomes a child of this one, which can
    // wait for it (prctl(2), PR_SET_CHILD_SUBREAPER).
    rustix::process::set_child_subreaper(rustix::process::getpid().into()).context("become the subreaper")?;
    let id = container.id.clone();
    let lock = claim_run_dir(layout, &id)?;
    let mut state = match layout.read_state(&id) {
        Ok(state) => state,
        // Who started it was killed, and somebody has removed it in the same moment: nobody else knows of this folder.
        Err(error) => {
            let _ = remove_run_dir(layout, &id);
            return Err(error);
        }
    };
    let made = Log::open(layout, &container)
        .context("failed to initialize logging driver")
        .and_then(|log| Ok((log, make_process(layout, &container, command)?)));
    match made {
        Ok((log, (listener, process))) => {
            state.pid = process.pid;
            state.error.clear();
            let shim = Shim {
                layout: layout.clone(),
                container,
                state,
                listener,
                process: Some(process),
                create: command.to_vec(),
                start: Vec::new(),
                started: Instant::now(),
                ends_for_good: false,
                stays: false,
                lock: Some(lock),
            };
            shim.publish_state()?;
            Ok((shim, log))
        }
        Err(error) => Err(give_up(layout, &container, state, error)),
    }
}

fn make_process(layout: &Layout, container: &Container, command: &[String]) -> Result<(UnixListener, Process)> {
    let listener = socket::listen(&layout.attach_socket(&container.id))?;
    listener.set_nonblocking(true).context("listen for clients")?;
    Ok((listener, Process::create(layout, container, command)?))
}

/// The container could not be made ready: takes down what there is, and writes down why.
fn give_up(layout: &Layout, container: &Container, mut state: State, error: anyhow::Error) -> anyhow::Error {
    state.pid = 0;
    state.exit_code = exit::code_of(&error).into();
    state.error = format!("{error:#}");
    let undone = life::tear_down(layout, container)
        .and_then(|()| publish_state(layout, &container.id, &state))
        .and_then(|()| remove_run_dir(layout, &container.id));
    match undone {
        Ok(()) => error,
        Err(more) => exit::coded(exit::code_of(&error), format!("{error:#} (and then, taking it down: {more:#})")),
    }
}

fn publish_state(layout: &Layout, id: &ContainerId, state: &State) -> Result<()> {
    match layout.write_state(id, state) {
        // Removed meanwhile: nobody asks any more.
        Err(_) if !layout.container(id).is_dir() => Ok(()),
        other => other,
    }
}

impl Shim {
    /// Publishes `state.json`.
    pub fn publish_state(&self) -> Result<()> {
        publish_state(&self.layout, &self.container.id, &self.state)
    }

    /// Notes what happened to the container.
    pub fn note(&self, action: &str, more: &[(&str, &str)]) {
        events::of_container(&self.layout, &self.container, action, more);
    }
}

/// No file of the caller's comes along: a pipe that stays open here would keep its reader waiting.
fn close_inherited_files() -> Result<()> {
    sys::close_from(3).context("close inherited files")
}

/// A session of its own, no terminal, the root folder, `/dev/null` for streams: nothing that happens to the
/// caller happens to the shim.
pub fn leave_the_caller() -> Result<()> {
    rustix::process::setsid().context("start a session")?;
    std::env::set_current_dir("/").context("go to /")?;
    let null = File::options().read(true).write(true).open("/dev/null").context("open /dev/null")?;
    rustix::stdio::dup2_stdin(&null).context("let go of standard input")?;
    rustix::stdio::dup2_stdout(&null).context("let go of standard output")?;
    rustix::stdio::dup2_stderr(&null).context("let go of standard error")
}

/// Makes the run folder with its lock held from the first moment on: it is made beside, locked, and renamed into
/// place. So a run folder that nobody holds always means a shim that was killed.
fn claim_run_dir(layout: &Layout, id: &ContainerId) -> Result<Lock> {
    let run_dir = layout.run_dir(id);
    let beside = layout.run().join(format!("{id}.{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&beside).with_context(|| format!("make {}", beside.display()))?;
    let lock = Lock::exclusive(&beside.join("shim.lock"))?;
    if let Err(error) = fs::rename(&beside, &run_dir) {
        let _ = fs::remove_dir_all(&beside);
        return Err(error).with_context(|| format!("claim {}: the container has a shim already", run_dir.display()));
    }
    Ok(lock)
}

fn remove_run_dir(layout: &Layout, id: &ContainerId) -> Result<()> {
    let dir = layout.run_dir(id);
    fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))
}

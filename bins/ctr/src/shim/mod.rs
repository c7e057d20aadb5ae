//! The shim: the parent of one container.
//!
//! Somebody has to be there as long as the container is: to read what it writes, to learn how it ends, to
//! take down what was put up for it. Docker has a daemon and a shim for that; here it is one small process a
//! container. `ctr shim create` makes it: it leaves the terminal and the session behind, takes the lock
//! that says "this container is alive", runs the runtime's `create`, and stays.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`streams`] | the pipes or the terminal between container and shim |
//! | [`json_log`] | the log, in docker's json-file format |
//! | [`clients`] | the connections of those who are attached |
//! | [`supervise`] | the loop that waits for all of these, and for the end |

pub mod clients;
pub mod json_log;
pub mod streams;
pub mod supervise;

use crate::protocol::{Control, Deed};
use crate::sys::{self, Side};
use crate::{life, runtime};
use anyhow::{Context, Result, bail};
use layout::container::{Container, State, Status};
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, exit, publish, socket};
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

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
    /// The container's streams.
    pub streams: streams::Streams,
    /// The container's first process (pidfd_open(2)).
    pub pidfd: OwnedFd,
    // Held as long as the container is up.
    lock: Option<Lock>,
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
        Ok(shim) => {
            let _ = report.write_all(&[0]);
            drop(report);
            supervise::supervise(shim)
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
fn prepare(layout: &Layout, container: Container, command: &[String]) -> Result<Shim> {
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
    match make_process(layout, &container, command) {
        Ok((listener, streams, pid, pidfd)) => {
            state.pid = pid;
            state.error.clear();
            let shim = Shim { layout: layout.clone(), container, state, listener, streams, pidfd, lock: Some(lock) };
            shim.publish_state()?;
            Ok(shim)
        }
        Err(error) => Err(give_up(layout, &container, state, error)),
    }
}

type Made = (UnixListener, streams::Streams, i32, OwnedFd);

fn make_process(layout: &Layout, container: &Container, command: &[String]) -> Result<Made> {
    let listener = socket::listen(&layout.attach_socket(&container.id))?;
    listener.set_nonblocking(true).context("listen for clients")?;
    let streams = streams::create_with_streams(layout, container, &runtime::from_words(command)?)?;
    let (pid, pidfd) = open_child(&layout.pid_file(&container.id))?;
    Ok((listener, streams, pid, pidfd))
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
    match publish::json(layout, &layout.container_dir(id).state_json(), state) {
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

    /// The runtime's `start`; from now on the container runs.
    pub fn start(&mut self, command: &[String]) -> Result<()> {
        runtime::from_words(command)?.run()?;
        self.state.status = Status::Running;
        self.state.stopped_on_purpose = false;
        self.state.restart_count = 0;
        self.state.exit_code = 0;
        self.state.started_at = layout::time::now();
        self.publish_state()
    }

    /// Does something to the container by a command of the runtime, and writes down what is true then.
    pub fn carry_out(&mut self, what: Deed, command: &[String]) -> Result<()> {
        let call = runtime::from_words(command)?;
        let id = &self.container.id;
        match (what, self.state.status) {
            (Deed::Pause, Status::Paused) => bail!("Container {id} is already paused"),
            (Deed::Unpause, Status::Running) => bail!("Container {id} is not paused"),
            (_, Status::Running | Status::Paused) => {}
            _ => bail!("Container {id} is not running"),
        }
        if what == Deed::Kill {
            self.state.stopped_on_purpose = true;
        }
        call.run()?;
        match what {
            Deed::Pause => self.state.status = Status::Paused,
            Deed::Unpause => self.state.status = Status::Running,
            // A frozen process takes no signal but SIGKILL before it goes on.
            Deed::Kill if self.state.status == Status::Paused => {
                runtime::resume(&self.layout, id).run()?;
                self.state.status = Status::Running;
            }
            Deed::Kill => {}
        }
        self.publish_state()
    }

    /// Takes everything down and writes down how it ended; the last thing to go is the run folder, with the
    /// lock in it. Gives the word for the clients.
    pub fn finish(&mut self, ended: Ended) -> Control {
        let was_running = self.state.status.is_up();
        self.state.pid = 0;
        let word = match ended {
            Ended::Exited(code) if was_running => {
                self.state.status = Status::Exited;
                self.state.exit_code = code.into();
                self.state.finished_at = layout::time::now();
                Control::Exited { code }
            }
            Ended::Exited(code) => self.never_started(code, "its process ended before it was started".to_owned()),
            Ended::Failed { code, message } => self.never_started(code, message),
        };
        // At once, because it is true already: taking down takes a while.
        let mut failures: Vec<String> = self.publish_state().err().map(|e| format!("{e:#}")).into_iter().collect();
        failures.extend(life::tear_down(&self.layout, &self.container).err().map(|error| format!("{error:#}")));
        if was_running && self.container.host_config.auto_remove {
            let removed = life::remove_plan(&self.layout, &self.container, true).execute(&self.layout);
            failures.extend(removed.err().map(|error| format!("{error:#}")));
        }
        if failures.is_empty() {
            // If even this fails, the next command that looks finds a run folder without a shim, and cleans up.
            let _ = remove_run_dir(&self.layout, &self.container.id);
            // A client that reads slowly may keep this process here; nobody else has to wait for that.
            self.lock = None;
        } else {
            // Nobody may be listening; `ctr inspect` shows it. The run folder stays, so that the next command that
            // looks tries again.
            self.state.error = failures.join("; ");
            let _ = self.publish_state();
        }
        word
    }

    /// Whether the kernel ended a process of the container for want of memory, as its cgroup has counted.
    pub fn ran_out_of_memory(&self) -> bool {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Stats {
            memory: Option<Memory>,
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Memory {
            oom_kills: Option<u64>,
        }
        let call = Call::new(Tool::Cgset).args(["stats", "--json"]).arg(crate::spec::cgroup(&self.container.id));
        let stats = call.output().ok().and_then(|json| serde_json::from_slice::<Stats>(&json).ok());
        stats.and_then(|stats| stats.memory?.oom_kills).is_some_and(|kills| kills > 0)
    }

    fn never_started(&mut self, code: u8, message: String) -> Control {
        self.state.exit_code = code.into();
        self.state.error = message.clone();
        Control::Failed { code, message }
    }
}

/// How it came to its end.
pub enum Ended {
    /// The process ended.
    Exited(u8),
    /// It was never started.
    Failed {
        /// The exit code for it.
        code: u8,
        /// Why.
        message: String,
    },
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

/// The process that the runtime made, a child of ours by now: its pid, which is in `file`, and a file that stands for it whatever
/// becomes of the pid.
pub fn open_child(file: &Path) -> Result<(i32, OwnedFd)> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let pid = text.trim().parse::<i32>().ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.with_context(|| format!("{} holds {text:?}, which is no pid", file.display()))?;
    // It is our child, so its pid cannot be given to another process before we wait for it.
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .with_context(|| format!("open process {}", pid.as_raw_nonzero()))?;
    Ok((pid.as_raw_nonzero().get(), pidfd))
}

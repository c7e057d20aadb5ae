//! Another process in a running container.
//!
//! It joins all namespaces of the container's first process with one setns(2) on its pidfd. A process cannot
//! change its own pid namespace, only that of its children: so a helper joins, and makes the process as its
//! sibling (`CLONE_PARENT`), which thereby is our child, in the container.
//!
//! Into the v2 cgroup the helper is born, and so is what it makes; the v1 groups the process enters itself, so that only one
//! process is counted ([`crate::cgroup`]). Where a limit of tasks leaves no room to be born in, it enters the v2 group
//! likewise: who has filled his container can still be looked at.

use crate::cgroup::{Entrance, Folders};
use crate::create::{Console, await_execution, connect_console, end_child, proceed};
use crate::mounts::{in_root::Root, pivot_root};
use crate::narrate::{narrate, warn};
use crate::process::{Wanted, become_process, labels, limits, scheduling};
use crate::protocol::{Channel, Order, Report};
use crate::seccomp::{self, Filter};
use crate::state::{Process, State, Status, write_whole};
use crate::sys::{self, Cloned};
use crate::terminal::{self, Terminal};
use crate::{clone, kernel_settings, namespaces};
use anyhow::{Context, Result};
use layout::exit;
use layout::oci::runtime::{Linux, Process as ProcessConfig, Spec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use std::path::Path;

/// What the new process is to do.
#[derive(Debug)]
struct Job<'a> {
    process: &'a ProcessConfig,
    linux: &'a Linux,
    filter: Option<Filter>,
    /// The host's procfs, if it is needed.
    proc: Option<OwnedFd>,
    /// The folders of the container's cgroup, and the way into it.
    folders: &'a Folders,
    entrance: Entrance,
    /// Where the terminal's master end goes.
    console: Option<OwnedFd>,
    preserve_fds: u32,
}

/// A process that is to be made in a container.
#[derive(Debug)]
pub struct Request<'a> {
    /// The container's first process.
    pub init: &'a Process,
    /// What it is to be.
    pub process: &'a ProcessConfig,
    /// The container's configuration.
    pub spec: &'a Spec,
    /// The container's state.
    pub state: &'a State,
    /// Where its terminal goes.
    pub console: Console,
    /// Descriptors from 3 on that it keeps.
    pub preserve_fds: u32,
    /// Where to write its number.
    pub pid_file: Option<&'a Path>,
}

/// Makes the process; gives it, and the terminal's master end if that came to us. Its program runs by then.
pub fn exec(request: &Request<'_>) -> Result<(Process, Option<OwnedFd>)> {
    let entrance = Entrance::open(&request.state.cgroup_folders)?;
    let (theirs, ours) = connect_console(&request.console, request.process.terminal)?;
    let none = Linux::default();
    let linux = request.spec.linux.as_ref().unwrap_or(&none);
    labels::check(request.process, linux, Path::new("/sys"))?;
    let job = Job {
        process: request.process,
        linux,
        proc: labels::open_proc(request.process)?,
        filter: seccomp::of(request.spec)?,
        folders: &request.state.cgroup_folders,
        entrance,
        console: theirs,
        preserve_fds: request.preserve_fds,
    };
    let (channel, child) = starting_on(request.process, || spawn(request.init, job))?;
    if let Err(error) = admit(&channel, &child, request) {
        end_child(&child);
        return Err(error);
    }
    let master = ours.map(terminal::receive_descriptor).transpose()?.flatten();
    Ok((child, master))
}

/// Makes the process on the processors where it is to be before it is in the container's group; we ourselves stay where we are.
fn starting_on<T>(process: &ProcessConfig, make: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(affinity) = process.exec_cpu_affinity.as_ref().filter(|affinity| !affinity.initial.is_empty()) else {
        return make();
    };
    let ours = sched_getaffinity(None).context("ask for our own processors")?;
    scheduling::run_on(&affinity.initial).context("process.execCPUAffinity.initial")?;
    let made = make();
    sched_setaffinity(None, &ours).context("go back to our own processors")?;
    made
}

/// Lets the new process go on until its program runs.
fn admit(channel: &Channel, child: &Process, request: &Request<'_>) -> Result<()> {
    request.state.rdt.enter(child.pid)?;
    if let Some(score) = request.process.oom_score_adj {
        kernel_settings::set_oom_score_adj(child.pid, score)?;
    }
    if let Some(number) = proceed(channel, child)? {
        seccomp::listener::hand_over(child, number, request.spec, request.state, Status::Running)?;
    }
    limits::set(child.pid, &request.process.rlimits, &mut |message| warn(&message))?;
    if let Some(file) = request.pid_file {
        write_whole(file, child.pid.as_raw_pid().to_string().as_bytes())?;
    }
    channel.order(Order::Go)?;
    await_execution(channel)
}

fn spawn(init: &Process, mut job: Job<'_>) -> Result<(Channel, Process)> {
    let (ours, theirs) = Channel::pair()?;
    let made = match clone::child(job.entrance.unified()) {
        Err(error) if clone::is_full(&error) => {
            job.entrance = job.entrance.not_by_birth()?;
            clone::child(None)
        }
        Err(error) if clone::is_divided(&error) => {
            // As the container's processes do it when they divide their group among them: beside the first one.
            job.entrance = Entrance::open(&job.folders.of_process(init.pid)?)?;
            clone::child(job.entrance.unified())
        }
        other => other,
    };
    let helper = match made? {
        Cloned::Parent { pid, pidfd } => Process { pid, pidfd },
        Cloned::Child => {
            drop(ours);
            help(init, job, theirs)
        }
    };
    drop(theirs);
    let child = clone::receive_child(&ours);
    // It has nothing more to do, and its end tells nothing that the channel does not.
    let _ = waitid(WaitId::PidFd(helper.pidfd.as_fd()), WaitIdOptions::EXITED);
    Ok((ours, child?))
}

/// The helper: joins the namespaces, makes the process, tells its number, ends.
fn help(init: &Process, job: Job<'_>, channel: Channel) -> ! {
    let joined = (|| {
        let flags = namespaces::different(Path::new("/proc"), "self", init.pid)?;
        narrate!(
            "where the container's first process is",
            "setns(pidfd {}, {})",
            init.pid.as_raw_pid(),
            namespaces::names(flags)
        );
        if flags != 0 {
            namespaces::enter(&init.pidfd, flags).context("join the container's namespaces")?;
        }
        clone::sibling()
    })();
    let told = match joined {
        Ok(Cloned::Child) => become_wanted(job, &channel),
        Ok(Cloned::Parent { pid, .. }) => channel.report(&Report::Made(pid.as_raw_pid())),
        Err(error) => channel.report(&Report::failure(&error)),
    };
    sys::exit_now(if told.is_ok() { 0 } else { exit::TOOL });
}

/// The process: in all namespaces of the container, and soon its program.
fn become_wanted(job: Job<'_>, channel: &Channel) -> ! {
    let Job { process, linux, filter, proc, entrance, console, preserve_fds, .. } = job;
    let prepared = (|| {
        entrance.enter()?;
        channel.await_order(Order::Proceed)?;
        terminal::new_session()?;
        terminal::new_keyring()?;
        if let Some(console) = &console {
            let root: Root = pivot_root::open_host_root()?;
            Terminal::open(&root, process.console_size)?.take(console)?;
        }
        terminal::give_streams_to(process)?;
        if let Some(proc) = proc {
            labels::apply(process, &proc)?;
        }
        if let Some(affinity) = &process.exec_cpu_affinity {
            scheduling::run_on(&affinity.last).context("process.execCPUAffinity.final")?;
        }
        let wanted = Wanted { process, linux, filter: filter.as_ref() };
        let mut program = become_process(wanted, &mut |message| drop(channel.report(&Report::Warning(message))))?;
        program.get_ready(channel)?;
        channel.await_order(Order::Go)?;
        anyhow::Ok(program)
    })();
    let error = match prepared {
        Ok(program) => program.execute(preserve_fds),
        Err(error) => error,
    };
    if channel.report(&Report::failure(&error)).is_err() {
        warn(&format!("{error:#}"));
    }
    sys::exit_now(exit::code_of(&error));
}

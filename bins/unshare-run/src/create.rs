//! The parent's side of making a container (the child's is [`crate::init`], what they say [`crate::protocol`]).
//!
//! State is written before the thing that it tells of: who kills this process at any instant leaves a folder
//! that `delete --force` can read, and a child that ends by itself.

use crate::cgroup::{self, Entrance, Folders};
use crate::commands::delete;
use crate::init::{self, Job};
use crate::namespaces::{self, Namespaces};
use crate::narrate::warn;
use crate::process::{labels, limits};
use crate::protocol::{Channel, Order, Report};
use crate::rdt::{self, Groups};
use crate::state::{Process, Stat, State, StateDir, Status, write_whole};
use crate::sys::Cloned;
use crate::{clone, exec_fifo, hooks, kernel_settings, mounts, seccomp, terminal};
use anyhow::{Context, Result, bail};
use layout::exit;
use layout::oci::runtime::{Linux, NamespaceKind, Spec};
use rustix::fd::OwnedFd;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::path::{Path, PathBuf};

/// Where the terminal goes, if the process has one.
#[derive(Debug, Clone)]
pub enum Console {
    /// There is none.
    None,
    /// To a socket of the caller's.
    Socket(PathBuf),
    /// To ourselves: we stay and show it.
    Ours,
}

/// A container to be made.
#[derive(Debug)]
pub struct Request<'a> {
    /// Folder of the containers' state.
    pub state_root: &'a Path,
    /// Its name.
    pub id: &'a str,
    /// What it is to be.
    pub spec: &'a Spec,
    /// The folder that relative paths start at.
    pub bundle: &'a Path,
    /// Where to write the process's number.
    pub pid_file: Option<&'a Path>,
    /// Where its terminal goes.
    pub console: Console,
    /// Descriptors from 3 on that it keeps.
    pub preserve_fds: u32,
    /// Whether it waits for `start`.
    pub wait_for_start: bool,
    /// Whether it leads a session of its own.
    pub own_session: bool,
    /// Whether it has a session keyring of its own.
    pub own_keyring: bool,
}

/// A container that is made.
#[derive(Debug)]
pub struct Created {
    /// Its folder.
    pub dir: StateDir,
    /// Its first process.
    pub process: Process,
    /// The terminal's master end, if that came to us.
    pub master: Option<OwnedFd>,
}

/// The two ends of where the terminal goes: the child's, and ours if it goes to us.
pub fn connect_console(console: &Console, terminal: bool) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    match (console, terminal) {
        (Console::None, false) => Ok((None, None)),
        (Console::None, true) => bail!("give it a terminal: nobody takes it: --console-socket is missing"),
        (_, false) => bail!("use the console socket: the process has no terminal (process.terminal is false)"),
        (Console::Socket(path), true) => Ok((Some(layout::socket::connect(path)?.into()), None)),
        (Console::Ours, true) => {
            let (a, b) = std::os::unix::net::UnixStream::pair().context("make a socket pair")?;
            Ok((Some(a.into()), Some(b.into())))
        }
    }
}

/// Makes the container. If that fails, nothing is left of it.
pub fn create(request: &Request<'_>) -> Result<Created> {
    crate::validate::validate(request.spec).context("config.json")?;
    let process = request.spec.process.as_ref().context("process: the configuration has none")?;
    let rootfs = request.spec.root.as_ref().map(|root| request.bundle.join(&root.path));
    let group = cgroup::path_of(request.spec, request.id).context("config.json")?;
    let linux = request.spec.linux.as_ref();
    labels::check(process, linux.unwrap_or(&Linux::default()), Path::new("/sys")).context("config.json")?;
    let filter = seccomp::of(request.spec).context("config.json")?;
    let (console, our_console) = connect_console(&request.console, process.terminal)?;
    let dir = StateDir::claim(request.state_root, request.id)?;
    let _lock = dir.lock()?;
    let namespaces = Namespaces::of(request.spec);
    let state = initial_state(request, rootfs.as_deref(), group, &namespaces);
    let mut undo = Undo { dir: Some(dir.clone()), process: None, group_is_ours: false, state };
    dir.write_state(&undo.state)?;
    dir.write_config(request.spec)?;
    let entrance = make_group(request.spec, &mut undo)?;
    if let Some(linux) = linux {
        rdt::make(linux, request.id, &mut undo.state.rdt).context("config.json")?;
    }
    let fifo = if request.wait_for_start { Some(exec_fifo::make(&dir.exec_fifo())?) } else { None };
    let sources = mounts::sources::prepare(request.spec, &namespaces, request.bundle)?;
    let job = Job {
        spec: request.spec,
        id: request.id,
        process,
        namespaces: &namespaces,
        bundle: request.bundle,
        rootfs: rootfs.as_deref(),
        console,
        fifo,
        entrance,
        filter,
        sources,
        guided: namespaces.need_a_guide(),
        preserve_fds: request.preserve_fds,
        own_session: request.own_session,
        own_keyring: request.own_keyring,
    };
    let (channel, child) = spawn(job)?;
    let (child, state) = (undo.process.insert(child), &mut undo.state);
    state.pid = child.pid.as_raw_pid();
    state.start_time = Stat::read(Path::new("/proc"), child.pid)?.start_time;

    state.rdt.enter(child.pid)?;
    if let Some(score) = process.oom_score_adj {
        kernel_settings::set_oom_score_adj(child.pid, score)?;
    }
    if init::waits_for_parent(request.spec, &namespaces) {
        prepare_namespaces(request.spec, &namespaces, child)?;
        // A child that has failed meanwhile is not there to hear it, but its reason is.
        let _ = channel.order(Order::Proceed);
    }
    if let Some(number) = await_ready(&channel, child, &mut || run_create_hooks(request.spec, state))? {
        seccomp::listener::hand_over(child, number, request.spec, state, Status::Creating)?;
    }
    limits::set(child.pid, &process.rlimits, &mut |message| warn(&message))?;
    let master = our_console.map(terminal::receive_descriptor).transpose()?.flatten();
    dir.write_state(state)?;
    if let Some(file) = request.pid_file {
        write_whole(file, state.pid.to_string().as_bytes())?;
    }
    channel.order(Order::Go)?;
    if !request.wait_for_start {
        await_execution(&channel)?;
        state.run_poststart()?;
    }
    let process = undo.process.take().context("the process is gone")?;
    undo.dir = None;
    Ok(Created { dir, process, master })
}

/// What is to be done in the child's namespaces by somebody outside.
fn prepare_namespaces(spec: &Spec, namespaces: &Namespaces, child: &Process) -> Result<()> {
    if namespaces.is_new(NamespaceKind::User) {
        namespaces::user::write_id_maps(child.pid, spec)?;
    }
    namespaces::network_devices::move_in(spec, namespaces, child.pid)
}

/// Makes the cgroup, if there is to be one, and opens it for the process that is yet to be made.
fn make_group(spec: &Spec, undo: &mut Undo) -> Result<Entrance> {
    let Some(path) = &undo.state.cgroup else { return Ok(Entrance::default()) };
    let folders = cgroup::create(path, spec)?;
    // Only now: a group that could not be made may be one that others are in.
    undo.group_is_ours = true;
    undo.state.cgroup_folders = folders;
    Entrance::open(&undo.state.cgroup_folders)
}

fn initial_state(request: &Request<'_>, rootfs: Option<&Path>, cgroup: Option<String>, own: &Namespaces) -> State {
    let hooks = request.spec.hooks.as_ref();
    State {
        oci_version: request.spec.oci_version.clone(),
        id: request.id.to_owned(),
        pid: 0,
        start_time: 0,
        bundle: request.bundle.to_owned(),
        rootfs: rootfs.unwrap_or(Path::new("/")).to_owned(),
        created: layout::time::now(),
        cgroup,
        cgroup_folders: Folders::default(),
        outlived: !own.is_new(NamespaceKind::Pid),
        rdt: Groups::default(),
        annotations: request.spec.annotations.clone(),
        poststart: hooks.map(|hooks| hooks.poststart.clone()).unwrap_or_default(),
        poststop: hooks.map(|hooks| hooks.poststop.clone()).unwrap_or_default(),
    }
}

/// The hooks of the runtime while the container is made: its root is put together, and the host's files still in reach.
fn run_create_hooks(spec: &Spec, state: &State) -> Result<()> {
    let Some(wanted) = &spec.hooks else { return Ok(()) };
    let (shown, place) = (state.for_hooks(Status::Creating), state.hooks_place());
    hooks::run("prestart", &wanted.prestart, &shown, place)?;
    hooks::run("createRuntime", &wanted.create_runtime, &shown, place)
}

/// Makes the child; it does its [`Job`] and does not come back.
fn spawn(mut job: Job<'_>) -> Result<(Channel, Process)> {
    if job.guided {
        let (namespaces, entrance) = (job.namespaces, std::mem::take(&mut job.entrance));
        return match clone::by_way_of_a_guide(namespaces, entrance)? {
            (channel, Some(process)) => Ok((channel, process)),
            (channel, None) => init::run(job, channel),
        };
    }
    let (ours, theirs) = Channel::pair()?;
    match clone::into_namespaces(job.namespaces, job.entrance.unified())? {
        Cloned::Parent { pid, pidfd } => Ok((ours, Process { pid, pidfd })),
        Cloned::Child => {
            // The end of the stream is only seen when nobody else holds the other end.
            drop(ours);
            init::run(job, theirs)
        }
    }
}

/// Lets the child go on and waits until it is ready. Gives the number of its descriptor for who decides about its system calls.
pub fn proceed(channel: &Channel, child: &Process) -> Result<Option<i32>> {
    // A child that has failed meanwhile is not there to hear it, but its reason is.
    let ordered = channel.order(Order::Proceed);
    let listener = await_ready(channel, child, &mut || Ok(()))?;
    ordered.map(|()| listener)
}

/// Waits until the child is ready, and runs what is to be run when it is at its hooks. Gives what the child says with it.
fn await_ready(channel: &Channel, child: &Process, run_hooks: &mut dyn FnMut() -> Result<()>) -> Result<Option<i32>> {
    loop {
        match channel.next_report()? {
            Some(Report::Ready(listener)) => return Ok(listener),
            Some(Report::Warning(message)) => warn(&message),
            Some(Report::Failed(code, message)) => return Err(exit::coded(code, message)),
            Some(Report::AtHooks) => {
                run_hooks()?;
                channel.order(Order::Proceed)?;
            }
            Some(Report::Made(_)) => {}
            None => bail!("make the container: its process ended before it was ready{}", how_it_ended(child)),
        }
    }
}

/// Waits until the channel closes, which execve does.
pub fn await_execution(channel: &Channel) -> Result<()> {
    match channel.next_report()? {
        Some(Report::Failed(code, message)) => Err(exit::coded(code, message)),
        _ => Ok(()),
    }
}

fn how_it_ended(child: &Process) -> String {
    use rustix::fd::AsFd;
    match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        Ok(Some(status)) => match status.terminating_signal() {
            Some(signal) => format!(": signal {signal}"),
            None => format!(": exit code {}", status.exit_status().unwrap_or_default()),
        },
        _ => String::new(),
    }
}

/// What is there of a container that is being made: gone, unless that succeeds.
struct Undo {
    dir: Option<StateDir>,
    process: Option<Process>,
    group_is_ours: bool,
    state: State,
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        if let Some(process) = self.process.take() {
            end_child(&process);
        }
        if !self.group_is_ours {
            self.state.cgroup = None;
        }
        if let Err(error) = delete::remove(&dir, &self.state) {
            warn(&format!("clean up: {error:#}"));
        }
    }
}

/// Kills and reaps a child of ours.
pub fn end_child(process: &Process) {
    use rustix::fd::AsFd;
    // It may have ended already; the wait tells in any case.
    let _ = pidfd_send_signal(&process.pidfd, Signal::KILL);
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::PidFd(process.pidfd.as_fd()), WaitIdOptions::EXITED) {}
}

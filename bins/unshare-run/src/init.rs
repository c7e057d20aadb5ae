//! The child's side of making a container: the steps, in the order that they have to come in.
//!
//! Up to `pivot_root` the process sees the host's files and uses its `/proc` and `/dev`, which can be trusted;
//! after it there is nothing of the host's left to see.

use crate::cgroup::Entrance;
use crate::exec_fifo::{self, Waiting};
use crate::hooks::{self, HookState, Place};
use crate::mounts::in_root::Root;
use crate::mounts::sources::Sources;
use crate::mounts::{Surroundings, Unfinished};
use crate::mounts::{devices, masked, pivot_root};
use crate::namespaces::{self, Namespaces};
use crate::process::program::Program;
use crate::process::{Wanted, become_process, labels};
use crate::protocol::{Channel, Order, Report};
use crate::seccomp::Filter;
use crate::state::Status;
use crate::terminal::Terminal;
use crate::{kernel_settings, mounts, sys, terminal};
use anyhow::Result;
use layout::exit;
use layout::oci::runtime::{Hook, Linux, NamespaceKind, Process, Spec};
use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use std::path::Path;

/// What the child is to do.
#[derive(Debug)]
pub struct Job<'a> {
    /// The configuration, which has been validated.
    pub spec: &'a Spec,
    /// The container's name.
    pub id: &'a str,
    /// Its process.
    pub process: &'a Process,
    /// Its namespaces.
    pub namespaces: &'a Namespaces,
    /// The bundle's folder.
    pub bundle: &'a Path,
    /// The root folder; the host's root where there is none.
    pub rootfs: Option<&'a Path>,
    /// Where the terminal's master end goes.
    pub console: Option<OwnedFd>,
    /// The pipe to wait at, after the parent is gone.
    pub fifo: Option<OwnedFd>,
    /// The way into its cgroup.
    pub entrance: Entrance,
    /// Its system call filter.
    pub filter: Option<Filter>,
    /// What the parent has prepared of the mounts.
    pub sources: Sources,
    /// Whether a guide has joined the namespaces that exist already.
    pub guided: bool,
    /// Descriptors from 3 on that the program keeps.
    pub preserve_fds: u32,
    /// Whether it leads a session of its own; by hand without a terminal it stays in the caller's.
    pub own_session: bool,
    /// Whether it has a session keyring of its own.
    pub own_keyring: bool,
}

/// Runs the child to its end, which is the program or a message to the parent.
pub fn run(mut job: Job<'_>, channel: Channel) -> ! {
    let fifo = job.fifo.take();
    let entrance = std::mem::take(&mut job.entrance);
    let prepared = (|| {
        // The pipe is opened by way of the host's /proc, so this comes before everything else.
        let waiting = fifo.map(Waiting::new).transpose()?;
        // What we use from here on is counted, and held to the limits.
        entrance.enter()?;
        let mut program = set_up(&mut job, &channel)?;
        program.get_ready(&channel)?;
        channel.await_order(Order::Go)?;
        anyhow::Ok((program, waiting))
    })();
    let error = match prepared {
        Err(error) => error,
        Ok((program, None)) => become_program(&job, program),
        Ok((program, Some(waiting))) => {
            // The parent is to end now, and `start` will be somebody else.
            drop(channel);
            start_later(&job, program, waiting)
        }
    };
    // Without a parent there is nobody to tell.
    let _ = channel.report(&Report::failure(&error));
    sys::exit_now(exit::code_of(&error));
}

fn start_later(job: &Job<'_>, program: Program, waiting: Waiting) -> ! {
    let (error, fifo) = match waiting.wait() {
        Ok(fifo) => (become_program(job, program), Some(fifo)),
        Err(error) => (error, None),
    };
    if let Some(fifo) = fifo {
        exec_fifo::tell_failure(&fifo, &error);
    }
    sys::exit_now(exit::code_of(&error));
}

/// The last step, once it has been let go. Returns only to say why not.
fn become_program(job: &Job<'_>, mut program: Program) -> anyhow::Error {
    let hooks = job.spec.hooks.as_ref().map_or(&[][..], |hooks| &hooks.start_container);
    if !hooks.is_empty() {
        let env = program.environment();
        let place = Place { folder: None, env: Some(&env) };
        // They may do no more than the program.
        let ran = program.confine();
        if let Err(error) = ran.and_then(|()| run_hooks(job, "startContainer", hooks, Status::Created, place)) {
            return error;
        }
    }
    program.execute(job.preserve_fds)
}

/// The hooks that come when the root is put together and not entered yet: the parent runs those of the runtime, we run our
/// own, which can use the host's files.
fn run_create_hooks(job: &Job<'_>, channel: &Channel) -> Result<()> {
    let Some(hooks) = &job.spec.hooks else { return Ok(()) };
    if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
        channel.report(&Report::AtHooks)?;
        channel.await_order(Order::Proceed)?;
    }
    let ours = rustix::process::umask(Mode::from_raw_mode(0o022));
    let place = Place { folder: Some(job.bundle), env: None };
    run_hooks(job, "createContainer", &hooks.create_container, Status::Creating, place)?;
    rustix::process::umask(ours);
    Ok(())
}

/// Runs hooks in the container's namespaces, where our number is another one than outside.
fn run_hooks(job: &Job<'_>, kind: &str, wanted: &[Hook], status: Status, place: Place<'_>) -> Result<()> {
    let state = HookState {
        oci_version: &job.spec.oci_version,
        id: job.id,
        status: status.as_str(),
        pid: rustix::process::getpid().as_raw_pid(),
        bundle: job.bundle,
        annotations: &job.spec.annotations,
    };
    hooks::run(kind, wanted, &state, place)
}

/// Whether the child waits: there is something in the new namespaces that only the parent can do (id maps, devices of the
/// host's network), or the parent is first to hear from the guide who it is.
pub fn waits_for_parent(spec: &Spec, namespaces: &Namespaces) -> bool {
    let maps = namespaces.is_new(NamespaceKind::User);
    maps || namespaces.need_a_guide() || spec.linux.as_ref().is_some_and(|linux| !linux.net_devices.is_empty())
}

fn set_up(job: &mut Job<'_>, channel: &Channel) -> Result<Program> {
    let spec = job.spec;
    if job.own_session {
        terminal::new_session()?;
    }
    if job.own_keyring {
        terminal::new_keyring()?;
    }
    // The modes of what we make are what we say.
    rustix::process::umask(Mode::empty());
    if !job.guided {
        job.namespaces.join()?;
    }
    if waits_for_parent(spec, job.namespaces) {
        channel.await_order(Order::Proceed)?;
    }
    if job.namespaces.has(NamespaceKind::User) {
        namespaces::user::become_root_inside()?;
    }
    if job.namespaces.is_new(NamespaceKind::Cgroup) {
        namespaces::new_cgroup_namespace()?;
    }
    kernel_settings::apply(spec, job.namespaces)?;
    if let Some(proc) = labels::open_proc(job.process)? {
        labels::apply(job.process, &proc)?;
    }
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    if job.namespaces.is_new(NamespaceKind::Mount) || job.rootfs.is_some() {
        pivot_root::separate_mounts(&linux.rootfs_propagation, job.rootfs)?;
    }
    let terminal = match job.rootfs {
        Some(rootfs) => set_up_root(job, linux, rootfs, channel)?,
        None if job.process.terminal => Some(Terminal::open(&pivot_root::open_host_root()?, job.process.console_size)?),
        None => None,
    };
    if let (Some(terminal), Some(console)) = (terminal, job.console.take()) {
        terminal.take(&console)?;
    }
    terminal::give_streams_to(job.process)?;
    let mut warn = |message| drop(channel.report(&Report::Warning(message)));
    let wanted = Wanted { process: job.process, linux, filter: job.filter.as_ref() };
    become_process(wanted, &mut warn)
}

/// Everything in the mount namespace: afterwards `/` is the container's.
fn set_up_root(job: &mut Job<'_>, linux: &Linux, rootfs: &Path, channel: &Channel) -> Result<Option<Terminal>> {
    let spec = job.spec;
    let root = pivot_root::open_rootfs(rootfs)?;
    let around = Surroundings { bundle: job.bundle, namespaces: job.namespaces };
    let mut unfinished = Vec::new();
    for (place, mount) in spec.mounts.iter().enumerate() {
        unfinished.extend(mounts::mount(&root, &labels::labelled(mount, linux), job.sources.remove(&place), &around)?);
    }
    let binds_dev = |m| mounts::is_dev(m) && m.kind != "tmpfs" && m.kind != "devtmpfs";
    if !spec.mounts.iter().any(binds_dev) {
        devices::make(&root, &linux.devices, job.namespaces.has(NamespaceKind::User))?;
    }
    run_create_hooks(job, channel)?;
    let terminal = match job.process.terminal {
        true => Some(Terminal::open(&root, job.process.console_size)?),
        false => None,
    };
    if let Some(terminal) = &terminal {
        terminal.bind_console(&root)?;
    }
    make_folder_to_start_in(&root, job.process)?;
    masked::make_read_only(&root, &linux.readonly_paths)?;
    masked::mask(&root, &linux.masked_paths)?;
    unfinished.iter().try_for_each(Unfinished::make_read_only)?;
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        masked::make_root_read_only(&root)?;
    }
    pivot_root::pivot_root(&root, &linux.rootfs_propagation)?;
    if !linux.rootfs_propagation.is_empty() {
        unfinished.iter().try_for_each(Unfinished::propagate)?;
    }
    Ok(terminal)
}

/// As docker and runc: `WORKDIR` may name a folder that the image does not have.
fn make_folder_to_start_in(root: &Root, process: &Process) -> Result<()> {
    match root.open(&process.cwd, rustix::fs::OFlags::PATH) {
        Err(rustix::io::Errno::NOENT) => root.make_dir(&process.cwd).map(drop),
        // Links through /proc, and what is no folder, are chdir's to refuse.
        _ => Ok(()),
    }
}

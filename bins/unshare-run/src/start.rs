//! The subcommands that make processes: what they have to do before, and around, [`crate::create`].

use crate::cli::{self, Hand};
use crate::create::{self, Console, Request};
use crate::run::{Forward, Signals};
use crate::state::{Process, StateDir, Status};
use crate::{bundle, exec_fifo, run, self_exe, spec_from_flags, sys};
use anyhow::{Context, Result, bail};
use layout::oci::defaults;
use layout::oci::runtime::Spec;
use std::path::Path;

/// What comes before every process that is made: nothing of the caller's, or of ours, goes with it by accident.
fn prepare(preserve_fds: u32) -> Result<()> {
    sys::reset_signals();
    sys::ignore_broken_pipes();
    if let Some(missing) = (3..3 + preserve_fds).find(|fd| !sys::is_open(*fd as i32)) {
        bail!("--preserve-fds {preserve_fds}: descriptor {missing} is not open");
    }
    sys::close_on_exec_from(3 + preserve_fds).context("mark the caller's files")?;
    self_exe::protect()
}

/// `create`.
pub fn create(root: &Path, options: &cli::Create) -> Result<()> {
    prepare(options.preserve_fds)?;
    let (bundle, spec) = bundle::read(&options.bundle)?;
    create::create(&request(root, options, &bundle, &spec, true, detached_console(options)))?;
    Ok(())
}

fn detached_console(options: &cli::Create) -> Console {
    options.console_socket.clone().map_or(Console::None, Console::Socket)
}

fn request<'a>(
    root: &'a Path,
    options: &'a cli::Create,
    bundle: &'a Path,
    spec: &'a Spec,
    wait_for_start: bool,
    console: Console,
) -> Request<'a> {
    Request {
        state_root: root,
        id: &options.id,
        spec,
        bundle,
        pid_file: options.pid_file.as_deref(),
        console,
        preserve_fds: options.preserve_fds,
        wait_for_start,
        own_session: true,
    }
}

/// `start`.
pub fn start(root: &Path, id: &str) -> Result<()> {
    let dir = StateDir::new(root, id).with_context(|| format!("start {id}"))?;
    let state = dir.state().with_context(|| format!("start {id}"))?;
    match (Process::find(&state), dir.status(&state)) {
        (Some(process), Status::Created) => exec_fifo::release(&dir.exec_fifo(), &process.pidfd),
        (_, Status::Running) => bail!("start {id}: cannot start an already running container"),
        (_, Status::Creating) => bail!("start {id}: it is still being created"),
        (_, Status::Stopped | Status::Created) => bail!("start {id}: cannot start a container that has stopped"),
    }
}

/// `run`: create and start in one.
pub fn run(root: &Path, options: &cli::Run) -> Result<u8> {
    prepare(options.create.preserve_fds)?;
    let (bundle, spec) = bundle::read(&options.create.bundle)?;
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    let console = match (&options.create.console_socket, options.detach) {
        (None, false) if terminal => Console::Ours,
        _ => detached_console(&options.create),
    };
    if options.detach {
        create::create(&request(root, &options.create, &bundle, &spec, false, console))?;
        return Ok(0);
    }
    let signals = Signals::take()?;
    let created = create::create(&request(root, &options.create, &bundle, &spec, false, console))?;
    run::foreground(created, &signals, Forward::All)
}

/// `exec`.
pub fn exec(root: &Path, options: &cli::Exec) -> Result<u8> {
    prepare(options.preserve_fds)?;
    crate::exec::exec(root, options)
}

/// `unshare-run --pid ... -- COMMAND`.
pub fn by_hand(root: &Path, hand: &Hand) -> Result<u8> {
    if hand.command.is_empty() {
        bail!("read the command line: give a command after `--`, or a subcommand (see --help)");
    }
    prepare(0)?;
    let spec = spec_from_flags::spec(hand, &spec_from_flags::Caller::this()?)?;
    let signals = Signals::take()?;
    let created = create::create(&Request {
        state_root: root,
        id: &format!("by-hand-{}", layout::id::random_hex(6)?),
        spec: &spec,
        bundle: Path::new("/"),
        pid_file: None,
        console: if hand.tty { Console::Ours } else { Console::None },
        preserve_fds: 0,
        wait_for_start: false,
        // Without a terminal of its own it shares ours, job control included, as with unshare(1).
        own_session: hand.tty,
    })?;
    run::foreground(created, &signals, if hand.tty { Forward::All } else { Forward::NotKeyboard })
}

/// `spec`: the configuration that the flags stand for; without flags, docker's defaults.
pub fn spec(hand: &Hand) -> Result<String> {
    let mut spec = match *hand == (Hand { command: hand.command.clone(), ..Hand::default() }) {
        true => defaults::spec(),
        false => spec_from_flags::spec(hand, &spec_from_flags::Caller::this()?)?,
    };
    if let Some(process) = &mut spec.process {
        process.args.clone_from(&hand.command);
        if process.args.is_empty() {
            process.args.push("sh".to_owned());
        }
    }
    serde_json::to_string_pretty(&spec).context("encode the configuration")
}

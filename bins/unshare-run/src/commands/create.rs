//! `create`: everything but the program, which waits for `start`.

use crate::cli;
use crate::create::{self, Console, Request};
use crate::{bundle, self_exe, sys};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Spec;
use std::path::{Path, PathBuf};

/// What comes before every process that is made: nothing of the caller's, or of ours, goes with it by accident.
pub fn prepare(preserve_fds: u32) -> Result<()> {
    sys::reset_signals();
    sys::ignore_broken_pipes();
    // No process has as many as would not fit.
    if let Some(missing) = (3..preserve_fds.saturating_add(3)).find(|fd| !sys::is_inherited(*fd as i32)) {
        bail!("--preserve-fds {preserve_fds}: descriptor {missing} is not open");
    }
    let mark = |first| sys::close_on_exec_from(first).context("mark the caller's files");
    mark(3 + preserve_fds)?;
    self_exe::protect()?;
    // What the container is to keep is not for other programs that we run, hooks say.
    mark(3)
}

/// How many descriptors from 3 on the program gets: the sockets that systemd hands us (sd_listen_fds(3)), which are meant
/// for it, and those that the caller names.
pub fn kept_fds(options: &cli::Create) -> u32 {
    handed_over().saturating_add(options.preserve_fds)
}

fn handed_over() -> u32 {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let ours = number("LISTEN_PID") == Some(std::process::id());
    number("LISTEN_FDS").filter(|_| ours).unwrap_or(0)
}

/// Reads the bundle. A program that gets sockets is told so.
pub fn read_bundle(options: &cli::Create) -> Result<(PathBuf, Spec)> {
    let (bundle, mut spec) = bundle::read(&options.bundle)?;
    if let (Some(process), count @ 1..) = (&mut spec.process, handed_over()) {
        process.env.extend([format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()]);
    }
    Ok((bundle, spec))
}

/// `create`.
pub fn create(root: &Path, options: &cli::Create) -> Result<()> {
    prepare(kept_fds(options))?;
    let (bundle, spec) = read_bundle(options)?;
    create::create(&request(root, options, &bundle, &spec, true, detached_console(options)))?;
    Ok(())
}

/// Where a terminal goes that nobody here shows.
pub fn detached_console(options: &cli::Create) -> Console {
    options.console_socket.clone().map_or(Console::None, Console::Socket)
}

/// What is asked for, in the words of [`crate::create`].
pub fn request<'a>(
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
        preserve_fds: kept_fds(options),
        wait_for_start,
        own_session: true,
        own_keyring: !options.no_new_keyring,
    }
}

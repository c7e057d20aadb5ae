//! `create`: everything but the program, which waits for `start`.

use crate::cli;
use crate::create::{self, Console, Request};
use crate::{bundle, self_exe, sys};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Spec;
use std::path::Path;

/// What comes before every process that is made: nothing of the caller's, or of ours, goes with it by accident.
pub fn prepare(preserve_fds: u32) -> Result<()> {
    sys::reset_signals();
    sys::ignore_broken_pipes();
    if let Some(missing) = (3..3 + preserve_fds).find(|fd| !sys::is_open(*fd as i32)) {
        bail!("--preserve-fds {preserve_fds}: descriptor {missing} is not open");
    }
    let mark = |first| sys::close_on_exec_from(first).context("mark the caller's files");
    mark(3 + preserve_fds)?;
    self_exe::protect()?;
    // What the container is to keep is not for other programs that we run, hooks say.
    mark(3)
}

/// `create`.
pub fn create(root: &Path, options: &cli::Create) -> Result<()> {
    prepare(options.preserve_fds)?;
    let (bundle, spec) = bundle::read(&options.bundle)?;
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
        preserve_fds: options.preserve_fds,
        wait_for_start,
        own_session: true,
        own_keyring: !options.no_new_keyring,
    }
}

//! `ctr exec`: another process in the namespaces of a container that runs.
//!
//! The runtime does it all: it joins the namespaces, and passes this terminal on.

use crate::{cli, life, runtime};
use anyhow::{Result, bail};
use layout::container::{Container, Status};
use layout::tool::Call;
use layout::{Layout, rootfs};
use std::process::Stdio;

/// The call of the runtime.
pub fn call(layout: &Layout, container: &Container, args: &cli::Exec) -> Result<Call> {
    let mut call = runtime::runtime(layout).arg("exec");
    if args.tty {
        call = call.arg("--tty");
    }
    if args.detach {
        call = call.arg("--detach");
    }
    let mut env = Vec::new();
    if let Some(user) = &args.user {
        let user = rootfs::find_user(&layout.container_dir(&container.id).rootfs(), user)?;
        call = call.arg("--user").arg(format!("{}:{}", user.uid, user.gid));
        for gid in user.additional_gids {
            call = call.arg("--additional-gids").arg(gid.to_string());
        }
        // The container's own HOME is that of the user it runs as, unless somebody set it on purpose.
        if !container.config.run.env.iter().flatten().any(|line| line.starts_with("HOME=")) {
            env.push(format!("HOME={}", user.home));
        }
    }
    if let Some(dir) = &args.workdir {
        call = call.args(["--cwd", dir]);
    }
    if args.tty {
        env.push("TERM=xterm".to_owned());
    }
    for line in &args.env {
        crate::create::config::set_or_inherit(&mut env, line)?;
    }
    call = call.args(env.iter().flat_map(|line| ["--env", line.as_str()]));
    Ok(call.arg(container.id.as_str()).args(args.command()))
}

/// Runs the command; its exit code is ours.
pub fn exec(layout: &Layout, container: &Container, args: &cli::Exec) -> Result<u8> {
    let state = life::state(layout, &container.id)?;
    if state.status != Status::Running {
        return Err(layout::exit::coded(1, format!("container {} is not running", container.id)));
    }
    if args.tty && args.interactive && !rustix::termios::isatty(std::io::stdin()) {
        return Err(layout::exit::coded(1, "the input device is not a TTY"));
    }
    let mut command = call(layout, container, args)?.command()?;
    if !args.interactive && !args.tty {
        command.stdin(Stdio::null());
    }
    match command.status() {
        Ok(status) => Ok(layout::exit::from_status(status)),
        Err(error) => bail!("run the runtime: {error}"),
    }
}

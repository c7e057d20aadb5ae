//! `--follow`: waiting for more, without asking all the time (inotify(7)).

use super::Printer;
use super::entries::Reader;
use super::files::Files;
use crate::life;
use anyhow::{Context, Result};
use layout::container::Status;
use layout::{ContainerId, Layout};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use std::os::fd::OwnedFd;
use std::path::Path;

/// A shim that is killed tells nobody: so often we look for ourselves.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// And so often where the kernel has no watch left for us.
const LOOK_OFTEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Prints what is written until the container ends. As with docker, that is also where its policy has it started again.
pub fn follow(
    layout: &Layout,
    id: &ContainerId,
    files: &Files,
    reader: &mut Reader,
    printer: &mut Printer,
) -> Result<()> {
    // Its state is published in the folder that its log is in, or in that above.
    let watch = watch(&[files.path.parent(), Some(&layout.container(id))]);
    let run = layout.read_state(id).map_or_else(|_| String::new(), |state| state.started_at);
    loop {
        // Asked first: what is written between the question and the reading is then still read.
        let goes_on = !printer.is_over() && runs(layout, id, &run)?;
        printer.print_all(reader)?;
        while let Some(mut next) = files.after(reader)? {
            // What came between the reading and the renaming.
            printer.print_all(reader)?;
            printer.print_all(&mut next)?;
            *reader = next;
        }
        printer.flush()?;
        if !goes_on {
            return Ok(());
        }
        wait(watch.as_ref())?;
    }
}

/// Whether that run of the container is not over.
fn runs(layout: &Layout, id: &ContainerId, run: &str) -> Result<bool> {
    match life::state(layout, id) {
        Ok(state) => Ok(matches!(state.status, Status::Running | Status::Paused) && state.started_at == run),
        // It is removed.
        Err(_) if !layout.container(id).is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

fn watch(dirs: &[Option<&Path>]) -> Option<OwnedFd> {
    let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVE_SELF;
    for dir in dirs.iter().flatten() {
        add_watch(&inotify, *dir, what).ok()?;
    }
    Some(inotify)
}

/// Waits for a change. Which one does not matter: all is looked at again.
fn wait(watch: Option<&OwnedFd>) -> Result<()> {
    let mut fds: Vec<PollFd> = watch.iter().map(|watch| PollFd::new(*watch, PollFlags::IN)).collect();
    match poll(&mut fds, Some(if watch.is_some() { &LOOK_AGAIN } else { &LOOK_OFTEN })) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error).context("wait for the log"),
    }
    if let Some(watch) = watch {
        let mut events = [0; 4096];
        while rustix::io::read(watch, &mut events).is_ok_and(|length| length > 0) {}
    }
    Ok(())
}

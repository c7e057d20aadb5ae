//! Stopped by Ctrl-C, the tool cleans up after itself as after any other failure.
//!
//! A signal handler may do next to nothing, so there is none: the signals are blocked, a thread waits for them and leaves
//! a note, and whoever makes files looks at it before each one.

use anyhow::{Context, Result};
use layout::exit;
use nix::sys::signal::{SigSet, Signal};
use rustix::process::Pid;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The number of the signal that came; 0 if none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// The program that works for us just now: its pid, 0 if none, and the signal that ends it.
static CHILD: AtomicI32 = AtomicI32::new(0);
static ITS_END: AtomicI32 = AtomicI32::new(0);

/// Begins to wait for SIGINT, SIGTERM and SIGHUP. To be called before any other thread is made.
pub fn watch() -> Result<()> {
    static WATCHES: AtomicBool = AtomicBool::new(false);
    if WATCHES.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let signals = signals();
    signals.thread_block().context("block signals")?;
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            CAME.store(signal as i32, Ordering::SeqCst);
            end_child();
        }
    });
    Ok(())
}

fn signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// A program that works for us. It is ended when one of the signals comes, and when it is dropped.
#[derive(Debug)]
pub struct Helper {
    /// The program. Nobody else may wait for it.
    pub child: Child,
    is_over: bool,
}

impl Helper {
    /// Starts it, with the signals as usual for it: apt, for one, ends its own helpers by SIGINT. `end` is the signal that
    /// ends it.
    ///
    /// # Errors
    /// There is no such program, or it cannot be started.
    pub fn start(command: &mut Command, end: Signal) -> Result<Helper> {
        let program = command.get_program().to_owned();
        // A signal in this moment ends us on the spot; the next run removes what we leave (see `staging`).
        signals().thread_unblock().context("unblock signals")?;
        let started = command.spawn();
        signals().thread_block().context("block signals")?;
        let child = started.with_context(|| format!("run {}", program.display()))?;
        ITS_END.store(end as i32, Ordering::SeqCst);
        CHILD.store(child.id() as i32, Ordering::SeqCst);
        if CAME.load(Ordering::SeqCst) != 0 {
            end_child();
        }
        Ok(Helper { child, is_over: false })
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<std::process::ExitStatus> {
        // First it ends, and stays a zombie: until CHILD is 0, its pid must not be somebody else's.
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        if !self.is_over {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            rustix::io::retry_on_intr(|| waitid(WaitId::Pid(Pid::from_child(&self.child)), options)).context("wait")?;
            CHILD.store(0, Ordering::SeqCst);
            self.is_over = true;
        }
        self.child.wait().context("wait")
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.is_over {
            end_child();
            // Nobody is left to tell.
            let _ = self.wait();
        }
    }
}

fn end_child() {
    let signal = rustix::process::Signal::from_named_raw(ITS_END.load(Ordering::SeqCst));
    if let (Some(pid), Some(signal)) = (Pid::from_raw(CHILD.load(Ordering::SeqCst)), signal) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// An error, with the exit code that says so, if a signal came.
pub fn check() -> Result<()> {
    match CAME.load(Ordering::SeqCst) {
        0 => Ok(()),
        signal => Err(exit::coded(exit::from_signal(signal), "stopped by a signal; nothing is left behind")),
    }
}

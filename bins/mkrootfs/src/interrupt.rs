//! Stopped by Ctrl-C, the tool cleans up after itself as after any other failure.
//!
//! A signal handler may do next to nothing, so there is none: the signals are blocked, a thread waits for them and leaves
//! a note, and whoever makes files looks at it before each one.

use anyhow::{Context, Result};
use layout::exit;
use nix::sys::signal::{SigSet, Signal};
use std::sync::atomic::{AtomicI32, Ordering};

/// The number of the signal that came; 0 if none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// Begins to wait for SIGINT, SIGTERM and SIGHUP. To be called before any other thread is made.
pub fn watch() -> Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().context("block signals")?;
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            CAME.store(signal as i32, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// An error, with the exit code that says so, if a signal came.
pub fn check() -> Result<()> {
    match CAME.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(exit::coded(exit::from_signal(signal), "stopped by a signal; nothing is left behind")),
    }
}

//! The harness of the end-to-end tests: they run the built binaries, as a user would, and look at the disk.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`sandbox`] | [`Sandbox`]: a `CTR_ROOT` and `CTR_RUN` of one test's own, gone without trace at its end |
//! | [`output`] | running a program with a deadline, and saying what it should have printed |
//! | [`cell`] | a machine within the machine, for other people's engines and their daemons |
//! | [`registry`] | a registry of the test's own: open, behind a password, behind TLS |
//! | [`liar`], [`in_memory`] | a registry that does as a test tells it, and an image for it |
//! | [`image`] | the base image, made of the host's own programs |
//! | [`compat`] | cases that are played on docker and on `ctr`, and what both said |
//! | [`pty`] | a terminal to run a program in |
//! | [`process`] | what /proc tells of a process, and ending it |
//! | [`leaks`] | what is on the machine: before, after, and what was left behind |
//!
//! The binaries are those in `$CTR_BIN_DIR` (`make test` sets it), else in `target/bin`.

// A harness that cannot go on fails the test that it serves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![deny(unsafe_code)]

pub mod cell;
pub mod compat;
pub mod image;
pub mod in_memory;
pub mod leaks;
pub mod liar;
pub mod output;
pub mod process;
pub mod pty;
pub mod registry;
pub mod sandbox;
#[allow(unsafe_code)]
mod sys;

pub use cell::Cell;
pub use liar::Liar;
pub use output::Output;
pub use pty::Pty;
pub use registry::Registry;
pub use sandbox::Sandbox;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where the seven binaries are.
pub fn bin_dir() -> PathBuf {
    match std::env::var_os("CTR_BIN_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bin")),
    }
}

/// Asks `f` every 10 ms until it has an answer.
///
/// A deadline is there for what will never happen, not to say how long things take: a minute is right for nearly
/// everything, because the tests also run on machines that are emulated, or busy with something else.
///
/// # Panics
/// When there is none within `seconds`: `waited 60 s for WHAT`.
#[track_caller]
pub fn poll_until<T>(seconds: u64, what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = f() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {seconds} s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

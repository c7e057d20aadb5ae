//! The OCI runtime, looked at from inside of its containers and held against runc: what the runtime specification
//! (config.md, config-linux.md, runtime.md, features.md) says, one table of cases a chapter.
//!
//! These tests need root. They make containers of busybox with runc and with `unshare-run`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers fail as their tests do

mod bad_bundles;
mod bundle;
mod case;
mod commands;
mod console;
mod devices;
mod groups;
mod hooks;
mod many;
mod mounts;
mod namespaces;
mod process;
mod seccomp;

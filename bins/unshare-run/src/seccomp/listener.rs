//! `SCMP_ACT_NOTIFY`: somebody else decides about some calls, the agent at `listenerPath` (seccomp_unotify(2)).
//!
//! He reads each such call from a descriptor, and answers. The kernel gives that descriptor to the process that loads the filter;
//! its parent takes a copy (pidfd_getfd(2)) and sends that to the agent, with a word on whose it is: config-linux.md
//! "The Container Process State".

use crate::narrate::narrate;
use crate::state::{Process, State, Status};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Seccomp, Spec, VERSION};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use serde_json::json;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::path::Path;

/// Gives the agent the listener that is descriptor `number` of a process. `status` is the container's.
pub fn hand_over(process: &Process, number: i32, spec: &Spec, state: &State, status: Status) -> Result<()> {
    let profile = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()).context("there is no profile")?;
    let what = || format!("hand the system calls to the agent at {}", profile.listener_path);
    narrate!("the one who decides about them", "pidfd_getfd({number}) sendmsg({})", profile.listener_path);
    let listener = pidfd_getfd(&process.pidfd, number, PidfdGetfdFlags::empty())
        .context("copy its descriptor from the container's process")
        .with_context(what)?;
    send(profile, &listener, &word(process, profile, spec, state, status)).with_context(what)
}

/// The container process state.
fn word(process: &Process, profile: &Seccomp, spec: &Spec, state: &State, status: Status) -> String {
    json!({
        "ociVersion": VERSION,
        "fds": ["seccompFd"],
        "pid": process.pid.as_raw_pid(),
        "metadata": profile.listener_metadata,
        "state": {
            "ociVersion": state.oci_version,
            "id": state.id,
            "status": status,
            "pid": state.pid,
            "bundle": state.bundle,
            "annotations": spec.annotations,
        },
    })
    .to_string()
}

fn send(profile: &Seccomp, listener: &OwnedFd, word: &str) -> Result<()> {
    let mut agent = layout::socket::connect(Path::new(&profile.listener_path))?;
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        bail!("no room for a descriptor");
    }
    let bytes = word.as_bytes();
    let sent = sendmsg(&agent, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).context("send")?;
    // The descriptor went with the first byte.
    agent.write_all(&bytes[sent..]).context("send")
}

//! How long a container lives, and what is kept of it.

use super::state;
use ctr_tests::{Sandbox, poll_until};
use std::fs;
use std::process::Stdio;

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[
    "name",
    "rm",
    "cidfile",
    "detach",
    "detach-keys",
    "help",
    "platform",
    "pull",
    "quiet",
    "sig-proxy",
    "stop-signal",
    "stop-timeout",
];

#[test]
fn a_container_has_a_name_an_id_in_a_file_and_its_own_way_to_be_stopped() {
    let sandbox = Sandbox::with_base();
    let file = sandbox.path().join("id");
    let file = file.to_str().unwrap();
    let script = "trap 'touch /asked' USR1; touch /ready; while :; do sleep 0.01; done";
    let named = ["run", "-d", "--name", "box", "--cidfile", file, "--stop-signal", "USR1", "--stop-timeout", "1"];
    let run = sandbox.ctr([&named[..], &["base", "sh", "-c", script]].concat()).ok();
    let id = fs::read_to_string(file).unwrap();
    assert_eq!(run.text(), id);
    let dir = fs::canonicalize(sandbox.root().join("names/box")).unwrap();
    assert_eq!(dir.file_name().unwrap().to_str().unwrap(), id);
    sandbox.ctr(["run", "--cidfile", file, "base", "true"]).exits(125).says("container ID file found");
    poll_until(60, "its program to listen", || dir.join("upper/ready").exists().then_some(()));
    sandbox.ctr(["stop", "box"]).ok();
    // It was asked in its own way, did not end, and was killed when its time was up.
    assert!(dir.join("upper/asked").exists());
    assert_eq!(state(&sandbox, "box")["ExitCode"], 137);
    sandbox.ctr(["rm", "box"]).ok();
    sandbox.ctr(["run", "--rm", "--name", "gone", "base", "true"]).ok();
    assert!(fs::symlink_metadata(sandbox.root().join("names/gone")).is_err());
    assert_eq!(fs::read_dir(sandbox.root().join("containers")).unwrap().count(), 0);
}

#[test]
fn a_client_passes_signals_on_unless_it_is_told_not_to() {
    let sandbox = Sandbox::with_base();
    let script = "trap 'exit 5' TERM; touch /ready; while :; do sleep 0.01; done";
    for (name, proxy, code) in [("passed", "--sig-proxy", Some(5)), ("kept", "--sig-proxy=false", None)] {
        let mut client = sandbox.tool("ctr");
        let run = ["run", proxy, "--name", name, "base", "sh", "-c", script];
        let mut client =
            client.args(run).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ready = sandbox.root().join("names").join(name).join("upper/ready");
        poll_until(60, "its program to listen", || ready.exists().then_some(()));
        poll_until(60, "it to run", || (state(&sandbox, name)["Status"] == "running").then_some(()));
        let pid = rustix::process::Pid::from_child(&client);
        // From when on it hears SIGTERM itself (proc_pid_status(5)); before, that ends it as it does any program.
        let status = format!("/proc/{}/status", client.id());
        let hears = |text: &str| u64::from_str_radix(text.trim(), 16).is_ok_and(|blocked| blocked & 1 << 14 != 0);
        // One that passes nothing on hears nothing.
        poll_until(60, "the client to listen", || {
            if code.is_none() {
                return Some(());
            }
            fs::read_to_string(&status)
                .unwrap()
                .lines()
                .find_map(|line| line.strip_prefix("SigBlk:"))
                .is_some_and(hears)
                .then_some(())
        });
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = client.wait().unwrap().code();
        match code {
            Some(_) => assert_eq!((ended, &state(&sandbox, name)["ExitCode"]), (code, &5.into())),
            None => assert_eq!(state(&sandbox, name)["Status"], "running"),
        }
    }
    sandbox.ctr(["rm", "-f", "passed", "kept"]).ok();
}

#[test]
fn what_is_shown_in_other_places_is_taken_here() {
    let sandbox = Sandbox::with_base();
    // Detach keys are shown in `terminal.rs`, what comes from a registry in `registry.rs`.
    sandbox.ctr(["run", "--detach-keys", "ctrl-nosuch", "base", "true"]).exits(1).says("Invalid detach keys");
    sandbox
        .ctr(["run", "--rm", "--detach-keys", "ctrl-x,a", "-q", "--pull", "never", "base", "echo", "here"])
        .ok()
        .prints("here");
    sandbox.ctr(["run", "--rm", "--pull", "never", "nosuch"]).exits(125).says("No such image: nosuch");
    sandbox.ctr(["run", "--rm", "--pull", "never", "--platform", "linux/s390x", "base"]).exits(125).says("linux/s390x");
    sandbox.ctr(["run", "--help"]).ok().shows("--cidfile");
}

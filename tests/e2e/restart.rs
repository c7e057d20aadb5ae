//! Restart policies: who is started again, when, and what ends it for good.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use serde_json::Value;

fn state(sandbox: &Sandbox, name: &str) -> Value {
    let file = sandbox.root().join("names").join(name).join("state.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn wait_for(sandbox: &Sandbox, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    poll_until(60, what, || Some(state(sandbox, name)).filter(&is_so))
}

#[test]
fn one_that_fails_is_started_again_as_often_as_was_said() {
    let sandbox = Sandbox::with_base();
    // Who started it sees the first end.
    let script = "echo run >> /runs; echo out; exit 3";
    let first = sandbox.ctr(["run", "--name", "box", "--restart", "on-failure:2", "base", "sh", "-c", script]);
    first.exits(3).prints("out");
    let last = wait_for(&sandbox, "box", "its third end", |state| state["Status"] == "exited");
    assert_eq!((&last["ExitCode"], &last["RestartCount"]), (&3.into(), &2.into()), "{last}");
    let runs = std::fs::read_to_string(sandbox.root().join("names/box/upper/runs")).unwrap();
    assert_eq!(runs, "run\nrun\nrun\n");
    sandbox.ctr(["wait", "box"]).ok().prints("3");
    sandbox.ctr(["logs", "box"]).ok().prints("out\nout\nout");
    let events = std::fs::read_to_string(sandbox.run_dir().join("events.jsonl")).unwrap();
    let of = |action: &str| events.lines().filter(|line| line.contains(&format!("\"Action\":\"{action}\""))).count();
    assert_eq!((of("start"), of("die")), (3, 3), "{events}");
    // One that ends well is left alone.
    sandbox.ctr(["run", "--name", "well", "--restart", "on-failure", "base", "true"]).ok();
    wait_for(&sandbox, "well", "its end", |state| state["Status"] == "exited" && state["RestartCount"] == 0);
}

#[test]
fn one_that_waits_for_its_start_can_be_stopped_and_removed() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "--restart", "always", "base", "sh", "-c", "exit 7"]).ok();
    // From the fifth wait on there is time enough.
    let is_waiting = |state: &Value| state["Status"] == "restarting" && state["RestartCount"].as_u64() >= Some(5);
    let id = sandbox.ctr(["ps", "-aq", "--no-trunc"]).ok();
    wait_for(&sandbox, "box", "a long wait", is_waiting);
    sandbox.ctr(["ps"]).ok().shows("Restarting (7)");
    let refused = format!("You cannot remove a restarting container {}", id.text());
    sandbox.ctr(["rm", "box"]).exits(1).says(&refused);
    sandbox.ctr(["stop", "box"]).ok().prints("box");
    let stopped = state(&sandbox, "box");
    assert_eq!((&stopped["Status"], &stopped["ExitCode"]), (&"exited".into(), &7.into()), "{stopped}");
    assert_eq!(stopped["StoppedOnPurpose"], true);

    sandbox.ctr(["start", "box"]).ok();
    wait_for(&sandbox, "box", "a long wait again", is_waiting);
    sandbox.ctr(["rm", "-f", "box"]).ok();
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

#[test]
fn a_restart_puts_up_everything_that_a_start_does() {
    let sandbox = Sandbox::with_base();
    let script = "hostname; cat /etc/hosts | grep -c $(hostname); [ -e /once ] && exec sleep 900; touch /once";
    let run = [
        "run",
        "-d",
        "--name",
        "box",
        "--restart",
        "unless-stopped",
        "-p",
        "127.0.0.1::80",
        "base",
        "sh",
        "-c",
        script,
    ];
    sandbox.ctr(run).ok();
    let up =
        wait_for(&sandbox, "box", "its second run", |state| state["Status"] == "running" && state["RestartCount"] == 1);
    sandbox.ctr(["ps"]).ok().shows("->80/tcp");
    sandbox.ctr(["exec", "box", "cat", "/proc/1/comm"]).ok();
    let links = sandbox.sh(&format!("nsenter -t {} -n cat /proc/net/dev", up["Pid"])).ok();
    assert!(links.stdout.contains("eth0"), "{links}");
    // A signal on somebody's behalf is meant: it is not started again.
    sandbox.ctr(["kill", "box"]).ok();
    let ended = wait_for(&sandbox, "box", "its end", |state| state["Status"] == "exited");
    assert_eq!((&ended["ExitCode"], &ended["RestartCount"]), (&137.into(), &1.into()), "{ended}");
}

#[test]
fn after_a_crash_system_up_starts_what_policies_ask_for() {
    let sandbox = Sandbox::with_base();
    for (name, policy) in [("always", "always"), ("stopped", "unless-stopped"), ("up", "unless-stopped"), ("no", "no")]
    {
        sandbox.ctr(["run", "-d", "--name", name, "--restart", policy, "base", "sleep", "900"]).ok();
    }
    sandbox.ctr(["stop", "-t", "0", "always", "stopped"]).ok();
    sandbox.ctr(["create", "--name", "never", "--restart", "always", "base", "sleep", "900"]).ok();
    for shim in sandbox.processes().iter().filter(|process| process.is("ctr", "shim")) {
        shim.kill();
    }
    // Another one asks for an end as the machine goes down: that is nobody's purpose.
    sandbox.ctr(["ps", "-a"]).ok();
    assert_eq!(
        (state(&sandbox, "up")["Status"].as_str(), state(&sandbox, "up")["ExitCode"].as_i64()),
        (Some("exited"), Some(137))
    );
    let script = sandbox.ctr(["--explain", "system", "up"]).ok();
    assert_eq!(script.stdout.matches("ctr start").count(), 2, "{script}");
    let started = sandbox.ctr(["system", "up"]).ok();
    let mut names: Vec<&str> = started.stdout.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["always", "up"], "{started}");
    sandbox.ctr(["system", "up"]).ok().prints("");
    for (name, status) in
        [("always", "running"), ("up", "running"), ("stopped", "exited"), ("no", "exited"), ("never", "created")]
    {
        assert_eq!(state(&sandbox, name)["Status"], status, "{name}");
    }
}

#[test]
fn when_the_machine_goes_down_a_container_has_time_to_end_and_comes_up_again() {
    let sandbox = Sandbox::with_base();
    let script = "trap 'echo bye; exit 0' USR1; echo ready; while :; do sleep 0.1; done";
    let options =
        ["run", "-d", "--name", "box", "--restart", "always", "--stop-signal", "USR1", "--stop-timeout", "600"];
    sandbox.ctr([&options[..], &["base", "sh", "-c", script]].concat()).ok();
    poll_until(60, "its trap", || (sandbox.ctr(["logs", "box"]).ok().text() == "ready").then_some(()));
    let shim = sandbox.processes().into_iter().find(|process| process.is("ctr", "shim")).unwrap();
    sandbox.sh(&format!("kill -TERM {}", shim.pid)).ok();
    let ended = wait_for(&sandbox, "box", "its end", |state| state["Status"] == "exited");
    assert_eq!((&ended["ExitCode"], &ended["StoppedOnPurpose"]), (&0.into(), &false.into()), "{ended}");
    sandbox.ctr(["logs", "box"]).ok().prints("ready\nbye");
    // A reboot: what need not survive one is gone, and the state says what it last said.
    poll_until(60, "the shim's end", || sandbox.processes().is_empty().then_some(()));
    let file = sandbox.root().join("names/box/state.json");
    let text = std::fs::read_to_string(&file).unwrap().replace("\"exited\"", "\"running\"");
    std::fs::write(&file, text).unwrap();
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (255)");
    sandbox.ctr(["system", "up"]).ok().prints("box");
}

#[test]
fn policies_that_make_no_sense_are_refused_in_dockers_words() {
    let sandbox = Sandbox::with_base();
    for (args, said) in [
        (&["--rm", "--restart", "always"][..], "conflicting options: cannot specify both --restart and --rm"),
        (&["--restart", "foo"], "invalid restart policy 'foo'"),
        (&["--restart", "on-failure:x"], "invalid restart policy format: maximum retry count must be an integer"),
        (&["--restart", "always:3"], "maximum retry count cannot be used with restart policy 'always'"),
    ] {
        sandbox.ctr([&["run"], args, &["base", "true"]].concat()).exits(125).says(said);
    }
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

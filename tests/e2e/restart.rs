//! Restart policies: who is started again, when, and what ends it for good.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn state(sandbox: &Sandbox, name: &str) -> Value {
    let file = sandbox.root().join("names").join(name).join("state.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn wait_for(sandbox: &Sandbox, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    poll_until(60, what, || Some(state(sandbox, name)).filter(&is_so))
}

/// How often something has happened to containers.
fn count_of(sandbox: &Sandbox, action: &str) -> usize {
    let events = std::fs::read_to_string(sandbox.run_dir().join("events.jsonl")).unwrap();
    events.lines().filter(|line| line.contains(&format!("\"Action\":\"{action}\""))).count()
}

/// How often its script has written a line that says that it runs.
fn runs(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.root().join("names/box/upper/runs")).unwrap().lines().count()
}

/// Waits until nobody is there who could start a container; what then remains is its folder and its name.
fn wait_until_all_is_down(sandbox: &Sandbox) {
    poll_until(60, "the shim's end", || sandbox.processes().is_empty().then_some(()));
    let folders = sandbox.root().display().to_string();
    let remains: Vec<String> = sandbox.remains().into_iter().filter(|what| !what.starts_with(&folders)).collect();
    assert!(remains.is_empty(), "{remains:?}");
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
    assert_eq!(runs(&sandbox), 3);
    sandbox.ctr(["wait", "box"]).ok().prints("3");
    sandbox.ctr(["logs", "box"]).ok().prints("out\nout\nout");
    assert_eq!((count_of(&sandbox, "start"), count_of(&sandbox, "die")), (3, 3));
    // One that ends well is left alone.
    sandbox.ctr(["run", "--name", "well", "--restart", "on-failure", "base", "true"]).ok();
    wait_for(&sandbox, "well", "its end", |state| state["Status"] == "exited" && state["RestartCount"] == 0);
}

#[test]
fn one_that_wants_too_much_memory_is_started_again_and_says_so_until_it_runs_well() {
    let sandbox = Sandbox::with_base();
    let script = "echo run >> /runs; [ -e /good ] && exec sleep 900; exec tail /dev/zero";
    let run = ["run", "-d", "--name", "box", "--restart", "on-failure:1", "-m", "16m", "base", "sh", "-c", script];
    sandbox.ctr(run).ok();
    sandbox.ctr(["wait", "box"]).ok().prints("137");
    let killed = wait_for(&sandbox, "box", "its second end", |state| state["Status"] == "exited");
    let is = |state: &Value| json!([state["OOMKilled"], state["ExitCode"], state["RestartCount"]]);
    assert_eq!(is(&killed), json!([true, 137, 1]), "{killed}");
    assert_eq!((runs(&sandbox), count_of(&sandbox, "oom"), count_of(&sandbox, "die")), (2, 2, 2));
    // The next run is another one, and so is what ends it.
    std::fs::write(sandbox.root().join("names/box/upper/good"), "").unwrap();
    sandbox.ctr(["start", "box"]).ok();
    let good = state(&sandbox, "box");
    assert_eq!(is(&good), json!([false, 0, 0]), "{good}");
    sandbox.ctr(["kill", "box"]).ok();
    let ended = wait_for(&sandbox, "box", "its last end", |state| state["Status"] == "exited");
    assert_eq!(is(&ended), json!([false, 137, 0]), "{ended}");
    assert_eq!(count_of(&sandbox, "oom"), 2);
}

#[test]
fn one_that_waits_for_its_start_can_be_stopped_killed_and_removed() {
    let sandbox = Sandbox::with_base();
    let script = "echo run >> /runs; exit 7";
    sandbox.ctr(["run", "-d", "--name", "box", "--restart", "always", "base", "sh", "-c", script]).ok();
    // From the fifth wait on there is time enough.
    let is_waiting = |state: &Value| state["Status"] == "restarting" && state["RestartCount"].as_u64() >= Some(5);
    let id = sandbox.ctr(["ps", "-aq", "--no-trunc"]).ok();
    wait_for(&sandbox, "box", "a long wait", is_waiting);
    sandbox.ctr(["ps"]).ok().shows("Restarting (7)");
    let refused = format!("You cannot remove a restarting container {}", id.text());
    sandbox.ctr(["rm", "box"]).exits(1).says(&refused);

    let mut all_runs = 0;
    for end in ["ctr stop box", "ctr kill box", "kill -TERM $SHIM"] {
        let shim = sandbox.processes().into_iter().find(|process| process.is("ctr", "shim")).unwrap();
        sandbox.run(sandbox.command("sh").args(["-c", end]).env("SHIM", shim.pid.to_string())).ok();
        let ended = wait_for(&sandbox, "box", "its end", |state| state["Status"] == "exited");
        // The machine that goes down does not mean this one.
        let on_purpose = end.starts_with("ctr");
        assert_eq!((&ended["ExitCode"], &ended["StoppedOnPurpose"]), (&7.into(), &on_purpose.into()), "{end}: {ended}");
        wait_until_all_is_down(&sandbox);
        // The start that it waited for is counted; it never came.
        let before = std::mem::replace(&mut all_runs, runs(&sandbox));
        assert_eq!(all_runs - before, ended["RestartCount"].as_u64().unwrap() as usize, "{end}: {ended}");
        sandbox.ctr(["start", "box"]).ok();
        wait_for(&sandbox, "box", "a long wait again", is_waiting);
    }
    sandbox.ctr(["rm", "-f", "box"]).ok();
    poll_until(60, "its end", || sandbox.remains().is_empty().then_some(()));
}

#[test]
fn who_waits_for_one_that_is_started_again_and_again_waits_for_its_last_end() {
    let sandbox = Sandbox::with_base();
    let script = "echo run >> /runs; [ -e /good ] && exit 0; exit 7";
    sandbox.ctr(["run", "-d", "--name", "box", "--restart", "on-failure", "base", "sh", "-c", script]).ok();
    let restarts = |state: &Value| state["RestartCount"].as_u64();
    wait_for(&sandbox, "box", "a wait", |state| state["Status"] == "restarting" && restarts(state) >= Some(3));
    let mut waits = sandbox.tool("ctr");
    let waits = waits.args(["wait", "box"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    poll_until(60, "its connection to the shim", || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", waits.id())).unwrap().flatten();
        let mut links = files.flat_map(|file| std::fs::read_link(file.path()));
        links.any(|link| link.to_string_lossy().starts_with("socket:")).then_some(())
    });
    // A run comes and goes, and it still waits.
    let before = restarts(&state(&sandbox, "box"));
    wait_for(&sandbox, "box", "the next wait", |state| restarts(state) > before);
    std::fs::write(sandbox.root().join("names/box/upper/good"), "").unwrap();
    let output = waits.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"0\n".to_vec()));
    assert_eq!(state(&sandbox, "box")["Status"], "exited");
}

#[test]
fn one_that_ends_at_once_can_be_restarted_by_hand() {
    let sandbox = Sandbox::with_base();
    let script = "echo run >> /runs; echo out; exit 3";
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok();
    for i in 2..5 {
        // Whether it has ended by now is chance.
        sandbox.ctr(["restart", "box"]).ok().prints("box");
        sandbox.ctr(["wait", "box"]).ok().prints("3");
        assert_eq!(runs(&sandbox), i);
    }
    sandbox.ctr(["logs", "box"]).ok().prints("out\nout\nout\nout");
    sandbox.ctr(["rm", "box"]).ok();

    // While it waits for its next start, too: then this is the first of a new run.
    let script = "[ -e /good ] && exec sleep 900; exit 3";
    sandbox.ctr(["run", "-d", "--name", "box", "--restart", "always", "base", "sh", "-c", script]).ok();
    wait_for(&sandbox, "box", "a wait", |state| state["Status"] == "restarting" && state["RestartCount"] != 0);
    std::fs::write(sandbox.root().join("names/box/upper/good"), "").unwrap();
    sandbox.ctr(["restart", "-t", "0", "box"]).ok();
    let up = state(&sandbox, "box");
    assert_eq!((&up["Status"], &up["RestartCount"]), (&"running".into(), &0.into()), "{up}");
    sandbox.ctr(["exec", "box", "true"]).ok();
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
fn when_the_machine_goes_down_one_that_does_not_listen_is_killed_after_its_own_time() {
    let sandbox = Sandbox::with_base();
    let script = "trap '' USR1; echo run >> /runs; exec sleep 900";
    let options = ["run", "-d", "--name", "box", "--restart", "always", "--stop-signal", "USR1", "--stop-timeout", "1"];
    sandbox.ctr([&options[..], &["-p", "127.0.0.1::80", "base", "sh", "-c", script]].concat()).ok();
    poll_until(60, "its trap", || sandbox.root().join("names/box/upper/runs").exists().then_some(()));
    let shim = sandbox.processes().into_iter().find(|process| process.is("ctr", "shim")).unwrap();
    let begin = Instant::now();
    sandbox.sh(&format!("kill -TERM {}", shim.pid)).ok();
    let ended = wait_for(&sandbox, "box", "its end", |state| state["Status"] == "exited");
    assert!(begin.elapsed() >= Duration::from_secs(1), "it has its time");
    let is = json!([
        ended["ExitCode"],
        ended["RestartCount"],
        ended["StoppedOnPurpose"],
        ended["OOMKilled"],
        ended["Error"]
    ]);
    assert_eq!(is, json!([137, 0, false, false, ""]), "{ended}");
    wait_until_all_is_down(&sandbox);
    assert_eq!(runs(&sandbox), 1);
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (137)");
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

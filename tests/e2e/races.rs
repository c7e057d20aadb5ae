//! Two people do things to one container in the same moment. Each pair has a defined outcome, whoever comes first.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Output, Sandbox, poll_until};
use serde_json::Value;
use std::process::{Child, Stdio};

/// No network, to be quick: a race for a name has nothing to do with it.
const SLEEPER: [&str; 7] = ["--name", "box", "--network", "none", "base", "sleep", "1000"];

/// Begins a command; its words are asked for by [`end`].
fn begin<S: AsRef<std::ffi::OsStr>>(sandbox: &Sandbox, args: impl IntoIterator<Item = S>) -> Child {
    let mut command = sandbox.tool("ctr");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for a command: its exit code, and what it said about what went wrong.
fn end(command: Child) -> (i32, String) {
    let output = command.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

/// Several commands at the same moment.
fn at_once<const N: usize>(sandbox: &Sandbox, commands: [&[&str]; N]) -> [(i32, String); N] {
    commands.map(|args| begin(sandbox, args)).map(end)
}

fn state(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.root().join("names/box/state.json")).unwrap()).unwrap()
}

fn count(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn of_those_who_want_one_name_one_gets_it() {
    let sandbox = Sandbox::with_base();
    let create = ["create", "--name", "box", "--network", "none", "base", "true"];
    let create: &[&str] = &create;
    // What somebody who was killed may have left: a name that leads nowhere.
    std::os::unix::fs::symlink(format!("../containers/{}", "0".repeat(64)), sandbox.root().join("names/box")).unwrap();
    let ends = at_once(&sandbox, [create; 6]);
    assert_eq!(ends.iter().filter(|(code, _)| *code == 0).count(), 1, "{ends:?}");
    for (_, said) in ends.iter().filter(|(code, _)| *code != 0) {
        assert!(said.contains("Conflict. The container name \"/box\" is already in use by container"), "{ends:?}");
    }
    assert_eq!((count(&sandbox.root().join("containers")), count(&sandbox.root().join("names"))), (1, 1));

    // The same for a name that containers are given later.
    for name in ["a1", "a2", "a3"] {
        sandbox.ctr(["create", "--name", name, "--network", "none", "base", "true"]).ok();
    }
    let ends = at_once(&sandbox, [&["rename", "a1", "new"], &["rename", "a2", "new"], &["rename", "a3", "new"]]);
    assert_eq!(ends.iter().filter(|(code, _)| *code == 0).count(), 1, "{ends:?}");
    assert_eq!((count(&sandbox.root().join("containers")), count(&sandbox.root().join("names"))), (4, 4));
    for entry in std::fs::read_dir(sandbox.root().join("names")).unwrap() {
        let (link, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        let written: Value = serde_json::from_slice(&std::fs::read(link.join("container.json")).unwrap()).unwrap();
        assert_eq!(written["Name"], name.to_str().unwrap(), "a container knows its own name");
    }
    assert_eq!(count(&sandbox.root().join("tmp")), 0);
}

#[test]
fn a_container_is_renamed_and_the_old_name_is_free() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--rm"].iter().chain(&SLEEPER)).ok();
    sandbox.ctr(["rename", "box", "/other"]).ok().prints("");
    sandbox.ctr(["ps"]).ok().shows("other");
    sandbox.ctr(["exec", "box", "true"]).exits(1).says("No such container: box");
    sandbox.ctr(["exec", "other", "true"]).ok();
    sandbox
        .ctr(["rename", "other", "other"])
        .exits(1)
        .says("Renaming a container with the same name as its current name");
    sandbox.ctr(["rename", "other", "a b"]).exits(1).says("Invalid container name (/a b), only");
    sandbox.ctr(["rename", "other", ""]).exits(1).says("Neither old nor new names may be empty");
    sandbox.ctr(["rename", "nosuch", "x1"]).exits(1).says("failed to rename container named nosuch");
    sandbox.ctr(["create", "--name", "box", "base", "true"]).ok();
    sandbox.ctr(["rename", "other", "box"]).exits(1).says("Error when allocating new name: Conflict.");
    // The script does the same.
    sandbox.sh(&sandbox.ctr(["--explain", "rename", "other", "third"]).ok().stdout).ok();
    // It goes by its own end, and by the name that it has then.
    sandbox.ctr(["stop", "-t", "0", "third"]).ok();
    assert_eq!(count(&sandbox.root().join("names")), 1);
}

#[test]
fn a_start_and_a_removal_happen_one_after_the_other() {
    let sandbox = Sandbox::with_base();
    for force in [false, true, false, true, false, true] {
        sandbox.ctr(["create"].iter().chain(&SLEEPER)).ok();
        let removal: &[&str] = if force { &["rm", "-f", "box"] } else { &["rm", "box"] };
        let [(started, why), (removed, refused)] = at_once(&sandbox, [&["start", "box"], removal]);
        match (started, removed) {
            // Removed first, or while it ran.
            (0, 0) => assert!(force, "a container that runs is not removed without force"),
            (1, 0) => assert!(why.contains("No such container"), "{why}"),
            (0, 1) => {
                assert!(refused.contains("You cannot remove a running container"), "{refused}");
                sandbox.ctr(["exec", "box", "true"]).ok();
                sandbox.ctr(["rm", "-f", "box"]).ok();
            }
            other => panic!("{other:?}: {why} {refused}"),
        }
        poll_until(60, "nothing to be left", || sandbox.remains().is_empty().then_some(()));
    }
}

#[test]
fn a_start_and_a_stop_happen_one_after_the_other() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create"].iter().chain(&SLEEPER)).ok();
    for _ in 0..3 {
        let ends = at_once(&sandbox, [&["start", "box"], &["stop", "-t", "0", "box"], &["start", "box"]]);
        assert!(ends.iter().all(|(code, _)| *code == 0), "{ends:?}");
        match state(&sandbox)["Status"].as_str().unwrap() {
            "running" => drop(sandbox.ctr(["exec", "box", "true"]).ok()),
            "exited" => assert_eq!(sandbox.mounts().len(), 0),
            other => panic!("neither up nor down: {other}"),
        }
    }
    let ends = at_once(&sandbox, [&["restart", "-t", "0", "box"], &["restart", "-t", "0", "box"]]);
    assert!(ends.iter().any(|(code, _)| *code == 0), "{ends:?}");
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

#[test]
fn who_is_in_a_hurry_does_not_wait_for_who_is_patient() {
    let sandbox = Sandbox::with_base();
    let deaf = "trap '' TERM; trap 'exit 5' HUP; echo ready; while :; do sleep 0.1; done";
    let options = ["run", "-d", "--name", "box", "--network", "none", "--stop-timeout", "1000"];
    sandbox.ctr(options.iter().chain(&["base", "sh", "-c", deaf])).ok();
    poll_until(60, "the shell to be deaf", || (sandbox.ctr(["logs", "box"]).ok().text() == "ready").then_some(()));
    let patient = begin(&sandbox, ["stop", "box"]);
    poll_until(60, "the stop to have been noted", || {
        let events = std::fs::read_to_string(sandbox.run_dir().join("events.jsonl")).unwrap_or_default();
        events.contains("\"signal\":\"15\"").then_some(())
    });
    sandbox.ctr(["kill", "box"]).ok().prints("box");
    assert_eq!(end(patient).0, 0);
    assert_eq!(state(&sandbox)["ExitCode"], 137);
    // Another time than the container's own, and a signal that it listens to.
    sandbox.ctr(["start", "box"]).ok();
    sandbox.ctr(["stop", "-t", "0", "box"]).ok();
    sandbox.ctr(["start", "box"]).ok();
    poll_until(60, "the shell to listen", || {
        (sandbox.ctr(["logs", "box"]).ok().stdout.lines().count() == 3).then_some(())
    });
    sandbox.ctr(["stop", "-s", "SIGHUP", "box"]).ok();
    assert_eq!(state(&sandbox)["ExitCode"], 5);
}

#[test]
fn what_is_executed_in_a_dying_container_ends_with_it() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d"].iter().chain(&SLEEPER)).ok();
    for _ in 0..3 {
        let exec: &[&str] = &["exec", "box", "sleep", "1000"];
        let ends = at_once(&sandbox, [exec, &["kill", "box"], exec, exec]);
        for (code, said) in [&ends[0], &ends[2], &ends[3]] {
            // Killed with it; refused as it is down; or refused by the runtime, as it was going down.
            assert!(matches!(code, 137 | 1 | 126), "{code}: {said}");
        }
        sandbox.ctr(["start", "box"]).ok();
    }
    sandbox.ctr(["rm", "-f", "box"]).ok();
    poll_until(60, "nothing to be left", || sandbox.remains().is_empty().then_some(()));
}

#[test]
fn what_was_executed_outlives_its_client_and_is_reaped() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d"].iter().chain(&SLEEPER)).ok();
    let file = |name: &str| sandbox.root().join("names/box/upper").join(name);
    // In the background from the start: nothing of it comes here, and its exit is noted.
    let output = sandbox.ctr(["exec", "-d", "box", "sh", "-c", "echo out; sleep 0.1; echo > /background; exit 7"]).ok();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    poll_until(60, "the file", || file("background").exists().then_some(()));
    poll_until(60, "its end to be noted", || {
        let events = std::fs::read_to_string(sandbox.run_dir().join("events.jsonl")).unwrap();
        events.lines().any(|line| line.contains("exec_die") && line.contains(r#""exitCode":"7""#)).then_some(())
    });
    // Its client is killed: it reads the end of its input, and what it writes then hurts nobody.
    let mut command = sandbox.tool("ctr");
    command.args(["exec", "-i", "box", "sh", "-c", "echo > /up; cat; yes | head -n 100000; echo > /on"]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    poll_until(60, "the command to run", || file("up").exists().then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
    poll_until(60, "the command to go on", || file("on").exists().then_some(()));
    poll_until(60, "both to be reaped", || (!sandbox.processes().iter().any(|p| p.is("ctr", "exec"))).then_some(()));
    sandbox.ctr(["exec", "-d", "box", "nosuch"]).exits(1).says("executable file not found in $PATH");
    sandbox.ctr(["exec", "box", "nosuch"]).exits(127);
    sandbox.ctr(["exec", "box", "/etc"]).exits(126);
    sandbox.ctr(["exec", "-u", "nosuch", "box", "true"]).exits(126).says("unable to find user nosuch");
    // Megabytes, in and out.
    let much = vec![b'x'; 3 << 20];
    let output = sandbox.ctr_reading(["exec", "-i", "box", "cat"], &much).ok();
    assert_eq!(output.stdout.len(), much.len());
    let output = sandbox.ctr_reading(["run", "-i", "--rm", "--network", "none", "base", "cat"], &much).ok();
    assert_eq!(output.stdout.len(), much.len());
}

#[test]
fn a_frozen_container_says_what_cannot_be_done_to_it() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create"].iter().chain(&SLEEPER)).ok();
    let id = sandbox.ctr(["ps", "-aq", "--no-trunc"]).ok().text().to_owned();
    sandbox.ctr(["pause", "box"]).exits(1).says(&format!("Container {id} is not running"));
    sandbox.ctr(["unpause", "box"]).exits(1).says(&format!("Container {id} is not paused"));
    sandbox.ctr(["kill", "box"]).exits(1).says(&format!("Cannot kill container: box: Container {id} is not running"));
    sandbox.ctr(["wait", "box"]).ok().prints("0");
    sandbox.ctr(["start", &id[..12]]).ok().prints(&id[..12]);
    sandbox.ctr(["container", "pause", "/box"]).ok().prints("/box");
    sandbox.ctr(["pause", "box"]).exits(1).says("is already paused");
    sandbox.ctr(["exec", "box", "true"]).exits(1).says("Container box is paused, unpause the container before exec");
    sandbox.ctr(["start", "box"]).exits(1).says("cannot start a paused container, try unpause instead");
    sandbox.ctr(["attach", "box"]).exits(1).says("You cannot attach to a paused container, unpause it first");
    sandbox
        .ctr(["rm", "box"])
        .exits(1)
        .says(&format!("You cannot remove a paused container {id}. Unpause and then stop"));
    sandbox.ctr(["unpause", "box"]).ok().prints("box");
    sandbox.ctr(["exec", "box", "true"]).ok();
    sandbox.ctr(["kill", "-s", "FOO", "box"]).exits(1).says("Invalid signal: FOO");
    sandbox.ctr(["kill", "-s", "99", "box"]).exits(1).says("does not support signal 99");
    sandbox.ctr(["pause", "box"]).ok();
    sandbox.ctr(["restart", "-t", "0", "box"]).ok().prints("box");
    assert_eq!(state(&sandbox)["Status"], "running");
    sandbox.ctr(["pause", "box"]).ok();
    sandbox.ctr(["stop", "-t", "0", "nosuch", "box"]).exits(1).says("No such container: nosuch").prints("box");
    assert_eq!((&state(&sandbox)["Status"], &state(&sandbox)["ExitCode"]), (&"exited".into(), &137.into()));
    sandbox.ctr(["rm", "-f", "nosuch", "box"]).ok().says("No such container: nosuch").prints("box");
    sandbox.ctr(["rm", "nosuch"]).exits(1).says("No such container: nosuch");
}

#[test]
fn a_container_that_is_removed_at_its_end_survives_a_restart() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--rm"].iter().chain(&SLEEPER)).ok();
    sandbox.ctr(["restart", "-t", "0", "box"]).ok();
    sandbox.ctr(["exec", "box", "true"]).ok();
    sandbox.ctr(["stop", "-t", "0", "box"]).ok();
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

/// How many containers: `$CTR_TEST_CONTAINERS`, else 200.
fn many() -> usize {
    std::env::var("CTR_TEST_CONTAINERS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)
}

#[test]
fn many_containers_at_once_end_each_with_its_own_exit_code() {
    let sandbox = Sandbox::with_base();
    let (all, at_a_time) = (many(), 20);
    let run = |i: usize| {
        let name = format!("box{i}");
        // A few have a network, and a few run on until they are stopped.
        let network = if i.is_multiple_of(20) { "bridge" } else { "none" };
        let last =
            if i.is_multiple_of(10) { "trap 'exit 77' TERM; while :; do sleep 1 & wait; done" } else { "exit $CODE" };
        let code = format!("CODE={}", i % 256);
        let args = ["run", "-d", "--name", &name, "--network", network, "-e", &code, "base", "sh", "-c", last];
        begin(&sandbox, args)
    };
    in_parallel(all, at_a_time, run);
    let stayed: Vec<usize> = (0..all).step_by(10).collect();
    in_parallel(all, at_a_time, |i| match stayed.contains(&i) {
        true => begin(&sandbox, ["stop", "-t", "60", &format!("box{i}")]),
        false => begin(&sandbox, ["wait", &format!("box{i}")]),
    });
    for i in 0..all {
        let file = sandbox.root().join(format!("names/box{i}/state.json"));
        let state: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let code = if stayed.contains(&i) { [77, 143].to_vec() } else { [(i % 256) as i64].to_vec() };
        assert!(code.contains(&state["ExitCode"].as_i64().unwrap()), "box{i}: {state}");
        assert_eq!(state["Status"], "exited", "box{i}");
    }
    in_parallel(all / 20 + 1, at_a_time, |i| {
        let names: Vec<String> = (i * 20..((i + 1) * 20).min(all)).map(|i| format!("box{i}")).collect();
        begin(&sandbox, ["rm".to_owned(), "-f".to_owned(), "nosuch".to_owned()].into_iter().chain(names))
    });
    poll_until(60, "nothing to be left", || sandbox.remains().is_empty().then_some(()));
}

/// Runs `count` commands, never more than `at_a_time`, and all of them must succeed.
fn in_parallel(count: usize, at_a_time: usize, command: impl Fn(usize) -> Child) {
    let mut running: Vec<Child> = Vec::new();
    for i in 0..count {
        if running.len() == at_a_time {
            ended_well(running.remove(0));
        }
        running.push(command(i));
    }
    running.into_iter().for_each(ended_well);
}

fn ended_well(command: Child) {
    let (code, said) = end(command);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_full_disk_hides_nothing_and_can_be_cleared() {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.root()).unwrap();
    mount("none", sandbox.root(), "tmpfs", MountFlags::empty(), c"size=256m").unwrap();
    let base = ctr_tests::image::base_tar(false);
    sandbox.ctr([std::ffi::OsStr::new("import"), base.as_os_str(), "base".as_ref()]).ok();
    sandbox.ctr(["run", "-d"].iter().chain(&SLEEPER)).ok();
    sandbox.ctr(["create", "--name", "other", "--network", "none", "base", "true"]).ok();
    let filler = sandbox.root().join("filler");
    // Down to the last byte, whatever size a write has.
    let fill = || drop(sandbox.sh(&format!("cat /dev/zero > {0}; printf x >> {0}", filler.display())));
    fill();
    let full = |output: &Output| assert!(output.code != 0 && output.stderr.contains("No space left"), "{output}");
    let before = count(&sandbox.root().join("containers"));
    full(&sandbox.ctr(["create", "--name", "third", "--network", "none", "base", "true"]));
    assert_eq!((count(&sandbox.root().join("containers")), count(&sandbox.root().join("names"))), (before, 2));
    // How a container ends is not lost: it is in the run folder until there is room.
    sandbox.ctr(["start", "other"]).ok();
    sandbox.ctr(["wait", "other"]).ok().prints("0");
    full(&sandbox.ctr(["rename", "other", "renamed"]));
    // What runs goes on, is seen, and ends.
    sandbox.ctr(["ps"]).ok().shows("Up ");
    sandbox.ctr(["exec", "box", "true"]).ok();
    sandbox.ctr(["exec", "box", "sh", "-c", "echo x > /full"]).exits(1);
    sandbox.ctr(["kill", "box"]).ok();
    sandbox.ctr(["ps", "-a"]).ok().shows("box").shows("other");
    // Removing makes room.
    sandbox.ctr(["rm", "other"]).ok();
    std::fs::remove_file(&filler).unwrap();
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (137)");
    sandbox.ctr(["start", "box"]).ok();
    sandbox.ctr(["rm", "-f", "box"]).ok();
    poll_until(60, "nothing but the disk to be left", || {
        sandbox.remains().iter().all(|r| r.starts_with("mount ")).then_some(())
    });
    unmount(sandbox.root(), UnmountFlags::DETACH).unwrap();
}

//! cgset on the running kernel: v1, hybrid or v2, whatever this machine has. Needs root.
//!
//! What is asserted is what the kernel does, read from its files or seen in the fate of a process. Each test has a
//! group of its own, which is gone when the test is, with all that ran in it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Group, cgset, eventually, ok, refused, run, ticks, with_stdin};

/// Lets nothing be used but /dev/null, and /dev/zero if `zero` says so.
fn device_list(zero: bool) -> Value {
    json!({"devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": zero, "type": "c", "major": 1, "minor": 5, "access": "rw"}
    ]})
}

#[test]
fn limits_are_what_the_kernel_reports() {
    let group = Group::create(&["--memory", "64m", "--cpus", "0.5", "--pids", "20", "--cpu-shares", "512"]);
    assert_eq!(group.value(["memory.limit_in_bytes", "memory.max"]), "67108864");
    assert_eq!(group.value(["pids.max", "pids.max"]), "20");
    let quota = group.value(["cpu.cfs_quota_us", "cpu.max"]);
    assert!(quota == "50000" || quota == "50000 100000", "{quota}");
    let shares = group.value(["cpu.shares", "cpu.weight"]);
    assert!(shares == "512" || shares == "59", "{shares}");
    let shown = ok(&["show", &group.0]);
    assert!(shown.contains("67108864") && shown.contains("pids.max"), "{shown}");
}

#[test]
fn memory_limits_can_be_raised_lowered_and_lifted() {
    let group = Group::create(&["--memory", "64m"]);
    for (limit, reported) in [("128m", "134217728"), ("32m", "33554432")] {
        ok(&["set", &group.0, "--memory", limit]);
        assert_eq!(group.value(["memory.limit_in_bytes", "memory.max"]), reported);
    }
    ok(&["set", &group.0, "--memory", "max"]);
    assert_eq!(group.stats()["Memory"]["Limit"], Value::Null);
}

#[test]
fn oci_resources_are_read_from_standard_input() {
    let group = Group::named();
    let limits = json!({
        "memory": {"limit": 33554432, "disableOOMKiller": false}, "cpu": {"quota": 20000, "period": 50000, "shares": 0},
        "pids": {"limit": 7}, "blockIO": {"weight": 0}
    });
    assert!(with_stdin(&["create", &group.0, "--resources", "-"], &limits).status.success());
    assert_eq!(group.value(["memory.limit_in_bytes", "memory.max"]), "33554432");
    assert_eq!(group.value(["pids.max", "pids.max"]), "7");
    assert!(group.value(["cpu.cfs_quota_us", "cpu.max"]).starts_with("20000"));

    let output = with_stdin(&["set", &group.0, "--resources", "-"], &json!({"later": {"weight": 10}}));
    assert!(output.status.success(), "OCI: an unknown key must not be an error");
    assert!(String::from_utf8_lossy(&output.stderr).contains("note: later has no effect"));
}

#[test]
fn a_process_is_in_the_group_in_every_tree() {
    let group = Group::create(&[]);
    let output = group.sh("cat /proc/self/cgroup").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let inside = lines.lines().filter(|line| line.ends_with(&format!(":/{}", group.0))).count();
    assert_eq!(inside, group.folders().len(), "{lines}");
}

#[test]
fn a_runtime_can_enter_by_the_folders_that_create_prints() {
    let group = Group::named();
    let folders: Value = serde_json::from_str(&ok(&["create", &group.0, "--json"])).unwrap();
    let v1: Vec<&str> = folders["V1"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut script = String::new();
    for folder in &v1 {
        script += &format!("echo 0 > {folder}/tasks && ");
    }
    let output = Command::new("sh").args(["-c", &(script + "exec cat /proc/self/cgroup")]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.matches(&group.0).count(), v1.len(), "{lines}");
}

#[test]
fn a_process_over_its_memory_limit_is_killed() {
    let group = Group::create(&["--memory", "20m"]);
    // dd takes a buffer of 200 MB and fills it.
    let output = group.sh("exec dd if=/dev/zero of=/dev/null bs=200M count=1").output().unwrap();
    assert_eq!(output.status.signal(), Some(9), "{:?}", output);
    assert!(group.stats()["Memory"]["OomKills"].as_u64().unwrap() >= 1);
}

#[test]
fn a_fork_bomb_stops_at_the_limit_of_tasks() {
    let group = Group::create(&["--pids", "10"]);
    let mut bomb = group.sh("i=0; while [ $i -lt 50 ]; do sleep 1000 & i=$((i+1)); done; wait").spawn().unwrap();
    eventually("the group is full, or the shell gave up", || {
        let tasks = group.stats()["Pids"]["Current"].as_u64().unwrap();
        assert!(tasks <= 10, "{tasks} tasks");
        tasks == 10 || bomb.try_wait().unwrap().is_some()
    });
    eventually("a fork has failed", || !group.value(["pids.events", "pids.events"]).starts_with("max 0"));
    ok(&["kill", &group.0]);
    bomb.wait().unwrap();
    assert!(group.processes().is_empty());
}

#[test]
fn a_frozen_process_gets_no_processor_time_until_it_is_thawed() {
    let group = Group::create(&[]);
    let mut busy = group.sh("while :; do :; done").spawn().unwrap();
    eventually("it is in the group", || !group.processes().is_empty());
    let born = ticks(&busy);
    eventually("the loop runs", || ticks(&busy) > born + 2);
    ok(&["freeze", &group.0]);
    let before = ticks(&busy);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(ticks(&busy), before);
    ok(&["thaw", &group.0]);
    eventually("the loop runs again", || ticks(&busy) > before + 2);
    ok(&["freeze", &group.0]);
    ok(&["kill", &group.0]);
    assert_eq!(busy.wait().unwrap().signal(), Some(9), "a frozen group can be killed");
}

#[test]
fn kill_reaches_the_groups_inside_and_children_of_children() {
    let group = Group::create(&[]);
    let mut children = Vec::new();
    // v2 has processes in the leaves of the tree only.
    for inner in ["a", "b/c"].map(|inner| format!("{}/{inner}", group.0)) {
        ok(&["create", &inner]);
        let script = "sleep 1000 & (sleep 1000 & sleep 1000) & wait";
        children.push(cgset().args(["exec", &inner, "--", "sh", "-c", script]).spawn().unwrap());
    }
    eventually("all run", || group.processes().len() >= 8);
    ok(&["freeze", &format!("{}/b", group.0)]);
    ok(&["kill", &group.0]);
    assert!(group.processes().is_empty());
    for mut child in children {
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
    ok(&["delete", &group.0]);
    group.assert_gone();
}

#[test]
fn nobody_escapes_by_forking() {
    let group = Group::create(&["--pids", "500"]);
    // `next` makes the next process and ends: a pid that was listed is history when the signal comes.
    let mut forking = group.sh("next() { next & }; next; next; while :; do (:); done").spawn().unwrap();
    eventually("it runs", || group.processes().len() > 1);
    ok(&["kill", &group.0]);
    assert_eq!(forking.wait().unwrap().signal(), Some(9));
    std::thread::sleep(Duration::from_millis(50));
    assert!(group.processes().is_empty());
}

#[test]
fn other_signals_reach_every_process_once() {
    let group = Group::create(&[]);
    let mut child = group.sh("trap 'exit 7' TERM; while :; do sleep 0.05; done").spawn().unwrap();
    // Two processes: the trap is set, and the shell is at its second command.
    eventually("the loop runs", || group.processes().len() == 2);
    ok(&["kill", "--signal", "TERM", &group.0]);
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(refused(&["kill", "--signal", "NOPE", &group.0]).contains("is no signal"));
}

#[test]
fn a_process_that_is_in_one_tree_only_is_killed_too() {
    let group = Group::create(&[]);
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(group.folders()[0].join("cgroup.procs"), child.id().to_string()).unwrap();
    ok(&["kill", &group.0]);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn delete_can_be_repeated_and_does_not_kill() {
    let group = Group::create(&[]);
    let mut child = group.sh("exec sleep 1000").spawn().unwrap();
    eventually("it runs", || group.processes().len() == 1);
    let said = refused(&["delete", &group.0]);
    assert!(said.contains(&child.id().to_string()) && said.contains("cgset kill"), "{said}");
    assert!(child.try_wait().unwrap().is_none());
    ok(&["delete", "--kill", &group.0]);
    ok(&["delete", &group.0]);
    ok(&["delete", "--kill", &group.0]);
    group.assert_gone();
    child.wait().unwrap();
}

#[test]
fn the_group_above_goes_with_the_last_one_if_that_is_wanted() {
    let above = Group::named();
    let [a, b] = ["a", "b"].map(|inner| format!("{}/{inner}", above.0));
    ok(&["create", &a]);
    ok(&["create", &b]);
    ok(&["delete", "--parents", &a]);
    assert!(above.folders().iter().all(|folder| folder.exists()), "the other one is in it");
    ok(&["delete", &b]);
    assert!(above.folders().iter().all(|folder| folder.exists()), "its limits may still be wanted");
    ok(&["delete", "--parents", &a]);
    above.assert_gone();
}

#[test]
fn siblings_come_and_go_at_once_and_nothing_is_left() {
    let above = Group::named();
    std::thread::scope(|scope| {
        for sibling in ["a", "b", "c", "d"].map(|inner| format!("{}/{inner}", above.0)) {
            scope.spawn(move || {
                for _ in 0..25 {
                    ok(&["create", &sibling, "--pids", "7", "--memory", "64m"]);
                    ok(&["delete", "--parents", &sibling]);
                }
            });
        }
    });
    above.assert_gone();
}

#[test]
fn a_group_whose_maker_does_not_wait_for_the_answer_is_not_left() {
    let group = Group::named();
    // A pipe that nobody reads, from the start.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // A child that another test is just starting has a copy of it until it is another program.
    let mut ends = [PollFd::new(&writer, PollFlags::empty())];
    eventually("nobody can read it", || {
        poll(&mut ends, Some(&Timespec::default())).unwrap();
        ends[0].revents().contains(PollFlags::ERR)
    });
    let status = cgset().args(["create", &group.0, "--json"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(125));
    group.assert_gone();
}

#[test]
fn a_group_with_processes_is_not_made_again() {
    let group = Group::create(&["--pids", "5"]);
    ok(&["create", &group.0, "--pids", "6"]);
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    ok(&["add", &group.0, &child.id().to_string()]);
    assert!(refused(&["create", &group.0]).contains("processes are in it"));
    assert_eq!(group.value(["pids.max", "pids.max"]), "6");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_device_that_is_not_on_the_list_cannot_be_opened() {
    let has_unified = Group::create(&[]).folders().iter().any(|folder| folder.join("cgroup.freeze").exists());
    let ways: &[&str] = if has_unified { &["auto", "bpf"] } else { &["auto"] };
    for way in ways {
        let group = Group::named();
        let list = ["--resources", "-", "--devices-by", way];
        assert!(with_stdin(&[&["create", &group.0], &list[..]].concat(), &device_list(false)).status.success());
        let script = ": > /dev/null && echo null; dd if=/dev/zero of=/dev/null bs=1 count=1 && echo zero";
        let output = group.sh(script).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "null\n", "{way}: {said}");
        assert!(said.contains("Operation not permitted"), "{way}: {said}");

        // A new list takes the place of the old one.
        let programs = || ok(&["show", &group.0]).matches("eBPF program").count();
        let one = programs();
        assert!(one == 1 || *way == "auto");
        assert!(with_stdin(&[&["set", &group.0], &list[..]].concat(), &device_list(true)).status.success());
        let output = group.sh(script).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "null\nzero\n", "{way}");
        assert_eq!(programs(), one);
    }
}

#[test]
fn a_refused_value_is_told_with_file_and_cause_and_leaves_nothing() {
    let group = Group::named();
    let said = refused(&["create", &group.0, "--pids", "5", "--cpuset-cpus", "9999"]);
    for part in ["write \"9999\" to /", "/cpuset.cpus", "os error"] {
        assert!(said.contains(part), "{said}");
    }
    group.assert_gone();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let said = refused(&["create", &group.0, "--pid", &gone.id().to_string()]);
    assert!(said.contains("cgroup.procs") && said.contains("No such process"), "{said}");
    group.assert_gone();
}

#[test]
fn the_top_of_the_tree_and_paths_out_of_it_are_no_groups() {
    for name in ["/", "", "..", "a/../../b"] {
        for verb in ["create", "kill", "delete", "freeze"] {
            assert!(refused(&[verb, name]).starts_with("cgset: "), "{verb} {name:?}");
        }
    }
    for verb in ["show", "stats", "freeze", "kill", "where"] {
        assert!(refused(&[verb, "cgset-test-no-such-group"]).contains("no such group"), "{verb}");
    }
    refused(&["create"]);
}

#[test]
fn nobody_freezes_the_group_that_he_is_in() {
    let group = Group::create(&[]);
    let program = cgset().get_program().to_str().unwrap().to_owned();
    assert!(refused(&["exec", &group.0, "--", &program, "freeze", &group.0]).contains("this very process"));
}

#[test]
fn exec_has_the_exit_code_of_the_command() {
    let group = Group::create(&[]);
    assert_eq!(group.sh("exit 3").output().unwrap().status.code(), Some(3));
    for (program, code) in [("/no/such/program", 127), ("/etc", 126)] {
        assert_eq!(run(&["exec", &group.0, "--", program]).status.code(), Some(code), "{program}");
    }
}

#[test]
fn on_v2_a_group_with_processes_cannot_pass_controllers_on_and_the_error_says_what_to_do() {
    let group = Group::create(&[]);
    let mut child = group.sh("exec sleep 1000").spawn().unwrap();
    eventually("it runs", || group.processes().len() == 1);
    let inner = format!("{}/inner", group.0);
    let output = run(&["create", &inner, "--pids", "5"]);
    if ok(&["where", "--json", &group.0]).contains("\"Version\":\"v2\"") {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("cgroup.subtree_control") && said.contains("move them into a group inside it first"),
            "{said}"
        );
    } else {
        assert!(output.status.success());
    }
    ok(&["kill", &group.0]);
    child.wait().unwrap();
}

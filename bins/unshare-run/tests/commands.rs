//! The smaller commands of runc's command line, and that they say what runc's callers listen for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, Said, until};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// A container with a cgroup of its own that runs.
fn running(name: &str, script: &str) -> (Bundle, String) {
    let mut bundle = Bundle::new(script);
    let group = format!("/ctr/{name}-{}", std::process::id());
    bundle.config["linux"]["cgroupsPath"] = json!(group);
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    bundle.create("x");
    assert_eq!(bundle.call(&["start", "x"]).code, 0);
    (bundle, group)
}

fn says(said: &Said, code: i32, words: &str) {
    assert!(said.code == code && said.err.contains(words), "{words}: {said:?}");
}

#[test]
fn state_is_the_specifications_and_runcs() {
    let mut bundle = Bundle::new("sleep 1000");
    bundle.config["annotations"] = json!({"a": "b"});
    bundle.create("x");
    let state = bundle.state("x");
    let expected = json!({
        "ociVersion": bundle.config["ociVersion"], "id": "x", "pid": state["pid"], "status": "created", "bundle": bundle.path(),
        "rootfs": bundle.rootfs(), "created": state["created"], "annotations": {"a": "b"}, "owner": "root",
    });
    assert_eq!(state, expected);
    let list: Value = serde_json::from_str(&bundle.call(&["list", "--format", "json"]).out).unwrap();
    assert_eq!(list, json!([expected]));
    assert_eq!(bundle.call(&["list", "-q"]).out, "x");
}

#[test]
fn pause_stops_everything_and_resume_lets_it_go_on() {
    let (bundle, _) = running("pause", "i=0; while :; do i=$((i+1)); echo $i > /count; done");
    let count = || fs::read_to_string(bundle.rootfs().join("count")).unwrap_or_default();
    until("it counts", || !count().is_empty());
    assert_eq!(bundle.call(&["pause", "x"]).code, 0);
    assert_eq!(bundle.state("x")["status"], "paused");
    assert!(bundle.call(&["list"]).out.contains("paused"));
    let stopped_at = count();
    says(&bundle.call(&["pause", "x"]), 1, "container not running");
    says(
        &bundle.call(&["exec", "x", "true"]),
        255,
        "cannot exec in a paused container (use --ignore-paused to override)",
    );
    says(&bundle.call(&["delete", "x"]), 1, "cannot delete container x that is not stopped: paused");
    says(&bundle.call(&["start", "x"]), 1, "cannot start a paused container");
    let mut waiting = bundle.command(&["exec", "--ignore-paused", "x", "true"]).spawn().unwrap();
    assert_eq!(count(), stopped_at);
    assert_eq!(bundle.call(&["resume", "x"]).code, 0);
    assert!(waiting.wait().unwrap().success());
    says(&bundle.call(&["resume", "x"]), 1, "container not paused");
    until("it goes on", || count() != stopped_at);
}

#[test]
fn a_paused_container_can_be_killed_and_deleted() {
    let (bundle, _) = running("killed", "sleep 1000");
    assert_eq!(bundle.call(&["pause", "x"]).code, 0);
    assert_eq!(bundle.call(&["kill", "x", "KILL"]).code, 0);
    bundle.await_status("x", "stopped");
    assert_eq!(bundle.call(&["delete", "x"]).code, 0);
    let (bundle, _) = running("deleted", "sleep 1000");
    assert_eq!(bundle.call(&["pause", "x"]).code, 0);
    assert_eq!(bundle.call(&["delete", "--force", "x"]).code, 0);
}

#[test]
fn what_has_ended_is_told_in_runcs_words() {
    let (bundle, _) = running("ended", "exit 0");
    bundle.await_status("x", "stopped");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["kill", "x", "TERM"], 1, "container not running"),
        (&["kill", "--all", "x", "KILL"], 0, ""),
        (&["start", "x"], 1, "cannot start a container that has stopped"),
        (&["exec", "x", "true"], 255, "cannot exec in a stopped container"),
        (&["pause", "x"], 1, "container not running"),
        (&["resume", "x"], 1, "container not paused"),
        (&["update", "--memory", "64m", "x"], 1, "container not running"),
        (&["events", "--stats", "x"], 1, "container with id x is not running"),
        (&["ps", "--format", "json", "x"], 0, ""),
    ];
    for (command, code, words) in cases {
        says(&bundle.call(command), code, words);
    }
    assert_eq!(bundle.call(&["ps", "-f", "json", "x"]).out, "[]");
    for command in ["state", "ps", "pause", "resume", "update", "events", "kill", "delete", "start"] {
        says(&bundle.call(&[command, "no"]), 1, "container does not exist");
    }
    for command in ["checkpoint", "restore"] {
        says(&bundle.call(&[command, "--image-path", "/i", "x"]), 1, "not supported");
    }
}

#[test]
fn ps_shows_the_containers_processes_and_no_others() {
    let (bundle, _) = running("ps", "sleep 1234 & exec sleep 1000");
    // A child of the shell looks like the shell until it is the other program.
    until("both run", || {
        bundle.call(&["ps", "x", "-o", "pid,args"]).out.lines().any(|line| line.ends_with("sleep 1234"))
    });
    let said = bundle.call(&["ps", "x", "-o", "pid,args"]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].contains("PID") && lines.iter().any(|line| line.ends_with("sleep 1234")), "{said:?}");
    let pids: Vec<i64> = serde_json::from_str(&bundle.call(&["ps", "--format", "json", "x"]).out).unwrap();
    assert!(pids.contains(&bundle.pid("x")) && pids.len() == lines.len() - 1, "{pids:?}");
    says(&bundle.call(&["ps", "x", "--no-such-option"]), 1, "ps: exit status: ");
}

#[test]
fn update_changes_what_is_given() {
    let (bundle, group) = running("update", "sleep 1000");
    let limit = |file: &str| {
        let folders = common::groups_named(group.trim_start_matches('/'));
        let found = folders.iter().find_map(|folder| fs::read_to_string(folder.join(file)).ok());
        found.unwrap_or_else(|| panic!("no {file} in {folders:?}")).trim_end().to_owned()
    };
    assert_eq!(limit("pids.max"), "50");
    assert_eq!(bundle.call(&["update", "--pids-limit", "20", "--cpu-share", "512", "x"]).code, 0);
    assert_eq!(limit("pids.max"), "20");
    let mut child = bundle.command(&["update", "--resources", "-", "x"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"pids\": {\"limit\": 30}, \"memory\": null}").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(limit("pids.max"), "30");
    assert_eq!(bundle.call(&["update", "x"]).code, 0);
    assert_eq!(limit("pids.max"), "30");
    says(&bundle.call(&["update", "--memory", "lots", "x"]), 1, "--memory");
    says(&bundle.call(&["update", "--l3-cache-schema", "x", "x"]), 1, "RDT is not supported");
}

#[test]
fn events_count_what_it_uses() {
    let (bundle, _) = running("events", "sleep 1000");
    let said = bundle.call(&["events", "--stats", "x"]);
    let event: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!("x")));
    assert!(event["data"]["pids"]["current"].as_u64().unwrap() >= 1, "{event}");
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0, "{event}");
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{event}");
    // Without the flag it goes on until the container ends.
    let mut child = bundle.command(&["events", "--interval", "10ms", "x"]).stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(bundle.call(&["kill", "x", "KILL"]).code, 0);
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn features_are_those_of_the_specification() {
    let said: Said = Command::new(common::program()).arg("features").output().unwrap().into();
    assert_eq!(said.code, 0);
    let features: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&features["ociVersionMin"], &features["ociVersionMax"]), (&json!("1.0.0"), &json!("1.2.0")));
    for (place, name) in [
        ("/hooks", "startContainer"),
        ("/mountOptions", "rro"),
        ("/linux/namespaces", "cgroup"),
        ("/linux/capabilities", "CAP_CHECKPOINT_RESTORE"),
    ] {
        assert!(features.pointer(place).unwrap().as_array().unwrap().contains(&json!(name)), "{place} {name}");
    }
}

#[test]
fn the_version_has_the_form_that_docker_reads() {
    for flag in ["--version", "-v"] {
        let said: Said = Command::new(common::program()).arg(flag).output().unwrap().into();
        assert!(said.code == 0 && said.out.starts_with("unshare-run "), "{said:?}");
    }
    let said: Said = Command::new(common::program()).arg("--version").output().unwrap().into();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("unshare-run version ") && lines[1] == "spec: 1.2.0", "{said:?}");
}

#[test]
fn runcs_other_flags_are_taken_and_systemd_is_refused() {
    let bundle = Bundle::new("exit 3");
    let place = bundle.path().to_str().unwrap();
    let said = bundle.call(&[
        "--rootless",
        "auto",
        "--criu",
        "c",
        "run",
        "--no-pivot",
        "--no-new-keyring",
        "--no-subreaper",
        "--keep",
        "--bundle",
        place,
        "x",
    ]);
    assert_eq!((said.code, said.err.as_str()), (3, ""));
    assert_eq!(bundle.state("x")["status"], "stopped");
    assert_eq!(bundle.call(&["delete", "x"]).code, 0);
    says(&bundle.call(&["--systemd-cgroup", "run", "--bundle", place, "x"]), 1, "systemd are not supported");
}

#[test]
fn the_log_has_an_object_a_line_as_docker_and_podman_read_it() {
    let bundle = Bundle::new("true");
    let log = bundle.path().join("log");
    let words = ["--log", log.to_str().unwrap(), "--log-format"];
    bundle.call(&[&words[..], &["json", "state", "no\"such"]].concat());
    bundle.call(&[&words[..], &["text", "state", "no"]].concat());
    let text = fs::read_to_string(&log).unwrap();
    let (json, plain) = text.split_once('\n').unwrap();
    let entry: Value = serde_json::from_str(json).unwrap();
    assert_eq!(entry["level"], "error");
    assert!(entry["msg"].as_str().unwrap().contains("container name \"no\\\"such\""), "{entry}");
    assert!(entry["time"].as_str().unwrap().ends_with('Z') && entry.as_object().unwrap().len() == 3);
    assert!(
        plain.starts_with("time=\"") && plain.contains("level=error msg=\"state of no: container does not exist\""),
        "{plain}"
    );
}

#[test]
fn a_story_in_the_log_has_the_logs_form() {
    let bundle = Bundle::new("").args(&["nope"]);
    let log = bundle.path().join("log");
    let place = bundle.path().to_str().unwrap();
    bundle.call(&["--debug", "--log", log.to_str().unwrap(), "--log-format", "json", "run", "--bundle", place, "x"]);
    let text = fs::read_to_string(&log).unwrap();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.len() > 5 && entries[0]["level"] == "debug", "{text}");
    assert_eq!(entries[entries.len() - 1]["level"], "error");
}

#[test]
fn spec_can_write_a_bundles_configuration_once() {
    let bundle = Bundle::new("true");
    let place = bundle.path().join("new");
    fs::create_dir(&place).unwrap();
    let place = place.to_str().unwrap();
    assert_eq!(bundle.call(&["spec", "--bundle", place]).out, "");
    let text = fs::read_to_string(format!("{place}/config.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["ociVersion"], bundle.config["ociVersion"]);
    says(&bundle.call(&["spec", "--bundle", place]), 125, "config.json: File exists");
    let rootless: Value = serde_json::from_str(&bundle.call(&["spec", "--rootless"]).out).unwrap();
    assert_eq!(rootless["linux"]["uidMappings"][0]["containerID"], 0);
}

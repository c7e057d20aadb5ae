//! `ctr --explain` prints a script, and the script does what the command would have done.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const RUN: [&str; 11] = ["run", "-d", "-p", "127.0.0.1::80", "-m", "64m", "--name", "web", "base", "sh", "-c"];
const SCRIPT: &str = "hostname; cat /etc/hosts | wc -l; id -u; echo $PATH; sleep 1000";

#[test]
fn explaining_does_nothing() {
    let sandbox = Sandbox::with_base();
    let script = sandbox.ctr([&["--explain"], &RUN[..], &[SCRIPT]].concat()).ok();
    for call in ["layerfs mount", "unshare-run", "portfwd attach bridge", "portfwd publish"] {
        assert!(script.stdout.contains(call), "{call}\n{script}");
    }
    assert_eq!(sandbox.remains(), Vec::<String>::new());
}

#[test]
fn the_script_has_the_same_effect_as_the_command() {
    let (direct, scripted) = (Sandbox::with_base(), Sandbox::with_base());
    direct.ctr([&RUN[..], &[SCRIPT]].concat()).ok();
    let script = scripted.ctr([&["--explain"], &RUN[..], &[SCRIPT]].concat()).ok();
    scripted.sh(&script.stdout).ok();
    let effect = |sandbox: &Sandbox| {
        ctr_tests::poll_until(60, "the output", || {
            (sandbox.ctr(["logs", "web"]).ok().stdout.lines().count() == 4).then_some(())
        });
        let folder = std::fs::canonicalize(sandbox.root().join("names/web")).unwrap();
        (files(sandbox, &folder), sandbox.ctr(["ps", "-a", "--no-trunc"]).ok().stdout.matches("Up ").count())
    };
    let (one, other) = (effect(&direct), effect(&scripted));
    let differing: Vec<_> = one.0.symmetric_difference(&other.0).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(one.1, other.1);
    direct.ctr(["stop", "-t", "0", "web"]).ok();
    scripted.sh(&scripted.ctr(["--explain", "stop", "-t", "0", "web"]).ok().stdout).ok();
    scripted.ctr(["ps", "-a"]).ok().shows("Exited (137)");
}

/// Every file of a container with its content; what differs from one container to the next is made the same.
fn files(sandbox: &Sandbox, folder: &Path) -> BTreeSet<(String, String)> {
    let id = folder.file_name().unwrap().to_str().unwrap();
    let root = sandbox.path().to_str().unwrap();
    let listed =
        sandbox.sh(&format!("cd {} && find . -xdev -path ./rootfs -prune -o -type f -print", folder.display())).ok();
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let text = text.replace(root, "SANDBOX").replace(id, "ID").replace(&id[..12], "SHORT");
        (
            name.replace(id, "ID"),
            if name.ends_with(".json") {
                settled(&text)
            } else if name.ends_with(".log") {
                times(&text)
            } else {
                addresses(&text)
            },
        )
    };
    listed.stdout.lines().map(|line| read(line.trim_start_matches("./"))).collect()
}

/// JSON without what time and chance decide.
fn settled(text: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    for key in ["Created", "Image", "StartedAt", "FinishedAt", "Pid"] {
        if value.get(key).is_some() {
            value[key] = Value::Null;
        }
    }
    value.to_string()
}

fn times(log: &str) -> String {
    log.lines().map(|line| line.split("\"time\"").next().unwrap().to_owned() + "\n").collect()
}

/// `172.18.0.2  name`: two sandboxes have two networks.
fn addresses(text: &str) -> String {
    let host = |word: &str| {
        if word.starts_with("172.") || word.starts_with("192.168.") { "ADDRESS".to_owned() } else { word.to_owned() }
    };
    text.lines().map(|line| line.split_whitespace().map(host).collect::<Vec<_>>().join(" ") + "\n").collect()
}

//! Other machines than this one: trees that are mounted elsewhere, partly, or not at all. Needs root.
//!
//! Each script has mounts of its own, and nothing that it does to them is seen outside.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::{Command, Output};
use support::{Group, cgset, ok};

/// A script in a mount namespace of its own, with `$cgset` and without any tree of cgroups.
fn without_trees(script: &str) -> Command {
    let clear = "awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts | sort -r | xargs -r -n 1 umount -l; ";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &format!("{clear}{script}")]);
    command.env("cgset", cgset().get_program());
    command
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn a_machine_without_trees_is_told_how_to_have_one() {
    let output = without_trees("$cgset create demo").output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(said(&output).contains("none are mounted; try: mount -t cgroup2 none /sys/fs/cgroup"), "{output:?}");
}

#[test]
fn a_tree_is_found_wherever_it_is_mounted() {
    let group = Group::named();
    let dir = tempfile::tempdir().unwrap();
    let (place, name) = (dir.path().display(), &group.0);
    let script =
        format!("mount -t cgroup2 none {place} && $cgset where --json {name} && $cgset create {name} --pids 7");
    let output = without_trees(&script).output().unwrap();
    let text = said(&output);
    assert!(text.contains(&format!("\"Version\":\"v2\",\"Unified\":\"{place}/{name}\",\"V1\":[]")), "{text}");
    if output.status.success() {
        ok(&["delete", &group.0]);
    } else {
        // The controllers of a hybrid machine are in trees that are hidden from the script.
        assert!(text.contains("cannot set pids limit: no group has the pids controller"), "{text}");
    }
}

#[test]
fn an_engine_in_a_container_makes_room_for_its_groups() {
    let outer = Group::create(&["--pids", "50"]);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    // As in a container: the top of what is seen is a group, and the shell is in it.
    let script = format!(
        "mount -t cgroup2 none {place}; $cgset create box --pids 5; echo \"first: $?\"; \
         $cgset create box --pids 5 --make-room; echo \"then: $?\"; cat /proc/self/cgroup {place}/box/pids.max"
    );
    let script = without_trees(&script);
    let mut inside = cgset();
    inside.args(["exec", &outer.0, "--", "unshare", "--cgroup"]).arg(script.get_program()).args(script.get_args());
    let text = said(&inside.env("cgset", cgset().get_program()).output().unwrap());
    if ok(&["where", "--json", &outer.0]).contains("\"Version\":\"v2\"") {
        assert!(text.contains("first: 125") && text.contains("cgset create --make-room does"), "{text}");
        assert!(text.contains("then: 0") && text.contains("0::/init\n5\n"), "{text}");
    } else {
        assert!(text.contains("first: 125") && text.contains("cannot set pids limit"), "{text}");
    }
}

//! `/sys/fs/cgroup` in a container, in whichever form the host has it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Bundle;
use serde_json::json;
use std::fs;
use std::path::Path;

fn unified_host() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A bundle in a group of its own.
fn in_group(script: &str, name: &str, own_namespace: bool, read_only: bool) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{name}-{}", std::process::id()));
    if !own_namespace {
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "cgroup");
    }
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    for mount in mounts.iter_mut().filter(|mount| mount["type"] == "cgroup") {
        mount["options"].as_array_mut().unwrap().retain(|option| read_only || option != "ro");
    }
    bundle
}

/// Prints the members and the limit of the container's group, as it sees them, then where all is mounted from.
const LOOK: &str = "g=/sys/fs/cgroup; [ -e $g/cgroup.controllers ] || g=$g/pids; o=$(sed -n 's,^0::,,p' /proc/self/cgroup); \
                    [ -e $g/pids.max ] || g=$g$o; cat $g/pids.max; grep -cx $$ $g/cgroup.procs; \
                    (mkdir $g/mine && rmdir $g/mine && echo made) 2>&1; cat /proc/self/mountinfo";

fn hierarchies(table: &str) -> Vec<(&str, &str)> {
    table
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .map(|line| {
            let mut fields = line.split(' ');
            (fields.nth(3).unwrap(), fields.nth(1).unwrap().split(',').next().unwrap())
        })
        .collect()
}

#[test]
fn the_container_sees_its_own_group_read_only() {
    let printed = in_group(LOOK, "own-ro", true, true).prints("own-ro");
    assert!(printed.starts_with("50\n1\nmkdir: can't create directory"), "{printed}");
    let mounted = hierarchies(&printed);
    assert!(!mounted.is_empty() && mounted.iter().all(|mount| *mount == ("/", "ro")), "{printed}");
}

#[test]
fn the_container_may_make_groups_in_its_own_when_it_is_mounted_writable() {
    let printed = in_group(LOOK, "own-rw", true, false).prints("own-rw");
    assert!(printed.starts_with("50\n1\nmade\n"), "{printed}");
    assert!(hierarchies(&printed).iter().all(|mount| *mount == ("/", "rw")), "{printed}");
}

#[test]
fn without_a_cgroup_namespace_the_groups_folders_are_bound_and_the_unified_tree_is_whole() {
    for read_only in [true, false] {
        let name = format!("bound-{read_only}");
        let bundle = in_group(LOOK, &name, false, read_only);
        let group = bundle.config["linux"]["cgroupsPath"].as_str().unwrap().to_owned();
        let printed = bundle.prints(&name);
        let made = if read_only { "mkdir: can't create directory" } else { "made" };
        assert!(printed.starts_with(&format!("50\n1\n{made}")), "{printed}");
        let root = if unified_host() { "/" } else { group.as_str() };
        let mode = if read_only { "ro" } else { "rw" };
        assert!(hierarchies(&printed).iter().all(|mount| *mount == (root, mode)), "{printed}");
    }
}

#[test]
fn the_folders_of_the_hierarchies_are_named_as_on_the_host() {
    let names = |listing: Vec<String>| {
        let mut names: Vec<String> = listing.into_iter().filter(|name| name != "unified").collect();
        names.sort_unstable();
        names
    };
    if unified_host() {
        return;
    }
    let host = fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let inside = in_group("ls /sys/fs/cgroup", "names", true, true).prints("names");
    assert_eq!(names(inside.lines().map(str::to_owned).collect()), names(host));
}

#[test]
fn the_unified_tree_can_be_mounted_by_its_name_on_any_host() {
    let mut bundle = in_group("cat /proc/self/mountinfo; cat /u/cgroup.procs | grep -cx $$", "v2", true, true);
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"destination": "/u", "type": "cgroup2", "source": "cgroup2", "options": ["ro", "nosuid"]}));
    let printed = bundle.prints("v2");
    let line = printed.lines().find(|line| line.split(' ').nth(4) == Some("/u")).unwrap();
    assert!(line.contains(" / /u ro,nosuid") && line.contains(" - cgroup2 "), "{line}");
    assert!(printed.ends_with("\n1"), "{printed}");
}

//! `--verbose` tells the truth: each call that it names is made, in that order, and no step is left out.
//!
//! strace(1) sees both: the story is written by write(2), between the calls that it is about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, make_rootfs, program};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The calls that make a container. None of them may be made without being told of.
const STEPS: [&str; 25] = [
    "clone3",
    "setns",
    "unshare",
    "setsid",
    "keyctl",
    "sethostname",
    "setdomainname",
    "mount",
    "umount2",
    "pivot_root",
    "fsopen",
    "fsmount",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "mount_setattr",
    "mknodat",
    "symlinkat",
    "setgroups",
    "setresgid",
    "setresuid",
    "capset",
    "seccomp",
    "prlimit64",
    "execveat",
];

/// What a process did, in order.
#[derive(Debug, PartialEq)]
enum Event {
    /// It told of these calls.
    Told(String, Vec<String>),
    /// It made this one.
    Made(String, String),
}

/// Runs the program under strace; what its processes did, by process.
fn trace(dir: &Path, args: &[&str]) -> BTreeMap<String, Vec<Event>> {
    let file = dir.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "4096", "-o"]).arg(&file).arg(program()).arg("--root").arg(dir.join("state"));
    let output = command.args(args).current_dir(dir).output().expect("run strace");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut found: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        if let Some(event) = event(call.trim_start()) {
            found.entry(pid.to_owned()).or_default().push(event);
        }
    }
    found
}

fn event(call: &str) -> Option<Event> {
    // A call that another process's came in between has a second line: `<... name resumed>`.
    let (name, args) = call.split_once('(')?;
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    if name == "write"
        && let Some(story) = args.split_once('"').map(|(_, text)| text)
        && let Some((pid, told)) = story.strip_prefix('[').and_then(|text| text.split_once("] "))
        && pid.bytes().all(|b| b.is_ascii_digit())
    {
        let told = told.split(" # ").next().unwrap().trim_end().replace("\\\"", "\"");
        return Some(Event::Told(told.clone(), calls_in(&told)));
    }
    Some(Event::Made(name.to_owned(), args.to_owned()))
}

/// The names before a bracket, but not those inside of brackets or quotes.
fn calls_in(told: &str) -> Vec<String> {
    let (mut calls, mut word, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for c in told.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => {
                if depth == 0 {
                    calls.push(std::mem::take(&mut word));
                }
                depth += 1;
            }
            ')' => depth -= 1,
            ' ' => word.clear(),
            _ => word.push(c),
        }
    }
    calls
}

/// Whether the call of this name is the one that was told of: mknod(2) is mknodat, open(2) may be openat2.
fn is(told: &str, made: &str) -> bool {
    made == told || made.strip_prefix(told).is_some_and(|rest| matches!(rest, "at" | "at2" | "64"))
}

/// Whether a call changes something that a container is made of.
fn is_step(name: &str, args: &str) -> bool {
    match name {
        "open_tree" => args.contains("OPEN_TREE_CLONE"),
        "prctl" => {
            ["PR_CAPBSET_DROP", "PR_SET_NO_NEW_PRIVS", "PR_CAP_AMBIENT_RAISE"].iter().any(|op| args.contains(op))
        }
        "ioctl" => args.contains("TIOCSCTTY"),
        // The third argument is the new limit.
        "prlimit64" => !args.contains("NULL"),
        name => STEPS.contains(&name),
    }
}

/// Compares what a process told with what it did; gives the differences.
fn compare(events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told: Option<(&str, Vec<&str>, Vec<&str>)> = None;
    let missing = |told: &Option<(&str, Vec<&str>, Vec<&str>)>| match told {
        Some((line, left, _)) if !left.is_empty() => Some(format!("told and not done: {left:?} of: {line}")),
        _ => None,
    };
    for event in events {
        match event {
            Event::Told(line, calls) => {
                wrong.extend(missing(&told));
                let names: Vec<&str> = calls.iter().map(String::as_str).collect();
                told = Some((line, names.clone(), names));
            }
            Event::Made(name, args) => {
                let known = told.as_ref().is_some_and(|(_, _, all)| all.iter().any(|call| is(call, name)));
                if is_step(name, args) && !known {
                    wrong.push(format!("done and not told: {name}({}", &args[..args.len().min(150)]));
                }
                if let Some((_, left, _)) = &mut told
                    && left.first().is_some_and(|call| is(call, name))
                {
                    left.remove(0);
                    if args.contains(") = -1 ") {
                        // It was tried, and is what the next line is about.
                        left.clear();
                    }
                }
                let ends = told.as_ref().is_some_and(|(_, left, all)| left.is_empty() && all.contains(&"execve"));
                if ends {
                    return wrong;
                }
            }
        }
    }
    wrong.extend(missing(&told));
    wrong
}

/// Runs it, and finds each process's story true. Gives all that was told.
fn tells_the_truth(dir: &Path, args: &[&str]) -> String {
    let processes = trace(dir, args);
    let mut wrong = Vec::new();
    let mut all = String::new();
    // Others, cgset or the program itself, tell nothing.
    for events in processes.values().filter(|events| events.iter().any(|event| matches!(event, Event::Told(..)))) {
        wrong.extend(compare(events));
        for event in events {
            if let Event::Told(line, _) = event {
                all.extend([line, "\n"]);
            }
        }
    }
    assert!(wrong.is_empty(), "{args:?}\n{}\n\n{all}", wrong.join("\n"));
    all
}

/// The same, in a folder with a rootfs, by hand.
fn by_hand(flags: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    make_rootfs(&dir.path().join("rootfs"));
    fs::write(
        dir.path().join("filter.json"),
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}"#,
    )
    .unwrap();
    tells_the_truth(dir.path(), &["--verbose"].into_iter().chain(flags.split(' ')).collect::<Vec<_>>())
}

#[test]
fn one_namespace() {
    let told = by_hand("--uts --hostname box -- true");
    assert!(told.contains("clone3(CLONE_NEWUTS)") && told.contains("sethostname(\"box\")"), "{told}");
}

#[test]
fn a_whole_container() {
    let told = by_hand(
        "--pid --mount --uts --ipc --net --cgroup --time --boottime 5 --hostname box --domainname dom --rootfs rootfs \
         --sysctl net.ipv4.ip_forward=1 --bind rootfs:/mnt:ro --tmpfs /tmp --read-only --user 33 --ulimit nofile=100 \
         --cap-add sys_admin --no-new-privs --seccomp filter.json --init --pids-limit 50 -- true",
    );
    for call in ["pivot_root(", "seccomp(", "PR_SET_NO_NEW_PRIVS", "setresuid(33)", "cgset create", "rmdir("] {
        assert!(told.contains(call), "{call}: {told}");
    }
}

#[test]
fn users_of_its_own_and_a_terminal() {
    let told = by_hand("--map-root-user --pid --mount --tty --rootfs rootfs -- true");
    for call in ["uid_map", "gid_map", "TIOCSCTTY", "setsid("] {
        assert!(told.contains(call), "{call}: {told}");
    }
}

#[test]
fn namespaces_that_exist() {
    let told = by_hand("--net=/proc/self/ns/net --pid=/proc/self/ns/pid -- true");
    assert!(told.contains("setns(/proc/self/ns/net, CLONE_NEWNET)"), "{told}");
}

#[test]
fn a_bundle_and_a_second_process_in_it() {
    let bundle = Bundle::new("true");
    bundle.command(&[]);
    let told = tells_the_truth(bundle.path(), &["--verbose", "run", "x"]);
    assert!(told.contains("execve(/bin/sh"), "{told}");
    let bundle = Bundle::new("sleep 1000");
    bundle.create("x");
    let told = tells_the_truth(bundle.path(), &["--verbose", "exec", "x", "true"]);
    assert!(told.contains("setns(") && told.contains("execve(/bin/true"), "{told}");
    let told = tells_the_truth(bundle.path(), &["--verbose", "start", "x"]);
    assert!(told.contains("exec.fifo, O_RDONLY"), "{told}");
    let told = tells_the_truth(bundle.path(), &["--verbose", "delete", "--force", "x"]);
    assert!(told.contains("pidfd_send_signal("), "{told}");
}

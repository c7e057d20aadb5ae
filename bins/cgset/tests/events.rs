//! Events, and groups that are given to others. Needs root.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::{Group, cgset, eventually, ok, run};

/// `cgset events --json` on a group, and its lines as they come.
struct Events {
    child: Child,
    lines: Receiver<Value>,
}

impl Events {
    /// Begins to watch, and is sure to: a freeze is seen.
    fn of(group: &Group) -> Events {
        let mut child = cgset().args(["events", "--json", &group.0]).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let _ = sender.send(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        let events = Events { child, lines };
        eventually("events are told", || {
            ok(&["freeze", &group.0]);
            let seen = events.lines.recv_timeout(Duration::from_secs(1)).is_ok_and(|event| event["Event"] == "frozen");
            ok(&["thaw", &group.0]);
            seen
        });
        events.until("thawed");
        events
    }

    /// Waits for an event, and gives its count.
    fn until(&self, name: &str) -> Option<u64> {
        loop {
            let event = self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("no event {name}"));
            if event["Event"] == name {
                return event["Count"].as_u64();
            }
        }
    }

    /// Expects it to end by itself.
    fn ends(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn being_killed_for_want_of_memory_is_an_event_and_so_is_the_end() {
    let group = Group::create(&["--memory", "20m"]);
    let events = Events::of(&group);
    let script = "dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1000 & wait";
    let mut child = group.sh(script).stderr(Stdio::null()).spawn().unwrap();
    assert!(events.until("oom") >= Some(1));
    assert_eq!(events.until("oom_kill"), Some(1));
    assert_eq!(group.stats()["Memory"]["OomKills"], 1);
    ok(&["kill", &group.0]);
    child.wait().unwrap();
    events.until("empty");
    events.ends();
}

#[test]
fn a_fork_that_fails_at_the_limit_is_an_event() {
    let group = Group::create(&["--pids", "3"]);
    let events = Events::of(&group);
    let mut child =
        group.sh("sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000 & wait").stderr(Stdio::null()).spawn().unwrap();
    assert!(events.until("pids_max") >= Some(1));
    assert!(group.stats()["Pids"]["Failures"].as_u64() >= Some(1));
    ok(&["kill", &group.0]);
    child.wait().unwrap();
    events.ends();
}

#[test]
fn the_removal_of_an_empty_group_is_the_last_event() {
    let group = Group::create(&[]);
    let events = Events::of(&group);
    ok(&["delete", &group.0]);
    events.until("removed");
    events.ends();
    assert_eq!(run(&["events", &group.0]).status.code(), Some(125));
}

#[test]
fn processes_are_listed_one_a_line() {
    let group = Group::create(&[]);
    assert_eq!(ok(&["processes", &group.0]), "");
    let mut child = group.sh("exec sleep 1000").spawn().unwrap();
    let pid = child.id();
    eventually("it is in the group", || ok(&["processes", &group.0]) == format!("{pid}\n"));
    assert_eq!(ok(&["processes", "--json", &group.0]), format!("[{pid}]\n"));
    ok(&["kill", &group.0]);
    child.wait().unwrap();
}

#[test]
fn stats_have_a_number_for_all_that_is_limited() {
    let group = Group::create(&["--memory", "64m", "--pids", "20", "--cpus", "0.05"]);
    let mut busy = group.sh("while :; do :; done").spawn().unwrap();
    eventually("it had to wait for its quota", || group.stats()["Cpu"]["ThrottledNs"].as_u64().unwrap() > 0);
    let stats = group.stats();
    ok(&["kill", &group.0]);
    busy.wait().unwrap();
    assert!(stats["Cpu"]["UsageNs"].as_u64().unwrap() >= 1_000_000, "{stats}");
    assert!(stats["Cpu"]["ThrottledPeriods"].as_u64().unwrap() >= 1, "{stats}");
    assert_eq!((&stats["Memory"]["Limit"], &stats["Pids"]["Limit"]), (&(64 << 20).into(), &20.into()));
    assert!(stats["Memory"]["Peak"].is_u64() || stats["Version"] == "v2", "{stats}");
    assert!(stats["Memory"]["Detail"].as_object().unwrap().len() > 10, "{stats}");
    assert!(stats["Cpuset"]["Mems"].as_str().unwrap().starts_with('0'), "{stats}");
    for waiting in ["Cpu", "Memory", "Io"] {
        let pressure = &stats[waiting]["Pressure"];
        assert!(pressure.is_null() || pressure["Some"]["TotalNs"].is_u64(), "{stats}");
    }
    let text = ok(&["stats", &group.0]);
    for part in ["memory", "of 64MiB", "of 20 (0 forks failed)"] {
        assert!(text.contains(part), "{text}");
    }
}

/// A process of another user, ended with the test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const USER: &str = "12345";

/// A command as that user.
fn as_user(program: &std::ffi::OsStr, args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program).args(args);
    command
}

#[test]
fn whom_a_group_is_delegated_to_may_share_it_out_and_not_exceed_it() {
    let group = Group::create(&["--pids", "30", "--delegate", "12345:12345"]);
    // The build's folder may be closed to others.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("cgset");
    // By cp(1): a file that we had open for writing might still be open in the child that another test is just starting,
    // and could not be executed.
    assert!(Command::new("cp").arg("-p").arg(cgset().get_program()).arg(&program).status().unwrap().success());
    let user = |args: &[&str]| as_user(program.as_os_str(), args).output().unwrap();

    for folder in group.folders() {
        assert_eq!(fs::metadata(&folder).unwrap().uid(), 12345, "{}", folder.display());
        assert_eq!(fs::metadata(folder.join("cgroup.procs")).unwrap().gid(), 12345);
    }
    let other = Other(as_user("sleep".as_ref(), &["1000"]).spawn().unwrap());
    let pid = other.0.id().to_string();
    eventually("it is the user's", || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n");
    ok(&["add", &group.0, &pid]);

    let inner = format!("{}/inner", group.0);
    let output = user(&["create", &inner, "--pids", "10", "--make-room", "--pid", &pid]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let inside = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(inside.lines().any(|line| line.ends_with(&inner)), "{inside}");

    let output = user(&["set", &group.0, "--pids", "1000"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(125) && said.contains("whom the group was delegated to"), "{said}");
    assert_eq!(group.value(["pids.max", "pids.max"]), "30");
    drop(other);
}

#[test]
fn room_is_made_in_a_group_that_holds_processes() {
    let group = Group::create(&[]);
    let mut child = group.sh("exec sleep 1000").spawn().unwrap();
    eventually("it runs", || group.processes().len() == 1);
    let inner = format!("{}/inner", group.0);
    ok(&["create", &inner, "--pids", "5", "--make-room"]);
    let file = ok(&["where", "--file", "pids.max", &inner]);
    assert_eq!(fs::read_to_string(file.trim()).unwrap(), "5\n");
    let inside = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    // Beside v1 trees no room is needed: there, groups with processes may hold groups.
    let on_v2_alone = inside.lines().count() == 1;
    assert!(!on_v2_alone || inside == format!("0::/{}/init\n", group.0), "{inside}");
    ok(&["kill", &group.0]);
    child.wait().unwrap();
}

#[test]
fn a_group_in_a_cgroup_namespace_is_found_by_its_name_there() {
    let group = Group::create(&["--pids", "9"]);
    let inner = Group(format!("{}/inner", group.0));
    ok(&["create", &inner.0, "--pids", "5"]);
    let program = cgset().get_program().to_str().unwrap().to_owned();
    // The trees as mounted outside are seen from a namespace too: names are from the top of what is mounted.
    let script = format!("exec unshare --cgroup {program} show {}", inner.0);
    let output = inner.sh(&script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("pids.max"), "{said} {output:?}");
    ok(&["delete", &inner.0]);
}

//! `exec`: another process in a running container, as who, in which group, and when there is no room for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, Said, groups_named, until};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

/// A running container with a group, and the group's name.
fn running(name: &str, script: &str, change: impl FnOnce(&mut Value)) -> (Bundle, String) {
    let mut bundle = Bundle::new(script);
    let group = format!("{name}-{}", std::process::id());
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{group}"));
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    change(&mut bundle.config);
    bundle.create("x");
    assert_eq!(bundle.call(&["start", "x"]).code, 0);
    (bundle, group)
}

fn exec(bundle: &Bundle, args: &[&str]) -> Said {
    bundle.call(&[&["exec"], args].concat())
}

#[test]
fn a_container_at_its_limit_of_tasks_can_still_be_looked_at() {
    let (bundle, group) = running("full", "exec sleep 1000", |config| {
        config["linux"]["resources"] = json!({"pids": {"limit": 1}});
    });
    let limit = groups_named(&group).iter().find_map(|folder| fs::read_to_string(folder.join("pids.max")).ok());
    assert_eq!(limit.as_deref(), Some("1\n"));
    let said = exec(&bundle, &["x", "cat", "/proc/self/cgroup"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for line in said.out.lines().filter(|line| line.contains("pids") || line.starts_with("0::")) {
        assert!(line.ends_with(":/"), "it is in the group: {line}");
    }
    // What it makes itself is held.
    let said = exec(&bundle, &["x", "sh", "-c", "true & wait"]);
    assert!(said.code != 0 && said.err.contains("fork"), "{said:?}");
}

#[test]
fn exec_takes_a_group_inside_of_the_containers() {
    let (bundle, group) = running("inner", "sleep 1000", |_| {});
    let folders: Vec<PathBuf> = groups_named(&group);
    for folder in &folders {
        let sub = folder.join("sub");
        fs::create_dir(&sub).unwrap();
        // Of a v1 cpuset somebody has to say what is in it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let inherited = fs::read(folder.join(file)).unwrap_or_default();
            if sub.join(file).exists() && inherited != b"\n" {
                fs::write(sub.join(file), inherited).unwrap();
            }
        }
    }
    let mut child = bundle.command(&["exec", "--cgroup", "/sub", "x", "sleep", "1000"]).spawn().unwrap();
    let members = || folders.iter().map(|folder| fs::read_to_string(folder.join("sub/cgroup.procs")).unwrap());
    until("it is in all of them", || members().all(|text| text.lines().count() == 1));
    for bad in ["../..", "no-such", "no-controller:sub"] {
        let said = exec(&bundle, &["--cgroup", bad, "x", "true"]);
        assert!(said.code == 255 && said.err.contains(&format!("--cgroup {bad}: ")), "{said:?}");
    }
    assert_eq!(bundle.call(&["kill", "x", "KILL"]).code, 0);
    assert_eq!(child.wait().unwrap().code(), Some(137));
}

#[test]
fn a_process_comes_from_a_file_or_from_flags() {
    let (bundle, _) =
        running("file", "sleep 1000", |config| config["process"]["env"] = json!(["PATH=/bin", "A=container"]));
    let file = bundle.path().join("process.json");
    // As Go writes it.
    let process = json!({
        "cwd": "/etc", "args": ["sh", "-c", "echo $(id -u):$(id -g) $(pwd) $A $B; umask"], "env": ["PATH=/bin", "B=file"],
        "user": {"uid": 33, "gid": 34, "umask": 63, "additionalGids": null}, "capabilities": null, "rlimits": null,
        "noNewPrivileges": true, "apparmorProfile": "", "selinuxLabel": "",
    });
    fs::write(&file, process.to_string()).unwrap();
    let said = exec(&bundle, &["--process", file.to_str().unwrap(), "x"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "33:34 /etc file\n0077", ""));

    let script = "echo $(id -u):$(id -G) $(pwd) $A $B; grep -E 'NoNewPrivs|CapBnd' /proc/self/status";
    let flags =
        ["--user", "33:34", "-g", "7", "--cwd", "/tmp", "-e", "B=flag", "--no-new-privs", "--cap", "CAP_SYS_TIME"];
    let said = exec(&bundle, &[&flags[..], &["x", "sh", "-c", script]].concat());
    assert!(said.out.starts_with("33:34 7 /tmp container flag\n") && said.out.contains("NoNewPrivs:\t1"), "{said:?}");
    let bounding = said.out.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    let bounding = u64::from_str_radix(bounding, 16).unwrap();
    assert_ne!(bounding & (1 << 25), 0, "CAP_SYS_TIME is added: {bounding:x}");

    for (args, words) in [
        (&["x"][..], "process args cannot be empty"),
        (&["--process", "/no/such", "x"], "read /no/such"),
        (&["--tty", "--detach", "x", "true"], "--console-socket is missing"),
        (&["--cap", "CAP_WHAT", "x", "true"], "no such capability"),
    ] {
        let said = exec(&bundle, args);
        assert!(said.code == 255 && said.err.contains(words), "{said:?}");
    }
    assert_eq!(exec(&bundle, &["x", "nope"]).code, 127);
}

#[test]
fn labels_that_the_kernel_cannot_give_are_refused() {
    let (bundle, _) = running("label", "sleep 1000", |_| {});
    for (flag, value, file) in [
        ("--apparmor", "ctr-no-such-profile", "/sys/module/apparmor/parameters/enabled"),
        ("--process-label", "a:b:c:s0", "/sys/fs/selinux/enforce"),
    ] {
        let said = exec(&bundle, &[flag, value, "x", "true"]);
        // With the module the kernel itself refuses a name that it does not know.
        assert_eq!(said.code, 255, "{file}: {said:?}");
        assert!(said.err.contains(value), "{said:?}");
    }
}

#[test]
fn a_detached_process_is_in_its_pid_file_and_nothing_of_ours_stays() {
    let (bundle, _) = running("detached", "sleep 1000", |_| {});
    let file = bundle.path().join("pid");
    let args = ["exec", "--detach", "--pid-file", file.to_str().unwrap(), "x", "sleep", "4242"];
    assert!(bundle.command(&args).stdout(Stdio::null()).status().unwrap().success());
    let pid = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap(), "sleep\x004242\0");
    let ours = common::processes_with(bundle.path().to_str().unwrap());
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn who_makes_a_process_and_is_killed_leaves_the_container_as_it_was() {
    let (bundle, group) = running("killed", "sleep 1000", |_| {});
    let count = || {
        let folders = groups_named(&group);
        fs::read_to_string(folders[0].join("cgroup.procs")).unwrap().lines().count()
    };
    for step in 0..30 {
        let mut child = bundle.command(&["exec", "x", "true"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(step * 200));
        child.kill().unwrap();
        child.wait().unwrap();
        until("what was half-made has ended", || count() == 1);
    }
    assert_eq!(bundle.state("x")["status"], "running");
    assert_eq!(exec(&bundle, &["x", "echo", "fine"]).out, "fine");
}

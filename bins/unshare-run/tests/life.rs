//! A container's life: create, start, exec, kill, delete, and what is left when something goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, groups_named, processes_with, until, write_script};
use serde_json::json;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_created_container_waits_for_start() {
    let bundle = Bundle::new("echo started > /started; sleep 1000");
    bundle.create("web");
    let state = bundle.state("web");
    assert_eq!(
        (&state["status"], &state["id"], &state["ociVersion"]),
        (&json!("created"), &json!("web"), &bundle.config["ociVersion"])
    );
    assert_eq!(state["bundle"], json!(bundle.path()));
    let marker = bundle.rootfs().join("started");
    assert!(!marker.exists());
    assert_eq!(bundle.call(&["start", "web"]).code, 0);
    until("the program has started", || marker.exists());
    assert_eq!(bundle.state("web")["status"], "running");
    let again = bundle.call(&["start", "web"]);
    assert_eq!(
        (again.code, again.err.as_str()),
        (1, "unshare-run: start web: cannot start an already running container")
    );
    assert!(bundle.call(&["list"]).out.contains(&format!("web         {}", bundle.pid("web"))));

    assert_eq!(
        bundle.call(&["delete", "web"]).err,
        "unshare-run: cannot delete container web that is not stopped: running"
    );
    assert_eq!(bundle.call(&["kill", "web", "KILL"]).code, 0);
    bundle.await_status("web", "stopped");
    assert_eq!(bundle.call(&["kill", "web"]).err, "unshare-run: kill web: container not running");
    assert_eq!(bundle.call(&["start", "web"]).code, 1);
    assert_eq!(
        bundle.call(&["exec", "web", "true"]).err,
        "unshare-run: exec in web: cannot exec in a stopped container"
    );
    assert_eq!(bundle.call(&["delete", "web"]).code, 0);
    assert_eq!(bundle.call(&["list"]).out.lines().count(), 1);
}

#[test]
fn who_is_not_there_is_told_and_cleaning_up_twice_is_fine() {
    let bundle = Bundle::new("true");
    for command in [&["state", "no"][..], &["start", "no"], &["kill", "no"], &["delete", "no"], &["exec", "no", "true"]]
    {
        let said = bundle.call(command);
        assert_eq!(said.code, if command[0] == "exec" { 255 } else { 1 }, "{said:?}");
        assert!(said.err.ends_with("no: container does not exist"), "{said:?}");
    }
    assert_eq!(bundle.call(&["delete", "--force", "no"]).code, 0);
    for half_made in ["empty", "garbled"] {
        fs::create_dir_all(bundle.state_root().join(half_made)).unwrap();
    }
    fs::write(bundle.state_root().join("garbled/state.json"), "{\"pid\":").unwrap();
    for half_made in ["empty", "garbled"] {
        assert_eq!(bundle.call(&["delete", "--force", half_made]).code, 0);
        assert!(!bundle.state_root().join(half_made).exists());
    }
}

#[test]
fn the_exit_code_is_the_programs() {
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exec sh -c 'kill -9 $$; exit 3'", 3), ("sh -c 'kill -9 $$'; exit $?", 137)]
    {
        assert_eq!(Bundle::new(script).run("code").code, code, "{script}");
    }
}

#[test]
fn a_name_is_taken_once() {
    let bundle = Bundle::new("sleep 1000");
    bundle.create("web");
    let said = bundle.run("web");
    assert_eq!(said.err, "unshare-run: create container web: container with given ID already exists");
    assert_eq!(bundle.state("web")["status"], "created");
    assert_eq!(bundle.call(&["delete", "web"]).code, 0, "a created container can be deleted");
}

#[test]
fn a_program_that_cannot_run_is_told_as_docker_tells_it_and_nothing_is_left() {
    let cases = [
        ("foo", 127, "exec: \"foo\": executable file not found in $PATH"),
        ("/no/pe", 127, "exec: \"/no/pe\": stat /no/pe: no such file or directory"),
        ("/etc", 126, "exec: \"/etc\": is a directory"),
        ("/etc/passwd", 126, "exec: \"/etc/passwd\": permission denied"),
    ];
    for (program, code, message) in cases {
        let bundle = Bundle::new("").args(&[program]);
        for command in ["create", "run"] {
            let said = bundle.call(&[command, "--bundle", bundle.path().to_str().unwrap(), "x"]);
            assert_eq!((said.code, said.err), (code, format!("unshare-run: {message}")), "{command}");
            assert_eq!(bundle.call(&["list", "-q"]).out, "");
        }
    }
}

#[test]
fn start_tells_why_the_program_does_not_run() {
    let bundle = Bundle::new("").args(&["/bin/script"]);
    let script = bundle.rootfs().join("bin/script");
    for (text, code, reason) in [("no program", 126, "exec format error"), ("#!/no/shell\n", 127, "no such file")] {
        write_script(&script, text);
        bundle.create("x");
        let said = bundle.call(&["start", "x"]);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains(reason), "{said:?}");
        bundle.await_status("x", "stopped");
        assert_eq!(bundle.call(&["delete", "x"]).code, 0);
        assert_eq!(bundle.run("x").code, code);
    }
}

#[test]
fn signals_are_passed_on_in_the_foreground() {
    let bundle = Bundle::new("trap 'exit 42' TERM; touch /ready; while :; do sleep 0.01; done");
    let mut child = bundle.command(&["run", "--bundle", bundle.path().to_str().unwrap(), "x"]).spawn().unwrap();
    until("the trap is set", || bundle.rootfs().join("ready").exists());
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn run_detached_returns_and_the_pid_file_holds_the_pid() {
    let bundle = Bundle::new("sleep 1000");
    let file = bundle.path().join("pid");
    let args =
        ["run", "--detach", "--pid-file", file.to_str().unwrap(), "--bundle", bundle.path().to_str().unwrap(), "x"];
    assert!(bundle.command(&args).stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(fs::read_to_string(file).unwrap(), bundle.pid("x").to_string());
    assert_eq!(bundle.state("x")["status"], "running");
}

#[test]
fn exec_joins_the_container() {
    let mut bundle = Bundle::new("sleep 1000");
    bundle.config["process"]["env"] = json!(["PATH=/bin", "A=1"]);
    bundle.create("x");
    bundle.call(&["start", "x"]);
    let exec = |args: &[&str]| bundle.call(&[&["exec"], args].concat());
    assert!(exec(&["x", "ps"]).out.contains("sleep 1000"));
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"] {
        let theirs = fs::read_link(format!("/proc/{}/ns/{kind}", bundle.pid("x"))).unwrap();
        assert_eq!(exec(&["x", "readlink", &format!("/proc/self/ns/{kind}")]).out, theirs.to_str().unwrap());
    }
    let own = exec(&["x", "grep", "CapEff", "/proc/1/status"]).out;
    assert_eq!(exec(&["x", "grep", "CapEff", "/proc/self/status"]).out, own);
    let said = exec(&[
        "-u",
        "33:44",
        "--cwd",
        "/tmp",
        "-e",
        "A=2",
        "x",
        "sh",
        "-c",
        "id -u; id -g; pwd; echo $A $HOME; exit 9",
    ]);
    assert_eq!((said.code, said.out.as_str()), (9, "33\n44\n/tmp\n2 /srv/web"), "{said:?}");
    let said = exec(&["x", "nope"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (127, "unshare-run: exec: \"nope\": executable file not found in $PATH")
    );
    assert_eq!(exec(&["x", "sh", "-c", "kill -TERM $$"]).code, 143);
    // What docker's filter forbids it is still forbidden: that is the container's, and was decided with it.
    let said = exec(&["--cap", "SYS_ADMIN", "x", "grep", "CapEff", "/proc/self/status"]);
    assert!(said.out.ends_with("a82425fb"), "{said:?}");
}

#[test]
fn a_container_whose_maker_is_killed_at_any_instant_can_be_deleted() {
    let mut bundle = Bundle::new("sleep 1000");
    let group = format!("killed-{}", std::process::id());
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{group}"));
    let place = bundle.path().to_str().unwrap();
    for step in 0..60 {
        let mut child = bundle.command(&["create", "--bundle", place, "x"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(step * 200));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = bundle.call(&["delete", "--force", "x"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "after {step} steps");
        assert!(!bundle.state_root().join("x").exists());
        until("its process has ended", || processes_with(place).is_empty());
        until("its group is gone", || groups_named(&group).is_empty());
    }
}

#[test]
fn many_containers_at_once_leave_nothing() {
    let mut bundle = Bundle::new("exit 7");
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    let name = |n: usize| format!("many-{}-{n}", std::process::id());
    let place = bundle.path().to_str().unwrap();
    bundle.command(&[]); // writes config.json
    let mut running = Vec::new();
    for n in 0..50 {
        let mut command = std::process::Command::new(common::program());
        command.arg("--root").arg(bundle.state_root()).args(["run", "--bundle", place, &name(n)]);
        running.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    }
    for mut child in running {
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
    for n in 0..50 {
        assert_eq!(groups_named(&name(n)), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn a_container_that_cannot_be_made_leaves_no_group() {
    let mut bundle = Bundle::new("").args(&["nope"]);
    let group = format!("failed-{}", std::process::id());
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{group}"));
    assert_eq!(bundle.run("x").code, 127);
    assert!(groups_named(&group).is_empty());
    bundle.config["linux"]["resources"] = json!({"cpu": {"cpus": "9999"}});
    let said = bundle.run("x");
    assert!(said.code == 1 && said.err.contains("cpuset.cpus"), "{said:?}");
    assert!(groups_named(&group).is_empty());
}

#[test]
fn deleting_ends_what_the_first_process_left_behind() {
    // Not to be mistaken for one of another run of this test.
    let sleep = format!("sleep 1000{}", std::process::id());
    let mut bundle = Bundle::new(&format!("{sleep} & exit 0"));
    bundle.config["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "cgroup"}]);
    bundle.config["linux"]["resources"] = json!({});
    let said = bundle.command(&["run", "--bundle", bundle.path().to_str().unwrap(), "x"]);
    assert!({ said }.stdout(Stdio::null()).status().unwrap().success());
    until("the process left behind has ended", || processes_with(&sleep).is_empty());
}

#[test]
fn the_container_does_not_depend_on_its_caller() {
    let bundle = Bundle::new("umask; grep -E '^Sig(Blk|Ign)' /proc/self/status; pwd; env");
    let ours = common::program();
    let script = format!(
        "trap '' HUP INT PIPE TERM; umask 077; cd /tmp; SECRET=x exec {} --root {} run --bundle {} x",
        ours.display(),
        bundle.state_root().display(),
        bundle.path().display()
    );
    bundle.command(&[]); // writes config.json
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n/\n"), "{printed}");
    assert!(!printed.contains("SECRET"), "{printed}");
}

#[test]
fn errors_go_to_the_log_file_as_well() {
    let bundle = Bundle::new("").args(&["nope"]);
    let log = bundle.path().join("log");
    let place = bundle.path().to_str().unwrap();
    bundle.call(&["--log", log.to_str().unwrap(), "--log-format", "json", "create", "--bundle", place, "x"]);
    let line: serde_json::Value = serde_json::from_str(fs::read_to_string(&log).unwrap().trim_end()).unwrap();
    assert_eq!(
        (&line["level"], &line["msg"]),
        (&json!("error"), &json!("exec: \"nope\": executable file not found in $PATH"))
    );
}

#[test]
fn who_is_killed_while_he_starts_or_deletes_leaves_what_is_told_truly() {
    let mut bundle = Bundle::new("sleep 1000");
    let group = format!("killed-later-{}", std::process::id());
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{group}"));
    bundle.config["hooks"] = json!({"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", "touch stopped"]}]});
    let kill_after = |args: &[&str], step: u64| {
        let mut child = bundle.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(step * 300));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    for step in 0..15 {
        bundle.create("x");
        kill_after(&["start", "x"], step);
        let status = bundle.state("x")["status"].clone();
        match bundle.call(&["start", "x"]).code {
            0 => assert_eq!(status, "created"),
            // It may have been let go only now, by the end of who held the pipe.
            _ => bundle.await_status("x", "running"),
        }
        kill_after(&["delete", "--force", "x"], step);
        let there = bundle.call(&["state", "x"]);
        assert!(there.code == 0 || there.err.contains("does not exist"), "{there:?}");
        assert_eq!(bundle.call(&["delete", "--force", "x"]).code, 0);
        assert!(fs::remove_file(bundle.path().join("stopped")).is_ok(), "after {step} steps the hook has not run");
        until("its group is gone", || groups_named(&group).is_empty());
    }
}

#[test]
fn a_container_that_was_let_go_runs_whoever_forgot_to_say_so() {
    let bundle = Bundle::new("touch /ran; sleep 1000");
    bundle.create("x");
    // As `start` does, and no further.
    drop(fs::File::open(bundle.state_root().join("x/exec.fifo")).unwrap());
    until("it runs", || bundle.rootfs().join("ran").exists());
    assert_eq!(bundle.state("x")["status"], "running");
    assert!(bundle.call(&["start", "x"]).err.contains("cannot start an already running container"));
}

#[test]
fn a_maker_that_was_killed_leaves_no_container_that_is_being_made() {
    let mut bundle = Bundle::new("true");
    let marker = bundle.path().join("reached");
    let script = format!("touch {}; exec sleep 4567", marker.display());
    bundle.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    let place = bundle.path().to_str().unwrap();
    let mut maker = bundle.command(&["create", "--bundle", place, "x"]).stdout(Stdio::null()).spawn().unwrap();
    until("its hook runs", || marker.exists());
    assert_eq!(bundle.state("x")["status"], "creating");
    assert!(bundle.call(&["delete", "x"]).err.contains("not stopped: creating"));
    assert!(bundle.call(&["start", "x"]).err.contains("still being created"));
    maker.kill().unwrap();
    maker.wait().unwrap();
    bundle.await_status("x", "stopped");
    assert_eq!(bundle.call(&["delete", "x"]).code, 0);
    for line in processes_of("sleep 4567") {
        rustix::process::kill_process(line, rustix::process::Signal::KILL).unwrap();
    }
}

/// The processes with these words in their command line.
fn processes_of(words: &str) -> Vec<rustix::process::Pid> {
    let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == words
    };
    numbers.filter(has).filter_map(rustix::process::Pid::from_raw).collect()
}

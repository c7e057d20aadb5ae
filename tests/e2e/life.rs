//! A container's life as a user sees it: run, look, stop, start again, remove.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use serde_json::Value;

#[test]
fn the_commands_exit_code_is_the_exit_code_of_run() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "--rm", "base", "true"]).exits(0).prints("");
    sandbox.ctr(["run", "--rm", "base", "sh", "-c", "exit 7"]).exits(7);
    sandbox.ctr(["run", "--rm", "base", "sh", "-c", "sh -c 'kill -TERM $$'; exit $?"]).exits(143);
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

#[test]
fn output_goes_where_it_was_written_to_and_input_comes_in() {
    let sandbox = Sandbox::with_base();
    let both = sandbox.ctr(["run", "--rm", "base", "sh", "-c", "echo out; echo err >&2"]).ok();
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"), "{both}");
    sandbox.ctr_reading(["run", "--rm", "-i", "base", "cat"], b"line\nno newline").ok().prints("line\nno newline");
    // Without -i the command reads nothing.
    sandbox.ctr_reading(["run", "--rm", "base", "cat"], b"unread").ok().prints("");
}

#[test]
fn a_container_is_a_machine_of_its_own() {
    let sandbox = Sandbox::with_base();
    let script = "echo $$; hostname; ls /proc | grep -c '^[0-9]'; cat /proc/1/comm; id -u; pwd; \
                  grep CapEff /proc/self/status; touch /sys/x 2>&1 || true; ls /dev/fd | wc -l";
    let output = sandbox.ctr(["run", "--name", "box", "base", "sh", "-c", script]).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    let id = sandbox.ctr(["ps", "-aq"]).ok();
    assert_eq!((lines[0], lines[1]), ("1", id.text()), "the first process, and the short id as host name\n{output}");
    assert_eq!((lines[3], lines[4], lines[5]), ("sh", "0", "/"), "{output}");
    assert!(lines[6].ends_with("00000000a80425fb"), "docker's default capabilities\n{output}");
    assert!(lines[7].ends_with("Read-only file system"), "{output}");
    assert_eq!(lines[8].trim(), "4", "0, 1, 2 and the folder that ls itself reads\n{output}");
}

#[test]
fn what_a_container_writes_stays_in_its_own_layer() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "--name", "first", "base", "sh", "-c", "echo mine > /file; rm /bin/yes"]).ok();
    sandbox.ctr(["run", "--rm", "base", "sh", "-c", "ls /file; ls /bin/yes"]).ok().shows("/bin/yes").says("/file");
    let upper = sandbox.root().join("names/first/upper");
    assert_eq!(std::fs::read_to_string(upper.join("file")).unwrap(), "mine\n");
    // It is still there when the container is started again.
    sandbox.ctr(["start", "-a", "first"]).exits(1);
}

#[test]
fn a_container_in_the_background_is_seen_stopped_started_and_removed() {
    let sandbox = Sandbox::with_base();
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let run = sandbox.ctr(["run", "-d", "--name", "box", "-m", "64m", "base", "sh", "-c", script]).ok();
    let id = run.text().to_owned();
    assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{run}");

    sandbox.ctr(["ps"]).ok().shows("CONTAINER ID   IMAGE").shows(&id[..12]).shows("Up ").shows("box");
    poll_until(60, "the first line of the log", || (sandbox.ctr(["logs", "box"]).ok().text() == "ready").then_some(()));
    sandbox.ctr(["exec", "box", "hostname"]).ok().prints(&id[..12]);
    sandbox.ctr(["exec", "box", "sh", "-c", "exit 9"]).exits(9);
    sandbox.ctr(["exec", "box", "ps", "-e"]).ok().shows("PID");

    sandbox.ctr(["stop", "box"]).ok().prints("box");
    sandbox.ctr(["ps", "-q"]).ok().prints("");
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (3)");
    sandbox.ctr(["logs", "box"]).ok().prints("ready\nbye");
    sandbox.ctr(["exec", "box", "true"]).exits(1).says("is not running");

    sandbox.ctr(["start", "box"]).ok().prints("box");
    sandbox.ctr(["ps"]).ok().shows("Up ");
    sandbox.ctr(["rm", "box"]).exits(1).says("container");
    sandbox.ctr(["rm", "-f", "box"]).ok().prints("box");
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
    assert_eq!(std::fs::read_dir(sandbox.root().join("containers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(sandbox.root().join("names")).unwrap().count(), 0);
}

#[test]
fn a_container_that_does_not_listen_to_the_signal_is_killed_in_time() {
    let sandbox = Sandbox::with_base();
    let script = "trap '' TERM; while :; do sleep 0.1; done";
    sandbox.ctr(["run", "-d", "--name", "deaf", "base", "sh", "-c", script]).ok();
    sandbox.ctr(["stop", "-t", "1", "deaf"]).ok();
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (137)");
    sandbox.ctr(["start", "deaf"]).ok();
    sandbox.ctr(["kill", "deaf"]).ok();
    sandbox.ctr(["wait", "deaf"]).ok().prints("137");
}

#[test]
fn the_log_is_dockers_byte_for_byte() {
    let sandbox = Sandbox::with_base();
    let script = r#"printf 'one\n'; sleep 0.3; printf '"two" <&>\ttab' >&2"#;
    let id = sandbox.ctr(["run", "-d", "--name", "talker", "base", "sh", "-c", script]).ok();
    sandbox.ctr(["wait", "talker"]).ok().prints("0");
    let file = sandbox.root().join(format!("containers/{0}/{0}-json.log", id.text()));
    let log = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].starts_with(r#"{"log":"one\n","stream":"stdout","time":"20"#), "{log}");
    // Docker's own encoder escapes more than JSON asks for.
    let two = r#"{"log":"\"two\" \u003c\u0026\u003e\u0009tab","stream":"stderr","time":"20"#;
    assert!(lines[1].starts_with(two), "{log}");
    for line in lines {
        let value: Value = serde_json::from_str(line).unwrap();
        let time = value["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }
    let shown = sandbox.ctr(["logs", "talker"]).ok();
    assert_eq!((shown.stdout.as_str(), shown.stderr.as_str()), ("one\n", "\"two\" <&>\ttab"));
    sandbox.ctr(["logs", "--tail", "0", "talker"]).ok().prints("");
}

#[test]
fn a_log_can_be_followed_to_the_containers_end() {
    let sandbox = Sandbox::with_base();
    let script = "for i in 1 2 3; do echo $i; sleep 0.2; done";
    sandbox.ctr(["run", "-d", "--name", "counter", "base", "sh", "-c", script]).ok();
    sandbox.ctr(["logs", "-f", "counter"]).ok().prints("1\n2\n3");
}

#[test]
fn limits_are_what_the_container_finds_in_its_group() {
    let sandbox = Sandbox::with_base();
    sandbox
        .ctr(["run", "-d", "--name", "box", "-m", "64m", "--cpus", "0.5", "--pids-limit", "77", "base", "sleep", "900"])
        .ok();
    let pid = sandbox.ctr(["inspect", "-f", "{{.State.Pid}}", "box"]);
    let pid = match pid.code {
        0 => pid.text().to_owned(),
        // `inspect -f` comes later; the file is there from the start.
        _ => state(&sandbox, "box")["Pid"].to_string(),
    };
    let limits = sandbox.sh(&format!(
        "
        while IFS=: read -r _ controllers path; do
            case $controllers in
                '') cd /sys/fs/cgroup$path 2>/dev/null && cat memory.max pids.max cpu.max 2>/dev/null ;;
                memory) cat /sys/fs/cgroup/memory$path/memory.limit_in_bytes ;;
                pids) cat /sys/fs/cgroup/pids$path/pids.max ;;
                cpu | cpu,*) cd /sys/fs/cgroup/$controllers$path && cat cpu.cfs_quota_us cpu.cfs_period_us ;;
            esac
        done < /proc/{pid}/cgroup"
    ));
    for limit in ["67108864", "77", "50000"] {
        assert!(limits.stdout.split_whitespace().any(|word| word == limit), "{limit} in\n{limits}");
    }
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

#[test]
fn a_container_that_wants_too_much_memory_is_ended() {
    let sandbox = Sandbox::with_base();
    let greedy = "tail /dev/zero";
    sandbox.ctr(["run", "--name", "greedy", "-m", "16m", "base", "sh", "-c", &format!("{greedy}; exit $?")]).exits(137);
}

#[test]
fn environment_user_and_folder_are_set() {
    let sandbox = Sandbox::with_base();
    let shown = [
        "run",
        "--rm",
        "-e",
        "A=1 2",
        "-w",
        "/tmp",
        "-u",
        "1000:2000",
        "base",
        "sh",
        "-c",
        "echo $A; pwd; id -u; id -g",
    ];
    sandbox.ctr(shown).ok().prints("1 2\n/tmp\n1000\n2000");
}

fn state(sandbox: &Sandbox, name: &str) -> Value {
    let file = sandbox.root().join("names").join(name).join("state.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// A line of `/proc/PID/status` (proc_pid_status(5)).
fn line_of(status: &str, key: &str) -> String {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim().to_owned()).unwrap()
}

#[test]
fn a_privileged_second_command_has_every_capability() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok();
    let exec = |options: &[&str]| {
        let words = [&["exec"], options, &["box", "cat", "/proc/self/status"]].concat();
        sandbox.ctr(words).ok().stdout
    };
    let all = line_of(&std::fs::read_to_string("/proc/self/status").unwrap(), "CapPrm");
    let (plain, privileged, user) = (exec(&[]), exec(&["--privileged"]), exec(&["--privileged", "--user", "1000"]));
    assert_eq!(line_of(&plain, "CapEff"), "00000000a80425fb");
    assert_eq!(["CapEff", "CapPrm", "CapBnd"].map(|key| line_of(&privileged, key)), [&all; 3].map(String::clone));
    // Nobody but root keeps them when it executes a program; one that is set-user-ID gets them.
    assert_eq!(["CapEff", "CapBnd"].map(|key| line_of(&user, key)), ["0000000000000000".to_owned(), all]);
    // The container's filter stays, as in docker, and so does what the next one gets.
    assert_eq!(line_of(&privileged, "Seccomp"), line_of(&plain, "Seccomp"));
    assert_eq!(line_of(&exec(&[]), "CapEff"), line_of(&plain, "CapEff"));
}

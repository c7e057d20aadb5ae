//! The shim: nobody makes a container wait, and nothing that goes wrong around it changes what is true.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use serde_json::Value;
use std::io::Read;
use std::process::Stdio;

fn state(sandbox: &Sandbox, name: &str) -> Value {
    let file = sandbox.root().join("names").join(name).join("state.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn a_client_that_does_not_read_holds_nothing_up_and_loses_nothing() {
    let sandbox = Sandbox::with_base();
    let script = "head -c 8000000 /dev/zero | tr '\\0' x; echo; echo end >&2";
    let mut slow = sandbox.tool("ctr");
    let run = ["run", "--name", "box", "--log-driver", "none", "base", "sh", "-c", script];
    let mut slow = slow.args(run).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It has ended though its output is read by nobody yet.
    poll_until(60, "its end", || {
        let there = sandbox.root().join("names/box/state.json").exists();
        (there && state(&sandbox, "box")["Status"] == "exited").then_some(())
    });
    assert!(slow.try_wait().unwrap().is_none(), "the client has still all to print");
    let mut output = Vec::new();
    slow.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert!(slow.wait().unwrap().success());
    assert_eq!(output.len(), 8_000_001);
}

#[test]
fn a_shim_that_has_nothing_to_do_takes_less_than_two_megabytes() {
    let sandbox = Sandbox::with_base();
    let id = sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok().stdout.trim().to_owned();
    let pids: Vec<String> =
        std::fs::read_dir("/proc").unwrap().flatten().flat_map(|e| e.file_name().into_string()).collect();
    let is_shim = |pid: &String| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
        words.get(1..4).is_some_and(|words| words == [&b"shim"[..], b"create", id.as_bytes()])
    };
    let shim = pids.into_iter().find(is_shim).unwrap();
    // It gives memory back just after the start was answered.
    poll_until(60, "little resident memory", || {
        let status = std::fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        (kilobytes <= 2048).then_some(())
    });
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

#[test]
fn a_container_that_closes_its_output_goes_on() {
    let sandbox = Sandbox::with_base();
    let script = "echo first; exec >&- 2>&-; sleep 0.2; touch /done; exit 5";
    sandbox.ctr(["run", "--name", "box", "base", "sh", "-c", script]).exits(5).prints("first");
    assert!(sandbox.root().join("names/box/upper/done").exists());
}

#[test]
fn a_full_disk_costs_lines_of_the_log_and_nothing_else() {
    let sandbox = Sandbox::with_base();
    // The log alone is on the small disk.
    sandbox.ctr(["create", "--name", "box", "--log-driver", "local", "base", "sh", "-c", SCRIPT]).ok();
    let logs = sandbox.root().join("names/box").canonicalize().unwrap().join("local-logs");
    std::fs::create_dir(&logs).unwrap();
    sandbox.sh(&format!("mount -t tmpfs -o size=64k none {}", logs.display())).ok();
    std::fs::write(logs.join("filler"), vec![0; 40 << 10]).unwrap();
    sandbox.ctr(["start", "box"]).ok();
    poll_until(60, "the container to say that it has written", || {
        sandbox.root().join("names/box/upper/written").exists().then_some(())
    });
    std::fs::remove_file(logs.join("filler")).unwrap();
    sandbox.ctr(["exec", "box", "touch", "/go"]).ok();
    sandbox.ctr(["wait", "box"]).ok().prints("4");
    let shown = sandbox.ctr(["logs", "box"]).ok();
    // No line is torn, and none is missing that is not told of.
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert!(lines.iter().all(|line| *line == "last" || line.parse::<u32>().is_ok()), "{}", shown.stderr);
    assert_eq!(lines.last(), Some(&"last"));
    let missing =
        shown.stderr.strip_prefix("ctr: ").and_then(|rest| rest.split_once(" lines of output are missing here: "));
    let (missing, why) = missing.unwrap();
    assert!(why.starts_with("No space left on device"), "{why}");
    assert_eq!(lines.len() + missing.parse::<usize>().unwrap(), 9001);
    poll_until(60, "the shim's end", || sandbox.processes().is_empty().then_some(()));
    sandbox.sh(&format!("umount {}", logs.display())).ok();
}

/// Writes more than there is room for, then waits to be let go.
const SCRIPT: &str = "seq 9000; touch /written; while ! [ -e /go ]; do sleep 0.1; done; echo last; exit 4";

#[test]
fn a_disk_that_is_full_at_the_end_does_not_change_how_it_ended() {
    let sandbox = Sandbox::with_base();
    let script = "while ! [ -e /go ]; do sleep 0.1; done; exit 7";
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok();
    // Where files are written before they are renamed: there is no room for even one.
    let tmp = sandbox.root().join("tmp");
    sandbox.sh(&format!("mount -t tmpfs -o size=4k,nr_inodes=1 none {}", tmp.display())).ok();
    sandbox.ctr(["exec", "box", "touch", "/go"]).ok();
    poll_until(60, "the shim's end", || {
        (!sandbox.processes().iter().any(|process| process.is("ctr", "shim"))).then_some(())
    });
    assert_eq!(state(&sandbox, "box")["Status"], "running", "it could not be written down");
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (7)");
    sandbox.sh(&format!("umount {}", tmp.display())).ok();
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (7)");
    let state = state(&sandbox, "box");
    assert_eq!((&state["Status"], &state["ExitCode"]), (&"exited".into(), &7.into()), "{state}");
}

//! `kill -9` of anything at any moment: afterwards `ctr ps -a` tells the truth and `ctr rm -f` leaves nothing.
//!
//! The moments are spread over the time that a start takes. Which one hits what differs from run to run; what
//! must hold afterwards does not.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::process::Process;
use ctr_tests::{Sandbox, poll_until};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Its own signal handler ends it, so that a stop has a polite half to be killed in.
const SLEEPER: &str = "trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.1; done";

fn start(sandbox: &Sandbox, args: &[&str]) -> Child {
    let mut command = sandbox.tool("ctr");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How long a start takes here, undisturbed.
fn time_of_a_start(sandbox: &Sandbox) -> Duration {
    let begin = Instant::now();
    sandbox.ctr(["run", "-d", "--name", "warm-up", "base", "sh", "-c", SLEEPER]).ok();
    let time = begin.elapsed();
    sandbox.ctr(["rm", "-f", "warm-up"]).ok();
    time
}

/// Ends every process of the sandbox that `is_victim`, and says whether there was one.
fn kill(sandbox: &Sandbox, is_victim: impl Fn(&Process) -> bool) -> bool {
    let victims: Vec<Process> = sandbox.processes().into_iter().filter(is_victim).collect();
    victims.iter().for_each(Process::kill);
    !victims.is_empty()
}

/// What must hold whatever was killed.
#[track_caller]
fn the_truth_is_told_and_everything_can_be_removed(sandbox: &Sandbox, when: &str) {
    // What a killed tool had called goes on to its own end. These stay: the shim, the ports, and the first process
    // of a container that is made ready, which is unshare-run until it is told to start.
    let stays = |p: &Process| p.is("ctr", "shim") || p.is("portfwd", "publish") || p.is("unshare-run", "");
    until_none(when, "at work", || sandbox.processes().into_iter().filter(|p| !stays(p)).collect());
    let exists = sandbox.root().join("names/box").exists();
    let mut listed = sandbox.ctr(["ps", "-a"]).ok();
    if listed.stdout.contains("Up ") {
        // It may have ended of itself between the two, and its shim takes a moment to write that down.
        poll_until(60, &format!("what is said to be up to be up ({when})"), || {
            let exec = sandbox.ctr(["exec", "box", "true"]);
            listed = sandbox.ctr(["ps", "-a"]).ok();
            (exec.code == 0 || !listed.stdout.contains("Up ")).then_some(())
        });
    }
    if listed.stdout.contains("Exited ") {
        // The shim has written down the end, and is about to take down the rest.
        let what = format!("neither mount nor shim of what is said to have ended ({when})");
        poll_until(60, &what, || {
            let shim = sandbox.processes().iter().any(|p| p.is("ctr", "shim"));
            (sandbox.mounts().is_empty() && !shim).then_some(())
        });
    }
    let removed = sandbox.ctr(["rm", "-f", "box"]);
    assert!(removed.code == 0 || !exists, "{when}: {removed}");
    let ids: Vec<String> = sandbox.ctr(["ps", "-aq"]).ok().stdout.lines().map(str::to_owned).collect();
    assert_eq!(ids, Vec::<String>::new(), "{when}");
    // Half-made folders in tmp/ are what a killed writer may leave, by the layout's rules.
    until_none(when, "left", || sandbox.remains().into_iter().filter(|r| !r.contains("/tmp/")).collect());
}

/// Waits until there is none of something any more, and tells on the way what there is.
#[track_caller]
fn until_none<T: std::fmt::Debug>(when: &str, what: &str, list: impl Fn() -> Vec<T>) {
    let mut told = String::new();
    poll_until(60, &format!("nothing to be {what} ({when})"), || {
        let found = list();
        let text = format!("{when}: {what}: {found:?}");
        if !found.is_empty() && told != text {
            eprintln!("{text}");
            told = text;
        }
        found.is_empty().then_some(())
    });
}

fn kill_during_start(is_victim: impl Fn(&Process) -> bool + Copy) {
    let sandbox = Sandbox::with_base();
    let whole = time_of_a_start(&sandbox);
    let mut hits = 0;
    for part in 0..12 {
        let mut client = start(&sandbox, &["run", "-d", "--name", "box", "base", "sh", "-c", SLEEPER]);
        let moment = whole * part / 10;
        let begin = Instant::now();
        // From that moment on, the first of its kind that shows up.
        std::thread::sleep(moment);
        while !kill(&sandbox, is_victim) && begin.elapsed() < whole * 2 && client.try_wait().unwrap().is_none() {}
        hits += usize::from(begin.elapsed() < whole * 2);
        client.wait().unwrap();
        the_truth_is_told_and_everything_can_be_removed(&sandbox, &format!("killed {moment:?} into the start"));
    }
    assert!(hits > 0, "nothing was ever killed: this test tested nothing");
}

#[test]
fn ctr_is_killed_while_a_container_starts() {
    kill_during_start(|p| p.is("ctr", "run"));
}

#[test]
fn the_shim_is_killed_while_a_container_starts() {
    kill_during_start(|p| p.is("ctr", "shim"));
}

#[test]
fn unshare_run_is_killed_while_a_container_starts() {
    kill_during_start(|p| p.is("unshare-run", ""));
}

#[test]
fn layerfs_and_portfwd_are_killed_while_a_container_starts() {
    kill_during_start(|p| p.is("layerfs", "") || p.is("portfwd", ""));
}

#[test]
fn the_shim_is_killed_while_a_container_runs() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "-p", "127.0.0.1::80", "--name", "box", "base", "sh", "-c", SLEEPER]).ok();
    assert!(kill(&sandbox, |p| p.is("ctr", "shim")));
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (137)");
    sandbox.ctr(["start", "box"]).ok();
    sandbox.ctr(["ps"]).ok().shows("Up ");
    assert!(kill(&sandbox, |p| p.is("ctr", "shim")));
    the_truth_is_told_and_everything_can_be_removed(&sandbox, "the shim killed while it ran");
}

#[test]
fn the_client_is_killed_while_a_container_runs_in_its_foreground() {
    let sandbox = Sandbox::with_base();
    let mut client = start(&sandbox, &["run", "--name", "box", "base", "sh", "-c", SLEEPER]);
    poll_until(60, "the container to run", || sandbox.ctr(["ps"]).ok().stdout.contains("Up ").then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
    // As with docker: the container does not depend on who looks at it.
    sandbox.ctr(["ps"]).ok().shows("Up ");
    the_truth_is_told_and_everything_can_be_removed(&sandbox, "the client killed");
}

#[test]
fn the_containers_first_process_is_killed() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sh", "-c", SLEEPER]).ok();
    let state = sandbox.sh("cat $CTR_ROOT/names/box/state.json").ok().json();
    sandbox.sh(&format!("kill -9 {}", state["Pid"])).ok();
    sandbox.ctr(["wait", "box"]).ok().prints("137");
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (137)");
    the_truth_is_told_and_everything_can_be_removed(&sandbox, "its first process killed");
}

fn kill_during_stop(is_victim: impl Fn(&Process) -> bool + Copy) {
    let sandbox = Sandbox::with_base();
    for moment in [0, 10, 30, 60, 100, 200, 300, 400] {
        sandbox.ctr(["run", "-d", "--name", "box", "base", "sh", "-c", SLEEPER]).ok();
        let mut client = start(&sandbox, &["stop", "-t", "1", "box"]);
        std::thread::sleep(Duration::from_millis(moment));
        kill(&sandbox, is_victim);
        client.wait().unwrap();
        the_truth_is_told_and_everything_can_be_removed(&sandbox, &format!("killed {moment} ms into the stop"));
    }
}

#[test]
fn ctr_is_killed_while_a_container_stops() {
    kill_during_stop(|p| p.is("ctr", "stop"));
}

#[test]
fn the_shim_is_killed_while_a_container_stops() {
    kill_during_stop(|p| p.is("ctr", "shim"));
}

#[test]
fn unshare_run_is_killed_while_a_container_stops() {
    kill_during_stop(|p| p.is("unshare-run", ""));
}

#[test]
fn everything_is_killed_at_once() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "-p", "127.0.0.1::80", "--name", "box", "base", "sh", "-c", SLEEPER]).ok();
    assert!(kill(&sandbox, |_| true));
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (137)");
    the_truth_is_told_and_everything_can_be_removed(&sandbox, "all killed");
}

#[test]
fn a_container_that_is_removed_at_its_end_is_removed_once_when_its_shim_was_killed() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--rm", "--name", "box", "--network", "none", "base", "sleep", "900"]).ok();
    assert!(kill(&sandbox, |p| p.is("ctr", "shim")));
    until_none("after the shim", "alive", || sandbox.processes().into_iter().filter(|p| p.is("ctr", "shim")).collect());
    let removed = sandbox.ctr(["rm", "-f", "box"]).ok();
    assert_eq!((removed.text(), removed.stderr.as_str()), ("box", ""));
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

//! Health checks.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use serde_json::Value;

fn state(sandbox: &Sandbox, name: &str) -> Value {
    let file = sandbox.root().join("names").join(name).join("state.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn wait_for(sandbox: &Sandbox, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    poll_until(60, what, || Some(state(sandbox, "box")["Health"].clone()).filter(&is_so))
}

#[test]
fn a_check_tells_how_a_container_is() {
    let sandbox = Sandbox::with_base();
    let check = "echo looked; test -e /ok";
    let options = ["--health-cmd", check, "--health-interval", "100ms", "--health-retries", "2", "-w", "/tmp"];
    sandbox.ctr([&["run", "-d", "--name", "box"][..], &options, &["base", "sleep", "900"]].concat()).ok();
    let unwell = wait_for(&sandbox, "it to be unhealthy", |health| health["Status"] == "unhealthy");
    assert!(unwell["FailingStreak"].as_u64() >= Some(2), "{unwell}");
    assert_eq!((&unwell["Log"][0]["ExitCode"], &unwell["Log"][0]["Output"]), (&1.into(), &"looked\n".into()));
    sandbox.ctr(["ps"]).ok().shows("(unhealthy)");

    sandbox.ctr(["exec", "box", "touch", "/ok"]).ok();
    wait_for(&sandbox, "it to be healthy", |health| health["Status"] == "healthy" && health["FailingStreak"] == 0);
    sandbox.ctr(["ps"]).ok().shows("(healthy)");
    let five = wait_for(&sandbox, "a full log", |health| health["Log"].as_array().map(Vec::len) == Some(5));
    let later = wait_for(&sandbox, "another check", |health| health["Log"][0] != five["Log"][0]);
    assert_eq!(later["Log"].as_array().map(Vec::len), Some(5), "no more than five are kept: {later}");
    let events = std::fs::read_to_string(sandbox.run_dir().join("events.jsonl")).unwrap();
    let words: Vec<&str> = ["unhealthy", "healthy"]
        .into_iter()
        .filter(|word| events.contains(&format!("\"Action\":\"health_status: {word}\"")))
        .collect();
    assert_eq!(words, ["unhealthy", "healthy"], "{events}");
}

#[test]
fn a_check_that_takes_too_long_is_ended_and_a_loud_one_is_cut() {
    let sandbox = Sandbox::with_base();
    let check = "[ -e /slow ] && exec sleep 900; head -c 9000 /dev/zero | tr '\\0' x";
    let options = ["--health-cmd", check, "--health-interval", "100ms", "--health-timeout", "1s"];
    sandbox.ctr([&["run", "-d", "--name", "box"][..], &options, &["base", "sleep", "901"]].concat()).ok();
    let well = wait_for(&sandbox, "a check", |health| health["Status"] == "healthy");
    assert_eq!(well["Log"][0]["Output"], format!("{}...", "x".repeat(4096)));
    sandbox.ctr(["exec", "box", "touch", "/slow"]).ok();
    let slow = wait_for(&sandbox, "a check to take too long", |health| health["FailingStreak"].as_u64() >= Some(1));
    let last = slow["Log"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["ExitCode"], &last["Output"]), (&(-1).into(), &"Health check exceeded timeout (1s)".into()));
    poll_until(60, "its process to be gone", || {
        let listed = sandbox.ctr(["exec", "box", "ps", "-eo", "args"]).ok();
        // The next check may be at it already, but never two.
        (listed.stdout.matches("sleep 900").count() <= 1).then_some(())
    });
}

#[test]
fn options_go_before_the_images_check_and_mistakes_are_told() {
    let sandbox = Sandbox::with_base();
    sandbox
        .ctr(["import", "-c", "HEALTHCHECK --interval=100ms CMD test -e /ok", image().to_str().unwrap(), "checked"])
        .ok();
    sandbox.ctr(["run", "-d", "--name", "box", "checked", "sleep", "900"]).ok();
    wait_for(&sandbox, "the image's check", |health| health["FailingStreak"].as_u64() >= Some(1));
    sandbox.ctr(["run", "-d", "--name", "none", "--no-healthcheck", "checked", "sleep", "900"]).ok();
    assert_eq!(state(&sandbox, "none")["Health"], Value::Null);
    for (args, said) in [
        (&["--no-healthcheck", "--health-cmd", "true"][..], "--no-healthcheck conflicts with --health-* options"),
        (&["--health-interval", "1us"], "Interval in Healthcheck cannot be less than 1ms"),
        (&["--health-interval", "x"], "time: invalid duration \"x\""),
        (&["--health-timeout=-1s"], "--health-timeout cannot be negative"),
        (&["--health-retries=-1"], "--health-retries cannot be negative"),
    ] {
        sandbox.ctr([&["run"], args, &["base", "true"]].concat()).exits(125).says(said);
    }
}

fn image() -> std::path::PathBuf {
    ctr_tests::image::base_tar(false)
}

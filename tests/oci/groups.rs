//! All processes of a container at once, by its control group: `ps`, `pause`, `resume`, `update`, `kill --all`.

use crate::bundle::Bundle;
use crate::case::{Case, check};
use crate::commands::{self, group};
use serde_json::json;

/// A case with a container that runs in a group of its own, with limits.
fn in_running(
    name: &'static str,
    script: &'static str,
    expected: &str,
    look: impl Fn(&Bundle) -> String + 'static,
) -> Case {
    commands::in_running(name, script, expected, look).bundle(group)
}

#[test]
fn processes_are_listed_paused_and_limited() {
    /// A value of the container's group, in whichever tree.
    fn value(bundle: &Bundle, v1: &str, v2: &str) -> String {
        let v1 = format!("/sys/fs/cgroup/{}/{}/{}", v1.split('.').next().unwrap(), bundle.id, v1);
        let v2 = format!("/sys/fs/cgroup/{}/{v2}", bundle.id);
        let text = std::fs::read_to_string(v1).or_else(|_| std::fs::read_to_string(v2));
        text.unwrap_or_else(|error| error.to_string()).trim().to_owned()
    }
    check(vec![
        in_running("ps as JSON", "sleep 1000 & wait", "2 processes, the first among them", |b| {
            ctr_tests::poll_until(30, "both", || (numbers(b).len() == 2).then_some(()));
            format!("2 processes, the first {}", if numbers(b).contains(&b.pid()) { "among them" } else { "missing" })
        }),
        in_running("ps as a table", "sleep 1000", "PID COMMAND, sleep 1000", |b| {
            b.await_status("running");
            let text = ctr_tests::poll_until(30, "the program", || Some(b.call(&["ps", &b.id, "-o", "pid,args"]).ok().stdout).filter(|t| t.contains("sleep")));
            let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            format!("{}, {}", lines[0], lines[1].split_once(' ').unwrap().1.replace("/bin/sh -c ", ""))
        }),
        in_running("paused, nothing goes on", "while :; do echo; sleep 0.01; done", "paused, still, running, again", |b| {
            let count = || b.text("out").len() + std::fs::metadata(b.path().join("out")).unwrap().len() as usize;
            ctr_tests::poll_until(30, "the first word", || (count() > 0).then_some(()));
            b.call(&["pause", &b.id]).ok();
            let (paused, before) = (b.state()["status"].clone(), count());
            std::thread::sleep(std::time::Duration::from_millis(50));
            let still = if count() == before { "still" } else { "moving" };
            b.call(&["resume", &b.id]).ok();
            ctr_tests::poll_until(30, "another word", || (count() > before).then_some(()));
            format!("{}, {still}, {}, again", paused.as_str().unwrap(), b.state()["status"].as_str().unwrap())
        }),
        in_running("limits", "sleep 1000", "67108864 50", |b| format!("{} {}", value(b, "memory.limit_in_bytes", "memory.max"), value(b, "pids.max", "pids.max"))),
        in_running("limits are changed by flags", "sleep 1000", "0 33554432 20", |b| {
            let code = b.call(&["update", "--memory", "33554432", "--pids-limit", "20", &b.id]).code;
            format!("{code} {} {}", value(b, "memory.limit_in_bytes", "memory.max"), value(b, "pids.max", "pids.max"))
        }),
        in_running("limits are changed by a file", "sleep 1000", "0 33554432 50", |b| {
            b.file("limits.json", &json!({"memory": {"limit": 32 << 20}}).to_string());
            let code = b.call(&["update", "--resources", "limits.json", &b.id]).code;
            format!("{code} {} {}", value(b, "memory.limit_in_bytes", "memory.max"), value(b, "pids.max", "pids.max"))
        }),
        in_running("all processes get a signal", "trap 'echo first; exit' HUP; (trap 'echo second; exit' HUP; echo ready; while :; do sleep 0.01; done) & while :; do sleep 0.01; done", "0 first ready second", |b| {
            b.await_output("ready");
            let code = b.call(&["kill", "--all", &b.id, "HUP"]).code;
            b.await_status("stopped");
            // Without a process namespace the second outlives the first.
            b.await_output("second");
            let text = b.text("out");
            let mut words: Vec<&str> = text.split_whitespace().collect();
            words.sort();
            format!("{code} {}", words.join(" "))
        }).config(|c| c["linux"]["namespaces"] = json!([{"type": "mount"}])),
    ]);
}

/// What `ps` counts.
fn numbers(bundle: &Bundle) -> Vec<i64> {
    let json = bundle.call(&["ps", "--format", "json", &bundle.id]).ok().json();
    json.as_array().unwrap().iter().map(|pid| pid.as_i64().unwrap()).collect()
}

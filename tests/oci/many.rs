//! Many containers at once, and what stays behind of the runtime while one runs: nothing.

use crate::bundle::{Bundle, Runtime, groups_named, processes_of};
use serde_json::json;
use std::fs;
use std::process::{Child, Stdio};

/// How many start at the same time.
const MANY: usize = 100;

#[test]
fn a_hundred_containers_start_at_once_and_nothing_is_left_of_them() {
    let mut bundle = Bundle::new(Runtime::Ours);
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 10}});
    bundle.script("test $$ = 1 && exit 7");
    drop(bundle.command(&[]));
    let ids: Vec<String> = (0..MANY).map(|n| format!("{}-{n}", bundle.id)).collect();
    let start = |id: &String| -> Child {
        let mut command = bundle.command_as_is(&["run", id]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<Child> = ids.iter().map(start).collect();
    for (id, child) in ids.iter().zip(started) {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(7), ""), "{id}");
    }
    // For mounts, processes and state the bundle looks as it goes.
    for id in &ids {
        assert!(groups_named(id).is_empty(), "the group of {id} is left");
    }
}

#[test]
fn nothing_of_the_runtime_stays_in_memory_while_a_container_runs() {
    for detached in [true, false] {
        let mut bundle = Bundle::new(Runtime::Ours);
        crate::commands::group(&mut bundle);
        bundle.script("echo here; sleep 1000");
        let run = |words: &[&str]| {
            let file =
                |name: &str| fs::File::options().create(true).append(true).open(bundle.path().join(name)).unwrap();
            let mut command = bundle.command(words);
            // Whatever the runtime starts has this in its environment, but for the container.
            command.env("OCI_TEST_MARK", &bundle.id).stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
            assert!(command.status().unwrap().success(), "{words:?}: {}", bundle.text("err"));
        };
        if detached {
            run(&["run", "--detach", &bundle.id]);
        } else {
            run(&["create", &bundle.id]);
            run(&["start", &bundle.id]);
        }
        run(&["exec", "--detach", &bundle.id, "sleep", "1000"]);
        bundle.await_output("here");
        let marked = processes_with_environment(&format!("OCI_TEST_MARK={}", bundle.id));
        assert!(marked.is_empty(), "still there: {marked:?}");
        let named = processes_of(bundle.path().to_str().unwrap());
        assert!(named.is_empty(), "still there: {named:?}");
    }
}

/// The command lines of processes that were started with a variable.
fn processes_with_environment(variable: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let marked = entries.filter(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|word| word == variable.as_bytes())
    });
    let line = |path| fs::read_to_string(path).unwrap_or_default().replace('\0', " ");
    marked.map(|entry| line(entry.path().join("cmdline"))).collect()
}

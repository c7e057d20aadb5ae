//! Running cgset, and groups that are gone when their test is.

#![allow(dead_code)] // not every test program needs all of it

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The built binary: beside the others where these tests are run away from the build (the test VM).
pub fn cgset() -> Command {
    Command::new(match std::env::var_os("CTR_BIN_DIR") {
        Some(dir) => Path::new(&dir).join("cgset"),
        None => PathBuf::from(env!("CARGO_BIN_EXE_cgset")),
    })
}

/// Runs it.
pub fn run(args: &[&str]) -> Output {
    cgset().args(args).output().unwrap()
}

/// Runs it, expects success, and gives what it printed.
pub fn ok(args: &[&str]) -> String {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cgset {args:?}: {} {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it, expects exit code 125, and gives what it said.
pub fn refused(args: &[&str]) -> String {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "cgset {args:?}: {said}");
    said
}

/// Runs it with JSON on its standard input.
pub fn with_stdin(args: &[&str], input: &Value) -> Output {
    let mut child =
        cgset().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A group with a name of its own, removed at the end of the test.
pub struct Group(pub String);

impl Group {
    /// A name that nobody else has; no group is made.
    pub fn named() -> Group {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Group(format!("cgset-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// A group with limits.
    pub fn create(limits: &[&str]) -> Group {
        let group = Group::named();
        ok(&[&["create", &group.0], limits].concat());
        group
    }

    /// Where it is, or would be.
    pub fn folders(&self) -> Vec<PathBuf> {
        let found: Value = serde_json::from_str(&ok(&["where", "--json", &self.0])).unwrap();
        let v1 = found["V1"].as_array().unwrap().iter().chain([&found["Unified"]]);
        v1.filter_map(Value::as_str).map(PathBuf::from).collect()
    }

    /// The content of the first of these files that the kernel has: names on v1 and on v2.
    pub fn value(&self, names: [&str; 2]) -> String {
        let folders = self.folders();
        let files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let file = files.into_iter().find(|file| file.exists()).unwrap_or_else(|| panic!("no {names:?}"));
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// `cgset stats`.
    pub fn stats(&self) -> Value {
        serde_json::from_str(&ok(&["stats", "--json", &self.0])).unwrap()
    }

    /// The pids that are in it.
    pub fn processes(&self) -> Vec<u64> {
        let shown: Value = serde_json::from_str(&ok(&["show", "--json", &self.0])).unwrap();
        shown["Processes"].as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect()
    }

    /// `sh -c SCRIPT` in the group.
    pub fn sh(&self, script: &str) -> Command {
        let mut command = cgset();
        command.args(["exec", &self.0, "--", "sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Fails if a folder of it is left.
    pub fn assert_gone(&self) {
        for folder in self.folders() {
            assert!(!folder.exists(), "{} is left", folder.display());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let output = run(&["delete", "--kill", &self.0]);
        if !std::thread::panicking() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            self.assert_gone();
        }
    }
}

/// Waits until `condition` holds; a minute, for a machine may be emulated, or busy with something else.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Processor time that a process has used, in ticks: fields 14 and 15 of /proc/PID/stat.
pub fn ticks(child: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

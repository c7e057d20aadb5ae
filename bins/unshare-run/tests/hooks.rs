//! Hooks: which, where, when, and what becomes of the container when one fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, Said, processes_with, until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A hook that runs a script.
fn hook(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script]})
}

/// Hooks of every kind that write down that, and with what, they were called. (`$1` is the folder for it.)
fn telling(folder: &Path) -> Value {
    let mut hooks = json!({});
    for kind in KINDS {
        // That of the container itself sees the container's files, and no other.
        let place = if kind == "startContainer" { "".to_owned() } else { folder.display().to_string() };
        let script = format!(
            "cat > {place}/{kind}.json; pwd > {place}/{kind}.pwd; readlink /proc/self/ns/mnt > {place}/{kind}.mnt"
        );
        hooks[kind] = json!([
            hook(&format!("{script}; echo {kind}1 >> {place}/order")),
            hook(&format!("echo {kind}2 >> {place}/order"))
        ]);
    }
    hooks
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).trim_end().to_owned()
}

#[test]
fn each_hook_has_its_moment_its_place_and_the_state() {
    let mut bundle = Bundle::new("sleep 1000");
    let told = bundle.path().join("told");
    fs::create_dir(&told).unwrap();
    bundle.config["hooks"] = telling(&told);
    bundle.config["annotations"] = json!({"org.test/a": "b"});
    let order = || read(&told.join("order")).lines().map(str::to_owned).collect::<Vec<_>>();
    let state = |kind: &str| serde_json::from_str::<Value>(&read(&told.join(format!("{kind}.json")))).unwrap();
    let own_mounts = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();

    bundle.create("web");
    let pid = bundle.pid("web");
    let base = json!({"ociVersion": bundle.config["ociVersion"], "id": "web", "bundle": bundle.path(), "annotations": {"org.test/a": "b"}});
    let with = |status: &str, pid: Option<i64>| {
        let mut state = base.clone();
        state["status"] = json!(status);
        if let Some(pid) = pid {
            state["pid"] = json!(pid);
        }
        state
    };
    for (kind, number) in [("prestart", pid), ("createRuntime", pid), ("createContainer", 1)] {
        assert_eq!(state(kind), with("creating", Some(number)), "{kind}");
        assert_eq!(read(&told.join(format!("{kind}.pwd"))), bundle.path().to_str().unwrap());
        let mounts = read(&told.join(format!("{kind}.mnt")));
        assert_eq!(mounts == own_mounts, kind != "createContainer", "{kind}: {mounts}");
    }
    let created =
        ["prestart1", "prestart2", "createRuntime1", "createRuntime2", "createContainer1", "createContainer2"];
    assert_eq!(order(), created);
    assert!(!bundle.rootfs().join("startContainer.json").exists());

    assert_eq!(bundle.call(&["start", "web"]).code, 0);
    let inside: Value = serde_json::from_str(&read(&bundle.rootfs().join("startContainer.json"))).unwrap();
    assert_eq!(inside, with("created", Some(1)));
    assert_eq!(read(&bundle.rootfs().join("order")), "startContainer1\nstartContainer2");
    assert_eq!(state("poststart"), with("running", Some(pid)));
    assert_eq!(order()[6..], ["poststart1", "poststart2"]);

    assert_eq!(bundle.call(&["delete", "--force", "web"]).code, 0);
    assert_eq!(state("poststop"), with("stopped", None));
    assert_eq!(order()[8..], ["poststop1", "poststop2"]);
}

#[test]
fn run_runs_them_all_too() {
    let mut bundle = Bundle::new("echo program >> /order");
    let rootfs = bundle.rootfs();
    for kind in KINDS {
        let place = if kind == "startContainer" { "".to_owned() } else { rootfs.display().to_string() };
        bundle.config["hooks"][kind] = json!([hook(&format!("echo {kind} >> {place}/order"))]);
    }
    assert_eq!(bundle.prints("x"), "");
    let order = read(&rootfs.join("order"));
    let mut lines: Vec<&str> = order.lines().collect();
    // The program and the hook after its start race by their nature.
    let program = lines.iter().position(|line| *line == "program").unwrap();
    assert!(program == 4 || program == 5, "{order}");
    lines.remove(program);
    assert_eq!(lines, KINDS);
}

#[test]
fn a_hook_before_the_start_that_fails_leaves_no_container_and_the_last_hooks_run() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::new("true");
        let marker = bundle.path().join("stopped");
        bundle.config["hooks"] = json!({
            kind: [hook("echo no network >&2; exit 3"), hook("touch not-this")],
            "poststop": [hook(&format!("cat > {}", marker.display()))],
        });
        let said = bundle.call(&["create", "--bundle", bundle.path().to_str().unwrap(), "x"]);
        let reason = format!("unshare-run: error running {kind} hook #0: /bin/sh: exit status: 3: no network");
        assert_eq!((said.code, said.err), (1, reason));
        assert!(!bundle.path().join("not-this").exists());
        assert!(read(&marker).contains("\"status\":\"stopped\""));
        assert_eq!(bundle.call(&["list", "-q"]).out, "");
    }
}

#[test]
fn a_hook_inside_that_fails_keeps_the_program_from_running() {
    let mut bundle = Bundle::new("touch /ran; sleep 1000");
    bundle.config["hooks"] =
        json!({"startContainer": [hook("echo nope; exit 1")], "poststop": [hook("touch stopped")]});
    bundle.create("x");
    let said = bundle.call(&["start", "x"]);
    assert!(
        said.code == 1 && said.err.ends_with("error running startContainer hook #0: /bin/sh: exit status: 1: nope"),
        "{said:?}"
    );
    bundle.await_status("x", "stopped");
    assert!(!bundle.rootfs().join("ran").exists());
    assert!(!bundle.path().join("stopped").exists());
    assert_eq!(bundle.call(&["delete", "x"]).code, 0);
    assert!(bundle.path().join("stopped").exists());

    let said = bundle.run("y");
    assert!(said.code == 1 && said.err.contains("startContainer hook #0"), "{said:?}");
}

#[test]
fn a_hook_after_the_start_that_fails_ends_the_container() {
    let mut bundle = Bundle::new("sleep 1000");
    bundle.config["hooks"] = json!({"poststart": [hook("exit 1")]});
    bundle.create("x");
    let said = bundle.call(&["start", "x"]);
    assert!(said.code == 1 && said.err.contains("error running poststart hook #0"), "{said:?}");
    bundle.await_status("x", "stopped");
    let place = bundle.path().to_str().unwrap();
    let said: Said = bundle.command(&["run", "--detach", "--bundle", place, "y"]).output().unwrap().into();
    assert!(said.code == 1 && said.err.contains("error running poststart hook #0"), "{said:?}");
    assert_eq!(bundle.call(&["list", "-q"]).out, "x");
}

#[test]
fn a_hook_after_the_end_that_fails_is_a_warning_and_the_others_run() {
    let mut bundle = Bundle::new("exit 7");
    bundle.config["hooks"] = json!({"poststop": [hook("exit 1"), {"path": "/no/such"}, hook("touch last")]});
    let said = bundle.run("x");
    assert_eq!(said.code, 7);
    assert!(said.err.contains("warning: error running poststop hook #0") && said.err.contains("hook #1"), "{said:?}");
    assert!(bundle.path().join("last").exists());
}

#[test]
fn a_hook_has_its_environment_and_arguments_and_a_time() {
    let mut bundle = Bundle::new("true");
    bundle.config["process"]["env"] = json!(["PATH=/bin", "INSIDE=yes"]);
    let tell = "echo \"$0 $1 A=$A CALLER=$CALLER INSIDE=$INSIDE\" >> told";
    let told = |env: Value| json!({"path": "/bin/sh", "args": ["sh", "-c", tell, "zero", "one"], "env": env});
    let mut inherits = told(json!(null));
    inherits.as_object_mut().unwrap().remove("env");
    let inside = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo $INSIDE $CALLER > /told"]});
    bundle.config["hooks"] = json!({
        "createRuntime": [told(json!(["A=b"])), told(json!([])), inherits],
        "startContainer": [inside],
    });
    let place = bundle.path().to_str().unwrap().to_owned();
    let run = |bundle: &Bundle| -> Said {
        bundle.command(&["run", "--bundle", &place, "x"]).env("CALLER", "me").output().unwrap().into()
    };
    assert_eq!(run(&bundle).code, 0);
    let expected = "zero one A=b CALLER= INSIDE=\nzero one A= CALLER= INSIDE=\nzero one A= CALLER=me INSIDE=";
    assert_eq!(read(&bundle.path().join("told")), expected);
    assert_eq!(read(&bundle.rootfs().join("told")), "yes");

    // Not to be mistaken for one of another run of this test.
    let seconds = format!("1000{}", std::process::id());
    bundle.config["hooks"] = json!({"prestart": [{"path": "/bin/sleep", "args": ["sleep", seconds], "timeout": 1}]});
    let said = run(&bundle);
    assert!(said.code == 1 && said.err.contains("hook ran past specified timeout of 1.0s"), "{said:?}");
    until("the hook has ended", || processes_with(&format!("sleep {seconds}")).is_empty());
}

#[test]
fn hooks_get_no_file_of_the_callers_and_can_still_change_the_root() {
    let mut bundle = Bundle::new("ls /proc/self/fd; ls /by-hook");
    bundle.config["root"]["readonly"] = json!(true);
    bundle.config["hooks"] = json!({
        "createRuntime": [hook("ls /proc/self/fd > fds")],
        "createContainer": [hook("mkdir rootfs/by-hook && mount -t tmpfs none rootfs/by-hook && touch rootfs/by-hook/file")],
    });
    let line = format!(
        "exec 3</dev/null 4</dev/null 7</dev/null; exec {} --root {} run --preserve-fds 2 --bundle {} x",
        common::program().display(),
        bundle.state_root().display(),
        bundle.path().display()
    );
    bundle.command(&[]); // writes config.json
    let said: Said = std::process::Command::new("bash").args(["-c", &line]).output().unwrap().into();
    // The last number is the one that ls lists the folder by.
    assert_eq!((said.code, said.out.as_str()), (0, "0\n1\n2\n3\n4\n5\nfile"), "{said:?}");
    assert_eq!(read(&bundle.path().join("fds")), "0\n1\n2\n3");
}

//! Full-size tools work in our layout, in place: what is on disk is what the industry's formats say.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Cell, Output, Sandbox, bin_dir, image, output, poll_until};
use serde_json::Value;

#[test]
fn skopeo_and_umoci_read_what_was_imported_and_built() {
    let sandbox = Sandbox::with_base();
    std::fs::write(
        sandbox.path().join("Dockerfile"),
        "FROM base\nENV A=1\nRUN echo hi > /hi\nCMD [\"cat\", \"/hi\"]\n",
    )
    .unwrap();
    sandbox.ctr(["build", "-t", "app", "."]).ok();
    let images = sandbox.root().join("images");
    for (name, layers) in [("base:latest", 1), ("app:latest", 2)] {
        let image = format!("{}:{name}", images.display());
        let inspected = sandbox.run(sandbox.command("skopeo").args(["inspect", &format!("oci:{image}")])).ok();
        assert_eq!(inspected.json()["Layers"].as_array().unwrap().len(), layers, "{inspected}");
        sandbox.run(sandbox.command("umoci").args(["stat", "--json", "--image", &image])).ok().json();
    }
    let config = sandbox.run(sandbox.command("skopeo").args([
        "inspect",
        "--config",
        &format!("oci:{}:app:latest", images.display()),
    ]));
    let config = config.ok().json();
    assert_eq!(config["config"]["Cmd"], serde_json::json!(["cat", "/hi"]));
    sandbox.ctr(["run", "--rm", "app"]).ok().prints("hi");
}

#[test]
fn umoci_unpacks_the_same_files_that_we_run() {
    let sandbox = Sandbox::with_base();
    let image = format!("{}:base:latest", sandbox.root().join("images").display());
    sandbox.run(sandbox.command("umoci").args(["unpack", "--image", &image, "bundle"])).ok();
    let list = "find . -mindepth 1 -printf '%P %y %m %U:%G %s %l\\n' | sort";
    let theirs = sandbox.sh(&format!("cd bundle/rootfs && {list}")).ok();
    let ours = sandbox.sh(&format!("cd $CTR_ROOT/layers/*/diff && {list}")).ok();
    let differing =
        |a: &str, b: &str| a.lines().filter(|l| !b.lines().any(|m| m == *l)).map(str::to_owned).collect::<Vec<_>>();
    // The size of a folder is the filesystem's business; all else must be the same.
    let files = |text: &str| {
        text.lines()
            .map(|l| {
                if l.contains(" d ") {
                    l.rsplit_once(' ').unwrap().0.rsplit_once(' ').unwrap().0.to_owned()
                } else {
                    l.to_owned()
                }
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let (theirs, ours) = (files(&theirs.stdout), files(&ours.stdout));
    assert_eq!((differing(&theirs, &ours), differing(&ours, &theirs)), (vec![], vec![]));
}

#[test]
fn a_containers_folder_is_a_bundle_that_runc_runs() {
    let sandbox = Sandbox::with_base();
    let script = "hostname; cat /etc/hostname; id; grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; pwd; env | sort; \
                  ls /dev; awk '{print $5}' /proc/self/mountinfo | sort";
    let ours = sandbox.ctr(["run", "--network", "none", "--name", "box", "base", "sh", "-c", script]).ok();
    let theirs = sandbox.sh("set -e
        c=$(readlink -f $CTR_ROOT/names/box)
        image=$(jq -r .Image $c/container.json)
        layerfs mount $image $c/rootfs --upper $c/upper --work $c/work
        trap 'layerfs umount $c/rootfs' EXIT
        runc --root $CTR_RUN/runc run --bundle $c e2e-$(basename $c)");
    assert_eq!(ours.stdout, theirs.ok().stdout);
}

#[test]
fn runc_stands_in_for_unshare_run() {
    let sandbox = Sandbox::with_base();
    let runc = sandbox.sh("command -v runc").ok().text().to_owned();
    lives(|args| sandbox.run(sandbox.tool("ctr").env("CTR_UNSHARE_RUN", &runc).args(args)));
}

#[test]
fn crun_stands_in_for_unshare_run() {
    let cell = Cell::new("crun");
    // It knows either generation of control groups, but not both side by side.
    cell.sh("umount /sys/fs/cgroup/unified 2>&-; true").ok();
    let ctr = |args: &[&str]| {
        let mut command = cell.command(bin_dir().join("ctr"));
        command.env("CTR_UNSHARE_RUN", "crun").env("CTR_BIN_DIR", bin_dir());
        output::run(command.args(args), b"")
    };
    ctr(&["import", image::base_tar(false).to_str().unwrap(), "base"]).ok();
    lives(ctr);
}

/// A container's life with another runtime than ours.
fn lives(ctr: impl Fn(&[&str]) -> Output) {
    ctr(&["run", "--rm", "base", "sh", "-c", "hostname; exit 5"]).exits(5);
    ctr(&["run", "-d", "--name", "box", "-m", "64m", "base", "sh", "-c", "echo up; sleep 1000"]).ok();
    poll_until(60, "its output", || (ctr(&["logs", "box"]).ok().text() == "up").then_some(()));
    ctr(&["exec", "box", "sh", "-c", "exit 4"]).exits(4);
    ctr(&["ps"]).ok().shows("Up ");
    ctr(&["stop", "-t", "1", "box"]).ok();
    ctr(&["ps", "-a"]).ok().shows("Exited (137)");
    ctr(&["rm", "-f", "box"]).ok();
}

#[test]
fn a_container_keeps_the_runtime_that_made_it_visible() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok();
    let state =
        sandbox.sh("unshare-run --root $CTR_RUN/runtime state $(basename $(readlink $CTR_ROOT/names/box))").ok().json();
    assert_eq!(state["status"], Value::from("running"));
    let pid = state["pid"].as_u64().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    let bundle = std::fs::canonicalize(sandbox.root().join("names/box")).unwrap();
    assert_eq!(state["bundle"].as_str().map(std::path::Path::new), Some(bundle.as_path()));
}

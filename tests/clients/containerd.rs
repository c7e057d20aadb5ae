//! containerd uses `unshare-run` in place of runc, by way of its shim, `containerd-shim-runc-v2`.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::cell::Shared;
use ctr_tests::{Cell, Output, Pty, Sandbox, bin_dir, output, poll_until};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

/// containerd's own command line is a `ctr` as well. Ours is never called by a bare name, and theirs neither.
const THEIR_CTR: &str = "/usr/bin/ctr";

const IMAGE: &str = "docker.io/library/base:latest";

/// A containerd, with the image `base` of our making in it.
struct Containerd {
    cell: Cell,
}

static SHARED: Shared<Containerd> = Shared::new();

impl Containerd {
    fn get() -> Arc<Containerd> {
        SHARED.get(|| {
            let containerd = Containerd { cell: Cell::new("containerd") };
            let config = containerd.cell.path().join("config.toml");
            // Nothing for Kubernetes, and no filesystems that want a disk of their own.
            let plugins = ["grpc.v1.cri", "snapshotter.v1.aufs", "snapshotter.v1.btrfs", "snapshotter.v1.devmapper"]
                .map(|name| format!("\"io.containerd.{name}\""));
            std::fs::write(&config, format!("version = 2\ndisabled_plugins = [{}]\n", plugins.join(", "))).unwrap();
            containerd
                .cell
                .start_daemon(&format!("containerd --config {}", config.display()), || containerd.command(["version"]));
            // Our layout is an OCI image layout: as a tar it is what containerd imports.
            let sandbox = Sandbox::with_base();
            let archive = containerd.cell.path().join("base.tar");
            let tar = ["-C", sandbox.root().join("images").to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."]
                .map(str::to_owned);
            output::run(Command::new("tar").args(tar), b"").ok();
            containerd.run(["images", "import", "--base-name", "base", archive.to_str().unwrap()]).ok();
            containerd
        })
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.cell.command(THEIR_CTR);
        command.args(args);
        command
    }

    #[track_caller]
    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        output::run(&mut self.command(args), b"")
    }

    /// `ctr run` with options.
    fn container(&self, name: &str, options: &[&str], program: &[&str]) -> Command {
        let runtime = bin_dir().join("unshare-run").canonicalize().unwrap();
        let group = format!("{}/{name}", self.cell.group());
        let ours = ["run", "--runc-binary", runtime.to_str().unwrap(), "--cgroup", &group];
        self.command([&ours[..], options, &[IMAGE, name], program].concat())
    }

    /// `ctr run --rm base NAME sh -c SCRIPT` with options: what it prints. By way of a file: what is written last before the
    /// end is often lost between containerd's shim and its `ctr`.
    #[track_caller]
    fn sh(&self, name: &str, options: &[&str], script: &str) -> String {
        let dir = self.cell.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
        let mount = format!("type=bind,src={},dst=/mnt,options=rbind:rw", dir.display());
        let script = format!("{{ {script}\n}} > /mnt/said");
        let options = [&["--rm", "--mount", &mount], options].concat();
        output::run(&mut self.container(name, &options, &["sh", "-c", &script]), b"").ok();
        std::fs::read_to_string(dir.join("said")).unwrap().trim().to_owned()
    }

    /// Removes a container whose program has ended or is to end now, and looks for what is left of it.
    #[track_caller]
    fn remove(&self, name: &str) {
        self.run(["task", "rm", "-f", name]);
        self.run(["container", "rm", name]).ok();
        let mut left: Vec<String> = self.cell.groups().into_iter().filter(|group| group == name).collect();
        let mounts = self.cell.mounts_below("/run/containerd");
        left.extend(mounts.into_iter().filter(|target| target.contains(&format!("/{name}/"))));
        left.extend(
            self.cell
                .sh(&format!("ls -d /run/containerd/runc/default/{name} 2>&-; true"))
                .stdout
                .lines()
                .map(str::to_owned),
        );
        assert_eq!(left, Vec::<String>::new());
    }

    fn status(&self, name: &str) -> String {
        let list = self.run(["task", "ls"]).ok();
        let line = list.stdout.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap_or_default();
        line.split_whitespace().nth(2).unwrap_or_default().to_owned()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.run(["container", "ls", "-q"]).ok().prints("");
            self.cell.assert_no_containers(&["containerd"], &[]);
        }
    }
}

#[test]
fn exit_codes_and_output_come_through() {
    let containerd = Containerd::get();
    let run = |program: &[&str]| output::run(&mut containerd.container("codes", &["--rm"], program), b"");
    run(&["sh", "-c", "exit 7"]).exits(7);
    run(&["nosuch"]).exits(1).says("exec: \"nosuch\": executable file not found in $PATH");
    run(&["/etc"]).exits(1).says("is a directory");
    run(&["/etc/passwd"]).exits(1).says("permission denied");

    let log = containerd.cell.path().join("log");
    let uri = format!("file://{}", log.display());
    let script = ["sh", "-c", "echo out; echo err >&2"];
    output::run(&mut containerd.container("logged", &["-d", "--log-uri", &uri], &script), b"").ok();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    poll_until(60, "both lines in the log", || {
        let said = said();
        (said.contains("out\n") && said.contains("err\n")).then_some(())
    });
    poll_until(60, "its end", || (containerd.status("logged") == "STOPPED").then_some(()));
    containerd.remove("logged");
}

#[test]
fn a_task_is_executed_in_paused_measured_and_killed() {
    let containerd = Containerd::get();
    let options = ["-d", "--memory-limit", "67108864", "--cpus", "0.5"];
    output::run(&mut containerd.container("task", &options, &["sleep", "600"]), b"").ok();
    assert_eq!(containerd.status("task"), "RUNNING");
    let group = format!("{}/task", containerd.cell.group());
    let memory = containerd.cell.limit(&group, "memory", "memory.limit_in_bytes", "memory.max");
    let quota = containerd.cell.limit(&group, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert_eq!((memory.as_str(), quota.split(' ').next().unwrap()), ("67108864", "50000"));
    containerd.run(["task", "metrics", "task"]).ok().shows("67108864");

    containerd.run(["task", "exec", "--exec-id", "a", "task", "sh", "-c", "exit 9"]).exits(9);
    containerd.run(["task", "exec", "--exec-id", "b", "task", "nosuch"]).exits(1).says("executable file not found");
    let script = "test \"$(id -u) $(id -g) $PWD\" = '1000 2000 /tmp'";
    let user = ["--user", "1000:2000", "--cwd", "/tmp", "task", "sh", "-c", script];
    containerd.run([&["task", "exec", "--exec-id", "c"], &user[..]].concat()).ok();
    let tasks = containerd.run(["task", "ps", "task"]).ok();
    assert_eq!(tasks.stdout.lines().count(), 2, "a heading and one process\n{tasks}");

    containerd.run(["task", "pause", "task"]).ok();
    assert_eq!(containerd.status("task"), "PAUSED");
    containerd.run(["task", "resume", "task"]).ok();
    assert_eq!(containerd.status("task"), "RUNNING");

    containerd.run(["task", "kill", "-s", "SIGKILL", "task"]).ok();
    poll_until(60, "its end", || (containerd.status("task") == "STOPPED").then_some(()));
    containerd.remove("task");
}

#[test]
fn every_process_of_a_task_can_be_signalled() {
    let containerd = Containerd::get();
    let script = "sleep 600 & sleep 600 & wait";
    output::run(&mut containerd.container("all", &["-d"], &["sh", "-c", script]), b"").ok();
    let processes = || containerd.run(["task", "ps", "all"]).ok().stdout.lines().count() - 1;
    poll_until(60, "its three processes", || (processes() == 3).then_some(()));
    containerd.run(["task", "kill", "--all", "-s", "SIGKILL", "all"]).ok();
    poll_until(60, "its end", || (containerd.status("all") == "STOPPED").then_some(()));
    containerd.remove("all");
}

#[test]
fn privileges_and_mounts_are_as_asked_for() {
    let containerd = Containerd::get();
    let status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2 | tr '\\n' ' '";
    assert_eq!(containerd.sh("plain", &[], status), "00000000a80425fb 1 0");
    assert_eq!(containerd.sh("filtered", &["--seccomp", "--cap-add", "CAP_NET_ADMIN"], status), "00000000a80435fb 1 2");
    let shared = containerd.cell.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("file"), "theirs\n").unwrap();
    let mount = format!("type=bind,src={},dst=/r,options=rbind:ro", shared.display());
    let options = ["--mount", &mount, "--read-only", "--cwd", "/tmp", "--env", "A=1 2"];
    let script = "cat /r/file; touch /r/x 2>&-; echo $?; touch /x 2>&-; echo $?; pwd; echo $A";
    assert_eq!(containerd.sh("mounts", &options, script), "theirs\n1\n1\n/tmp\n1 2");
}

#[test]
fn root_inside_is_nobody_outside_with_ids_of_its_own() {
    let containerd = Containerd::get();
    let options = ["--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536"];
    let script = "tr -s ' ' < /proc/self/uid_map; id -u; stat -c %u /etc/passwd; touch /mine && echo mine";
    assert_eq!(containerd.sh("mapped", &options, script), "0 100000 65536\n0\n0\nmine");
}

#[test]
fn a_user_sits_at_a_tasks_terminal() {
    let containerd = Containerd::get();
    let mut user = Pty::spawn(&mut containerd.container("shown", &["--rm", "-t"], &["sh"]));
    user.expect("# ");
    user.types("echo $((6 * 7)); tty\n");
    user.expect("\n42\r");
    user.expect("/dev/pts/0");
    user.types("exit 3\n");
    assert_eq!(user.wait(), 3);
}

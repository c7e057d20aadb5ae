//! Podman uses `unshare-run` in place of runc. It has no daemon: `podman` and its `conmon` call the runtime themselves.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::cell::Shared;
use ctr_tests::{Cell, Output, Pty, Sandbox, bin_dir, image, output, poll_until};
use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

/// A podman with storage of its own, the image `base` in it, and ours as its only runtime.
struct Podman {
    cell: Cell,
}

static SHARED: Shared<Podman> = Shared::new();

impl Podman {
    fn get() -> Arc<Podman> {
        SHARED.get(|| {
            let podman = Podman { cell: Cell::new("podman") };
            podman
                .run([OsStr::new("import"), OsStr::new("-q"), image::base_tar(false).as_os_str(), OsStr::new("base")])
                .ok();
            podman
        })
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.cell.command("podman");
        // Without a systemd and a journal; the cell's /run and /var/lib are podman's own already.
        command.args([
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
            "--network-config-dir",
            "/run/networks",
        ]);
        command.arg("--runtime").arg(bin_dir().join("unshare-run").canonicalize().unwrap()).args(args);
        command
    }

    #[track_caller]
    fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        output::run(&mut self.command(args), b"")
    }

    /// `podman run` or `podman create` with options, without a network and with the caller's limits, if they
    /// do not say otherwise.
    fn container(&self, command: &str, options: &[&str], program: &[&str]) -> Command {
        let parent = ["--cgroup-parent", self.cell.group()];
        // Podman raises limits by itself, which its caller may have no right to.
        let defaults = [["--network", "none"], ["--ulimit", "host"]];
        let defaults: Vec<&str> = defaults.into_iter().filter(|pair| !options.contains(&pair[0])).flatten().collect();
        self.command([&[command], &parent[..], &defaults, options, &["base"], program].concat())
    }

    /// `podman run --rm base sh -c SCRIPT` with options: what it prints.
    #[track_caller]
    fn sh(&self, options: &[&str], script: &str) -> String {
        let options = [&["--rm"], options].concat();
        output::run(&mut self.container("run", &options, &["sh", "-c", script]), b"").ok().text().to_owned()
    }

    /// Starts a container that sleeps until it is killed, and gives its id.
    #[track_caller]
    fn sleeper(&self, name: &str, options: &[&str]) -> String {
        let options = [&["-d", "--name", name, "--stop-timeout", "0"], options].concat();
        output::run(&mut self.container("run", &options, &["sleep", "600"]), b"").ok().text().to_owned()
    }

    /// Removes a container, and looks for what is left of it.
    #[track_caller]
    fn remove(&self, id: &str) {
        self.run(["rm", "-f", id]).ok();
        let mut left: Vec<String> = self.cell.groups().into_iter().filter(|name| name.contains(id)).collect();
        left.extend(self.cell.mounts_below("/").into_iter().filter(|target| target.contains(id)));
        left.extend(self.cell.sh(&format!("ls -d /run/ctr/runtime/{id} 2>&-; true")).stdout.lines().map(str::to_owned));
        assert_eq!(left, Vec::<String>::new());
    }

    /// What the kernel has as a limit for a container.
    #[track_caller]
    fn limit(&self, id: &str, controller: &str, v1: &str, v2: &str) -> String {
        self.cell.limit(&format!("{}/libpod-{id}", self.cell.group()), controller, v1, v2)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left = self.run(["ps", "-aq", "--no-trunc"]);
        assert!(left.text().is_empty(), "the tests leave containers: {left}");
        self.cell.assert_no_containers(&[], &["conmon"]);
        // By making this group podman asks whether swap is counted (version 2), and leaves it.
        let _ = std::fs::remove_dir("/sys/fs/cgroup/podman_probe");
    }
}

#[test]
fn output_input_and_exit_codes_come_through() {
    let podman = Podman::get();
    let run =
        |program: &[&str], input: &[u8]| output::run(&mut podman.container("run", &["--rm", "-i"], program), input);
    let both = run(&["sh", "-c", "echo out; echo err >&2; exit 7"], b"").exits(7);
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    run(&["cat"], b"in").ok().prints("in");
    run(&["nosuch"], b"").exits(127).says("exec: \"nosuch\": executable file not found in $PATH");
    run(&["/no/such"], b"").exits(127).says("no such file or directory");
    run(&["/etc/passwd"], b"").exits(126).says("permission denied");
    run(&["/etc"], b"").exits(126).says("is a directory");
}

#[test]
fn a_container_in_the_background_lives_as_podman_tells_it() {
    let podman = Podman::get();
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let id = output::run(&mut podman.container("run", &["-d", "--name", "box"], &["sh", "-c", script]), b"").ok();
    let id = id.text();
    poll_until(60, "its first line", || (podman.run(["logs", "box"]).ok().text() == "ready").then_some(()));
    podman.run(["ps", "--format", "{{.Names}} {{.Status}}"]).ok().shows("box Up ");
    podman.run(["exec", "box", "hostname"]).ok().prints(&id[..12]);
    let exec = [
        "exec",
        "-u",
        "1000:2000",
        "-w",
        "/tmp",
        "-e",
        "A=1 2",
        "box",
        "sh",
        "-c",
        "id -u; id -g; pwd; echo $A; exit 9",
    ];
    podman.run(exec).exits(9).prints("1000\n2000\n/tmp\n1 2");
    podman.run(["exec", "box", "nosuch"]).exits(127).says("executable file not found in $PATH");
    podman.run(["exec", "-d", "box", "touch", "/later"]).ok();
    poll_until(60, "the detached command", || (podman.run(["exec", "box", "ls", "/later"]).code == 0).then_some(()));
    podman.run(["top", "box", "pid", "comm"]).ok().shows("sh");
    podman.run(["top", "box", "-ef"]).ok().shows("sleep");

    podman.run(["pause", "box"]).ok();
    podman.run(["inspect", "-f", "{{.State.Status}}", "box"]).ok().prints("paused");
    podman.run(["unpause", "box"]).ok();

    podman.run(["stop", "box"]).ok();
    podman.run(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]).ok().prints("exited 3");
    podman.run(["logs", "box"]).ok().prints("ready\nbye");
    podman.run(["start", "box"]).ok();
    podman.run(["restart", "-t", "0", "box"]).ok();
    podman.run(["kill", "-s", "KILL", "box"]).ok();
    podman.run(["wait", "box"]).ok().prints("137");
    podman.remove(id);
}

#[test]
fn limits_are_the_kernels_values_and_can_be_changed() {
    let podman = Podman::get();
    let limits =
        ["-m", "64m", "--memory-reservation", "48m", "--cpus", "0.5", "--pids-limit", "77", "--cpuset-cpus", "0"];
    let id = podman.sleeper("limits", &limits);
    let memory = || podman.limit(&id, "memory", "memory.limit_in_bytes", "memory.max");
    let reservation = || podman.limit(&id, "memory", "memory.soft_limit_in_bytes", "memory.low");
    let pids = || podman.limit(&id, "pids", "pids.max", "pids.max");
    let quota = || podman.limit(&id, "cpu", "cpu.cfs_quota_us", "cpu.max").split(' ').next().unwrap().to_owned();
    let cpus = || podman.limit(&id, "cpuset", "cpuset.cpus", "cpuset.cpus");
    assert_eq!([memory(), reservation(), pids(), quota(), cpus()], ["67108864", "50331648", "77", "50000", "0"]);
    podman.run(["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDS}}", "limits"]).ok().shows("67.11MB 1");

    podman.run(["update", "-m", "32m", "--cpus", "1.5", "limits"]).ok();
    assert_eq!([memory(), quota(), pids()], ["33554432", "150000", "77"]);
    podman.remove(&id);
}

#[test]
fn root_inside_is_nobody_outside_with_ids_of_its_own() {
    let podman = Podman::get();
    // Without a /dev/shm of podman's: this one forgets to unmount it when there are mappings, whatever the runtime.
    let options = ["--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536", "--ipc", "none"];
    let script = "tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map; id -u; stat -c %u /etc/passwd; touch /mine && echo mine";
    assert_eq!(podman.sh(&options, script), "0 100000 65536\n 0 200000 65536\n0\n0\nmine");
    let id = podman.sleeper("mapped", &options);
    podman
        .run(["exec", "mapped", "sh", "-c", "id -u; tr -s ' ' < /proc/self/uid_map"])
        .ok()
        .prints("0\n 0 100000 65536");
    let pid = podman.run(["inspect", "-f", "{{.State.Pid}}", "mapped"]).ok().text().to_owned();
    podman.cell.sh(&format!("stat -c '%u %g' /proc/{pid}")).ok().prints("100000 200000");
    podman.remove(&id);
}

#[test]
fn a_container_has_podmans_own_privileges_and_no_more() {
    let podman = Podman::get();
    let status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2 | tr '\\n' ' '";
    assert_eq!(podman.sh(&[], status), "00000000800405fb 0 2");
    assert_eq!(podman.sh(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], status), "0000000000001000 0 2");
    let options = ["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "-u", "1000"];
    assert_eq!(podman.sh(&options, status), "0000000000000000 1 0");
    assert!(podman.sh(&["--privileged"], status).ends_with(" 0 0"));
}

#[test]
fn mounts_and_the_process_are_as_asked_for() {
    let podman = Podman::get();
    let shared = podman.cell.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("file"), "theirs\n").unwrap();
    let (writable, read_only) = (format!("{}:/w", shared.display()), format!("{}:/r:ro", shared.display()));
    let mounts =
        ["-v", &writable, "-v", &read_only, "--tmpfs", "/t:size=1m,mode=1700", "--shm-size", "3m", "--read-only"];
    let script =
        "touch /x 2>&-; echo $?; cat /r/file; touch /r/x 2>&-; echo $?; echo ours > /w/new; touch /tmp/x && echo tmp;
        stat -c %a /t; df -k /t /dev/shm | awk 'NR > 1 {print $2}'";
    assert_eq!(podman.sh(&mounts, script), "1\ntheirs\n1\ntmp\n1700\n1024\n3072");
    assert_eq!(std::fs::read_to_string(shared.join("new")).unwrap(), "ours\n");

    let process = [
        "--ulimit",
        "nofile=123:456",
        "--ulimit",
        "nproc=1000:1000",
        "--sysctl",
        "net.ipv4.ip_unprivileged_port_start=77",
        "--oom-score-adj",
        "300",
        "--hostname",
        "box",
        "-u",
        "1000:2000",
        "--group-add",
        "3000",
        "-w",
        "/tmp",
        "-e",
        "A=1 2",
        "--umask",
        "0027",
    ];
    let script =
        "ulimit -Sn; ulimit -Hn; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj; hostname
        id -u; id -G; pwd; echo $A; umask";
    let expected = "123\n456\n77\n300\nbox\n1000\n2000 3000\n/tmp\n1 2\n0027";
    assert_eq!(podman.sh(&process, script), expected);
}

#[test]
fn hooks_are_run_where_the_specification_says() {
    let podman = Podman::get();
    let (dir, told) = (podman.cell.path().join("hooks"), podman.cell.path().join("told"));
    std::fs::create_dir(&dir).unwrap();
    let script = podman.cell.path().join("hook");
    // The state of the container comes on standard input.
    let lines = format!("#!/bin/sh\necho $1 $(jq -r '.status, .annotations.who') >> {}\n", told.display());
    std::fs::write(&script, lines).unwrap();
    podman.cell.sh(&format!("chmod 755 {}", script.display())).ok();
    for stage in ["prestart", "createRuntime", "poststart", "poststop"] {
        let hook = format!(
            r#"{{"version": "1.0.0", "hook": {{"path": "{}", "args": ["hook", "{stage}"], "env": ["PATH=/usr/bin:/bin"]}},
                "when": {{"annotations": {{"^who$": ".*"}}}}, "stages": ["{stage}"]}}"#,
            script.display()
        );
        std::fs::write(dir.join(format!("{stage}.json")), hook).unwrap();
    }
    let options = ["--hooks-dir", dir.to_str().unwrap()];
    let mut run = podman.command(options);
    let container = podman.container("run", &["--rm", "--annotation", "who=me"], &["true"]);
    // The options before the command, then all that follows the command line of every other call.
    let rest: Vec<&OsStr> = container.get_args().skip_while(|arg| *arg != "run").collect();
    output::run(run.args(rest), b"").ok();
    let expected = "prestart creating me\ncreateRuntime creating me\npoststart running me\npoststop stopped me\n";
    assert_eq!(std::fs::read_to_string(told).unwrap(), expected);
}

#[test]
fn containers_share_namespaces_and_a_pod() {
    let podman = Podman::get();
    let id = podman.sleeper("first", &["--hostname", "first"]);
    let options = ["--pid", "container:first", "--network", "container:first", "--uts", "container:first"];
    assert_eq!(podman.sh(&options, "cat /proc/1/comm; hostname"), "sleep\nfirst");
    assert!(podman.sh(&["--network", "host"], "cat /proc/net/dev").contains("lo:"));
    podman.remove(&id);
}

#[test]
fn a_user_sits_at_a_containers_terminal() {
    let podman = Podman::get();
    Pty::spawn(&mut podman.container("run", &["--rm", "-it"], &["sh"])).is_a_shells();

    let id = podman.sleeper("shown", &[]);
    let mut user = Pty::spawn(&mut podman.command(["exec", "-it", "shown", "sh"]));
    user.expect("# ");
    user.types("tty; exit 4\n");
    user.expect("/dev/pts/");
    assert_eq!(user.wait(), 4);
    podman.remove(&id);
}

#[test]
fn files_are_copied_and_health_is_checked() {
    let podman = Podman::get();
    let id = podman.sleeper("copied", &["--health-cmd", "test -e /there", "--health-interval", "disable"]);
    podman.run(["healthcheck", "run", "copied"]).exits(1);
    let file = podman.cell.path().join("in");
    std::fs::write(&file, "travels\n").unwrap();
    podman.run(["cp", file.to_str().unwrap(), "copied:/there"]).ok();
    podman.run(["exec", "copied", "cat", "/there"]).ok().prints("travels");
    podman.run(["healthcheck", "run", "copied"]).ok();
    podman.run(["diff", "copied"]).ok().shows("A /there");
    podman.remove(&id);
}

#[test]
fn a_plain_user_has_containers_too() {
    let cell = Cell::new("rootless");
    // Where everybody may read: the tools' own folder may be somewhere that nobody else may enter.
    let (bin, home) = (cell.path().join("bin"), cell.path().join("home"));
    let tools = format!("{0}/unshare-run {0}/cgset", bin_dir().display());
    let storage = "[storage]\ndriver = \"vfs\"\n[storage.options.vfs]\nignore_chown_errors = \"true\"\n";
    cell.sh(&format!(
        "set -e; chmod 755 .; mkdir bin home; cp {tools} {} bin; chown nobody home; mkdir -p /run/user/nobody; chown nobody /run/user/nobody
         printf '{storage}' > home/storage.conf",
        image::base_tar(false).display()
    ))
    .ok();
    let podman = |args: &[&str]| {
        let mut command = cell.command("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", "-i", "-C"]).arg(&home);
        command.arg(format!("PATH={}", std::env::var("PATH").unwrap())).arg(format!("HOME={}", home.display()));
        command.arg(format!("CONTAINERS_STORAGE_CONF={}/storage.conf", home.display()));
        command.args(["XDG_RUNTIME_DIR=/run/user/nobody", "podman", "--cgroup-manager", "cgroupfs"]);
        command.args(["--events-backend", "none", "--runtime"]).arg(bin.join("unshare-run")).args(args);
        output::run(&mut command, b"")
    };
    podman(&["import", "-q", bin.join("base.tar").to_str().unwrap(), "base"]).ok();
    let options = ["--network", "none", "--ulimit", "host", "base"];
    let nobody = cell.sh("id -u nobody").ok().text().to_owned();
    let script = ["sh", "-c", "id -u; tr -s ' ' < /proc/self/uid_map; exit 3"];
    podman(&[&["run", "--rm"], &options[..], &script].concat()).exits(3).prints(&format!("0\n 0 {nobody} 1"));
    podman(&[&["run", "-d", "--name", "box", "--stop-timeout", "0"], &options[..], &["sleep", "600"]].concat()).ok();
    podman(&["exec", "box", "sh", "-c", "exit 4"]).exits(4);
    podman(&["rm", "-f", "box"]).ok();
}

#[test]
fn images_go_from_podman_to_ctr_and_back_with_the_same_id() {
    let (podman, sandbox) = (Podman::get(), Sandbox::new());
    let file = |name: &str| podman.cell.path().join(name).to_str().unwrap().to_owned();
    let id = |image: &str| podman.run(["inspect", "--format", "{{.Id}}", image]).ok().text().to_owned();
    let ours = |image: &str| sandbox.ctr(["image", "inspect", "-f", "{{.Id}}", image]).ok().text().to_owned();
    for form in ["docker-archive", "oci-archive"] {
        podman.run(["save", "-q", "--format", form, "-o", &file(form), "localhost/base:latest"]).ok();
        sandbox.ctr(["load", "-i", &file(form)]).ok().prints("Loaded image: localhost/base:latest");
        assert_eq!(ours("localhost/base"), format!("sha256:{}", id("base")), "{form}");
        sandbox.ctr(["rmi", "localhost/base"]).ok();
    }
    sandbox.ctr(["load", "-i", &file("oci-archive")]).ok();
    sandbox.ctr(["create", "--name", "box", "localhost/base", "true"]).ok();
    let made = sandbox.ctr(["commit", "box", "localhost/made:1"]).ok().text().to_owned();
    sandbox.ctr(["save", "-o", &file("made"), "localhost/made:1"]).ok();
    podman.run(["load", "-i", &file("made")]).ok().shows("localhost/made:1");
    assert_eq!(format!("sha256:{}", id("localhost/made:1")), made);
    podman.run(["rmi", "localhost/made:1"]).ok();
}

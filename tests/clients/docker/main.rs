//! Docker uses `unshare-run` in place of runc: dockerd with its own containerd, and docker's command line.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

mod archives;
mod dockerd;
mod options;
mod registry;

use ctr_tests::{Pty, output, poll_until};
use dockerd::Docker;

#[test]
fn output_input_and_exit_codes_come_through() {
    let docker = Docker::get();
    let both = docker.run(["run", "--rm", "base", "sh", "-c", "echo out; echo err >&2; exit 7"]).exits(7);
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    output::run(&mut docker.command(["run", "--rm", "-i", "base", "cat"]), b"in").ok().prints("in");
    docker.run(["run", "--rm", "--init", "base", "sh", "-c", "kill -TERM $$"]).exits(143);
}

#[test]
fn a_program_that_is_not_there_or_no_program_is_dockers_error() {
    let docker = Docker::get();
    let missing = "exec: \"nosuch\": executable file not found in $PATH";
    docker.run(["run", "--rm", "base", "nosuch"]).exits(127).says(missing);
    docker.run(["run", "--rm", "base", "/no/such"]).exits(127).says("no such file or directory");
    docker.run(["run", "--rm", "base", "/etc"]).exits(126).says("is a directory");
    docker.run(["run", "--rm", "base", "/etc/passwd"]).exits(126).says("permission denied");
    let id = docker.sleeper("errors", &[]);
    // Here docker itself says 126 or 127, by its version.
    let exec = docker.run(["exec", "errors", "nosuch"]);
    assert!(exec.to_string().contains(missing) && [126, 127].contains(&exec.code), "{exec}");
    docker.remove(&id);
}

#[test]
fn a_container_in_the_background_lives_as_docker_tells_it() {
    let docker = Docker::get();
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let id = docker.run(["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok().text().to_owned();
    poll_until(60, "its first line", || (docker.run(["logs", "box"]).ok().text() == "ready").then_some(()));
    docker.run(["exec", "box", "hostname"]).ok().prints(&id[..12]);
    docker
        .run([
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
        ])
        .exits(9)
        .prints("1000\n2000\n/tmp\n1 2");
    output::run(&mut docker.command(["exec", "-i", "box", "cat"]), b"typed").ok().prints("typed");
    docker.run(["top", "box"]).ok().shows("while :; do sleep 0.1; done");

    docker.run(["pause", "box"]).ok();
    docker.run(["ps", "--format", "{{.Status}}"]).ok().shows("(Paused)");
    docker.run(["exec", "box", "true"]).exits(1).says("paused");
    docker.run(["unpause", "box"]).ok();
    docker.run(["exec", "box", "true"]).ok();

    docker.run(["stop", "box"]).ok();
    docker.run(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "box"]).ok().prints("exited 3");
    docker.run(["logs", "box"]).ok().prints("ready\nbye");
    docker.run(["start", "box"]).ok();
    docker.run(["restart", "-t", "0", "box"]).ok();
    docker.run(["kill", "-s", "KILL", "box"]).ok();
    docker.run(["wait", "box"]).ok().prints("137");
    docker.remove(&id);
}

#[test]
fn limits_are_the_kernels_values_and_can_be_changed() {
    let docker = Docker::get();
    let limits =
        ["-m", "64m", "--memory-reservation", "48m", "--cpus", "0.5", "--pids-limit", "77", "--cpuset-cpus", "0"];
    let id = docker.sleeper("limits", &limits);
    let memory = || docker.limit(&id, "memory", "memory.limit_in_bytes", "memory.max");
    let reservation = || docker.limit(&id, "memory", "memory.soft_limit_in_bytes", "memory.low");
    let pids = || docker.limit(&id, "pids", "pids.max", "pids.max");
    let quota = || docker.limit(&id, "cpu", "cpu.cfs_quota_us", "cpu.max").split(' ').next().unwrap().to_owned();
    let cpus = || docker.limit(&id, "cpuset", "cpuset.cpus", "cpuset.cpus");
    assert_eq!([memory(), reservation(), pids(), quota(), cpus()], ["67108864", "50331648", "77", "50000", "0"]);

    let stats = docker.run(["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "limits"]).ok();
    assert!(stats.text().ends_with("/ 64MiB 1"), "{stats}");

    let update = [
        "update",
        "-m",
        "32m",
        "--memory-swap",
        "32m",
        "--memory-reservation",
        "16m",
        "--cpus",
        "1.5",
        "--pids-limit",
        "88",
        "limits",
    ];
    docker.run(update).ok();
    assert_eq!([memory(), reservation(), pids(), quota(), cpus()], ["33554432", "16777216", "88", "150000", "0"]);
    docker.remove(&id);
}

#[test]
fn a_container_that_wants_too_much_memory_is_killed_and_docker_knows_why() {
    let docker = Docker::get();
    docker
        .run(["run", "--name", "greedy", "-m", "16m", "--memory-swap", "16m", "base", "tail", "/dev/zero"])
        .exits(137);
    docker.run(["inspect", "-f", "{{.State.OOMKilled}}", "greedy"]).ok().prints("true");
    docker.remove("greedy");
}

#[test]
fn a_user_sits_at_a_containers_terminal() {
    let docker = Docker::get();
    Pty::spawn(&mut docker.command(["run", "--rm", "-it", "base", "sh"])).is_a_shells();

    let id = docker.sleeper("shown", &[]);
    let mut user = Pty::spawn(&mut docker.command(["exec", "-it", "shown", "sh"]));
    user.expect("# ");
    user.types("tty; exit 4\n");
    user.expect("/dev/pts/");
    assert_eq!(user.wait(), 4);
    docker.remove(&id);
}

#[test]
fn a_health_check_runs_in_the_container() {
    let docker = Docker::get();
    let options = ["--health-cmd", "test -e /tmp/well", "--health-interval", "100ms", "--health-retries", "1"];
    let id = docker.sleeper("checked", &options);
    let health = |wanted: &str| {
        poll_until(30, wanted, || {
            let now = docker.run(["inspect", "-f", "{{.State.Health.Status}}", "checked"]).ok();
            (now.text() == wanted).then_some(())
        });
    };
    health("unhealthy");
    docker.run(["exec", "checked", "touch", "/tmp/well"]).ok();
    health("healthy");
    docker.remove(&id);
}

#[test]
fn files_are_copied_in_and_out_and_an_image_is_built() {
    let docker = Docker::get();
    let id = docker.sleeper("copied", &[]);
    let file = docker.cell.path().join("in");
    std::fs::write(&file, "travels\n").unwrap();
    docker.run(["cp", file.to_str().unwrap(), "copied:/there"]).ok();
    docker.run(["exec", "copied", "cat", "/there"]).ok().prints("travels");
    docker.run(["cp", "copied:/there", docker.cell.path().join("out").to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(docker.cell.path().join("out")).unwrap(), "travels\n");
    docker.run(["diff", "copied"]).ok().prints("A /there");
    docker.remove(&id);

    let context = docker.cell.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM base\nRUN echo built > /made\nCMD [\"cat\", \"/made\"]\n")
        .unwrap();
    // The classic builder runs its steps by the daemon's default runtime.
    let mut build = docker.command(["build", "-t", "app", context.to_str().unwrap()]);
    output::run(build.env("DOCKER_BUILDKIT", "0"), b"").ok();
    docker.run(["run", "--rm", "app"]).ok().prints("built");
}

#[test]
fn docker_knows_the_runtime() {
    let docker = Docker::get();
    docker.run(["info", "-f", "{{.DefaultRuntime}}"]).ok().prints("ctr");
    let id = docker.sleeper("ours", &[]);
    docker.run(["inspect", "-f", "{{.HostConfig.Runtime}}", "ours"]).ok().prints("ctr");
    // Ours, and no other, keeps this.
    let state = docker.cell.sh(&format!("cat /run/docker/runtime-*/moby/{id}/state.json")).ok().json();
    assert!(
        !state["cgroupFolders"].is_null(),
        "who keeps a state of the keys {:?}?",
        state.as_object().map(|o| o.keys())
    );
    docker.remove(&id);
}

#[test]
fn a_restart_policy_starts_a_container_again() {
    let docker = Docker::get();
    let id = docker.run(["run", "-d", "--restart", "on-failure:1", "base", "sh", "-c", "echo once; exit 5"]).ok();
    docker.run(["wait", id.text()]).ok();
    poll_until(60, "the second run", || (docker.run(["logs", id.text()]).ok().text() == "once\nonce").then_some(()));
    poll_until(60, "its end", || {
        let end =
            docker.run(["inspect", "-f", "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", id.text()]).ok();
        (end.text() == "exited 1 5").then_some(())
    });
    docker.remove(id.text());
}

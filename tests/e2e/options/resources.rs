//! How much of the machine a container may use.

use super::{is_unified, limit, spec, state};
use ctr_tests::Sandbox;
use std::path::Path;

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[
    "blkio-weight",
    "blkio-weight-device",
    "cgroup-parent",
    "cpu-period",
    "cpu-quota",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "kernel-memory",
    "memory",
    "memory-reservation",
    "memory-swap",
    "memory-swappiness",
    "oom-kill-disable",
    "oom-score-adj",
    "pids-limit",
    "ulimit",
];

/// `ctr run -d --name box OPTIONS base sleep`.
fn run(sandbox: &Sandbox, options: &str) -> ctr_tests::Output {
    let mut words = vec!["run", "-d", "--name", "box", "--network", "none"];
    words.extend(options.split_whitespace());
    words.extend(["base", "sleep", "900"]);
    sandbox.ctr(words)
}

#[test]
fn memory_time_and_tasks_are_limited_by_the_files_of_its_group() {
    let sandbox = Sandbox::with_base();
    let limits = "-m 64m --memory-reservation 32m --memory-swap 96m --cpu-shares 512 --cpu-period 50000 \
                  --cpu-quota 25000 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 77";
    run(&sandbox, limits).ok();
    let of = |controller, v1, v2| limit(&sandbox, "box", controller, v1, v2);
    assert_eq!(of("memory", "memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    assert_eq!(of("memory", "memory.soft_limit_in_bytes", "memory.low"), (32 << 20).to_string());
    let swap = if is_unified() { 32 << 20 } else { 96 << 20 };
    assert_eq!(of("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), swap.to_string());
    assert_eq!(of("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(of("cpuset", "cpuset.mems", "cpuset.mems"), "0");
    assert_eq!(of("pids", "pids.max", "pids.max"), "77");
    if is_unified() {
        assert_eq!(of("cpu", "", "cpu.max"), "25000 50000");
        assert_ne!(of("cpu", "", "cpu.weight"), "100", "512 shares are less than the default");
    } else {
        assert_eq!(of("cpu", "cpu.shares", ""), "512");
        assert_eq!(of("cpu", "cpu.cfs_quota_us", ""), "25000");
        assert_eq!(of("cpu", "cpu.cfs_period_us", ""), "50000");
    }
}

#[test]
fn processors_are_time_in_each_period_and_kernel_memory_is_only_noted() {
    let sandbox = Sandbox::with_base();
    run(&sandbox, "--cpus 0.5 --kernel-memory 50m").ok().says("Specifying a kernel memory limit is deprecated");
    assert_eq!(spec(&sandbox, "box")["linux"]["resources"]["cpu"]["quota"], 50_000);
    let quota = limit(&sandbox, "box", "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert_eq!(quota.split(' ').next(), Some("50000"));
}

#[test]
fn what_only_v1_can_do_is_done_there_and_left_out_with_a_warning_on_v2() {
    let sandbox = Sandbox::with_base();
    let run = run(&sandbox, "-m 64m --memory-swappiness 10 --oom-kill-disable").ok();
    if is_unified() {
        run.says("WARNING: Your kernel does not support memory swappiness capabilities")
            .says("WARNING: Your kernel does not support OomKillDisable");
        return;
    }
    assert_eq!(limit(&sandbox, "box", "memory", "memory.swappiness", ""), "10");
    assert!(limit(&sandbox, "box", "memory", "memory.oom_control", "").contains("oom_kill_disable 1"));
}

#[test]
fn a_process_has_its_limits_and_its_readiness_to_be_ended() {
    let sandbox = Sandbox::with_base();
    run(&sandbox, "--ulimit nofile=100:200 --ulimit core=0 --oom-score-adj 300").ok();
    let pid = state(&sandbox, "box")["Pid"].to_string();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(line.split_whitespace().collect::<Vec<_>>().windows(2).any(|pair| pair == ["100", "200"]), "{line}");
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "300");
}

#[test]
fn disks_are_limited_by_their_numbers() {
    let sandbox = Sandbox::with_base();
    let Some(disk) = disk() else { panic!("this machine has no disk in /sys/block with a file in /dev") };
    let options = format!(
        "--device-read-bps {disk}:1mb --device-write-bps {disk}:2mb --device-read-iops {disk}:30 \
         --device-write-iops {disk}:40 --blkio-weight 300 --blkio-weight-device {disk}:400"
    );
    let run = run(&sandbox, &options).ok();
    let io = |v1: &str| limit(&sandbox, "box", "blkio", v1, "io.max");
    for (file, value, unified) in [
        ("blkio.throttle.read_bps_device", 1 << 20, "rbps"),
        ("blkio.throttle.write_bps_device", 2 << 20, "wbps"),
        ("blkio.throttle.read_iops_device", 30, "riops"),
        ("blkio.throttle.write_iops_device", 40, "wiops"),
    ] {
        let found = io(file);
        let wanted = if is_unified() { format!("{unified}={value}") } else { format!(" {value}") };
        assert!(found.contains(&wanted), "{file}: {found}");
    }
    // Few kernels have somebody who weighs; one or the other is so.
    let weight = spec(&sandbox, "box")["linux"]["resources"]["blockIO"]["weight"].clone();
    let discarded = run.stderr.contains("does not support Block I/O weight or");
    assert_eq!(discarded, weight.is_null(), "{run}");
    let weights = spec(&sandbox, "box")["linux"]["resources"]["blockIO"]["weightDevice"].clone();
    assert_eq!(run.stderr.contains("does not support Block I/O weight_device"), weights.is_null(), "{run}");
}

/// The first disk of this machine.
fn disk() -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir("/sys/block")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| Path::new("/dev").join(name).exists() && !name.starts_with("loop") && !name.starts_with("ram"))
        .collect();
    names.sort();
    names.first().map(|name| format!("/dev/{name}"))
}

#[test]
fn the_group_is_made_in_another_and_real_time_is_what_that_has() {
    let sandbox = Sandbox::with_base();
    let parent = Parent(format!("ctr-test-parent-{}", std::process::id()));
    if is_unified() {
        run(&sandbox, "--cpu-rt-period 500000").exits(125).says("Your kernel does not support CPU real-time period");
        run(&sandbox, "--cpu-rt-runtime 500").exits(125).says("Your kernel does not support CPU real-time runtime");
        run(&sandbox, &format!("--cgroup-parent {}", parent.0)).ok();
    } else {
        let cpu = Path::new("/sys/fs/cgroup/cpu").join(&parent.0);
        std::fs::create_dir(&cpu).unwrap();
        std::fs::write(cpu.join("cpu.rt_runtime_us"), "1000").unwrap();
        run(&sandbox, &format!("--cgroup-parent {} --cpu-rt-period 500000 --cpu-rt-runtime 300", parent.0)).ok();
        assert_eq!(limit(&sandbox, "box", "cpu", "cpu.rt_period_us", ""), "500000");
        assert_eq!(limit(&sandbox, "box", "cpu", "cpu.rt_runtime_us", ""), "300");
    }
    let pid = state(&sandbox, "box")["Pid"].to_string();
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups.contains(&format!(":/{}/", parent.0)), "{groups}");
    // Who looks at it later finds it there too.
    assert!(sandbox.ctr(["top", "box", "-o", "pid,args"]).ok().stdout.contains("sleep 900"));
    sandbox.ctr(["stats", "--no-stream", "--format", "{{.PIDs}}", "box"]).ok().prints("1");
    assert!(sandbox.ctr(["where", "box"]).ok().stdout.contains(&format!("/{}/", parent.0)));
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

/// A group that is nobody's after the test.
struct Parent(String);

impl Drop for Parent {
    fn drop(&mut self) {
        let trees = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        for tree in trees.chain([Path::new("/sys/fs/cgroup").to_owned()]) {
            // It is not in all of them.
            let _ = std::fs::remove_dir(tree.join(&self.0));
        }
    }
}

#[test]
fn what_cannot_be_is_said_in_dockers_words_and_leaves_nothing() {
    let sandbox = Sandbox::with_base();
    for (options, words) in [
        ("--memory-swap 50m", "You should always set the Memory limit when using Memoryswap limit, see usage"),
        ("--cpus 1 --cpu-quota 50000", "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        ("--cpuset-cpus 0-4000", "Requested CPUs are not available - requested 0-4000, available: "),
        ("--ulimit x=1", "invalid argument \"x=1\" for \"--ulimit\" flag: invalid ulimit type: x"),
    ] {
        run(&sandbox, options).exits(125).says(words);
    }
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
    // A disk that is not there is found at the start: the container stays, as with docker.
    run(&sandbox, "--device-read-bps /dev/nope:1mb").exits(125).says("stat /dev/nope: no such file or directory");
    assert_eq!(state(&sandbox, "box")["Status"], "created");
}

#[test]
fn update_changes_what_runs_and_what_is_on_disk() {
    let sandbox = Sandbox::with_base();
    run(&sandbox, "-m 64m --cpus 0.5").ok();
    sandbox.ctr(["update", "box"]).exits(1).says("you must provide one or more flags when using this command");
    let refused = ["update", "-m", "200m", "box"];
    sandbox.ctr(refused).exits(1).says("Memory limit should be smaller than already set memoryswap limit");
    let quota = ["update", "--cpu-quota", "5000", "box"];
    sandbox.ctr(quota).exits(1).says("CPU Quota cannot be updated as NanoCPUs has already been set");
    let memory = || limit(&sandbox, "box", "memory", "memory.limit_in_bytes", "memory.max");
    let tasks = || limit(&sandbox, "box", "pids", "pids.max", "pids.max");
    assert_eq!(memory(), (64 << 20).to_string());
    let both = ["update", "-m", "96m", "--memory-swap", "128m", "--pids-limit", "50", "--restart", "always", "box"];
    // The script does the same as the command.
    let script = sandbox.ctr([&["--explain"], &both[..]].concat()).ok();
    assert_eq!(memory(), (64 << 20).to_string(), "explaining does nothing");
    sandbox.sh(&script.stdout).ok();
    assert_eq!((memory(), tasks().as_str()), ((96 << 20).to_string(), "50"));
    sandbox.ctr(["update", "--pids-limit", "60", "--restart", "no", "box"]).ok().prints("box");
    assert_eq!(tasks(), "60");
    let host = super::json(&sandbox, "box", "container.json")["HostConfig"].clone();
    assert_eq!((&host["Memory"], &host["PidsLimit"]), (&(96 << 20).into(), &60.into()));
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    // The next start has them too.
    sandbox.ctr(["kill", "box"]).ok();
    sandbox.ctr(["wait", "box"]).ok();
    sandbox.ctr(["update", "--cpus", "0.25", "box"]).ok();
    sandbox.ctr(["start", "box"]).ok();
    assert_eq!((memory(), tasks().as_str()), ((96 << 20).to_string(), "60"));
    assert!(limit(&sandbox, "box", "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("25000"));
}

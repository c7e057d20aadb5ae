//! Every key of `linux.resources` on the running kernel, whichever generation of cgroups it has. Needs root.
//!
//! A key whose controller this machine lacks must give the error that says so.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Group, eventually, ok, refused, run, with_stdin};

/// `cgset VERB GROUP --resources -`; what it said on standard error, and whether it succeeded.
fn apply(verb: &str, group: &Group, resources: &Value) -> (bool, String) {
    let output = with_stdin(&[verb, &group.0, "--resources", "-"], resources);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The disk that this test's folder is on: its path and its numbers.
fn disk() -> (String, String) {
    let device = rustix::fs::stat(".").unwrap().st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let link = format!("/sys/dev/block/{major}:{minor}");
    let found = fs::canonicalize(&link).unwrap_or_else(|error| panic!("{link}: {error}: not on a disk?"));
    let whole = if found.join("partition").exists() { found.parent().unwrap() } else { &found };
    let name = whole.file_name().unwrap().to_str().unwrap();
    (format!("/dev/{name}"), fs::read_to_string(whole.join("dev")).unwrap().trim().to_owned())
}

fn is_v2(group: &Group) -> bool {
    ok(&["where", "--json", &group.0]).contains("\"Version\":\"v2\"")
}

/// Whether a mounted v1 tree has a controller.
fn on_v1(controller: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(" - cgroup "))
        .any(|line| line.rsplit(' ').next().unwrap().split(',').any(|option| option == controller))
}

/// A file's name, and what is in it.
type InFile = (&'static str, String);

#[test]
fn each_key_is_in_its_file() {
    let (_, disk) = disk();
    let (major, minor) = disk.split_once(':').unwrap();
    let device = |rate: u64| json!([{"major": major.parse::<i64>().unwrap(), "minor": minor.parse::<i64>().unwrap(), "rate": rate}]);
    let rate = |file| (file, format!("{disk} 4096"));
    // The resources; the file and its value on v1; on v2.
    let cases: Vec<(Value, InFile, InFile)> = vec![
        (
            json!({"memory": {"limit": 33_554_432}}),
            ("memory.limit_in_bytes", "33554432".into()),
            ("memory.max", "33554432".into()),
        ),
        (
            json!({"memory": {"limit": 33_554_432, "swap": 50_331_648}}),
            ("memory.memsw.limit_in_bytes", "50331648".into()),
            ("memory.swap.max", "16777216".into()),
        ),
        (
            json!({"memory": {"reservation": 16_777_216}}),
            ("memory.soft_limit_in_bytes", "16777216".into()),
            ("memory.low", "16777216".into()),
        ),
        (json!({"cpu": {"shares": 2048}}), ("cpu.shares", "2048".into()), ("cpu.weight", "174".into())),
        (
            json!({"cpu": {"quota": 20000, "period": 50000}}),
            ("cpu.cfs_quota_us", "20000".into()),
            ("cpu.max", "20000 50000".into()),
        ),
        (
            json!({"cpu": {"quota": 20000, "period": 50000, "burst": 10000}}),
            ("cpu.cfs_burst_us", "10000".into()),
            ("cpu.max.burst", "10000".into()),
        ),
        (json!({"cpu": {"idle": 1, "shares": 2048}}), ("cpu.idle", "1".into()), ("cpu.idle", "1".into())),
        (json!({"cpu": {"cpus": "0"}}), ("cpuset.cpus", "0".into()), ("cpuset.cpus.effective", "0".into())),
        (json!({"cpu": {"mems": "0"}}), ("cpuset.mems", "0".into()), ("cpuset.mems.effective", "0".into())),
        (json!({"pids": {"limit": 17}}), ("pids.max", "17".into()), ("pids.max", "17".into())),
        (json!({"pids": {"limit": -1}}), ("pids.max", "max".into()), ("pids.max", "max".into())),
        (
            json!({"blockIO": {"throttleReadBpsDevice": device(4096)}}),
            rate("blkio.throttle.read_bps_device"),
            ("io.max", format!("{disk} rbps=4096 wbps=max riops=max wiops=max")),
        ),
        (
            json!({"blockIO": {"throttleWriteIOPSDevice": device(4096), "throttleReadBpsDevice": device(0)}}),
            rate("blkio.throttle.write_iops_device"),
            ("io.max", format!("{disk} rbps=max wbps=max riops=max wiops=4096")),
        ),
    ];
    let group = Group::named();
    for (resources, v1, v2) in cases {
        let (done, said) = apply("create", &group, &resources);
        assert!(done, "{resources}: {said}");
        let file = ok(&["where", "--file", if is_v2(&group) { v2.0 } else { v1.0 }, &group.0]);
        let found = fs::read_to_string(file.trim()).unwrap();
        let wanted = if file.trim().ends_with(v1.0) { v1.1 } else { v2.1 };
        assert_eq!(found.trim(), wanted, "{resources} in {file}");
        ok(&["delete", &group.0]);
    }
}

#[test]
fn weights_of_disks_need_somebody_who_weighs() {
    let group = Group::named();
    let (done, said) = apply("create", &group, &json!({"blockIO": {"weight": 300}}));
    if done {
        let shown = ok(&["show", &group.0]);
        let written =
            ["blkio.bfq.weight", "io.bfq.weight"].iter().any(|file| shown.contains(file)) && shown.contains("300");
        assert!(written || shown.contains("default 2930"), "{shown}");
    } else {
        assert!(said.contains("the scheduler BFQ (modprobe bfq)"), "{said}");
        group.assert_gone();
    }
}

#[test]
fn a_disk_is_read_no_faster_than_its_limit() {
    let (path, _) = disk();
    let file = tempfile::NamedTempFile::new_in(".").unwrap();
    fs::write(file.path(), vec![1; 9 << 17]).unwrap();
    file.as_file().sync_all().unwrap();
    let group = Group::create(&["--device-read-bps", &format!("{path}:1m")]);
    let begin = Instant::now();
    let read = format!("exec dd if={} of=/dev/null bs=128k iflag=direct", file.path().display());
    let output = group.sh(&read).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // 1.1 MB at 1 MB a second; the first piece is free.
    assert!(begin.elapsed() > Duration::from_millis(800), "{:?}", begin.elapsed());
    let io = &group.stats()["Io"];
    assert!(io["ReadBytes"].as_u64().unwrap() >= 9 << 17 && io["Reads"].as_u64().unwrap() >= 9, "{io}");
    // 0 is no limit.
    ok(&["set", &group.0, "--device-read-bps", &format!("{path}:0")]);
    assert!(!ok(&["where", &group.0]).contains("1048576"));
}

#[test]
fn huge_pages_are_limited_by_size() {
    let pages = fs::read_dir("/sys/kernel/mm/hugepages").unwrap();
    let has_2mb = pages.flatten().any(|entry| entry.file_name() == "hugepages-2048kB");
    let group = Group::named();
    let limit = |size: &str| json!({"hugepageLimits": [{"pageSize": size, "limit": 4_194_304}]});
    let (done, said) = apply("create", &group, &limit("2MB"));
    let known = fs::read_to_string("/proc/cgroups").unwrap().contains("hugetlb");
    assert_eq!(done, has_2mb && known, "{said}");
    if done {
        assert_eq!(group.value(["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"]), "4194304");
        assert_eq!(group.stats()["Hugetlb"]["2MB"]["Limit"], 4_194_304);
        let (done, said) = apply("set", &group, &limit("3MB"));
        assert!(!done && said.contains("huge pages of these sizes: 2MB"), "{said}");
    } else {
        assert!(said.contains("cannot set hugetlb limit"), "{said}");
        group.assert_gone();
    }
}

#[test]
fn what_only_v1_has_is_set_there_and_passed_over_with_a_note_elsewhere() {
    for (resources, key, controller, file, value) in [
        (json!({"memory": {"swappiness": 7}}), "memory.swappiness", "memory", "memory.swappiness", "7"),
        (
            json!({"memory": {"kernelTCP": 4_194_304}}),
            "memory.kernelTCP",
            "memory",
            "memory.kmem.tcp.limit_in_bytes",
            "4194304",
        ),
        (
            json!({"memory": {"disableOOMKiller": true}}),
            "memory.disableOOMKiller",
            "memory",
            "memory.oom_control",
            "oom_kill_disable 1",
        ),
    ] {
        let group = Group::named();
        let (done, said) = apply("create", &group, &resources);
        assert!(done, "{resources}: {said}");
        if on_v1(controller) {
            assert_eq!(said, "");
            assert!(group.value([file, file]).starts_with(value), "{resources}");
        } else {
            assert!(said.contains(&format!("note: {key} has no effect")), "{said}");
        }
    }
    let group = Group::named();
    let (done, said) = apply("create", &group, &json!({"memory": {"kernel": 5, "useHierarchy": true}}));
    assert!(done && said.contains("note: memory.kernel has no effect") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_controller_that_is_not_there_is_named_with_what_to_do() {
    let group = Group::named();
    let (done, said) = apply("create", &group, &json!({"network": {"classID": 1_048_577}}));
    match (on_v1("net_cls"), fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - cgroup ")) {
        (true, _) => assert!(done, "{said}"),
        (false, false) => assert!(done && said.contains("note: network.classID has no effect"), "{said}"),
        (false, true) => {
            assert!(!done && said.contains("cannot set net_cls limit") && said.contains("mount"), "{said}");
            group.assert_gone();
        }
    }
    let group = Group::named();
    let (done, said) = apply("create", &group, &json!({"rdma": {"no_such_device": {"hcaHandles": 3}}}));
    assert!(!done && (said.contains("cannot set rdma limit") || said.contains("no such RDMA device")), "{said}");
    group.assert_gone();
}

#[test]
fn unified_resources_are_files_of_v2() {
    let group = Group::create(&[]);
    for (file, part) in [
        ("../cgroup.procs", "must be a file name (no slashes)"),
        ("memory", "must be in the form CONTROLLER.PARAMETER"),
        ("nonsense.max", "controller \"nonsense\" not available"),
    ] {
        let (done, said) = apply("set", &group, &json!({"unified": {file: "1"}}));
        assert!(!done && said.contains(part), "{said}");
    }
    let (done, said) = apply("set", &group, &json!({"unified": {"memory.high": "64M", "pids.max": "9"}}));
    if is_v2(&group) {
        assert!(done, "{said}");
        assert_eq!(group.value(["memory.high", "memory.high"]), "67108864");
        let said = refused(&["set", &group.0, "--unified", "memory.high=much"]);
        assert!(said.contains("memory.high") && said.contains("K, M or G"), "{said}");
    } else {
        assert!(
            !done && (said.contains("controller \"memory\" not available") || said.contains("only cgroup v1")),
            "{said}"
        );
    }
}

#[test]
fn memory_and_swap_can_be_raised_and_lowered_together() {
    let group = Group::create(&["--memory", "64m", "--memory-swap", "96m"]);
    let both = |memory: u64, swap: u64| {
        let found = group.value(["memory.memsw.limit_in_bytes", "memory.swap.max"]).parse::<u64>().unwrap();
        assert_eq!(group.stats()["Memory"]["Limit"], memory << 20);
        assert!(found == (memory + swap) << 20 || found == swap << 20, "{found}");
        assert_eq!(group.stats()["Memory"]["SwapLimit"], swap << 20);
    };
    both(64, 32);
    for (memory, swap) in [(256, 512), (32, 40), (32, 32), (64, 80)] {
        ok(&["set", &group.0, "--memory", &format!("{memory}m"), "--memory-swap", &format!("{swap}m")]);
        both(memory, swap - memory);
    }
    // Of the sum alone: memory stays.
    ok(&["set", &group.0, "--memory-swap", "100m"]);
    both(64, 36);
    ok(&["set", &group.0, "--memory", "max"]);
    assert_eq!(group.stats()["Memory"]["Limit"], Value::Null);
    assert!(refused(&["set", &group.0, "--memory", "64m", "--memory-swap", "32m"]).contains("counts memory and swap"));
}

#[test]
fn a_period_keeps_the_quota_and_a_quota_the_period() {
    let group = Group::create(&["--cpu-quota", "20000", "--cpu-period", "50000"]);
    let holds = |quota: &str, period: &str| {
        let found = group.value(["cpu.cfs_quota_us", "cpu.max"]);
        assert!(found == quota || found == format!("{quota} {period}"), "{found}");
    };
    ok(&["set", &group.0, "--cpu-period", "100000"]);
    holds("20000", "100000");
    ok(&["set", &group.0, "--cpu-quota", "30000"]);
    holds("30000", "100000");
    let said = refused(&["set", &group.0, "--cpu-period", "7"]);
    assert!(said.contains("a period 1000 to 1000000"), "{said}");
}

#[test]
fn a_limit_below_the_usage_is_refused_if_that_is_asked_for() {
    let group = Group::create(&["--memory", "200m"]);
    // tail keeps what it has read until there is no more to come.
    let mut child =
        group.sh("(head -c 30000000 /dev/zero; exec sleep 1000) | tail").stdout(Stdio::null()).spawn().unwrap();
    eventually("it has filled its memory", || group.stats()["Memory"]["Usage"].as_u64().unwrap() > 30_000_000);
    let (done, said) = apply("set", &group, &json!({"memory": {"limit": 8_388_608, "checkBeforeUpdate": true}}));
    assert!(!done && (said.contains("checkBeforeUpdate is set") || said.contains("cannot be taken away")), "{said}");
    assert_eq!(group.stats()["Memory"]["OomKills"], 0);
    ok(&["kill", &group.0]);
    child.wait().unwrap();
}

#[test]
fn a_value_that_the_kernel_refuses_is_told_with_what_is_allowed() {
    let group = Group::create(&[]);
    for (args, parts) in [
        (&["--cpuset-cpus", "9999"][..], &["\"9999\" to /", "/cpuset.cpus: ", "which are 0"][..]),
        (&["--cpuset-cpus", "x"], &["/cpuset.cpus: ", "a list such as 0-2,4"]),
        (&["--cpuset-mems", "77"], &["/cpuset.mems: ", "memory nodes that the group above has, which are 0"]),
        (&["--cpu-quota", "5"], &["a quota is 1000 microseconds or more"]),
        (&["--cpu-quota", "5000", "--cpu-burst", "90000"], &["no less than the burst"]),
        (&["--pids", "99999999"], &["pids.max", "0 to 4194304"]),
        (&["--device-read-bps", "/dev/null:1"], &["it is not a block device"]),
    ] {
        let said = refused(&[&["set", &group.0], args].concat());
        assert!(parts.iter().all(|part| said.contains(part)), "{args:?}: {said}");
    }
    let nowhere = json!({"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 7, "rate": 1}]}});
    let (done, said) = apply("set", &group, &nowhere);
    assert!(!done && said.contains("no whole disk has these numbers"), "{said}");
}

#[test]
fn where_tells_what_was_written_and_what_it_holds() {
    let group = Group::create(&["--pids", "19"]);
    let lines = ok(&["where", &group.0]);
    let files: Vec<&str> = lines.lines().filter(|line| !line.ends_with('/')).collect();
    let [only] = files[..] else { panic!("one file was written: {lines}") };
    let (path, value) = only.split_once(' ').unwrap();
    assert!(path.ends_with("/pids.max") && value.trim() == "19", "{only}");
    assert_eq!(fs::read_to_string(path).unwrap().trim(), "19");
    let json: Value = serde_json::from_str(&ok(&["where", "--json", &group.0])).unwrap();
    assert_eq!(json["Files"], json!([{"Path": path, "Value": "19"}]));
    assert!(ok(&["where", "--all", &group.0]).lines().count() > 15);
    for name in ["memory.max", "memory.limit_in_bytes"] {
        let file = ok(&["where", "--file", name, &group.0]);
        assert!(fs::metadata(file.trim()).unwrap().is_file());
    }
    assert_eq!(run(&["where", "--file", "../tasks", &group.0]).status.code(), Some(125));
}

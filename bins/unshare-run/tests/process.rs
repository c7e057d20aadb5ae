//! What a process is given: processors, disks, memory, personality, labels, limits, ids; and the same for `exec`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A field of `/proc/PID/stat`, counted from 1 as in proc_pid_stat(5).
fn field(stat: &str, number: usize) -> String {
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(number - 3).unwrap().to_owned()
}

#[test]
fn the_scheduler_is_as_configured() {
    let mut bundle = Bundle::new("").args(&["cat", "/proc/self/stat"]);
    for (scheduler, nice, priority, policy) in [
        (json!({"policy": "SCHED_OTHER", "nice": 7}), "7", "0", "0"),
        (json!({"policy": "SCHED_BATCH", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}), "3", "0", "3"),
        (json!({"policy": "SCHED_IDLE"}), "0", "0", "5"),
        (json!({"policy": "SCHED_RR", "priority": 5}), "0", "5", "2"),
        (
            json!({"policy": "SCHED_DEADLINE", "runtime": 10_000_000, "deadline": 30_000_000, "period": 30_000_000}),
            "0",
            "0",
            "6",
        ),
    ] {
        bundle.config["process"]["scheduler"] = scheduler.clone();
        let stat = bundle.prints("x");
        assert_eq!([19, 40, 41].map(|number| field(&stat, number)), [nice, priority, policy], "{scheduler}: {stat}");
    }
}

#[test]
fn the_place_in_the_queue_for_disks_is_as_configured() {
    let mut bundle = Bundle::new("").args(&["busybox", "ionice", "-p", "1"]);
    for (class, priority, words) in [
        ("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"),
        ("IOPRIO_CLASS_RT", 2, "realtime: prio 2"),
        ("IOPRIO_CLASS_IDLE", 0, "idle"),
    ] {
        bundle.config["process"]["ioPriority"] = json!({"class": class, "priority": priority});
        assert!(bundle.prints("x").starts_with(words), "{class}");
    }
}

#[test]
fn personality_and_memory_policy_are_as_configured() {
    let mut bundle = Bundle::new("busybox uname -m; busybox head -n 1 /proc/self/numa_maps");
    let machine = |printed: &str| printed.lines().next().unwrap().to_owned();
    let usual = machine(&bundle.prints("x"));
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX32"});
    bundle.config["linux"]["memoryPolicy"] =
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    let printed = bundle.prints("x");
    assert_ne!(machine(&printed), usual);
    assert!(printed.contains(" bind=static:0"), "{printed}");
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX"});
    bundle.config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "1000"});
    let said = bundle.run("x");
    assert!(said.code == 1 && said.err.contains("set memoryPolicy MPOL_BIND 1000"), "{said:?}");
}

#[test]
fn a_process_of_exec_runs_on_the_processors_that_it_is_to() {
    let mut bundle = Bundle::new("sleep 1000");
    bundle.config["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "0"});
    bundle.create("x");
    let list = |said: common::Said| said.out.split_whitespace().last().unwrap().to_owned();
    let all = fs::read_to_string(format!("/proc/{}/status", bundle.pid("x"))).unwrap();
    let ours = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = |status: &str| status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned();
    assert_eq!(allowed(&all), allowed(&ours), "it is about processes of exec alone");
    assert_eq!(list(bundle.call(&["exec", "x", "grep", "Cpus_allowed_list", "/proc/self/status"])), "0");

    let process = bundle.path().join("process.json");
    let mut config: Value = bundle.config["process"].clone();
    config["args"] = json!(["true"]);
    config["execCPUAffinity"] = json!({"final": "1023"});
    fs::write(&process, config.to_string()).unwrap();
    let said = bundle.call(&["exec", "--process", process.to_str().unwrap(), "x"]);
    assert!(said.code == 255 && said.err.contains("process.execCPUAffinity.final: run on processors 1023"), "{said:?}");
}

#[test]
fn labels_are_set_where_the_kernel_has_the_module_and_refused_where_not() {
    let mut bundle = Bundle::new("cat /proc/self/attr/current");
    let apparmor =
        fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'));
    bundle.config["process"]["apparmorProfile"] = json!("no-such-profile");
    let said = bundle.run("x");
    let words = if apparmor { "(is it loaded?)" } else { "this kernel does not use AppArmor" };
    assert!(
        said.code == 1 && said.err.contains("process.apparmorProfile \"no-such-profile\"") && said.err.contains(words),
        "{said:?}"
    );
    if apparmor {
        bundle.config["process"]["apparmorProfile"] = json!("unconfined");
        assert_eq!(bundle.prints("x"), "unconfined");
    }
    bundle.config["process"]["apparmorProfile"] = json!("");
    assert!(!Path::new("/sys/fs/selinux/enforce").exists(), "the tests know no machine with SELinux yet");
    for (part, key) in [("process", "selinuxLabel"), ("linux", "mountLabel")] {
        bundle.config[part][key] = json!("system_u:system_r:container_t:s0");
        let said = bundle.run("x");
        assert!(said.code == 1 && said.err.contains(key) && said.err.contains("does not use SELinux"), "{said:?}");
        bundle.config[part][key] = json!("");
    }
}

#[test]
fn all_sixteen_limits_can_be_set() {
    let mut bundle = Bundle::new("").args(&["cat", "/proc/self/limits"]);
    let limits = [
        ("AS", 1 << 30, "Max address space"),
        ("CORE", 1000, "Max core file size"),
        ("CPU", 77, "Max cpu time"),
        ("DATA", 1 << 29, "Max data size"),
        ("FSIZE", 1 << 28, "Max file size"),
        ("LOCKS", 12, "Max file locks"),
        ("MEMLOCK", 65536, "Max locked memory"),
        ("MSGQUEUE", 81920, "Max msgqueue size"),
        ("NICE", 0, "Max nice priority"),
        ("NOFILE", 64, "Max open files"),
        ("NPROC", 500, "Max processes"),
        ("RSS", 1 << 27, "Max resident set"),
        ("RTPRIO", 0, "Max realtime priority"),
        ("RTTIME", 99_999, "Max realtime timeout"),
        ("SIGPENDING", 300, "Max pending signals"),
        ("STACK", 1 << 22, "Max stack size"),
    ];
    let wanted = limits.map(|(name, value, _)| json!({"type": format!("RLIMIT_{name}"), "soft": value, "hard": value}));
    bundle.config["process"]["rlimits"] = json!(wanted);
    let printed = bundle.prints("x");
    for (name, value, title) in limits {
        let line = printed.lines().find(|line| line.starts_with(title)).unwrap();
        let numbers: Vec<&str> = line[title.len()..].split_whitespace().collect();
        assert_eq!(numbers[..2], [value.to_string(), value.to_string()], "{name}: {line}");
    }
}

#[test]
fn what_nobody_can_be_or_have_is_told_by_its_key() {
    let mut bundle = Bundle::new("true");
    for (words, part, key, value) in [
        ("process.scheduler.policy", "process", "scheduler", json!({"policy": "SCHED_BEST"})),
        ("process.ioPriority.class", "process", "ioPriority", json!({"class": "BEST"})),
        ("process.execCPUAffinity.initial", "process", "execCPUAffinity", json!({"initial": "x"})),
        ("linux.personality.domain", "linux", "personality", json!({"domain": "BSD"})),
        ("linux.memoryPolicy.mode", "linux", "memoryPolicy", json!({"mode": "BEST"})),
    ] {
        bundle.config[part][key] = value;
        let said = bundle.run("x");
        assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
        bundle.config[part].as_object_mut().unwrap().remove(key);
    }
    until("nothing is left", || bundle.call(&["list", "-q"]).out.is_empty());
}

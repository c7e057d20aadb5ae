//! The system call filter as the container's programs meet it, and as a supervisor does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/supervisor.rs"]
mod supervisor;
#[path = "common/sys.rs"]
mod sys;

use common::{Bundle, program, until};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use supervisor::Answer;

/// A filter that allows everything but what these rules say.
fn allowing(rules: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules})
}

/// `mkdir` fails with this number on any architecture and in any form.
fn no_mkdir(errno: u32) -> Value {
    json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}])
}

#[test]
fn a_call_fails_as_the_rule_says_and_with_privileges_to_gain_as_well() {
    let mut bundle = Bundle::new("mkdir /x 2>&1; grep -E 'Seccomp:|CapEff|NoNewPrivs' /proc/self/status");
    for (no_new_privileges, errno, words) in
        [(true, 38, "Function not implemented"), (false, 122, "Disk quota exceeded")]
    {
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.config["linux"]["seccomp"] = allowing(no_mkdir(errno));
        let printed = bundle.prints("x");
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[0].ends_with(words), "{printed}");
        // What loading takes is gone when the program runs.
        let privileges = format!("NoNewPrivs:\t{}", u8::from(no_new_privileges));
        assert_eq!(lines[lines.len() - 3..], ["CapEff:\t00000000a80425fb", &privileges, "Seccomp:\t2"], "{printed}");
    }
}

#[test]
fn a_user_without_any_capability_is_filtered_too() {
    let mut bundle = Bundle::new("mkdir /tmp/x 2>&1; grep CapPrm /proc/self/status");
    bundle.config["process"]["user"] = json!({"uid": 33, "gid": 33});
    bundle.config["process"]["capabilities"] = json!({});
    bundle.config["linux"]["seccomp"] = allowing(no_mkdir(38));
    let printed = bundle.prints("x");
    assert!(
        printed.contains("Function not implemented") && printed.ends_with("CapPrm:\t0000000000000000"),
        "{printed}"
    );
}

#[test]
fn a_call_can_end_the_process() {
    let mut bundle = Bundle::new("mkdir /x; echo $?; exec mkdir /x");
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
        bundle.config["linux"]["seccomp"] = allowing(json!([{"names": ["mkdir", "mkdirat"], "action": action}]));
        let said = bundle.run("x");
        assert_eq!((said.code, said.out.as_str()), (128 + libc::SIGSYS, "159"), "{action}: {said:?}");
    }
}

#[test]
fn the_filter_of_a_profile_that_allows_next_to_nothing_lets_the_program_start() {
    // Nothing that we do ourselves needs to be in it but the execution of the program.
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["execve", "arch_prctl", "brk", "exit_group", "fstat", "getrandom", "getuid", "mprotect", "newfstatat", "prctl",
                   "prlimit64", "readlink", "rseq", "set_robust_list", "set_tid_address", "setgid", "setuid", "getgid", "uname", "write"],
         "action": "SCMP_ACT_ALLOW"}]});
    let mut bundle = Bundle::new("").args(&["echo", "it runs"]);
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    bundle.config["linux"]["seccomp"] = profile;
    let said = bundle.run("x");
    assert_eq!(said.out, "it runs", "{said:?}");
    bundle.create("y");
    assert_eq!(bundle.call(&["start", "y"]).code, 0);
    bundle.await_status("y", "stopped");
}

#[test]
fn the_default_is_dockers_and_by_hand_too() {
    let mut bundle = Bundle::new(
        "grep Seccomp: /proc/self/status; unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; chroot / echo root",
    );
    for applet in ["unshare", "chroot"] {
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin").join(applet)).unwrap();
    }
    let printed = bundle.prints("x");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines[0], lines[lines.len() - 1]), ("Seccomp:\t2", "root"), "{printed}");
    assert!(lines[1].ends_with("Operation not permitted") && lines[2].contains("permission denied"), "{printed}");
    bundle.config["linux"].as_object_mut().unwrap().remove("seccomp");
    assert!(bundle.prints("x").starts_with("Seccomp:\t0\n"));

    bundle.command(&[]);
    let by_hand = |options: &[&str]| {
        let rootfs = bundle.rootfs();
        let mut command = Command::new(program());
        command.env("CTR_RUN", bundle.path()).args(["--pid", "--mount", "--rootfs"]).arg(rootfs).args(options);
        let output = command.args(["--", "grep", "Seccomp:", "/proc/self/status"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(by_hand(&[]), "Seccomp:\t2\n");
    assert_eq!(by_hand(&["--seccomp", "unconfined"]), "Seccomp:\t0\n");
}

#[test]
fn a_process_of_exec_has_the_containers_filter() {
    let mut bundle = Bundle::new("sleep 1000");
    bundle.config["linux"]["seccomp"] = allowing(no_mkdir(38));
    bundle.create("x");
    assert_eq!(bundle.call(&["start", "x"]).code, 0);
    let said = bundle.call(&["exec", "x", "mkdir", "/x"]);
    assert!(said.code == 1 && said.err.contains("Function not implemented"), "{said:?}");
}

#[test]
fn a_filter_that_the_configuration_spells_wrong_is_refused_before_anything_is_made() {
    let mut bundle = Bundle::new("true");
    for (words, seccomp) in [
        ("linux.seccomp: flags: \"FLAG\"", json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["FLAG"]})),
        ("SCMP_ARCH_Z80", json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]})),
        ("SCMP_ACT_FINE", json!({"defaultAction": "SCMP_ACT_FINE"})),
        ("listenerPath", allowing(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]))),
    ] {
        bundle.config["linux"]["seccomp"] = seccomp;
        let said = bundle.run("x");
        assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
    }
    assert_eq!(bundle.call(&["list", "-q"]).out, "");
}

#[test]
fn somebody_else_decides_about_calls_of_the_container_and_of_exec() {
    let mut bundle = Bundle::new("mkdir /first 2>&1; mkdir /second 2>&1; ls -d /first /second 2>&1; sleep 1000");
    let socket = bundle.path().join("agent.sock");
    bundle.config["annotations"] = json!({"who": "me"});
    bundle.config["linux"]["seccomp"] = allowing(json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]));
    bundle.config["linux"]["seccomp"]["listenerPath"] = json!(socket);
    bundle.config["linux"]["seccomp"]["listenerMetadata"] = json!("what the agent is to know");
    let answers = vec![Answer::Continue, Answer::Errno(libc::EDQUOT)];
    let agent = supervisor::serve(&socket, vec![answers, vec![Answer::Errno(libc::EXDEV)]]);
    let out = bundle.path().join("out");
    let mut create = bundle.command(&["create", "--bundle", bundle.path().to_str().unwrap(), "x"]);
    let made = create.stdout(fs::File::create(&out).unwrap()).status().unwrap();
    assert!(made.success());
    assert_eq!(bundle.call(&["start", "x"]).code, 0);
    until("both folders have been asked for", || fs::read_to_string(&out).unwrap().contains("\n/first"));
    let printed = fs::read_to_string(&out).unwrap();
    assert!(printed.contains("'/second': Disk quota exceeded") && printed.contains("\n/first"), "{printed}");
    let said = bundle.call(&["exec", "x", "mkdir", "/third"]);
    assert!(said.code == 1 && said.err.contains("Invalid cross-device link"), "{said:?}");

    let words = agent.join().unwrap();
    for (word, status) in words.iter().zip(["creating", "running"]) {
        assert_eq!(word["fds"], json!(["seccompFd"]));
        assert_eq!(word["metadata"], "what the agent is to know");
        assert_eq!((&word["state"]["status"], &word["state"]["id"]), (&json!(status), &json!("x")));
        assert_eq!(word["state"]["pid"], json!(bundle.pid("x")));
        assert_eq!(word["state"]["annotations"]["who"], "me");
    }
    assert_eq!(words[0]["pid"], words[0]["state"]["pid"]);
    assert_ne!(words[1]["pid"], words[1]["state"]["pid"], "the process of exec, not the container's first");
}

#[test]
fn an_agent_that_is_not_there_is_an_error_and_leaves_nothing() {
    let mut bundle = Bundle::new("true");
    bundle.config["linux"]["seccomp"] = allowing(json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]));
    bundle.config["linux"]["seccomp"]["listenerPath"] = json!(bundle.path().join("nobody.sock"));
    let said = bundle.run("x");
    assert!(said.code == 1 && said.err.contains("hand the system calls to the agent at"), "{said:?}");
    assert_eq!(bundle.call(&["list", "-q"]).out, "");
}

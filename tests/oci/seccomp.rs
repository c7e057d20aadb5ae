//! The system call filter (config-linux.md "Seccomp").

use crate::bundle::Bundle;
use crate::case::{Case, case, check, seen};
use crate::console::{accept, receive};
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

/// A filter that allows all but what `rules` say.
fn filter(rules: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": rules})
}

fn with(name: &'static str, rules: Value) -> Case {
    case(name).config(move |config| config["linux"]["seccomp"] = filter(rules.clone()))
}

/// `mkdir` with an action.
fn mkdir(action: &str) -> Value {
    json!([{"names": ["mkdir", "mkdirat"], "action": action}])
}

/// `kill(2)`, refused when the signal compares with a number.
fn kill_if(op: &str, value: u64, value_two: u64) -> Value {
    json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": value, "valueTwo": value_two, "op": op}]}])
}

/// Sends harmless signals 0, 18 (CONT) and 28 (WINCH), and prints those that it could send.
const SIGNALS: &str = "for s in 0 18 28; do kill -$s $$ 2> /dev/null && echo $s; done | tr '\\n' ' '";

#[test]
fn calls_end_as_the_action_says() {
    check(vec![
        with("an error", mkdir("SCMP_ACT_ERRNO")).prints("mkdir /x 2>&1", "mkdir: can't create directory '/x': Operation not permitted\n[exit 1]"),
        with("another error", json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]))
            .prints("mkdir /x 2>&1", "mkdir: can't create directory '/x': No space left on device\n[exit 1]"),
        with("the process is killed", mkdir("SCMP_ACT_KILL_PROCESS")).prints("mkdir /x; echo $?", "159"),
        with("the thread is killed", mkdir("SCMP_ACT_KILL")).prints("mkdir /x; echo $?", "159"),
        with("likewise, by its new name", mkdir("SCMP_ACT_KILL_THREAD")).prints("mkdir /x; echo $?", "159"),
        with("a signal", mkdir("SCMP_ACT_TRAP")).prints("mkdir /x; echo $?", "159"),
        with("nobody who traces", mkdir("SCMP_ACT_TRACE")).prints("mkdir /x 2>&1", "mkdir: can't create directory '/x': Function not implemented\n[exit 1]"),
        with("a note in the log", mkdir("SCMP_ACT_LOG")).prints("mkdir /x; ls -d /x", "/x"),
        with("allowed", mkdir("SCMP_ACT_ALLOW")).prints("mkdir /x; ls -d /x", "/x"),
        with("a call that there is not", json!([{"names": ["fly", "mkdir"], "action": "SCMP_ACT_ERRNO"}])).prints("mkdir /x 2> /dev/null; echo $?", "1"),
        with("an action that there is not", mkdir("SCMP_ACT_FLY")).refused(),
        with("an architecture that there is not", json!([])).config(|c| c["linux"]["seccomp"]["architectures"] = json!(["SCMP_ARCH_ABACUS"])).refused(),
        case("a filter shows in proc, and needs no privileges given up").config(|c| c["linux"]["seccomp"] = filter(mkdir("SCMP_ACT_ERRNO")))
            .prints("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status", "NoNewPrivs:\t0\nSeccomp:\t2"),
        case("a filter for a user without privileges").config(|c| {
                c["linux"]["seccomp"] = filter(mkdir("SCMP_ACT_ERRNO"));
                c["process"]["user"] = json!({"uid": 33, "gid": 33});
                c["process"]["noNewPrivileges"] = json!(true);
            }).prints("mkdir /tmp/x 2> /dev/null; echo $?; grep Seccomp: /proc/self/status", "1\nSeccomp:\t2"),
        case("nothing allowed but what is listed").config(|c| {
                c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [{"names": [
                    "execve", "exit", "exit_group", "write", "writev", "brk", "mmap", "munmap", "mprotect", "arch_prctl", "set_tid_address",
                    "read", "close", "openat", "open", "newfstatat", "fstat", "stat", "prctl", "futex", "capset", "capget", "setuid", "setgid", "setgroups",
                    "chdir", "getdents64", "epoll_ctl", "epoll_pwait", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "nanosleep", "getpid", "tgkill", "fcntl", "lstat",
                    "set_robust_list", "rseq", "prlimit64", "readlink", "getrandom", "getuid", "getgid", "getppid", "umask", "madvise", "close_range", "faccessat", "faccessat2", "access", "statx", "getcwd", "poll", "ppoll", "lseek", "sched_yield", "gettid",
                    "sched_getaffinity", "clone", "clone3", "wait4", "dup", "dup2", "dup3", "ioctl", "getpgrp", "geteuid", "getegid"
                ], "action": "SCMP_ACT_ALLOW"}]});
            }).runs(&["mkdir", "/x"], "[exit 1]"),
    ]);
}

#[test]
fn arguments_are_compared() {
    check(vec![
        with("equal", kill_if("SCMP_CMP_EQ", 18, 0)).prints(SIGNALS, "0 28"),
        with("not equal", kill_if("SCMP_CMP_NE", 18, 0)).prints(SIGNALS, "18"),
        with("less", kill_if("SCMP_CMP_LT", 18, 0)).prints(SIGNALS, "18 28"),
        with("less or equal", kill_if("SCMP_CMP_LE", 18, 0)).prints(SIGNALS, "28"),
        with("greater", kill_if("SCMP_CMP_GT", 18, 0)).prints(SIGNALS, "0 18"),
        with("greater or equal", kill_if("SCMP_CMP_GE", 18, 0)).prints(SIGNALS, "0"),
        with("some bits", kill_if("SCMP_CMP_MASKED_EQ", 0x8, 0x8)).prints(SIGNALS, "0 18"),
        with("any of several for one argument", json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [
            {"index": 1, "value": 10, "op": "SCMP_CMP_GT"}, {"index": 1, "value": 20, "op": "SCMP_CMP_LT"}]}])).prints(SIGNALS, ""),
        with("a comparison that there is not", kill_if("SCMP_CMP_LIKE", 18, 0)).refused(),
        with("an argument that there is not", json!([{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}])).refused(),
    ]);
}

#[test]
fn other_architectures_and_flags() {
    let flags = |name, flags: &'static [&'static str]| {
        with(name, mkdir("SCMP_ACT_ERRNO")).config(move |c| c["linux"]["seccomp"]["flags"] = flags.into())
    };
    check(vec![
        flags("log", &["SECCOMP_FILTER_FLAG_LOG"]).prints("mkdir /x 2> /dev/null; echo $?", "1").since_runc(1, 2),
        flags("all threads, speculation", &["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
            .prints("mkdir /x 2> /dev/null; echo $?", "1")
            .since_runc(1, 2),
        flags("one that there is not", &["SECCOMP_FILTER_FLAG_FLY"]).refused(),
        with("without architectures the machines own", mkdir("SCMP_ACT_ERRNO"))
            .config(|c| drop(c["linux"]["seccomp"].as_object_mut().unwrap().remove("architectures")))
            .prints("mkdir /x 2> /dev/null; echo $?", "1"),
    ]);
}

#[test]
fn calls_are_told_to_a_listener() {
    check(vec![
        case("who answers")
            .sees("seccompFd words true 1 mkdir: can't create directory '/x': Function not implemented", listen),
        with("nobody listens", mkdir("SCMP_ACT_NOTIFY"))
            .config(|c| c["linux"]["seccomp"]["listenerPath"] = json!("/nowhere.sock"))
            .refused(),
        with("no path to a listener", mkdir("SCMP_ACT_NOTIFY")).refused(),
        with("a listener for writing", json!([{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]))
            .config(|c| c["linux"]["seccomp"]["listenerPath"] = json!("/nowhere.sock"))
            .refused(),
    ]);
}

/// Takes the listening descriptor, and looks at what came with it.
fn listen(bundle: &Bundle) -> String {
    let path = bundle.path().join("listener.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let taken = std::thread::spawn(move || {
        accept(&listener).map(|socket| {
            // Whose descriptors go at once: nobody answers any more, and the call is one that the kernel does not have.
            let (state, fds) = receive(socket.as_fd());
            (state, fds.len())
        })
    });
    let mut with_listener = Bundle::new(bundle.runtime);
    with_listener.config["linux"]["seccomp"] = filter(mkdir("SCMP_ACT_NOTIFY"));
    with_listener.config["linux"]["seccomp"]["listenerPath"] = json!(path);
    with_listener.config["linux"]["seccomp"]["listenerMetadata"] = json!("words");
    with_listener.script("mkdir /x 2>&1");
    let output = with_listener.run();
    let Some((state, fds)) = taken.join().unwrap() else { return seen(&output) };
    let state: Value = serde_json::from_str(&state).unwrap();
    format!(
        "{} {} {} {fds} {}",
        state["fds"][0].as_str().unwrap(),
        state["metadata"].as_str().unwrap(),
        state["state"]["id"] == json!(with_listener.id),
        output.stdout.trim_end()
    )
}

//! `init`, the process 1 for programs that know nothing of being one; and `--init`, which puts it there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Said, make_rootfs, program, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// In a container with an init.
fn with_init(dir: &Path, script: &str) -> Command {
    let mut command = Command::new(program());
    command.arg("--root").arg(dir.join("state")).args(["--pid", "--mount", "--init", "--rootfs"]);
    command.arg(dir.join("rootfs")).args(["--", "sh", "-c", script]);
    command
}

fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    make_rootfs(&dir.path().join("rootfs"));
    dir
}

#[test]
fn it_is_process_1_and_ends_as_the_program_ends() {
    let dir = place();
    let run = |script: &str| -> Said { with_init(dir.path(), script).output().unwrap().into() };
    let said = run("echo $$ $PPID; tr '\\0' ' ' </proc/1/cmdline; exit 7");
    assert_eq!((said.code, said.out.lines().next()), (7, Some("2 1")), "{said:?}");
    assert!(said.out.contains("/dev/init init -- sh -c"), "{said:?}");
    assert_eq!(run("kill -9 $$").code, 137);
    let mut command = with_init(dir.path(), "");
    let said: Said = command.arg("--").output().unwrap().into();
    assert_eq!(said.code, 0, "{said:?}");
    for (program, code) in [("/no/pe", 127), ("/etc", 126)] {
        let mut command = Command::new(common::program());
        let said: Said = command.args(["init", "--", program]).output().unwrap().into();
        assert_eq!(said.code, code, "{said:?}");
    }
}

#[test]
fn the_program_file_can_neither_be_written_to_nor_is_it_left_behind() {
    let dir = place();
    let before = fs::read(program()).unwrap();
    let script = "for f in /dev/init /proc/1/exe; do (echo x >$f) 2>/dev/null && echo written to $f; done; \
                  tr '\\0' '\\n' </proc/1/environ";
    let said: Said = with_init(dir.path(), script).env("SECRET", "of the host").output().unwrap().into();
    assert!(said.code == 0 && !said.out.contains("written") && !said.out.contains("SECRET"), "{said:?}");
    assert!(fs::read(program()).unwrap() == before);
    assert_eq!(fs::read_dir(dir.path().join("rootfs/dev")).unwrap().count(), 0);
}

#[test]
fn signals_reach_the_program_which_a_process_1_would_not_get() {
    let dir = place();
    for (script, signal, code) in [
        ("echo ready; exec sleep 1000", Signal::TERM, 143),
        ("echo ready; exec sleep 1000", Signal::USR1, 128 + 10),
        ("trap 'exit 5' HUP; echo ready; while :; do sleep 0.05; done", Signal::HUP, 5),
    ] {
        let mut child = with_init(dir.path(), script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{script}: {signal:?}");
    }
}

#[test]
fn whoever_has_lost_his_parent_is_reaped() {
    let dir = place();
    let orphan = "sh -c 'sleep 0.2 & echo $! >/tmp/orphan'; read o </tmp/orphan; grep PPid /proc/$o/status; \
                  while [ -e /proc/$o ]; do sleep 0.05; done; echo gone";
    let said: Said = with_init(dir.path(), orphan).output().unwrap().into();
    assert_eq!(said.out, "PPid:\t1\ngone", "{said:?}");
    // Not being process 1, it asks for them.
    let file = dir.path().join("orphan");
    let orphan = orphan.replace("/tmp/orphan", file.to_str().unwrap());
    let mut command = Command::new(program());
    let said: Said = command.args(["init", "--", "sh", "-c", &orphan]).output().unwrap().into();
    assert!(said.out.ends_with("gone") && !said.out.starts_with("PPid:\t1\n"), "{said:?}");
}

#[test]
fn it_answers_to_the_name_of_dockers() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("docker-init");
    std::os::unix::fs::symlink(program(), &name).unwrap();
    let said: Said = Command::new(&name).args(["--", "sh", "-c", "exit 3"]).output().unwrap().into();
    assert_eq!(said.code, 3, "{said:?}");
}

#[test]
fn a_signal_that_came_before_the_program_ends_it_too() {
    let mut child = Command::new(program()).args(["init", "--", "sleep", "1000"]).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let children = format!("/proc/{0}/task/{0}/children", pid.as_raw_pid());
    until("it has a child", || fs::read_to_string(&children).is_ok_and(|text| !text.is_empty()));
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

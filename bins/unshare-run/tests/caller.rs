//! A container is the same whoever makes it: his open files, signals, limits, folder and environment are not its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, Said, processes_with};
use std::fs;
use std::process::{Command, Stdio};

/// Runs `SHELL_CODE; exec unshare-run ... run` in bash.
fn run_after(bundle: &Bundle, code: &str) -> Said {
    bundle.command(&[]); // writes config.json
    let ours = format!("{} --root {}", common::program().display(), bundle.state_root().display());
    let script = format!("{code} exec {ours} run --bundle {} x", bundle.path().display());
    Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn standard_streams_that_are_closed_are_the_null_device() {
    let bundle = Bundle::new("for n in 0 1 2; do readlink /proc/self/fd/$n; done > /told; echo out; echo err >&2");
    let said = run_after(&bundle, "exec 0<&- 1>&- 2>&-;");
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    assert_eq!(fs::read_to_string(bundle.rootfs().join("told")).unwrap(), "/dev/null\n/told\n/dev/null\n");
    // The container's files must not come to stand where a stream was.
    let bundle = Bundle::new("ls -l /proc/self/fd | grep -c exec.fifo; echo err >&2");
    let said = run_after(&bundle, "exec 2>&-;");
    assert_eq!((said.code, said.out.as_str()), (0, "0"), "{said:?}");
}

#[test]
fn open_files_stay_outside() {
    let bundle = Bundle::new("ls /proc/self/fd | wc -l");
    let said = run_after(&bundle, "for n in {3..200}; do eval \"exec $n</dev/null\"; done;");
    assert_eq!((said.code, said.out.trim()), (0, "4"), "0, 1, 2 and that of the folder: {said:?}");
}

#[test]
fn sockets_of_systemd_reach_the_program_and_a_file_of_ours_never_does() {
    let bundle =
        Bundle::new("echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3; readlink /proc/self/fd/4 /proc/self/fd/5");
    let said = run_after(&bundle, "exec 3</dev/zero; export LISTEN_FDS=1 LISTEN_PID=$BASHPID;");
    assert_eq!(said.out, "1 1\n/dev/zero", "{said:?}");
    let said = run_after(&bundle, "exec 3</dev/zero; export LISTEN_FDS=1 LISTEN_PID=1;");
    assert_eq!(said.out, "", "they are somebody else's: {said:?}");
    // The log is open when descriptors are looked at, and might be taken for what the caller meant.
    let log = bundle.path().join("log");
    let place = bundle.path().to_str().unwrap();
    let said = bundle.call(&["--log", log.to_str().unwrap(), "run", "--preserve-fds", "1", "--bundle", place, "x"]);
    assert!(said.code == 1 && said.err.contains("descriptor 3 is not open"), "{said:?}");
}

#[test]
fn twenty_open_files_are_enough() {
    let bundle = Bundle::new("ulimit -n; echo fine");
    let said = run_after(&bundle, "ulimit -n 20;");
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "20\nfine", ""));
}

#[test]
fn signals_are_as_for_anybody() {
    let bundle = Bundle::new("grep -E '^Sig(Blk|Ign)' /proc/self/status; kill -TERM $$");
    let said = run_after(&bundle, "trap '' TERM HUP INT CHLD PIPE USR1;");
    let expected = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000";
    assert_eq!((said.out.as_str(), said.err.as_str()), (expected, ""), "{said:?}");
    // In a pid namespace of its own the first process is not ended by a signal that it does not handle.
    assert_eq!(said.code, 0);
}

#[test]
fn an_ignored_sigchld_hides_no_exit_code() {
    let bundle = Bundle::new("exit 7");
    assert_eq!(run_after(&bundle, "trap '' CHLD;").code, 7);
}

#[test]
fn folder_mask_and_environment_are_its_own() {
    let bundle = Bundle::new("umask; pwd; env | sort");
    let said = run_after(&bundle, "umask 077; cd /tmp; export LD_LIBRARY_PATH=/evil LOCPATH=/evil SECRET=1 IFS=x;");
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.starts_with("0022\n/\n") && said.out.contains(path), "{said:?}");
    for leak in ["SECRET", "LD_LIBRARY", "LOCPATH", "CTR_"] {
        assert!(!said.out.contains(leak), "{leak}: {said:?}");
    }
}

#[test]
fn a_folder_that_is_gone_does_not_matter() {
    let bundle = Bundle::new("pwd");
    let said = run_after(&bundle, "mkdir /tmp/gone-$$; cd /tmp/gone-$$; rmdir /tmp/gone-$$;");
    assert_eq!((said.code, said.out.as_str()), (0, "/"), "{said:?}");
}

#[test]
fn no_environment_at_all_is_enough() {
    let bundle = Bundle::new("echo fine");
    bundle.command(&[]); // writes config.json
    let place = bundle.path().to_str().unwrap();
    let mut command = bundle.command(&["run", "--bundle", place, "x"]);
    command.env_clear();
    let said: Said = command.output().unwrap().into();
    assert_eq!((said.code, said.out.as_str()), (0, "fine"), "{said:?}");
}

#[test]
fn the_callers_end_is_not_the_containers() {
    // `create` and `start` by somebody who ends in between, with the signal that a shell's jobs get then.
    let bundle = Bundle::new("sleep 1000");
    bundle.command(&[]); // writes config.json
    let ours = format!("{} --root {}", common::program().display(), bundle.state_root().display());
    let script =
        format!("setsid bash -c '{ours} create --bundle {} x </dev/null >/dev/null 2>&1'", bundle.path().display());
    assert!(Command::new("bash").args(["-c", &script]).status().unwrap().success());
    assert_eq!(bundle.state("x")["status"], "created");
    assert_eq!(bundle.call(&["start", "x"]).code, 0);
    assert_eq!(bundle.state("x")["status"], "running");
    // A session of its own: no terminal's signal reaches it.
    let stat = fs::read_to_string(format!("/proc/{}/stat", bundle.pid("x"))).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(fields[3], bundle.pid("x").to_string(), "it leads its session: {stat}");
}

#[test]
fn nothing_of_ours_stays_while_a_container_runs() {
    let bundle = Bundle::new("sleep 1000");
    let place = bundle.path().to_str().unwrap();
    bundle.create("a");
    assert_eq!(bundle.call(&["start", "a"]).code, 0);
    assert!(
        bundle.command(&["run", "--detach", "--bundle", place, "b"]).stdout(Stdio::null()).status().unwrap().success()
    );
    let ours = processes_with(place);
    assert!(ours.is_empty(), "{ours:?}");
    for id in ["a", "b"] {
        let exe = fs::read_link(format!("/proc/{}/exe", bundle.pid(id))).unwrap();
        assert_eq!(exe, std::path::Path::new("/bin/busybox"), "{id}");
    }
}

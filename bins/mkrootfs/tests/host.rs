//! `mkrootfs host`, `check` and `tar`, as their user runs them.

#![allow(clippy::unwrap_used)]

mod common;

use common::{inside, make, mkrootfs, text};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_shell_and_its_tools_run_in_the_new_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    let said = make(&["host", root.to_str().unwrap()]);
    assert!(said.contains("programs") && said.contains("libraries"), "{said}");
    assert_eq!(inside(&root, &["sh", "-c", "cd /tmp && echo one two | sed s/one/three/ && pwd"]), "three two\n/tmp\n");
    assert!(inside(&root, &["id"]).starts_with("uid=0(root) gid=0(root)"));
    assert!(inside(&root, &["ls", "-l", "/etc"]).contains("passwd"));
    let said = make(&["check", root.to_str().unwrap()]);
    assert!(said.contains("programs are complete"), "{said}");
    // What is a link on the host is one here.
    for path in ["bin", "usr/bin/sh", "bin/sh"] {
        assert_eq!(fs::read_link(root.join(path)).ok(), fs::read_link(Path::new("/").join(path)).ok(), "{path}");
    }
}

#[test]
fn the_same_host_gives_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let listings = ["a", "b"].map(|name| {
        let root = dir.path().join(name);
        make(&["host", root.to_str().unwrap()]);
        let mut listing = Vec::new();
        list(&root, &root, &mut listing);
        listing.sort();
        listing
    });
    assert!(listings[0].len() > 50);
    assert_eq!(listings[0], listings[1]);
}

/// All that a tar archive would tell of each file.
fn list(root: &Path, folder: &Path, listing: &mut Vec<(PathBuf, u32, i64, u64, Option<PathBuf>)>) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let about = fs::symlink_metadata(&entry).unwrap();
        let size = if about.is_file() { about.size() } else { 0 };
        let name = entry.strip_prefix(root).unwrap().to_owned();
        listing.push((name, about.mode(), about.mtime(), size, fs::read_link(&entry).ok()));
        if about.is_dir() {
            list(root, &entry, listing);
        }
    }
}

#[test]
fn one_more_program_may_be_asked_for_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let (script, root) = (dir.path().join("greet"), dir.path().join("rootfs"));
    fs::write(&script, "#!/bin/sh\necho hello from $0\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    make(&["host", root.to_str().unwrap(), "--bin", script.to_str().unwrap()]);
    assert_eq!(inside(&root, &["greet"]), "hello from /usr/local/bin/greet\n");
}

#[test]
fn whatever_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    let output = mkrootfs(&["host", root.to_str().unwrap(), "--bin", "no-such-program"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).starts_with("mkrootfs: find no-such-program: it is not in PATH"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    fs::create_dir(&root).unwrap();
    fs::write(root.join("precious"), "").unwrap();
    let output = mkrootfs(&["host", root.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("the folder is not empty"), "{}", text(&output.stderr));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
}

#[test]
fn stopped_by_a_signal_it_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    // An archive that never ends: the tool waits for more of it when the signal comes.
    let mut child = Command::new(common::program())
        .args(["tar", "-", root.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut archive = child.stdin.take().unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("file").unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_cksum();
    archive.write_all(header.as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(dir.path()).unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "nothing is made");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // The note is left by another thread: go on until it is seen.
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "still runs");
        let _ = archive.write_all(header.as_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("stopped by a signal"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_user_who_is_not_root_can_make_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // Where the program was built may be closed to others. By cp(1): a file that we had open for writing while another
    // test starts a process could not be executed.
    let program = dir.path().join("mkrootfs");
    assert!(Command::new("cp").arg(common::program()).arg(&program).status().unwrap().success());
    let output =
        Command::new(&program).args(["host", "rootfs"]).current_dir(dir.path()).gid(65534).uid(65534).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(dir.path().join("rootfs/etc/passwd").metadata().unwrap().uid(), 65534);
    assert!(inside(&dir.path().join("rootfs"), &["echo", "ok"]).starts_with("ok"));
}

#[test]
fn check_says_which_library_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    make(&["host", root.to_str().unwrap()]);
    let closure = make(&["closure", "--root", root.to_str().unwrap(), "sh", "--json"]);
    let closure: serde_json::Value = serde_json::from_str(&closure).unwrap();
    let Some(library) = closure[0]["needs"].as_array().unwrap().last() else {
        // A static shell needs nothing, and nothing of it can be missing.
        return;
    };
    let path = library["path"].as_str().unwrap().trim_start_matches('/');
    fs::remove_file(root.join(path)).unwrap();
    let output = mkrootfs(&["check", root.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let name = library["name"].as_str().unwrap();
    assert!(text(&output.stdout).contains(&format!("{name} is not there")), "{}", text(&output.stdout));
}

#[test]
fn an_archive_of_a_root_gives_that_root_again() {
    let dir = tempfile::tempdir().unwrap();
    let (root, archive, again) = (dir.path().join("rootfs"), dir.path().join("root.tar.gz"), dir.path().join("again"));
    make(&["host", root.to_str().unwrap()]);
    let tar = Command::new("tar").arg("-C").arg(&root).arg("-czf").arg(&archive).arg(".").status().unwrap();
    assert!(tar.success());
    make(&["tar", archive.to_str().unwrap(), again.to_str().unwrap()]);
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    list(&root, &root, &mut before);
    list(&again, &again, &mut after);
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

#[test]
fn a_wrong_command_line_exits_with_125_and_help_with_0() {
    assert_eq!(mkrootfs(&["host"]).status.code(), Some(125));
    assert_eq!(mkrootfs(&["--help"]).status.code(), Some(0));
    assert_eq!(mkrootfs(&["--version"]).status.code(), Some(0));
}

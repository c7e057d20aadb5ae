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

/// The digest of a tree as tar(1) sees it: names, modes, times, links, content.
fn digest(root: &Path) -> String {
    let script = "tar --sort=name --numeric-owner -C \"$1\" -c . | sha256sum";
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(root).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_same_host_gives_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let make_with = |name: &str, epoch: &str| {
        let root = dir.path().join(name);
        let mut command = Command::new(common::program());
        command.args(["host", root.to_str().unwrap()]).env_remove("SOURCE_DATE_EPOCH");
        if !epoch.is_empty() {
            command.env("SOURCE_DATE_EPOCH", epoch);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        root
    };
    let (a, b) = (make_with("a", ""), make_with("b", ""));
    assert_eq!(digest(&a), digest(&b));
    let (early, again) = (make_with("early", "1000000000"), make_with("again", "1000000000"));
    assert_eq!(digest(&early), digest(&again));
    assert_ne!(digest(&early), digest(&a));
    let mut listing = Vec::new();
    list(&early, &early, &mut listing);
    assert!(listing.len() > 50 && listing.iter().all(|(_, _, time, ..)| *time <= 1_000_000_000));
    assert_eq!(early.join("etc/passwd").metadata().unwrap().mtime(), 1_000_000_000);

    let output = Command::new(common::program())
        .args(["host", dir.path().join("wrong").to_str().unwrap()])
        .env("SOURCE_DATE_EPOCH", "yesterday")
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("read SOURCE_DATE_EPOCH=yesterday"), "{}", text(&output.stderr));
}

#[test]
fn no_link_leads_to_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    make(&["host", root.to_str().unwrap()]);
    let mut listing = Vec::new();
    list(&root, &root, &mut listing);
    for (link, target) in listing.into_iter().filter_map(|(path, .., target)| Some((path, target?))) {
        assert!(target.is_relative(), "{} -> {}", link.display(), target.display());
        let end = fs::canonicalize(root.join(&link)).unwrap();
        assert!(end.starts_with(&root), "{} leads to {}", link.display(), end.display());
    }
}

#[test]
fn only_what_is_asked_for_may_be_one_program_with_many_names() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    make(&["host", root.to_str().unwrap(), "--only", "--with", "busybox"]);
    assert_eq!(
        inside(&root, &["sh", "-c", "echo one two | sed s/one/three/; readlink /proc/self/exe || true"]),
        "three two\n"
    );
    assert!(!root.join("usr/bin/bash").exists());
    make(&["check", root.to_str().unwrap()]);
}

#[test]
fn the_time_zone_is_the_one_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    let args = ["host", root.to_str().unwrap(), "--timezone", "Asia/Kathmandu"];
    let output = mkrootfs(&args);
    if !Path::new("/usr/share/zoneinfo/Asia/Kathmandu").exists() {
        assert!(text(&output.stderr).contains("find the time zone Asia/Kathmandu"), "{}", text(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(inside(&root, &["date", "-d", "@0", "+%H:%M"]), "05:30\n");
    for wrong in ["Asia/Nowhere", "../../etc/passwd", "Asia"] {
        let output = mkrootfs(&["host", dir.path().join("wrong").to_str().unwrap(), "--timezone", wrong]);
        assert!(text(&output.stderr).contains("find the time zone"), "{wrong}: {}", text(&output.stderr));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_script_that_is_its_own_interpreter_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (script, other) = (dir.path().join("ring"), dir.path().join("other"));
    for (file, interpreter) in [(&script, &other), (&other, &script)] {
        fs::write(file, format!("#!{}\n", interpreter.display())).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let root = dir.path().join("rootfs");
    let output = mkrootfs(&["host", root.to_str().unwrap(), "--bin", script.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("a script that is to be read by itself"), "{}", text(&output.stderr));
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

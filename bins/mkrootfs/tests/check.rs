//! `mkrootfs check`: each thing that would not run is a line.

#![allow(clippy::unwrap_used)]

mod common;

use common::{make, mkrootfs, text};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A root filesystem to break, in a folder that goes with it.
fn root() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    make(&["host", root.to_str().unwrap()]);
    (dir, root)
}

fn add(root: &Path, path: &str, content: &[u8]) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What `check` says, which must be that something is missing, without its last line.
fn lacks(root: &Path) -> Vec<String> {
    let output = mkrootfs(&["check", root.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(lines.pop().unwrap().contains("programs are complete"));
    lines
}

#[test]
fn a_whole_root_lacks_nothing_and_says_so_as_json_too() {
    let (_dir, root) = root();
    let said: serde_json::Value = serde_json::from_str(&make(&["check", "--json", root.to_str().unwrap()])).unwrap();
    assert!(said["programs"].as_u64().unwrap() > 50 && said["missing"].as_array().unwrap().is_empty(), "{said}");
}

#[test]
fn links_interpreters_and_the_shell_are_missed() {
    let (_dir, root) = root();
    symlink("/etc/alternatives/nothing", root.join("usr/bin/editor")).unwrap();
    symlink("/proc/self/mounts", root.join("etc/mtab")).unwrap();
    add(&root, "usr/local/bin/script", b"#!/opt/none/python -u\n");
    add(&root, "usr/local/bin/asks", b"#!/usr/bin/env -S LANG=C no-such-language\n");
    add(&root, "usr/share/example", b"#!/opt/none/other\n");
    assert_eq!(
        lacks(&root),
        [
            "/usr/bin/editor: leads to /etc/alternatives/nothing, which is not there",
            "/usr/local/bin/asks: its interpreter no-such-language is not there",
            "/usr/local/bin/script: its interpreter /opt/none/python is not there",
        ]
    );
    for name in ["usr/local/bin/asks", "usr/local/bin/script", "usr/bin/editor"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    fs::remove_file(root.join("bin/sh")).unwrap();
    assert!(lacks(&root).contains(&"/bin/sh: there is no shell".to_owned()));
}

#[test]
fn programs_and_libraries_of_another_processor_are_told_from_missing_ones() {
    let (_dir, root) = root();
    let closure = make(&["closure", "--root", root.to_str().unwrap(), "ls", "--json"]);
    let closure: serde_json::Value = serde_json::from_str(&closure).unwrap();
    let needs = closure[0]["needs"].as_array().unwrap();
    let (loader, library) = (needs[0]["path"].as_str().unwrap(), needs[1]["path"].as_str().unwrap());
    let name = needs[1]["name"].as_str().unwrap();
    // The number of the processor is in bytes 18 and 19: 50 is one that nobody has.
    let change = |path: &str| {
        let file = root.join(path.trim_start_matches('/'));
        let before = fs::read(&file).unwrap();
        let mut after = before.clone();
        after[18..20].copy_from_slice(&50u16.to_le_bytes());
        fs::write(&file, after).unwrap();
        move || fs::write(&file, &before).unwrap()
    };
    let undo = change("/usr/bin/cat");
    let said = lacks(&root);
    let start = "/usr/bin/cat: is for processor 50, and this machine is ";
    assert!(said.iter().any(|line| line.starts_with(start)), "{said:?}");
    undo();

    let undo = change(library);
    let said = lacks(&root);
    let start = format!("/usr/bin/ls: {name} for ");
    assert!(said.iter().any(|line| line.starts_with(&start) && line.contains("is for processor 50")), "{said:?}");
    undo();

    add(
        &root,
        "usr/bin/broken",
        b"\x7fELF\x01\x01 of 32 bits, and cut short ................................................",
    );
    assert_eq!(lacks(&root).len(), 1);
    fs::remove_file(root.join("usr/bin/broken")).unwrap();

    // A helper program that is in no folder of PATH.
    fs::create_dir_all(root.join("usr/lib/helpers")).unwrap();
    fs::copy(root.join("usr/bin/ls"), root.join("usr/lib/helpers/ls")).unwrap();
    fs::remove_file(fs::canonicalize(root.join(loader.trim_start_matches('/'))).unwrap()).unwrap();
    let said = lacks(&root);
    for program in ["/usr/bin/ls", "/usr/lib/helpers/ls"] {
        assert!(said.contains(&format!("{program}: its loader {loader} is not there")), "{said:?}");
    }
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
fn a_program_that_finds_its_libraries_beside_itself_stays_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let (app, root) = (dir.path().join("app"), dir.path().join("rootfs"));
    fs::create_dir_all(app.join("bin")).unwrap();
    fs::create_dir_all(app.join("lib")).unwrap();
    let script = "echo 'int seven(void) { return 7; }' > l.c && cc -shared -o lib/libseven.so l.c &&
        echo 'int seven(void); int main(void) { return seven(); }' > m.c &&
        cc -o bin/seven m.c -Llib -lseven -Wl,-rpath,'$ORIGIN/../lib'";
    let built = Command::new("sh").args(["-c", script]).current_dir(&app).output().unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    make(&["host", root.to_str().unwrap(), "--bin", app.join("bin/seven").to_str().unwrap()]);
    // Not by the loader's cache, which another C library's loader does not read.
    fs::remove_file(root.join("etc/ld.so.cache")).unwrap();
    // The loader asks /proc where its program is. A container has it.
    let script = "mount -t proc proc \"$1/proc\" && exec chroot \"$1\" /usr/local/bin/seven";
    let run = Command::new("unshare").args(["--mount", "sh", "-c", script, "sh"]).arg(&root).output().unwrap();
    assert_eq!(run.status.code(), Some(7), "{}", text(&run.stderr));
    make(&["check", root.to_str().unwrap()]);
}

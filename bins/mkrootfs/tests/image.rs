//! `mkrootfs image`: what becomes of the tar that `layerfs export` writes, with a script in its place.

#![allow(clippy::unwrap_used)]

mod common;

use common::{program, text};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

fn image(dir: &Path, script: &str) -> Output {
    // By cp(1): a file that we had open for writing while another test starts a process could not be executed.
    let (draft, layerfs) = (dir.join("draft"), dir.join("layerfs"));
    fs::write(&draft, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg(&draft).arg(&layerfs).status().unwrap().success());
    Command::new(program())
        .args(["image", "demo:1", dir.join("rootfs").to_str().unwrap()])
        .env("CTR_LAYERFS", &layerfs)
        .output()
        .unwrap()
}

#[test]
fn an_image_becomes_a_plain_folder() {
    let dir = tempfile::tempdir().unwrap();
    let script = "[ \"$*\" = 'export demo:1' ] || exit 7
        d=$(mktemp -d); mkdir -p $d/usr/bin; echo program > $d/usr/bin/p; ln -s p $d/usr/bin/q; touch -d @1000000 $d/usr/bin/p
        tar -C $d -c usr/bin/p usr/bin/q; rm -r $d";
    let output = image(dir.path(), script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let root = dir.path().join("rootfs");
    assert_eq!(fs::read_to_string(root.join("usr/bin/q")).unwrap(), "program\n");
    assert_eq!(root.join("usr/bin/p").metadata().unwrap().mtime(), 1_000_000);
}

#[test]
fn what_layerfs_says_is_the_cause_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    for (script, cause) in [
        ("echo 'layerfs: no such image: demo:1' >&2; exit 125", "layerfs: no such image: demo:1"),
        // It breaks off, and says why.
        ("head -c 1000 /dev/zero | tr '\\0' x; echo disk trouble >&2; exit 1", "disk trouble"),
        ("kill -KILL $$", "signal: 9 (SIGKILL)"),
    ] {
        let output = image(dir.path(), script);
        let said = text(&output.stderr);
        assert!(said.starts_with("mkrootfs: extract the image demo:1: ") && said.contains(cause), "{said}");
        assert_eq!(output.status.code(), Some(125));
        let left = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
        assert_eq!(left.filter(|name| name != "draft" && name != "layerfs").count(), 0);
    }
    // It says that all is well, and what it wrote is no archive.
    let output = image(dir.path(), "head -c 1000 /dev/zero | tr '\\0' x");
    assert_eq!(output.status.code(), Some(125), "{}", text(&output.stderr));
}

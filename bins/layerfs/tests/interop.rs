//! The store is an OCI image layout: skopeo and umoci read it in place, and what they write is ours to use.
//!
//! Where a program is not installed its tests say so and count as passed, unless `CI` is set.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root, succeeded};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// Whether a program is there; says so where it is not.
fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is not installed, and in CI nothing is skipped");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

fn run(program: &str, args: &[&str]) -> String {
    succeeded(Command::new(program).args(args).output().unwrap())
}

fn images(store: &Store) -> String {
    store.root().join("images").to_str().unwrap().to_owned()
}

/// A store with `python:3-slim` of two layers, with every kind of change in the second.
fn two_layers() -> Store {
    let store = Store::new();
    store.import(&small_root(), "base");
    let m = store.mount("base");
    fs::remove_file(m.join("etc/passwd")).unwrap();
    fs::remove_dir_all(m.join("usr")).unwrap();
    fs::create_dir(m.join("usr")).unwrap();
    fs::write(m.join("usr/x"), "x").unwrap();
    fs::hard_link(m.join("usr/x"), m.join("usr/y")).unwrap();
    std::os::unix::fs::lchown(m.join("bin/sh"), Some(3_000_000), Some(5)).unwrap();
    let capability = b"\x01\x00\x00\x02\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(m.join("bin/sh"), "security.capability", capability, flags).unwrap();
    store.umount();
    store.ok(&["commit", store.path("u").to_str().unwrap(), "--parent", "base", "--tag", "python:3-slim"]);
    fs::remove_dir_all(store.path("u")).unwrap();
    store
}

/// Path, type, mode, owner, time of modification, links and content of everything below a folder but the folder itself.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        if stat.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        if path == dir {
            continue;
        }
        let content = if stat.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let links = if stat.is_file() { stat.nlink() } else { 0 };
        let mut value = vec![0; 64];
        let length = rustix::fs::lgetxattr(&path, "security.capability", &mut value).unwrap_or(0);
        let name = path.strip_prefix(dir).unwrap().display();
        let (mode, uid, gid, time) = (stat.mode(), stat.uid(), stat.gid(), stat.mtime());
        found.push(format!("{name} {mode:o} {uid}:{gid} {time} {links} {:?} {content:?}", &value[..length]));
    }
    found.sort();
    found
}

#[test]
fn skopeo_reads_the_store_in_place() {
    if !have("skopeo") {
        return;
    }
    let store = two_layers();
    let reference = format!("oci:{}:python:3-slim", images(&store));
    let inspected: Value = serde_json::from_str(&run("skopeo", &["inspect", &reference])).unwrap();
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);
    let copy = store.path("copy");
    run("skopeo", &["copy", &reference, &format!("oci:{}:x", copy.display())]);
    run("skopeo", &["copy", &reference, &format!("docker-archive:{}:x:1", store.path("archive").display())]);
    assert_eq!(list(&copy.join("blobs/sha256")).len(), 4);
    store.check();
}

#[test]
fn an_image_that_skopeo_brings_is_listed_and_mounted() {
    if !have("skopeo") {
        return;
    }
    let ours = two_layers();
    let theirs = Store::new();
    theirs.ok(&["ls"]);
    for name in ["busybox", "other:1", "registry.example.com/a/b:2"] {
        let from = format!("oci:{}:python:3-slim", images(&ours));
        run("skopeo", &["copy", &from, &format!("oci:{}:{name}", images(&theirs))]);
    }
    let listed: Value = serde_json::from_str(&theirs.ok(&["ls", "--json"])).unwrap();
    assert_eq!(listed[0]["Names"], serde_json::json!(["busybox:latest", "other:1", "registry.example.com/a/b:2"]));
    let expected = tree(&ours.mount("python:3-slim"));
    assert_eq!(tree(&theirs.mount("busybox")), expected);
    theirs.umount();
    // And it can be built upon and removed like our own.
    fs::write(theirs.path("u").join("more"), "").unwrap();
    theirs.ok(&["commit", theirs.path("u").to_str().unwrap(), "--parent", "busybox", "--tag", "more"]);
    theirs.ok(&["rm", "busybox", "other:1", "registry.example.com/a/b:2"]);
    theirs.mount("more");
    theirs.umount();
    theirs.check();
    theirs.ok(&["rm", "more"]);
    assert_eq!(list(&theirs.layout().blobs()), Vec::<String>::new());
}

#[test]
fn an_image_from_a_docker_archive_is_mounted() {
    if !have("skopeo") {
        return;
    }
    let ours = two_layers();
    let archive = format!("docker-archive:{}", ours.path("archive").display());
    run("skopeo", &["copy", &format!("oci:{}:python:3-slim", images(&ours)), &format!("{archive}:x:1")]);
    let theirs = Store::new();
    theirs.ok(&["ls"]);
    run("skopeo", &["copy", &archive, &format!("oci:{}:x:1", images(&theirs))]);
    assert_eq!(tree(&theirs.mount("x:1")), tree(&ours.mount("python:3-slim")));
    theirs.check();
}

#[test]
fn umoci_unpacks_what_we_mount() {
    if !have("umoci") {
        return;
    }
    let store = two_layers();
    let image = format!("{}:python:3-slim", images(&store));
    let stat: Value = serde_json::from_str(&run("umoci", &["stat", "--json", "--image", &image])).unwrap();
    assert_eq!(stat["history"].as_array().unwrap().len(), 2);
    let bundle = store.path("bundle");
    run("umoci", &["unpack", "--image", &image, bundle.to_str().unwrap()]);
    assert_eq!(tree(&store.mount("python:3-slim")), tree(&bundle.join("rootfs")));
    store.check();
}

#[test]
fn what_umoci_adds_is_ours() {
    if !have("umoci") {
        return;
    }
    let store = two_layers();
    let file = store.path("file");
    fs::write(&file, "from umoci").unwrap();
    let image = format!("{}:python:3-slim", images(&store));
    run("umoci", &["insert", "--image", &image, "--tag", "inserted", file.to_str().unwrap(), "/usr/new"]);
    assert_eq!(fs::read(store.mount("inserted").join("usr/new")).unwrap(), b"from umoci");
    store.umount();
    let tar = Tar::new().file("a", b"").end();
    store.import(&tar, "another");
    store.check();
}

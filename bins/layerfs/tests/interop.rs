//! The store is an OCI image layout: skopeo and umoci read it in place, and what they write is ours to use.
//!
//! Where a program is not installed its tests say so and count as passed, unless `CI` is set.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, have, list, small_root, succeeded};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

fn run(program: &str, args: &[&str]) -> String {
    succeeded(Command::new(program).args(args).output().unwrap())
}

fn images(store: &Store) -> String {
    store.root().join("images").to_str().unwrap().to_owned()
}

/// A store with `python:3-slim` of two layers, with every kind of file and every kind of change.
fn two_layers() -> Store {
    let store = Store::new();
    let odd = String::from_utf8_lossy(b"./n\xc3\xa4me with\nline").into_owned();
    let long = format!("./long/{}", "x".repeat(180));
    let base = Tar(small_root()[..small_root().len() - 1024].to_vec())
        .member(b"./setuid", b'0', b"x", |header| header.set_mode(0o6755))
        .member(b"./sticky", b'5', b"", |header| header.set_mode(0o1777))
        .member(b"./tiny", b'0', b"", |header| header.set_mtime(1))
        .device("./null", b'3', 1, 3)
        .device("./disk", b'4', 259, 70_000)
        .device("./pipe", b'6', 0, 0)
        .file("./with-links", b"linked")
        .hard_link("./hard", "./with-links")
        .symlink("./dangling", "/no/such")
        .dir("./long")
        .pax(&[("path", long.as_bytes())])
        .file("./long/x", b"long")
        .pax(&[("path", odd.as_bytes())])
        .file("./odd", b"odd")
        .pax(&[("SCHILY.xattr.user.note", b"bytes\x00\n\xff"), ("uid", b"3000001"), ("gid", b"2200000")])
        .file("./noted", b"noted");
    store.import(&base.end(), "base");
    let m = store.mount("base");
    fs::remove_file(m.join("etc/passwd")).unwrap();
    fs::remove_dir_all(m.join("usr")).unwrap();
    fs::create_dir(m.join("usr")).unwrap();
    fs::write(m.join("usr/x"), "x").unwrap();
    fs::hard_link(m.join("usr/x"), m.join("usr/y")).unwrap();
    // A file in place of a folder, and a folder in place of a file.
    fs::remove_dir_all(m.join("sticky")).unwrap();
    fs::write(m.join("sticky"), "file").unwrap();
    fs::remove_file(m.join("tiny")).unwrap();
    fs::create_dir_all(m.join("tiny/deep")).unwrap();
    fs::write(m.join("long/more"), "more").unwrap();
    fs::set_permissions(m.join("noted"), fs::Permissions::from_mode(0o4711)).unwrap();
    std::os::unix::fs::lchown(m.join("bin/sh"), Some(3_000_000), Some(5)).unwrap();
    std::os::unix::fs::lchown(m.join("dangling"), Some(7), Some(8)).unwrap();
    let capability = b"\x01\x00\x00\x02\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(m.join("bin/sh"), "security.capability", capability, flags).unwrap();
    rustix::fs::setxattr(m.join("usr"), "user.folder", b"value", flags).unwrap();
    store.umount();
    store.ok(&["commit", store.path("u").to_str().unwrap(), "--parent", "base", "--tag", "python:3-slim"]);
    fs::remove_dir_all(store.path("u")).unwrap();
    store
}

/// All attributes of a file that a layer keeps, and their values.
fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut found: Vec<(String, Vec<u8>)> = names
        .map(|name| {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            (String::from_utf8_lossy(name).into_owned(), value[..length].to_vec())
        })
        // umoci writes down in one of its own whose a file is.
        .filter(|(name, _)| !name.starts_with("trusted.overlay") && !name.starts_with("user.rootlesscontainers"))
        .collect();
    found.sort();
    found
}

/// Path, type, mode, owner, time of modification, number of links, device, attributes, and content or target of everything
/// below a folder but the folder itself.
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
        let content = match (stat.is_file(), stat.is_symlink()) {
            (true, _) => fs::read(&path).unwrap(),
            (_, true) => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            _ => Vec::new(),
        };
        let links = if stat.is_dir() { 0 } else { stat.nlink() };
        let name = path.strip_prefix(dir).unwrap().display();
        let (mode, uid, gid, time, device) = (stat.mode(), stat.uid(), stat.gid(), stat.mtime(), stat.rdev());
        let xattrs = xattrs(&path);
        found.push(format!("{name} {mode:o} {uid}:{gid} {time} {links} {device} {xattrs:?} {content:?}"));
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
fn archives_go_to_skopeo_and_come_from_it_with_the_same_digests() {
    if !have("skopeo") {
        return;
    }
    let ours = two_layers();
    let (image, manifest) = {
        let found = layout::images::find(&ours.layout(), "python:3-slim").unwrap();
        (found.id, found.descriptor.digest)
    };
    let saved = ours.path("saved.tar").to_str().unwrap().to_owned();
    ours.ok(&["save", "python:3-slim", "base", "-o", &saved]);
    for (form, keeps_manifest) in [("docker-archive", false), ("oci-archive", true)] {
        // From ours to theirs: by the name, as it is in both, and into a folder that keeps the documents as they come.
        let copy = ours.path(form);
        run("skopeo", &["copy", &format!("{form}:{saved}:python:3-slim"), &format!("dir:{}", copy.display())]);
        let copied = fs::read(copy.join("manifest.json")).unwrap();
        assert!(layout::Digest::of(&copied) == manifest || !keeps_manifest, "{form}");
        let copied: Value = serde_json::from_slice(&copied).unwrap();
        assert_eq!(copied["config"]["digest"], serde_json::json!(image), "{form}");
        // And back, from an archive that is theirs.
        let theirs = ours.path(format!("{form}.tar")).to_str().unwrap().to_owned();
        run("skopeo", &["copy", &format!("oci:{}:python:3-slim", images(&ours)), &format!("{form}:{theirs}:back:1")]);
        let store = Store::new();
        assert_eq!(store.ok(&["load", "-i", &theirs]), "Loaded image: back:1\n");
        let found = layout::images::find(&store.layout(), "back:1").unwrap();
        assert_eq!(found.id, image, "{form}");
        assert!(found.descriptor.digest == manifest || !keeps_manifest, "{form}");
        assert_eq!(tree(&store.mount("back:1")), tree(&ours.mount("python:3-slim")));
        store.umount();
        ours.umount();
        store.check();
    }
}

#[test]
fn of_an_image_for_several_platforms_that_skopeo_brings_the_hosts_is_taken() {
    if !have("skopeo") {
        return;
    }
    let ours = Store::new();
    let host = layout::oci::image::Platform::host();
    let other = if host.architecture == "arm64" { "amd64" } else { "arm64" };
    let mut manifests = Vec::new();
    for architecture in [host.architecture.as_str(), other] {
        let file = Tar::new().file(architecture, b"").end();
        succeeded(ours.feed(&["import", "--platform", &format!("linux/{architecture}"), "-", architecture], &file));
        let found = layout::images::find(&ours.layout(), architecture).unwrap().descriptor;
        manifests.push(serde_json::json!({"mediaType": found.media_type, "digest": found.digest, "size": found.size,
            "platform": {"os": "linux", "architecture": architecture}}));
    }
    let kind = layout::oci::image::INDEX;
    let bytes = serde_json::to_vec(&serde_json::json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}));
    let bytes = bytes.unwrap();
    let digest = layout::Digest::of(&bytes);
    fs::write(ours.layout().blob(&digest), &bytes).unwrap();
    let mut index = layout::images::index(&ours.layout()).unwrap();
    let mut several = layout::oci::image::Descriptor::new(kind, digest, bytes.len() as u64);
    several.annotations.insert(layout::oci::image::REF_NAME.to_owned(), "several:1".to_owned());
    index.manifests.push(several);
    layout::publish::json(&ours.layout(), &ours.layout().index(), &index).unwrap();

    let theirs = Store::new();
    theirs.ok(&["ls"]);
    let (from, to) = (format!("oci:{}:several:1", images(&ours)), format!("oci:{}:several:1", images(&theirs)));
    run("skopeo", &["copy", "--all", &from, &to]);
    assert_eq!(list(&theirs.mount("several:1")), [host.architecture.as_str()]);
    theirs.umount();
    let of = |args: &[&str]| {
        let inspected: Value = serde_json::from_str(&theirs.ok(args)).unwrap();
        inspected[0]["Architecture"].as_str().unwrap().to_owned()
    };
    assert_eq!(of(&["inspect", "several:1"]), host.architecture);
    assert_eq!(of(&["inspect", "--platform", &format!("linux/{other}"), "several:1"]), other);
    let said = theirs.fails(&["inspect", "--platform", "linux/riscv64", "several:1"]);
    assert!(said.contains("no image for linux/riscv64 (here are: linux/amd64, linux/arm64)"), "{said}");
    // The other one is saved, and mounted by its id, though it is not the host's.
    theirs.ok(&["save", "--platform", other, "several:1", "-o", theirs.path("o.tar").to_str().unwrap()]);
    assert_eq!(
        ours.ok(&["load", "-i", theirs.path("o.tar").to_str().unwrap()]).lines().last(),
        Some("Loaded image: several:1")
    );
    let id = layout::images::find(&ours.layout(), "several:1").unwrap().id;
    assert_eq!(list(&theirs.mount(id.as_str())), [other]);
    theirs.umount();
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

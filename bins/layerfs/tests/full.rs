//! A full disk, one that cannot be written, one without room for names: it is said, and the store is whole.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::serve::Registry;
use common::{Store, big, list, small_root};
use rustix::mount::{MountFlags, mount, mount_remount};
use std::ffi::CStr;
use std::fs;
use std::path::Path;

const PAGE: u64 = 4096;

/// A store that is alone on a small filesystem.
fn small_disk(options: &CStr) -> Store {
    let store = Store::new();
    fs::create_dir(store.root()).unwrap();
    mount("none", store.root(), "tmpfs", MountFlags::empty(), options).unwrap();
    store
}

fn free(path: &Path) -> u64 {
    let found = rustix::fs::statvfs(path).unwrap();
    found.f_bavail * found.f_frsize
}

/// Runs a command with more and more room until it succeeds. Each time before, it says that there is none, in one line that names
/// what it was about, and leaves the store as it was; gives how often that was.
#[track_caller]
fn fails_until_there_is_room(store: &Store, args: &[&str], names: &str) -> usize {
    let filler = store.root().join("filler");
    for failures in 0.. {
        // 0, 1, 2, ... pages, then in larger steps.
        let room = failures.max(failures * failures / 8) * PAGE;
        let _ = fs::remove_file(&filler);
        let before = (list(&store.layout().blobs()), list(&store.layout().layers()));
        fs::write(&filler, vec![0; free(&store.root()).saturating_sub(room) as usize]).unwrap();
        let output = store.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            fs::remove_file(&filler).unwrap();
            return failures as usize;
        }
        assert_eq!((output.status.code(), said.lines().count()), (Some(125), 1), "{room} bytes of room: {said}");
        let why = said.to_lowercase().contains("no space left on device");
        assert!(why && said.contains(names), "{room} bytes of room: {said}");
        store.ok(&["fsck"]);
        fs::remove_file(&filler).unwrap();
        for half in store.temporary() {
            assert!(half.starts_with("blob-"), "{half}: only a pull may be gone on with");
        }
        // What was published before the room ran out is rubbish, and nothing else is.
        store.ok(&["gc"]);
        assert_eq!((list(&store.layout().blobs()), list(&store.layout().layers())), before, "{room} bytes of room");
    }
    unreachable!()
}

#[test]
fn a_disk_that_is_full_at_any_point_of_a_command() {
    let store = small_disk(c"size=8m");
    store.import(&small_root(), "small");
    let tar = store.path("in.tar");
    fs::write(&tar, big(30, 3000)).unwrap();
    let tar = tar.to_str().unwrap();
    assert!(fails_until_there_is_room(&store, &["import", tar, "big"], "") > 5);
    let upper = store.path("upper");
    fs::create_dir(&upper).unwrap();
    (0..20).for_each(|n| fs::write(upper.join(n.to_string()), vec![b'x'; 5000]).unwrap());
    let commit = ["commit", upper.to_str().unwrap(), "--parent", "small", "--tag", "changed"];
    assert!(fails_until_there_is_room(&store, &commit, "") > 5);
    assert!(fails_until_there_is_room(&store, &["tag", "small", "other"], "index.json") > 0);
    store.is_clean_after_gc();
    assert_eq!(list(&store.mount("changed")).len(), 24);
    store.umount();
    // To remove something takes a page for the new index, and no more.
    assert!(fails_until_there_is_room(&store, &["rm", "other"], "index.json") <= 3);
    store.is_clean_after_gc();
}

#[test]
fn a_disk_that_is_full_while_an_image_is_pulled() {
    let source = Store::new();
    source.import(&big(30, 3000), "base");
    let registry = Registry::of(&source);
    let store = small_disk(c"size=8m");
    store.import(&small_root(), "small");
    let name = registry.name("base:latest");
    assert!(fails_until_there_is_room(&store, &["pull", "-q", &name], "") > 5);
    assert_eq!(list(&store.mount(&name)).len(), 30);
    store.umount();
    store.is_clean_after_gc();
}

#[test]
fn a_large_layer_on_a_small_disk() {
    let store = small_disk(c"size=4m");
    store.import(&small_root(), "small");
    for (files, size) in [(400, 30_000), (3, 3_000_000)] {
        let tar = store.path("big.tar");
        fs::write(&tar, big(files, size)).unwrap();
        let said = store.fails(&["import", tar.to_str().unwrap(), "big"]);
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        store.check();
    }
    assert!(free(&store.root()) > 3 << 20, "what was half-made is gone");
}

#[test]
fn a_disk_without_inodes() {
    let store = small_disk(c"size=64m,nr_inodes=100");
    store.import(&small_root(), "small");
    let tar = store.path("in.tar");
    fs::write(&tar, big(200, 1)).unwrap();
    let said = store.fails(&["import", tar.to_str().unwrap(), "many"]);
    assert!(said.contains("No space left on device") && said.contains("extract d"), "{said}");
    store.is_clean_after_gc();
    mount_remount(store.root(), MountFlags::empty(), c"size=64m,nr_inodes=1000").unwrap();
    store.ok(&["import", tar.to_str().unwrap(), "many"]);
    store.is_clean_after_gc();
}

#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    let store = small_disk(c"size=8m");
    store.import(&small_root(), "small");
    let upper = store.path("upper");
    fs::create_dir(&upper).unwrap();
    fs::write(upper.join("x"), "x").unwrap();
    let commit = ["commit", upper.to_str().unwrap(), "--parent", "small", "--tag", "two"];
    store.ok(&commit);
    mount_remount(store.root(), MountFlags::RDONLY, c"").unwrap();
    for args in [&["ls"][..], &["inspect", "small"], &["history", "small"], &["df"], &["fsck"]] {
        store.ok(args);
    }
    let target = store.path("m");
    store.ok(&["mount", "--read-only", "two", target.to_str().unwrap()]);
    assert!(target.join("etc/passwd").exists());
    store.umount();
    let tar = store.path("in.tar");
    fs::write(&tar, small_root()).unwrap();
    let tar = tar.to_str().unwrap();
    for args in
        [&["import", tar, "new"][..], &commit, &["tag", "small", "new"], &["rm", "small"], &["fsck", "--repair"]]
    {
        let output = store.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // A repair finds nothing to be repaired.
        assert_eq!(output.status.success(), args[0] == "fsck", "{args:?}: {said}");
        assert!(args[0] == "fsck" || said.contains("Read-only file system"), "{args:?}: {said}");
    }
    mount_remount(store.root(), MountFlags::empty(), c"").unwrap();
    store.is_clean_after_gc();
}

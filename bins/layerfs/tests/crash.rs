//! Whatever happens in the middle: a kill, a full disk, others at the same time. The store is whole afterwards.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root, succeeded};
use layout::images;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A tar of many files, so that there is a middle to be killed in.
fn big(files: usize, size: usize) -> Vec<u8> {
    let mut tar = Tar::new();
    for n in 0..files {
        let content: Vec<u8> = (0..size).map(|i| (i * 31 + n * 7) as u8).collect();
        tar = tar.dir(&format!("d{}", n % 50)).file(&format!("d{}/f{n}", n % 50), &content);
    }
    tar.end()
}

/// Runs a command again and again, each time killed a bit later, until it ends by itself before; gives how often it was killed.
/// `check` looks at the store each time.
fn kill_at_every_moment(store: &Store, args: &[&str], check: impl Fn()) -> usize {
    let mut kills = 0;
    let mut wait = Duration::ZERO;
    loop {
        let start = Instant::now();
        let mut child = store.command(args).stdout(std::process::Stdio::null()).spawn().unwrap();
        while start.elapsed() < wait && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "after {kills} kills: {status}");
            return kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        check();
        // Short steps at first, for the beginning is where most is made; longer ones later, so that it ends on any machine.
        wait += Duration::from_micros(500) + wait / 8;
    }
}

#[test]
fn an_import_killed_at_any_moment_leaves_only_rubbish() {
    let store = Store::new();
    let tar = store.path("big.tar");
    fs::write(&tar, big(2000, 3000)).unwrap();
    let kills = kill_at_every_moment(&store, &["import", tar.to_str().unwrap(), "demo"], || {
        store.ok(&["fsck"]);
    });
    assert!(kills >= 5, "{kills}");
    assert_eq!(list(&store.mount("demo")).len(), 50);
    store.umount();
    store.ok(&["gc"]);
    let layout = store.layout();
    // Who is killed after the image is listed and before the id is printed has made an image: then there is one more,
    // which lost its name to the next. On a busy machine that can happen more than once. The layer is the same.
    let made = images::all(&layout).unwrap().len();
    assert_eq!(images::all(&layout).unwrap().iter().filter(|image| !image.names.is_empty()).count(), 1);
    assert_eq!((list(&layout.layers()).len(), list(&layout.blobs()).len()), (1, 1 + 2 * made));
    store.check();
}

#[test]
fn a_removal_and_a_collection_killed_at_any_moment_can_be_repeated() {
    let store = Store::new();
    store.import(&small_root(), "keep");
    store.import(&big(3000, 10), "gone");
    let layout = store.layout();
    kill_at_every_moment(&store, &["rm", "gone"], || {
        store.ok(&["fsck"]);
        // Once the name is gone the same command has nothing to do any more.
        if images::lookup(&layout, "gone").unwrap().is_none() {
            succeeded(store.feed(&["import", "-", "gone"], &small_root()));
        }
    });
    kill_at_every_moment(&store, &["gc"], || {
        store.ok(&["fsck"]);
    });
    assert_eq!((list(&layout.layers()).len(), list(&layout.blobs()).len()), (1, 3));
    store.mount("keep");
    store.umount();
    store.check();
}

#[test]
fn a_commit_killed_at_any_moment_can_be_repeated() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let upper = store.path("u");
    fs::create_dir(&upper).unwrap();
    for n in 0..500 {
        fs::write(upper.join(n.to_string()), vec![b'x'; 2000]).unwrap();
    }
    let args = ["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"];
    let kills = kill_at_every_moment(&store, &args, || {
        store.ok(&["fsck"]);
    });
    assert!(kills >= 3, "{kills}");
    store.ok(&["gc"]);
    fs::remove_dir_all(&upper).unwrap();
    assert_eq!(list(&store.mount("changed")).len(), 504);
    store.umount();
    store.check();
}

#[test]
fn many_at_once_lose_nothing() {
    let store = Store::new();
    let same = store.path("same.tar");
    fs::write(&same, small_root()).unwrap();
    let mut running = Vec::new();
    for n in 0..12 {
        let own = store.path(format!("{n}.tar"));
        fs::write(&own, Tar::new().file(&n.to_string(), b"").end()).unwrap();
        for (tar, name) in [(&same, format!("same:{n}")), (&own, format!("own:{n}")), (&own, "moving".to_owned())] {
            running.push(store.command(&["import", tar.to_str().unwrap(), &name]).spawn().unwrap());
        }
        running.push(store.command(&["gc"]).spawn().unwrap());
    }
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let layout = store.layout();
    let all = images::all(&layout).unwrap();
    let names: Vec<&String> = all.iter().flat_map(|image| &image.names).collect();
    assert_eq!((all.len(), names.len(), list(&layout.layers()).len()), (36, 25, 13));
    let tags: Vec<_> =
        (0..8).map(|n| store.command(&["tag", "moving", &format!("tag:{n}")]).spawn().unwrap()).collect();
    for mut child in tags {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(images::find(&layout, "moving").unwrap().names.len(), 9);
    store.check();
}

#[test]
fn a_full_disk_is_said_and_leaves_the_store_whole() {
    let store = Store::new();
    // The store alone is on the small filesystem.
    fs::create_dir(store.root()).unwrap();
    let options = c"size=4m";
    rustix::mount::mount("none", store.root(), "tmpfs", rustix::mount::MountFlags::empty(), options).unwrap();
    store.import(&small_root(), "small");
    for (files, size) in [(400, 30_000), (3, 3_000_000)] {
        let tar = store.path("big.tar");
        fs::write(&tar, big(files, size)).unwrap();
        let said = store.fails(&["import", tar.to_str().unwrap(), "big"]);
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        store.check();
    }
    let free = |path: &Path| rustix::fs::statvfs(path).unwrap().f_bavail;
    assert!(free(&store.root()) > 3 << 20 >> 12, "what was half-made is gone");
    // Not even an index can be written.
    fs::write(store.root().join("filler"), vec![0; free(&store.root()) as usize * 4096]).unwrap();
    assert!(store.fails(&["tag", "small", "other"]).contains("No space left on device"));
    fs::remove_file(store.root().join("filler")).unwrap();
    store.ok(&["tag", "small", "other"]);
    store.check();
}

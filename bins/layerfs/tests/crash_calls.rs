//! `kill -9` at each system call that changes something on the disk, one after the other: what a reader finds then is what
//! every crash can leave. strace ends the process where a call would begin.
//!
//! On a fast machine that is every call; on a slow one as many as fit into the time, drawn in an order that is always the
//! same. `STORE_KILLS=N` gives N times as long.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::serve::Registry;
use common::{Store, Tar, layerfs, list, small_root, succeeded};
use layout::images;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What makes, names, fills, syncs and locks: between two of these nothing changes that another process could trip over.
const CALLS: &str = "mkdir,mkdirat,mknod,mknodat,write,pwrite64,writev,ftruncate,link,linkat,symlink,symlinkat,\
    rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,utimensat,mount,move_mount,flock";

/// How long one scenario may take, and how many calls are killed at even if it takes longer.
const TIME: Duration = Duration::from_secs(10);
const LEAST: usize = 4;

fn time() -> Duration {
    let factor = std::env::var("STORE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    TIME * factor
}

/// One system call of a run: its name, and which of these it is in its thread.
type Call = (String, usize);

fn strace(store: &Store, options: &[String], args: &[&str]) -> std::process::Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qqq"]).args(options).arg(layerfs()).args(args);
    command.env("CTR_ROOT", store.root()).env("CTR_RUN", store.path("run")).stdin(Stdio::null());
    command.stdout(Stdio::null()).output().unwrap()
}

/// All calls of a run that is not killed.
fn calls(store: &Store, args: &[&str]) -> Vec<Call> {
    let log = store.path("strace.log");
    let options = ["-e".to_owned(), format!("trace={CALLS}"), "-o".to_owned(), log.to_str().unwrap().to_owned()];
    let output = strace(store, &options, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // `PID NAME(ARGUMENTS) = RESULT`; counted by strace, as here, for each thread.
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let name = rest.trim_start().split('(').next().unwrap_or_default();
        if !name.starts_with(['<', '+', '-']) {
            *counts.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
        }
    }
    let calls: BTreeSet<Call> = counts
        .into_iter()
        .flat_map(|((_, name), count)| (1..=count).map(move |number| (name.clone(), number)))
        .collect();
    shuffled(calls.into_iter().collect())
}

/// Runs a command that is killed where a call would begin; says whether it was.
fn killed_at(store: &Store, args: &[&str], (name, number): &Call) -> bool {
    let inject = format!("inject={name}:signal=KILL:when={number}");
    let options = ["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject].map(str::to_owned);
    let output = strace(store, &options, args);
    let said = String::from_utf8_lossy(&output.stderr);
    let killed = output.status.signal() == Some(9) || output.status.code() == Some(128 + 9);
    assert!(killed || output.status.success(), "{}: {said}", output.status);
    killed
}

/// Kills a command at each of its calls, each time in a fresh copy of the store, and runs it again. `whole` says whether the
/// store is to be whole right after the kill; `done` looks at what the second run made.
#[track_caller]
fn kill_at_each_call(template: &Store, args: &[&str], whole: bool, done: impl Fn(&Store)) {
    let first = template.copy();
    let calls = calls(&first, args);
    done(&first);
    let (start, mut kills, all) = (Instant::now(), 0, calls.len());
    for call in calls {
        if start.elapsed() > time() && kills >= LEAST {
            break;
        }
        let store = template.copy();
        // Threads do not share their work in the same way each time: some calls are not reached again.
        if !killed_at(&store, args, &call) {
            done(&store);
            continue;
        }
        kills += 1;
        if whole {
            let output = store.command(&["fsck"]).output().unwrap();
            assert!(output.status.success(), "killed at {call:?}: {}", String::from_utf8_lossy(&output.stdout));
        }
        let output = store.command(args).output().unwrap();
        assert!(output.status.success(), "killed at {call:?}: {}", String::from_utf8_lossy(&output.stderr));
        done(&store);
        store.umount();
        store.is_clean_after_gc();
    }
    eprintln!("{}: killed at {kills} of {all} calls in {:?}", args[0], start.elapsed());
    assert!(kills >= LEAST.min(all), "{kills} of {all}");
}

/// In an order that looks random and is always the same (a linear congruential generator).
fn shuffled<T>(mut items: Vec<T>) -> Vec<T> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for at in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, (state >> 33) as usize % (at + 1));
    }
    items
}

fn tar_file(store: &Store, tar: &[u8]) -> String {
    let file = store.path("in.tar");
    fs::write(&file, tar).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Names of all images, and the number of layers.
fn names(store: &Store) -> (Vec<String>, usize) {
    let layout = store.layout();
    let mut names: Vec<String> = images::all(&layout).unwrap().into_iter().flat_map(|image| image.names).collect();
    names.sort();
    (names, list(&layout.layers()).len())
}

#[track_caller]
fn are(store: &Store, expected: &[&str], layers: usize) {
    let (names, found) = names(store);
    assert_eq!((names.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), found), (expected, layers));
}

#[test]
fn the_first_command_of_all() {
    let store = Store::new();
    let tar = tar_file(&store, &Tar::new().file("a", b"a").end());
    // There is no store yet to be copied.
    fs::create_dir(store.root()).unwrap();
    kill_at_each_call(&store, &["import", &tar, "one"], true, |store| are(store, &["one:latest"], 1));
}

#[test]
fn an_import_that_takes_another_images_name() {
    let store = Store::new();
    store.import(&Tar::new().file("old", b"old").end(), "moving");
    let tar = tar_file(&store, &small_root());
    kill_at_each_call(&store, &["import", &tar, "moving"], true, |store| {
        are(store, &["moving:latest"], 2);
        assert!(store.mount("moving").join("etc/passwd").exists());
    });
}

#[test]
fn a_commit() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let upper = store.path("upper");
    fs::create_dir_all(upper.join("new")).unwrap();
    fs::write(upper.join("new/file"), "new").unwrap();
    let args = ["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"];
    kill_at_each_call(&store, &args, true, |store| {
        are(store, &["base:latest", "changed:latest"], 2);
        assert_eq!(fs::read(store.mount("changed").join("new/file")).unwrap(), b"new");
    });
}

#[test]
fn a_tag_and_a_removal() {
    let store = Store::new();
    store.import(&small_root(), "keep");
    store.import(&Tar::new().dir("d").file("d/a", b"a").file("d/b", b"b").end(), "gone");
    kill_at_each_call(&store, &["tag", "keep", "gone"], true, |store| are(store, &["gone:latest", "keep:latest"], 2));
    // That it is gone already is no failure with force.
    kill_at_each_call(&store, &["rm", "--force", "gone"], true, |store| {
        are(store, &["keep:latest"], list(&store.layout().layers()).len());
        store.ok(&["gc"]);
        are(store, &["keep:latest"], 1);
        store.mount("keep");
    });
}

#[test]
fn a_collection() {
    let store = Store::new();
    store.import(&small_root(), "keep");
    for n in 0..3u8 {
        succeeded(store.feed(&["add"], &Tar::new().dir("d").file("d/f", &[n]).end()));
    }
    fs::create_dir_all(store.root().join("tmp/layerfs-left/over")).unwrap();
    kill_at_each_call(&store, &["gc"], true, |store| {
        are(store, &["keep:latest"], 1);
        store.mount("keep");
    });
}

#[test]
fn the_extraction_that_a_first_mount_does() {
    let store = Store::new();
    store.import(&small_root(), "base");
    fs::remove_dir_all(store.layout().layers()).unwrap();
    fs::create_dir(store.layout().layers()).unwrap();
    // The mount point is the test's own, so that it can be undone whatever was killed.
    let target = store.path("m");
    let target = target.to_str().unwrap();
    kill_at_each_call(&store, &["mount", "--read-only", "base", target], true, |copy| {
        assert!(std::path::Path::new(target).join("etc/passwd").exists());
        store.umount();
        are(copy, &["base:latest"], list(&copy.layout().layers()).len());
    });
}

#[test]
fn a_repair() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let layout = store.layout();
    let layer = images::find(&layout, "base").unwrap().layers()[0].clone();
    fs::write(layout.layer_diff(&layer).join("etc/passwd"), "damaged").unwrap();
    fs::write(layout.index(), "damaged").unwrap();
    kill_at_each_call(&store, &["fsck", "--repair"], false, |store| {
        store.ok(&["fsck"]);
        let image = images::all(&store.layout()).unwrap().remove(0);
        assert_eq!(fs::read(store.mount(image.id.hex()).join("usr/lib/a")).unwrap(), b"a");
        assert_ne!(fs::read(store.path("m/etc/passwd")).unwrap(), b"damaged");
    });
}

#[test]
fn a_pull() {
    let source = Store::new();
    source.import(&small_root(), "base");
    let upper = source.path("upper");
    fs::create_dir(&upper).unwrap();
    fs::write(upper.join("file"), "new").unwrap();
    source.ok(&["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "app:1"]);
    let registry = Registry::of(&source);
    let store = Store::new();
    store.import(&Tar::new().file("other", b"").end(), "other");
    let name = registry.name("app:1");
    kill_at_each_call(&store, &["pull", "-q", &name], true, |store| {
        are(store, &[&name, "other:latest"], 3);
        assert_eq!(fs::read(store.mount(&name).join("file")).unwrap(), b"new");
    });
}

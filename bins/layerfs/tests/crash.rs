//! `kill -9` at random moments, alone and two at a time: the store is whole each time, the same command run again succeeds, and
//! in the end gc leaves nothing.
//!
//! 200 moments in all, spread over the time that the command takes when nobody kills it; on a slow machine as many as
//! fit into the time, 20 at least. `STORE_KILLS=N` gives N times as many. (`crash_calls.rs` kills at exact places.)
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::serve::Registry;
use common::{Store, big, list, small_root, succeeded};
use layout::images;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long one scenario may take before it is content with fewer moments.
const TIME: Duration = Duration::from_secs(12);
/// ... but not with fewer than this. There are eight scenarios.
const LEAST: usize = 3;

/// The moments of a scenario: a generator with a seed, so that they are the same each time, as parts of a run.
struct Moments {
    state: u64,
    whole: Duration,
    kills: usize,
    wanted: usize,
    start: Instant,
    time: Duration,
}

impl Moments {
    /// `run` is run once undisturbed, to be timed.
    fn new(wanted: usize, run: impl FnOnce()) -> Moments {
        let factor = std::env::var("STORE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        let begin = Instant::now();
        run();
        let (whole, start, time) = (begin.elapsed(), Instant::now(), TIME * factor);
        Moments { state: wanted as u64, whole, kills: 0, wanted: wanted * factor as usize, start, time }
    }

    /// The next moment; `None` when there were enough.
    fn next(&mut self) -> Option<Duration> {
        if self.kills >= self.wanted || (self.start.elapsed() > self.time && self.kills >= LEAST) {
            return None;
        }
        self.kills += 1;
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(self.whole.mul_f64((self.state >> 40) as f64 / (1u64 << 24) as f64))
    }
}

fn start(store: &Store, args: &[&str]) -> Child {
    store.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Ends both at a moment, the second a bit later.
fn kill(mut children: Vec<Child>, moment: Duration) {
    let begin = Instant::now();
    for (number, child) in children.iter_mut().enumerate() {
        let moment = moment + moment / 4 * number as u32;
        std::thread::sleep(moment.saturating_sub(begin.elapsed()));
        child.kill().unwrap();
    }
    for mut child in children {
        child.wait().unwrap();
    }
}

/// Starts all of `commands` at once, kills them at a moment, looks at the store, and runs them again one after the other;
/// `restore` makes the store again what it was. Gives how often it killed.
#[track_caller]
fn kill_at_random_moments(store: &Store, wanted: usize, commands: &[&[&str]], mut restore: impl FnMut()) -> usize {
    let mut moments = Moments::new(wanted, || {
        let children: Vec<Child> = commands.iter().map(|args| start(store, args)).collect();
        assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
    });
    restore();
    while let Some(moment) = moments.next() {
        kill(commands.iter().map(|args| start(store, args)).collect(), moment);
        store.ok(&["fsck"]);
        for args in commands {
            store.ok(args);
        }
        restore();
    }
    store.is_clean_after_gc();
    eprintln!("{}: killed {} times in {:?}", commands[0][0], moments.kills, moments.start.elapsed());
    moments.kills
}

fn tar_file(store: &Store, name: &str, tar: &[u8]) -> String {
    let file = store.path(name);
    fs::write(&file, tar).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The names of all images, sorted.
fn names(store: &Store) -> Vec<String> {
    let mut names: Vec<String> =
        images::all(&store.layout()).unwrap().into_iter().flat_map(|image| image.names).collect();
    names.sort();
    names
}

#[test]
fn an_import() {
    let store = Store::new();
    let tar = tar_file(&store, "big.tar", &big(100, 3000));
    kill_at_random_moments(&store, 40, &[&["import", &tar, "demo"]], || {
        assert_eq!(list(&store.mount("demo")).len(), 50);
        store.umount();
        store.ok(&["rm", "demo"]);
    });
}

#[test]
fn a_layer_that_is_added_and_committed() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let upper = store.path("upper");
    fs::create_dir(&upper).unwrap();
    (0..200).for_each(|n| fs::write(upper.join(n.to_string()), vec![b'x'; 2000]).unwrap());
    let commit = ["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"];
    kill_at_random_moments(&store, 30, &[&commit], || {
        assert_eq!(list(&store.mount("changed")).len(), 204);
        store.umount();
        store.ok(&["rm", "changed"]);
    });
    // And in two steps, as a build's COPY does.
    let tar = big(100, 2000);
    let mut moments = Moments::new(20, || drop(succeeded(store.feed(&["add"], &tar))));
    while let Some(moment) = moments.next() {
        let file = fs::File::open(tar_file(&store, "add.tar", &tar)).unwrap();
        let child = store.command(&["add"]).stdin(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        kill(vec![child], moment);
        store.ok(&["fsck"]);
        let held = layout::lock::Lock::shared(&store.layout().gc_lock()).unwrap();
        let added: serde_json::Value = serde_json::from_str(&succeeded(store.feed(&["add"], &tar))).unwrap();
        let diff_id = added["DiffId"].as_str().unwrap();
        store.ok(&["commit", "--layer", diff_id, "--parent", "base", "--tag", "added"]);
        drop(held);
        store.ok(&["rm", "added"]);
    }
    store.is_clean_after_gc();
}

#[test]
fn a_removal() {
    let store = Store::new();
    store.import(&small_root(), "keep");
    let tar = tar_file(&store, "gone.tar", &big(150, 100));
    store.ok(&["import", &tar, "gone"]);
    kill_at_random_moments(&store, 30, &[&["rm", "--force", "gone"]], || {
        assert_eq!(names(&store), ["keep:latest"]);
        store.ok(&["import", &tar, "gone"]);
    });
}

#[test]
fn a_collection() {
    let store = Store::new();
    store.import(&small_root(), "keep");
    let tar = big(150, 100);
    let rubbish = || {
        succeeded(store.feed(&["add"], &tar));
        fs::create_dir_all(store.root().join("tmp/layerfs-left/over")).unwrap();
    };
    rubbish();
    kill_at_random_moments(&store, 20, &[&["gc"]], rubbish);
    assert_eq!((list(&store.layout().layers()).len(), list(&store.layout().blobs()).len()), (1, 3));
}

#[test]
fn an_import_beside_a_collection() {
    let store = Store::new();
    store.import(&small_root(), "keep");
    let tar = tar_file(&store, "big.tar", &big(100, 2000));
    kill_at_random_moments(&store, 20, &[&["import", &tar, "demo"], &["gc"]], || {
        assert_eq!(names(&store), ["demo:latest", "keep:latest"]);
        store.ok(&["rm", "demo"]);
    });
}

#[test]
fn two_imports_of_the_same() {
    let store = Store::new();
    let tar = tar_file(&store, "big.tar", &big(100, 2000));
    kill_at_random_moments(&store, 20, &[&["import", &tar, "one"], &["import", &tar, "two"]], || {
        assert_eq!(
            (names(&store), list(&store.layout().layers()).len()),
            (vec!["one:latest".into(), "two:latest".into()], 1)
        );
        store.ok(&["rm", "one", "two"]);
    });
}

#[test]
fn a_removal_beside_a_commit() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let tar = tar_file(&store, "gone.tar", &big(100, 100));
    let upper = store.path("upper");
    fs::create_dir(&upper).unwrap();
    (0..100).for_each(|n| fs::write(upper.join(n.to_string()), vec![b'x'; 2000]).unwrap());
    let commit = ["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"];
    store.ok(&["import", &tar, "gone"]);
    kill_at_random_moments(&store, 20, &[&commit, &["rm", "--force", "gone"]], || {
        assert_eq!(names(&store), ["base:latest", "changed:latest"]);
        store.ok(&["rm", "changed"]);
        store.ok(&["import", &tar, "gone"]);
    });
}

#[test]
fn a_pull_and_two_pulls_of_the_same() {
    let source = Store::new();
    source.import(&big(100, 3000), "base");
    let upper = source.path("upper");
    fs::create_dir(&upper).unwrap();
    (0..50).for_each(|n| fs::write(upper.join(n.to_string()), vec![b'x'; 2000]).unwrap());
    source.ok(&["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "app:1"]);
    let registry = Registry::of(&source);
    let (one, two) = (registry.name("app:1"), registry.name("base:latest"));
    let store = Store::new();
    kill_at_random_moments(&store, 20, &[&["pull", "-q", &one]], || {
        assert_eq!(list(&store.mount(&one)).len(), 100);
        store.umount();
        store.ok(&["rm", &one]);
    });
    kill_at_random_moments(&store, 10, &[&["pull", "-q", &one], &["pull", "-q", &two]], || {
        assert_eq!(names(&store), [one.clone(), two.clone()]);
        store.ok(&["rm", &one, &two]);
    });
}

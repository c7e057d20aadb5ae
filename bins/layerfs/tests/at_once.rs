//! Several at once: nothing is lost, and nothing that somebody needs is collected.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root};
use layout::images;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

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

/// What a process does next: a generator with a seed.
struct Choice(u64);

impl Choice {
    fn of(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// One of several who work on the same store for a while. What fails, fails because an image is gone or in use.
fn work(store: &Store, who: usize, until: Instant) -> usize {
    let mut choice = Choice(who as u64 + 1);
    let (target, upper, work) =
        (store.path(format!("m{who}")), store.path(format!("u{who}")), store.path(format!("w{who}")));
    fs::create_dir(&upper).unwrap();
    let (target, upper, work) = (target.to_str().unwrap(), upper.to_str().unwrap(), work.to_str().unwrap());
    let mut done = 0;
    while Instant::now() < until || done < 8 {
        let (name, other) = (format!("n{}", choice.of(6)), format!("n{}", choice.of(6)));
        let tar = store.path(format!("{}.tar", choice.of(4)));
        let args = match choice.of(8) {
            0 | 1 => vec!["import", tar.to_str().unwrap(), &name],
            2 => vec!["tag", &name, &other],
            3 => vec!["rm", "--force", &name],
            4 => vec!["gc"],
            5 => vec!["ls", "--json"],
            6 => {
                fs::write(Path::new(upper).join("file"), [who as u8, done as u8]).unwrap();
                vec!["commit", upper, "--parent", &name, "--tag", &other]
            }
            _ => vec!["mount", &name, target, "--upper", upper, "--work", work],
        };
        let output = store.command(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let is_fair = ["No such image", "conflict: "].iter().any(|word| said.contains(word));
        assert!(output.status.success() || is_fair, "{args:?}: {said}");
        if args[0] == "mount" && output.status.success() {
            // Whatever the others do, what is mounted is whole.
            assert!(fs::read(Path::new(target).join("here")).is_ok_and(|content| content.len() == 5000), "{args:?}");
            store.ok(&["umount", target]);
        }
        done += 1;
    }
    done
}

#[test]
fn six_who_do_whatever_they_like_leave_a_whole_store() {
    let store = Store::new();
    for n in 0..4u8 {
        let tar = Tar::new().file("here", &[n; 5000]).file(&n.to_string(), b"").end();
        fs::write(store.path(format!("{n}.tar")), tar).unwrap();
    }
    let factor = std::env::var("STORE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(5) * factor;
    let done: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|who| {
                scope.spawn({
                    let store = &store;
                    move || work(store, who, until)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    eprintln!("{done} commands");
    store.ok(&["fsck"]);
    store.is_clean_after_gc();
}

//! Random trees of folders and links, and paths in them: each leads to where chroot(2) would lead it, and never out.

use super::{Random, fuzz};
use crate::mounts::in_root::Root;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A folder for a tree, in memory where there is such a place: it is made and removed many times.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A path of some names and dots, absolute or not.
fn path(random: &mut Random) -> String {
    let mut path = if random.one_in(2) { "/".to_owned() } else { String::new() };
    for i in 0..=random.below(5) {
        if i > 0 {
            path.push('/');
        }
        path.push_str(match random.below(9) {
            0 | 1 => "..",
            2 => ".",
            n => NAMES[n % NAMES.len()],
        });
    }
    path
}

/// Fills a folder.
fn plant(dir: &Path, depth: usize, random: &mut Random) {
    for name in NAMES {
        let place = dir.join(name);
        match random.below(6) {
            0 | 1 => symlink(path(random), place).unwrap(),
            2 if depth > 0 => fs::write(place, "").unwrap(),
            3 => {}
            _ if depth < 2 => {
                fs::create_dir(&place).unwrap();
                plant(&place, depth + 1, random);
            }
            _ => {}
        }
    }
}

/// What became of a path.
#[derive(Debug, PartialEq)]
enum Led {
    /// To this place, in the root.
    To(PathBuf),
    /// Nowhere.
    Nowhere,
}

/// Where a path leads in the tree, walked by hand. With `make` what is missing is a folder to be made.
fn walk(top: &Path, path: &str, make: bool) -> Led {
    let mut todo: VecDeque<String> = path.split('/').map(str::to_owned).collect();
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        // Only a folder has names in it, `.` and `..` too.
        let inside = top.join(here.strip_prefix("/").unwrap());
        if inside.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            return Led::Nowhere;
        }
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                here.pop();
                if here.as_os_str().is_empty() {
                    here.push("/");
                }
                continue;
            }
            _ => here.push(&name),
        }
        let place = top.join(here.strip_prefix("/").unwrap());
        match place.symlink_metadata() {
            Err(_) if !make => return Led::Nowhere,
            Err(_) => {}
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > 40 {
                    return Led::Nowhere;
                }
                let target = fs::read_link(&place).unwrap().to_str().unwrap().to_owned();
                here.pop();
                if target.starts_with('/') {
                    here = PathBuf::from("/");
                }
                target.split('/').rev().for_each(|name| todo.push_front(name.to_owned()));
            }
            Ok(_) => {}
        }
    }
    Led::To(here)
}

fn place_of(fd: &OwnedFd) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
}

fn open(dir: &Path) -> Root {
    Root::new(rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap())
}

/// Where a descriptor is, as seen in the root.
fn in_tree(top: &Path, fd: &OwnedFd) -> PathBuf {
    let place = place_of(fd);
    Path::new("/").join(place.strip_prefix(top).unwrap_or_else(|_| panic!("led out, to {}", place.display())))
}

#[test]
fn a_path_leads_where_a_process_with_that_root_would_come() {
    fuzz("paths", |random| {
        let dir = folder();
        let top = dir.path().canonicalize().unwrap().join("root");
        fs::create_dir(&top).unwrap();
        plant(&top, 0, random);
        let root = open(&top);
        for _ in 0..20 {
            let path = path(random);
            let expected = walk(&top, &path, false);
            let led = match root.open(Path::new(&path), OFlags::PATH) {
                Ok(fd) => Led::To(in_tree(&top, &fd)),
                Err(_) => Led::Nowhere,
            };
            assert_eq!(led, expected, "{path}");
        }
        for _ in 0..10 {
            let path = path(random);
            let expected = walk(&top, &path, true);
            match root.make_dir(Path::new(&path)) {
                Ok(fd) => assert_eq!(Led::To(in_tree(&top, &fd)), expected, "{path}"),
                // What is in the way is a file, or a link without an end.
                Err(error) => {
                    assert!(is_in_the_way(&top, &expected), "{path}: {error:#}, and could have been {expected:?}")
                }
            }
            let file = self::path(random);
            if let Ok(fd) = root.make_file(Path::new(&file)) {
                in_tree(&top, &fd);
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was made beside the root");
    });
}

/// Whether there cannot be a folder.
fn is_in_the_way(top: &Path, expected: &Led) -> bool {
    match expected {
        Led::Nowhere => true,
        Led::To(place) => top.join(place.strip_prefix("/").unwrap()).is_file(),
    }
}

#[test]
fn nobody_who_moves_things_meanwhile_gets_anything_out() {
    let dir = folder();
    let outer = dir.path().canonicalize().unwrap();
    let top = outer.join("root");
    let moving = AtomicBool::new(true);
    for place in ["root/a/b/c", "root/swap/b", "canary"] {
        fs::create_dir_all(outer.join(place)).unwrap();
    }
    symlink("../../../../canary", top.join("link")).unwrap();
    symlink(outer.join("canary"), top.join("absolute")).unwrap();
    let root = open(&top);
    std::thread::scope(|scope| {
        // A folder becomes a link and a folder again, as fast as can be.
        for link in ["link", "absolute"] {
            let (top, moving) = (&top, &moving);
            scope.spawn(move || {
                while moving.load(Ordering::Relaxed) {
                    let _ = rustix::fs::renameat_with(CWD, top.join("a"), CWD, top.join(link), RenameFlags::EXCHANGE);
                    let _ =
                        rustix::fs::renameat_with(CWD, top.join("a/b"), CWD, top.join("swap/b"), RenameFlags::EXCHANGE);
                    let _ = rustix::fs::renameat_with(CWD, top.join("swap"), CWD, top.join("a"), RenameFlags::EXCHANGE);
                }
            });
        }
        // The threads end also when this panics.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            fuzz("paths that move", |random| {
                let names = ["a", "b", "c", "link", "absolute", "swap", "..", "new", "canary"];
                let words: Vec<&str> = (0..=random.below(5)).map(|_| *random.pick(&names)).collect();
                let path = words.join("/");
                let made = match random.below(3) {
                    0 => root.make_dir(Path::new(&path)).ok(),
                    1 => root.make_file(Path::new(&path)).ok(),
                    _ => root.open(Path::new(&path), OFlags::PATH).ok(),
                };
                if let Some(fd) = made {
                    in_tree(&top, &fd);
                }
            });
        }));
        moving.store(false, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(fs::read_dir(outer.join("canary")).unwrap().count(), 0, "something came to the canary");
    assert_eq!(fs::read_dir(&outer).unwrap().count(), 2, "something was made beside the root");
}

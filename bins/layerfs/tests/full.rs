//! A full disk, one that cannot be written, one without room for names: it is said, and the store is whole.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, small_root};
use std::fs;
use std::path::Path;

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

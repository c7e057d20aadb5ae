//! Several at once: nothing is lost, and nothing that somebody needs is collected.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root};
use layout::images;
use std::fs;

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


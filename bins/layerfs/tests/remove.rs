//! What `rm` takes away beside names: digests that registries know, images that cannot be read.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root};
use layout::oci::image::REPO_DIGESTS;
use layout::{Digest, images, publish};
use serde_json::json;
use std::fs;

/// Writes down that registries know an image by these digests, as `pull` does: on each of its lines.
fn known_as(store: &Store, image: &str, digests: &[String]) {
    let layout = store.layout();
    let mut index = images::index(&layout).unwrap();
    let found = images::find(&layout, image).unwrap().descriptor.digest;
    for listed in index.manifests.iter_mut().filter(|listed| listed.digest == found) {
        listed.annotations.insert(REPO_DIGESTS.to_owned(), digests.join(" "));
    }
    publish::json(&layout, &layout.index(), &index).unwrap();
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[test]
fn digests_of_a_registry_go_with_the_last_name_of_their_repository() {
    let store = Store::new();
    let id = store.import(&small_root(), "app:1");
    let (ours, theirs) = (digest("a"), digest("b"));
    store.ok(&["tag", "app:1", "app:2"]);
    store.ok(&["tag", "app:1", "localhost:5000/app"]);
    known_as(&store, "app:1", &[format!("docker.io/library/app@{ours}"), format!("localhost:5000/app@{theirs}")]);
    let inspected: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", "app:1"])).unwrap();
    assert_eq!(inspected[0]["RepoDigests"][1], json!(format!("localhost:5000/app@{theirs}")));

    assert_eq!(store.ok(&["rm", "app:1"]), "Untagged: app:1\n");
    assert!(store.fails(&["rm", &id]).contains("(must be forced) - image is referenced in multiple repositories"));
    assert_eq!(store.ok(&["rm", "app:2"]), format!("Untagged: app:2\nUntagged: app@{ours}\n"));
    // A name that was given later has what the image has.
    store.ok(&["tag", &id, "localhost:5000/app:new"]);
    let by_digest = format!("localhost:5000/app@{theirs}");
    assert_eq!(
        images::find(&store.layout(), "localhost:5000/app:new").unwrap().repo_digests,
        std::slice::from_ref(&by_digest)
    );
    assert_eq!(store.ok(&["rm", &by_digest]), format!("Untagged: {by_digest}\n"));
    known_as(&store, &id, std::slice::from_ref(&by_digest));
    assert_eq!(store.ok(&["rm", "localhost:5000/app"]), "Untagged: localhost:5000/app:latest\n");
    // One name and digests of the same repository: the id is enough.
    let said = store.ok(&["rm", &id]);
    let expected = format!("Untagged: localhost:5000/app:new\nUntagged: {by_digest}\nDeleted: {id}\nDeleted: ");
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(list(&store.layout().blobs()), Vec::<String>::new());
}

#[test]
fn an_image_that_is_known_by_a_digest_alone_stays_until_that_goes() {
    let store = Store::new();
    let id = store.import(&small_root(), "app");
    let reference = format!("other/app@{}", digest("a"));
    known_as(&store, "app", &[format!("docker.io/{reference}")]);
    assert_eq!(store.ok(&["rm", "app"]), "Untagged: app:latest\n");
    assert_eq!(images::find(&store.layout(), &id).unwrap().names, Vec::<String>::new());
    let said = store.ok(&["rm", &reference]);
    assert!(said.starts_with(&format!("Untagged: {reference}\nDeleted: {id}\n")), "{said}");
    store.check();
}

#[test]
fn an_image_that_cannot_be_read_is_removed_by_force_alone() {
    let store = Store::new();
    store.import(&small_root(), "good");
    for name in ["lost", "damaged"] {
        store.import(&Tar::new().file(name, b"").end(), name);
        store.ok(&["tag", name, &format!("{name}:2")]);
        let layout = store.layout();
        let manifest = images::find(&layout, name).unwrap().descriptor.digest;
        match name {
            "lost" => fs::remove_file(layout.blob(&manifest)).unwrap(),
            _ => fs::write(layout.blob(&manifest), "{").unwrap(),
        }
        let said = store.fails(&["rm", name]);
        assert!(said.contains(&format!("image {name} cannot be read")) && said.contains("--force"), "{said}");
        // Others can be removed meanwhile, and nothing is collected that somebody may need.
        store.ok(&["tag", "good", "other"]);
        assert_eq!(store.ok(&["rm", "other"]), "Untagged: other:latest\n");
        assert_eq!(store.ok(&["rm", "-f", name]), format!("Untagged: {name}:latest\n"));
        assert_eq!(store.ok(&["rm", "-f", manifest.as_str()]), format!("Untagged: {name}:2\nDeleted: {manifest}\n"));
        store.ok(&["gc"]);
        store.check();
    }
    assert_eq!(images::all(&store.layout()).unwrap().len(), 1);
}

#[test]
fn force_does_not_miss_what_is_not_there() {
    let store = Store::new();
    store.import(&small_root(), "app");
    let output = store.command(&["rm", "-f", "nosuch", "app"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "layerfs: No such image: nosuch:latest\n");
}

//! Images in archives: `save`, `load`, `export`; what docker wrote and writes, what the OCI says, and what neither would.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::archives::{Oci, bytes_of, config, docker_archive, gzip, layer, state};
use common::{Store, Tar, failed, list, small_root, succeeded};
use layout::oci::image::{DOCKER_LIST, DOCKER_MANIFEST, INDEX, LAYER_GZIP, MANIFEST, Platform};
use layout::{Digest, images};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// The files of an archive.
fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        members.insert(entry.path().unwrap().display().to_string(), content);
    }
    members
}

fn save(store: &Store, images: &[&str]) -> Vec<u8> {
    let output = store.command(&[&["save"], images].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn what_is_saved_is_both_forms_at_once_and_loads_with_the_same_digests() {
    let store = Store::new();
    let base = store.import(&small_root(), "base");
    store.ok(&["commit", "--empty-layer", "--step", "--parent", "base", "--tag", "app:1", "--tag", "app:2"]);
    let archive = save(&store, &["app", "base", "app:2"]);
    assert_eq!(archive, save(&store, &["app", "base"]), "the same images give the same bytes");

    let members = members(&archive);
    let manifest: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!(["app:1", "app:2"]));
    assert_eq!((&manifest[0]["Parent"], manifest.as_array().unwrap().len()), (&json!(base), 2));
    for entry in manifest.as_array().unwrap() {
        let names = entry["Layers"].as_array().unwrap().iter().chain([&entry["Config"]]);
        assert!(names.clone().count() > 1 && names.clone().all(|name| members.contains_key(name.as_str().unwrap())));
    }
    let index: Value = serde_json::from_slice(&members["index.json"]).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
    assert!(members.contains_key("oci-layout"));

    let other = Store::new();
    let said = succeeded(other.feed(&["load"], &archive));
    assert_eq!(said, "Loaded image: app:1\nLoaded image: app:2\nLoaded image: base:latest\n");
    let all = |store: &Store| images::all(&store.layout()).unwrap();
    let digests = |store: &Store| {
        let of = |image: &images::Image| (image.id.clone(), image.descriptor.digest.clone(), image.names.clone());
        all(store).iter().map(of).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(digests(&other), digests(&store));
    assert_eq!(images::find(&other.layout(), "app:1").unwrap().parent.unwrap().as_str(), base);
    assert_eq!(save(&other, &["app", "base"]), archive);
    // Nothing happens when it is loaded again.
    let before = state(&other);
    let file = store.path("a.tar.gz");
    fs::write(&file, gzip(&archive)).unwrap();
    other.ok(&["load", "-q", "-i", file.to_str().unwrap()]);
    assert_eq!(state(&other), before);
    other.check();
}

#[test]
fn an_image_is_saved_by_its_id_without_a_name() {
    let store = Store::new();
    let id = store.import(&small_root(), "app");
    let archive = save(&store, &[&id[7..19]]);
    let manifest: Value = serde_json::from_slice(&members(&archive)["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"], Value::Null);
    let other = Store::new();
    assert_eq!(succeeded(other.feed(&["load"], &archive)), format!("Loaded image ID: {id}\n"));
    assert!(store.fails(&["save", "app", "nosuch"]).contains("No such image: nosuch"));
    assert!(store.fails(&["save", "app", "-o", "/nosuchdir/x"]).contains("invalid output path"));
    other.check();
}

#[test]
fn a_damaged_store_is_not_saved_as_if_it_were_whole() {
    let store = Store::new();
    store.import(&small_root(), "app");
    let layout = store.layout();
    let blob = layout.blob(&images::find(&layout, "app").unwrap().manifest.layers[0].digest);
    let mut bytes = fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blob, bytes).unwrap();
    fs::create_dir(store.path("out")).unwrap();
    let file = store.path("out/a.tar");
    assert!(store.fails(&["save", "app", "-o", file.to_str().unwrap()]).contains("layerfs fsck"));
    assert_eq!(list(&store.path("out")), Vec::<String>::new());
}

#[test]
fn old_docker_archives_are_loaded_compressed_or_not_with_links_between_their_layers() {
    let (one, two) = (layer("one"), layer("two"));
    let config = config("amd64", &[&one, &two, &one]);
    let id = Digest::of(&config);
    for compressed in [false, true] {
        let stored = |layer: &[u8]| if compressed { gzip(layer) } else { layer.to_vec() };
        let layers = [("a/layer.tar", stored(&one)), ("b/layer.tar", stored(&two))];
        let manifest = json!([{"Config": "config.json", "RepoTags": ["app:1", "localhost:5000/x"],
            "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]}]);
        let tar = Tar::new().symlink("c/layer.tar", "../a/layer.tar").file("manifest.json", &bytes_of(&manifest));
        let tar = layers.iter().fold(tar, |tar, (name, layer)| tar.dir(&name[..2]).file(name, layer));
        let tar = tar.hard_link("config.json", "x.json").file("x.json", &config).file("repositories", b"{}").end();

        let store = Store::new();
        let said = succeeded(store.feed(&["load"], &tar));
        assert_eq!(said, "Loaded image: app:1\nLoaded image: localhost:5000/x:latest\n");
        let image = images::find(&store.layout(), "app:1").unwrap();
        assert_eq!((image.id.clone(), image.layers().len()), (id.clone(), 3));
        assert_eq!(fs::read(store.layout().blob(&id)).unwrap(), config, "the configuration's bytes are kept");
        let blob = &image.manifest.layers[0];
        assert_eq!((blob.media_type.as_str(), blob == &image.manifest.layers[2]), (LAYER_GZIP, true));
        if compressed {
            assert_eq!(blob.digest, Digest::of(&gzip(&one)), "what is compressed stays as it is");
        }
        assert_eq!(list(&store.mount("app:1")), ["one", "two"]);
        store.umount();
        store.check();
    }
}

#[test]
fn a_name_moves_to_what_is_loaded_and_the_user_is_told() {
    let store = Store::new();
    let old = store.import(&small_root(), "app:1");
    let one = layer("one");
    let archive = docker_archive(&config("amd64", &[&one]), json!(["app:1"]), &[("l.tar", &one)]).end();
    let said = succeeded(store.feed(&["load"], &archive));
    let moved = format!("The image app:1 already exists, renaming the old one with ID {old} to empty string\n");
    assert_eq!(said, format!("{moved}Loaded image: app:1\n"));
    assert!(images::find(&store.layout(), &old).unwrap().names.is_empty());
    store.check();
}

#[test]
fn of_several_platforms_the_hosts_is_loaded_or_the_one_that_was_asked_for() {
    let host = Platform::host();
    let mut oci = Oci::default();
    let (one, two) = (layer("one"), layer("two"));
    let mut own = oci.image(MANIFEST, &host.architecture, &[&one]);
    own["platform"] = json!({"os": "linux", "architecture": host.architecture});
    let other = oci.image(DOCKER_MANIFEST, "s390x", &[&two]);
    let absent = json!({"mediaType": MANIFEST, "digest": Digest::of(b"x"), "size": 1,
        "platform": {"os": "linux", "architecture": "riscv64"}});
    let inner = oci.index(DOCKER_LIST, &[other, own]);
    let outer = oci.index(INDEX, &[absent, inner]);
    oci.named(outer, "app:1");
    let archive = oci.end();

    let store = Store::new();
    assert_eq!(succeeded(store.feed(&["load"], &archive)), "Loaded image: app:1\n");
    assert_eq!(list(&store.mount("app:1")), ["one"]);
    store.umount();
    store.check();
    let store = Store::new();
    succeeded(store.feed(&["load", "--platform", "linux/s390x"], &archive));
    let image = images::find(&store.layout(), "app:1").unwrap();
    assert_eq!((image.config.architecture.as_str(), image.descriptor.media_type.as_str()), ("s390x", DOCKER_MANIFEST));
    store.check();
    let before = state(&store);
    let said = failed(store.feed(&["load", "--platform", "linux/riscv64"], &archive));
    assert!(said.contains(&format!("no image for linux/riscv64 (it has: {host}, linux/s390x)")), "{said}");
    let one = layer("one");
    let single = docker_archive(&config("s390x", &[&one]), Value::Null, &[("l.tar", &one)]).end();
    let said = failed(store.feed(&["load", "--platform", "linux/amd64"], &single));
    assert!(said.contains("no image for linux/amd64 (it has: linux/s390x)"), "{said}");
    assert_eq!(state(&store), before);
}

#[test]
fn an_image_is_exported_as_it_is_mounted_and_no_mount_stays() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let m = store.mount("base");
    fs::remove_file(m.join("etc/passwd")).unwrap();
    fs::write(m.join("new"), "new").unwrap();
    let folder = store.command(&["export", m.to_str().unwrap()]).output().unwrap().stdout;
    store.umount();
    store.ok(&["commit", store.path("u").to_str().unwrap(), "--parent", "base", "--tag", "app"]);
    for (image, archive) in [("app", folder), ("base", Vec::new())] {
        let file = store.path("x.tar");
        store.ok(&["export", image, "-o", file.to_str().unwrap()]);
        let exported = fs::read(&file).unwrap();
        let names: Vec<String> = members(&exported).into_keys().collect();
        let changed = ["etc/passwd", "new"].map(|name| names.contains(&name.to_owned()));
        assert_eq!(changed, if image == "app" { [false, true] } else { [true, false] }, "{names:?}");
        assert!(archive.is_empty() || archive == exported, "the mount and the image are the same");
        assert!(!names.iter().any(|name| name.contains(".wh.")), "{names:?}");
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(store.root().to_str().unwrap()), "{mounts}");
    store.import(&fs::read(store.path("x.tar")).unwrap(), "again");
    store.check();
}

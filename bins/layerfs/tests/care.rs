//! fsck finds what is wrong, repair puts right what can be, df counts.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root};
use layout::images::{self, Image};
use layout::{Digest, Layout};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

/// What `fsck` prints: exit 1, and lines.
#[track_caller]
fn wrong(store: &Store, args: &[&str]) -> String {
    let output = store.command(&[&["fsck"], args].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A store with one image, whose layer has something of everything.
fn store() -> (Store, Layout, Image, PathBuf) {
    let store = Store::new();
    let tar = Tar::new()
        .dir("etc")
        .pax(&[("SCHILY.xattr.user.note", b"n")])
        .file("etc/a", b"content of a")
        .file("etc/b", b"content of b")
        .hard_link("etc/also-a", "etc/a")
        .symlink("link", "etc/a")
        .device("null", b'3', 1, 3)
        .file("etc/.wh.gone", b"")
        .dir("opaque")
        .file("opaque/.wh..wh..opq", b"")
        .file("implied/folder/file", b"")
        .file("etc/twice", b"first")
        .file("etc/twice", b"second")
        .symlink("way", "implied/folder")
        .file("way/through", b"x")
        .end();
    store.import(&tar, "demo");
    store.ok(&["fsck"]);
    let layout = store.layout();
    let image = images::find(&layout, "demo").unwrap();
    let diff = layout.layer_diff(&image.layers()[0]);
    (store, layout, image, diff)
}

#[test]
fn each_change_of_an_extracted_layer_is_found_and_repaired() {
    let (store, layout, image, diff) = store();
    let changes: [(&str, &dyn Fn()); 14] = [
        ("etc/a: it has 7 bytes, not 12", &|| fs::write(diff.join("etc/a"), "changed").unwrap()),
        ("etc/b: its content is not", &|| fs::write(diff.join("etc/b"), "content of c").unwrap()),
        ("etc/b: its mode is 0600, not 0644", &|| {
            fs::set_permissions(diff.join("etc/b"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("etc/b: its owner is 5:6, not 0:0", &|| chown(diff.join("etc/b"), Some(5), Some(6)).unwrap()),
        ("etc/b: its time is", &|| fs::File::open(diff.join("etc/b")).unwrap().set_modified(now()).unwrap()),
        ("etc/b: it is not there", &|| fs::remove_file(diff.join("etc/b")).unwrap()),
        ("more: the layer does not have it", &|| fs::write(diff.join("more"), "").unwrap()),
        ("link: it is a link to x, not a link to etc/a", &|| {
            fs::remove_file(diff.join("link")).unwrap();
            symlink("x", diff.join("link")).unwrap();
        }),
        ("etc/b: it is a folder, not a file", &|| {
            fs::remove_file(diff.join("etc/b")).unwrap();
            fs::create_dir(diff.join("etc/b")).unwrap();
        }),
        ("etc/gone: it is not there", &|| fs::remove_file(diff.join("etc/gone")).unwrap()),
        ("opaque: it should hide", &|| {
            rustix::fs::removexattr(diff.join("opaque"), "trusted.overlay.opaque").unwrap();
        }),
        ("etc/a: its attribute user.note", &|| rustix::fs::removexattr(diff.join("etc/a"), "user.note").unwrap()),
        ("it is no hard link", &|| {
            let file = diff.join("etc/also-a");
            fs::remove_file(&file).unwrap();
            fs::write(&file, "content of a").unwrap();
        }),
        ("its files are not there", &|| fs::remove_dir_all(&diff).unwrap()),
    ];
    for (word, change) in changes {
        change();
        let said = wrong(&store, &[]);
        assert!(said.contains(word) && said.contains("needed by demo:latest"), "{word}: {said}");
        let said = store.ok(&["fsck", "--repair"]);
        assert!(said.contains("extracted again from its blob"), "{said}");
        store.ok(&["fsck"]);
    }
    let info = layout.layer_info(&image.layers()[0]);
    for text in ["", "{}", "not JSON", &fs::read_to_string(&info).unwrap().replace("\"Size\":", "\"Size\":1")] {
        fs::write(&info, text).unwrap();
        wrong(&store, &[]);
        store.ok(&["fsck", "--repair"]);
        store.ok(&["fsck"]);
    }
    // What was put away is there for an hour.
    assert!(store.temporary().iter().all(|name| name.starts_with("damaged-")), "{:?}", store.temporary());
    assert_eq!(store.temporary().len(), 18);
}

fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

#[test]
fn a_layer_that_is_mounted_is_not_replaced_under_its_users() {
    let (store, _layout, _image, diff) = store();
    store.mount("demo");
    fs::write(diff.join("etc/b"), "content of c").unwrap();
    let said = wrong(&store, &["--repair"]);
    assert!(said.contains("left: layer sha256:"), "{said}");
    store.umount();
    store.ok(&["fsck", "--repair"]);
}

#[test]
fn a_blob_that_this_tool_wrote_is_written_again_from_its_layer() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let upper = store.path("u");
    fs::create_dir(&upper).unwrap();
    fs::write(upper.join("new"), "new").unwrap();
    store.ok(&["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"]);
    let layout = store.layout();
    let blob = layout.blob(&images::find(&layout, "changed").unwrap().manifest.layers[1].digest);
    let good = fs::read(&blob).unwrap();
    for damage in [None, Some(&b"damaged"[..])] {
        fs::remove_file(&blob).unwrap();
        if let Some(bytes) = damage {
            fs::write(&blob, bytes).unwrap();
        }
        let said = store.ok(&["fsck", "--repair"]);
        assert!(said.contains("written again from the extracted layer"), "{said}");
        assert_eq!(fs::read(&blob).unwrap(), good);
        store.check();
    }
}

#[test]
fn an_image_whose_compressed_layer_is_lost_still_runs() {
    let (store, layout, image, _) = store();
    let blob = layout.blob(&image.manifest.layers[0].digest);
    fs::write(&blob, "damaged").unwrap();
    for _ in 0..2 {
        let said = wrong(&store, &["--repair"]);
        assert!(said.contains("left: blob sha256:") && said.contains("needed by demo:latest"), "{said}");
        assert!(!blob.exists(), "nobody takes it for the blob any more");
    }
    assert_eq!(fs::read(store.mount("demo").join("etc/also-a")).unwrap(), b"content of a");
    store.umount();
    store.ok(&["gc"]);
    store.ok(&["inspect", "demo"]);
}

#[test]
fn an_image_that_is_lost_is_taken_from_the_index_and_the_others_stay() {
    for lose in 0..3 {
        let (store, layout, image, _) = store();
        store.import(&small_root(), "other");
        let lost = [&image.id, &image.descriptor.digest, &image.manifest.layers[0].digest][lose];
        fs::write(layout.blob(lost), "damaged").unwrap();
        if lose == 2 {
            fs::remove_dir_all(layout.layer(&image.layers()[0])).unwrap();
        }
        // As far as it goes, everything works on the others.
        store.ok(&["ls"]);
        store.ok(&["inspect", "other"]);
        store.ok(&["tag", "other", "another"]);
        store.ok(&["rm", "another"]);
        store.mount("other");
        store.umount();
        let said = store.ok(&["fsck", "--repair"]);
        assert!(said.contains("image demo:latest: it is lost") && said.contains("ctr pull demo:latest"), "{said}");
        store.ok(&["fsck"]);
        assert!(store.fails(&["inspect", "demo"]).contains("No such image"));
        store.ok(&["gc"]);
        assert_eq!((list(&layout.layers()).len(), list(&layout.blobs()).len()), (1, 3));
        store.ok(&["inspect", "other"]);
    }
}

#[test]
fn a_lost_index_is_made_again_and_nothing_is_collected_before() {
    for text in [None, Some(""), Some("{"), Some("[]"), Some("{\"schemaVersion\":9,\"manifests\":[]}")] {
        let (store, layout, image, _) = store();
        let before = list(&layout.blobs());
        fs::remove_file(layout.index()).unwrap();
        if let Some(text) = text {
            fs::write(layout.index(), text).unwrap();
        }
        for args in [&["gc"][..], &["ls"], &["rm", "demo"], &["import", "/dev/null"]] {
            store.fails(args);
        }
        assert!(store.fails(&["ls"]).contains("fsck --repair"));
        assert!(wrong(&store, &[]).contains("index.json"));
        assert_eq!(list(&layout.blobs()), before);
        let said = store.ok(&["fsck", "--repair"]);
        assert!(said.contains("made again with 1 images"), "{said}");
        store.ok(&["fsck"]);
        assert_eq!(images::find(&layout, image.id.hex()).unwrap().descriptor.digest, image.descriptor.digest);
        store.ok(&["gc"]);
        assert_eq!(list(&layout.blobs()), before);
    }
}

#[test]
fn the_report_is_json_too() {
    let (store, layout, image, diff) = store();
    let whole: Value = serde_json::from_str(&store.ok(&["fsck", "--json"])).unwrap();
    assert_eq!((&whole["Blobs"], &whole["Layers"], &whole["Problems"]), (&3.into(), &1.into(), &Value::Array(vec![])));
    fs::remove_file(diff.join("etc/b")).unwrap();
    let found: Value = serde_json::from_str(&wrong(&store, &["--json"])).unwrap();
    assert_eq!(found["Problems"][0]["Object"], format!("layer {}", image.layers()[0]));
    assert_eq!((&found["Problems"][0]["Images"][0], &found["Left"]), (&"demo:latest".into(), &found["Problems"]));
    let done: Value = serde_json::from_str(&store.ok(&["fsck", "--json", "--repair"])).unwrap();
    assert_eq!((done["Repairs"].as_array().unwrap().len(), &done["Left"]), (1, &Value::Array(vec![])));
    assert!(layout.layer_diff(&image.layers()[0]).join("etc/b").exists());
}

#[test]
fn df_counts_what_is_shared_and_what_can_be_had_back() {
    let store = Store::new();
    store.import(&Tar::new().file("a", &[1; 1000]).end(), "base");
    let upper = store.path("u");
    fs::create_dir(&upper).unwrap();
    fs::write(upper.join("b"), [2; 200]).unwrap();
    store.ok(&["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"]);
    let layout = store.layout();
    let df = || serde_json::from_str::<Value>(&store.ok(&["df", "--json"])).unwrap();
    let found = df();
    assert_eq!(found["Images"], serde_json::json!({"Total": 2, "Active": 0, "Size": 1200, "Reclaimable": 1200}));
    let changed =
        found["Usage"].as_array().unwrap().iter().find(|image| image["RepoTags"][0] == "changed:latest").unwrap();
    assert_eq!(
        (&changed["Size"], &changed["SharedSize"], &changed["UniqueSize"]),
        (&1200.into(), &1000.into(), &200.into())
    );
    // A container holds what its image has alone, as docker counts.
    let id = images::find(&layout, "changed").unwrap().id;
    common::container(&store, id.as_str());
    assert_eq!(df()["Images"], serde_json::json!({"Total": 2, "Active": 1, "Size": 1200, "Reclaimable": 1000}));
    assert!(store.ok(&["df", "-v"]).contains("UNIQUE SIZE"));
    // A layer that no image has yet, and something that was left over.
    let held = layout::lock::Lock::shared(&layout.gc_lock()).unwrap();
    common::succeeded(store.feed(&["add"], &Tar::new().file("c", &[3; 30]).end()));
    drop(held);
    fs::write(layout.tmp().join("layerfs-left"), [0; 77]).unwrap();
    let found = df();
    assert_eq!(found["Layers"], serde_json::json!({"Total": 3, "Active": 2, "Size": 1230, "Reclaimable": 30}));
    assert_eq!(found["Temporary"], serde_json::json!({"Total": 1, "Active": 0, "Size": 77, "Reclaimable": 77}));
    let rubbish = found["Blobs"]["Reclaimable"].as_u64().unwrap();
    let removed: Value = serde_json::from_str(&store.ok(&["gc", "--json"])).unwrap();
    assert_eq!(removed["BlobBytes"], rubbish);
}

#[test]
fn a_half_pulled_blob_stays_while_it_is_locked_and_while_it_is_young() {
    let store = Store::new();
    store.import(&small_root(), "a");
    let layout = store.layout();
    let old = now() - std::time::Duration::from_secs(4000);
    let half = |content: &[u8], is_old: bool| {
        let path = layout.tmp().join(format!("blob-{}", Digest::of(content).hex()));
        let file = fs::File::create(&path).unwrap();
        if is_old {
            file.set_modified(old).unwrap();
        }
        (path, file)
    };
    let (young, _) = half(b"young", false);
    let (left, _) = half(b"left", true);
    let (locked, file) = half(b"locked", true);
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    store.ok(&["gc"]);
    assert_eq!((young.exists(), left.exists(), locked.exists()), (true, false, true));
    drop(file);
    store.ok(&["gc"]);
    assert_eq!((young.exists(), locked.exists()), (true, false));
}

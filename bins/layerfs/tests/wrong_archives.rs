//! Archives of images that lie, or that something happened to: an error each, and a store that is as it was.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::archives::{CONFIG, Oci, bytes_of, config, docker_archive, gzip, layer, state};
use common::{Store, Tar, failed, small_root};
use layout::Digest;
use layout::oci::image::{INDEX, LAYER, MANIFEST};
use serde_json::{Value, json};

/// Archives that no honest program writes, and what is to be said of each.
fn wrong_archives() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (one, two) = (layer("one"), layer("two"));
    let good = config("amd64", &[&one]);
    let docker = |config: &[u8], layers: &[(&str, &[u8])]| docker_archive(config, json!(["x:1"]), layers);
    let whole = docker(&good, &[("l.tar", &one)]).end();
    let manifest = |value: Value| Tar::new().file("manifest.json", &bytes_of(&value)).file("config.json", &good);
    let entry = |layers: Value| json!([{"Config": "config.json", "RepoTags": null, "Layers": layers}]);
    let oci = |change: &dyn Fn(&mut Oci, &mut Value)| {
        let mut oci = Oci::default();
        let mut image = oci.image(MANIFEST, "amd64", &[&layer("one")]);
        change(&mut oci, &mut image);
        oci.named(image, "x:1");
        oci.end()
    };
    let with_layer = |change: &dyn Fn(&mut Value)| {
        let mut oci = Oci::default();
        let (config, mut layer) = (oci.blob(CONFIG, &good), oci.blob(LAYER, &one));
        change(&mut layer);
        let image = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let image = oci.blob(MANIFEST, &bytes_of(&image));
        oci.named(image, "x:1");
        oci.end()
    };
    let huge = format!("[{}]", " ".repeat(5 << 20));
    vec![
        ("nothing", "cut short", Vec::new()),
        ("no tar", "no tar archive", vec![b'x'; 2048]),
        ("an empty tar", "it is empty", Tar::new().end()),
        ("cut at a header", "cut short", whole[..whole.len() - 1200].to_vec()),
        ("cut inside of a member", "cut short", whole[..700].to_vec()),
        ("gzip that is cut", "", gzip(&whole)[..200].to_vec()),
        (
            "an older docker's",
            "docker before 1.10",
            Tar::new().file("repositories", b"{}").dir("a").file("a/json", b"{}").end(),
        ),
        ("a root filesystem", "root filesystem", small_root()),
        ("a name that leads out", "leads out", Tar::new().file("../manifest.json", b"[]").end()),
        ("an absolute name", "absolute", Tar::new().file("/manifest.json", b"[]").end()),
        ("a device", "device", Tar::new().device("manifest.json", b'3', 1, 3).end()),
        ("a pipe", "device", Tar::new().device("manifest.json", b'6', 0, 0).end()),
        ("a link that leads out", "link that leads out", Tar::new().symlink("manifest.json", "../../etc/passwd").end()),
        ("a link to itself", "circle", manifest(entry(json!(["l"]))).symlink("l", "l").end()),
        ("a link to nothing", "has no", manifest(entry(json!(["l"]))).symlink("l", "m").end()),
        ("a layer outside", "leads out", manifest(entry(json!(["../../etc/passwd"]))).end()),
        ("a layer of the host", "absolute", manifest(entry(json!(["/etc/passwd"]))).end()),
        ("two of a name", "two of this name", docker(&good, &[("l.tar", &one), ("l.tar", &two)]).end()),
        ("no JSON", "manifest.json", Tar::new().file("manifest.json", b"{").end()),
        ("no list", "manifest.json", Tar::new().file("manifest.json", b"{}").end()),
        ("no image", "lists no image", Tar::new().file("manifest.json", b"[]").end()),
        ("a document without end", "no document", Tar::new().file("manifest.json", huge.as_bytes()).end()),
        ("a configuration that is none", "configuration", docker(b"[]", &[("l.tar", &one)]).end()),
        ("too few layers", "0 layers and 1 diff ids", docker(&good, &[]).end()),
        ("too many layers", "2 layers and 1 diff ids", docker(&good, &[("l.tar", &one), ("m.tar", &two)]).end()),
        ("another layer", "uncompressed it is", docker(&good, &[("l.tar", &two)]).end()),
        ("another layer, gzip'd", "uncompressed it is", docker(&good, &[("l.tar", &gzip(&two))]).end()),
        ("a layer that is no tar", "", docker(&config("amd64", &[b"no tar"]), &[("l.tar", b"no tar")]).end()),
        ("a layer that leads out", "", {
            let evil = Tar::new().symlink("a", "/tmp").file("a/../../../x", b"").end();
            docker(&config("amd64", &[&evil]), &[("l.tar", &evil)]).end()
        }),
        ("a bad name", "invalid reference", docker_archive(&good, json!(["UPPER:1"]), &[("l.tar", &one)]).end()),
        ("an image by digest", "named by a tag", {
            let name = format!("x@{}", Digest::of(b"x"));
            docker_archive(&good, json!([name]), &[("l.tar", &one)]).end()
        }),
        ("the second of two is wrong", "uncompressed it is", {
            let second = config("arm64", &[&two]);
            let list = json!([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["l.tar"]},
                {"Config": "second.json", "RepoTags": ["x:2"], "Layers": ["l.tar"]}]);
            let tar = Tar::new().file("manifest.json", &bytes_of(&list)).file("config.json", &good);
            tar.file("second.json", &second).file("l.tar", &one).end()
        }),
        ("an index of nothing", "lists no image", Oci::default().end()),
        ("a layout of the future", "version", {
            Tar::new().file("oci-layout", b"{\"imageLayoutVersion\":\"9.0\"}").file("index.json", b"{}").end()
        }),
        ("a manifest that is not there", "has no", oci(&|_, image| image["digest"] = json!(Digest::of(b"x")))),
        ("a manifest of another size", "bytes, not", oci(&|_, image| image["size"] = json!(1))),
        ("a manifest of another type", "media type", oci(&|_, image| image["mediaType"] = json!("text/plain"))),
        (
            "a digest of another algorithm",
            "sha512",
            oci(&|_, image| {
                image["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
            }),
        ),
        ("a blob under another's name", "its content has", {
            let name = format!("blobs/sha256/{}", Digest::of(b"x").hex());
            let mut oci = Oci(Tar::new().file(&name, b"y"), Vec::new());
            oci.named(json!({"mediaType": MANIFEST, "digest": Digest::of(b"x"), "size": 1}), "x:1");
            oci.end()
        }),
        (
            "an index in itself, by depth",
            "nested too deeply",
            oci(&|oci, image| {
                for _ in 0..8 {
                    *image = oci.index(INDEX, &[image.clone(), image.clone()]);
                }
            }),
        ),
        ("an artifact", "no image", {
            let mut oci = Oci::default();
            let config = oci.blob("application/vnd.example+json", b"{}");
            let image = bytes_of(&json!({"schemaVersion": 2, "config": config, "layers": []}));
            let image = oci.blob(MANIFEST, &image);
            oci.named(image, "x:1");
            oci.end()
        }),
        ("a layer of another size", "bytes, not", with_layer(&|layer| layer["size"] = json!(7))),
        ("a layer of no known type", "none of a layer", with_layer(&|layer| layer["mediaType"] = json!("text/html"))),
        ("a layer that is not there", "has no", with_layer(&|layer| layer["digest"] = json!(Digest::of(b"y")))),
        ("a manifest of version 1", "schemaVersion", {
            let mut oci = Oci::default();
            let config = oci.blob(CONFIG, &good);
            let image = oci.blob(MANIFEST, &bytes_of(&json!({"schemaVersion": 1, "config": config, "layers": []})));
            oci.named(image, "x:1");
            oci.end()
        }),
    ]
}

#[test]
fn wrong_archives_are_refused_before_anything_is_listed() {
    let store = Store::new();
    store.import(&small_root(), "here");
    let before = state(&store);
    for (what, word, archive) in wrong_archives() {
        let said = failed(store.feed(&["load"], &archive));
        assert!(said.contains(word), "{what}: {said}");
        assert_eq!(state(&store), before, "{what}");
        assert_eq!(store.temporary(), Vec::<String>::new(), "{what}");
    }
    store.check();
}

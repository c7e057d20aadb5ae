//! Documents that mean harm, or are broken, in a store that others write too: each is said and does no harm to the images beside
//! it, and nothing outside of the store is touched.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, list, small_root};
use layout::oci::image::{CONFIG, INDEX, LAYER_GZIP, MANIFEST, REF_NAME};
use layout::{Digest, Layout, images};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

/// A store with one good image, and a folder outside of it.
struct Hostile {
    store: Store,
    layout: Layout,
    good: images::Image,
}

impl Hostile {
    fn new() -> Hostile {
        let store = Store::new();
        store.import(&small_root(), "good");
        fs::create_dir(store.path("outside")).unwrap();
        fs::write(store.path("outside/file"), "untouched").unwrap();
        let layout = store.layout();
        let good = images::find(&layout, "good").unwrap();
        Hostile { store, layout, good }
    }

    /// Puts a blob there under its true digest.
    fn blob(&self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        fs::write(self.layout.blob(&digest), content).unwrap();
        digest
    }

    fn json(&self, value: &Value) -> Value {
        let bytes = value.to_string().into_bytes();
        json!({"digest": self.blob(&bytes), "size": bytes.len()})
    }

    /// A descriptor of some JSON as a blob.
    fn document(&self, media_type: &str, value: &Value) -> Value {
        let mut descriptor = self.json(value);
        descriptor["mediaType"] = media_type.into();
        descriptor
    }

    fn config(&self) -> Value {
        json!({"mediaType": CONFIG, "digest": self.good.id, "size": fs::metadata(self.layout.blob(&self.good.id)).unwrap().len()})
    }

    /// A manifest of this configuration, with the good image's layer.
    fn manifest(&self, config: &Value) -> Value {
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": self.good.manifest.layers});
        self.document(MANIFEST, &manifest)
    }

    /// Lists an entry in `index.json`, by the name `bad:1` unless it has another.
    fn list(&self, mut entry: Value) {
        if entry.get("annotations").is_none() {
            entry["annotations"] = json!({REF_NAME: "bad:1"});
        }
        let mut index: Value = serde_json::from_slice(&fs::read(self.layout.index()).unwrap()).unwrap();
        index["manifests"].as_array_mut().unwrap().push(entry);
        fs::write(self.layout.index(), index.to_string()).unwrap();
    }

    /// Runs a command that may fail, but only by saying why.
    #[track_caller]
    fn try_to(&self, args: &[&str]) -> (i32, String) {
        let output = self.store.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 1 | 125)) && !said.contains("panicked"),
            "{args:?}: {:?} {said}",
            output.status
        );
        assert!(code != Some(125) || said.starts_with("layerfs: ") || said.contains("\nlayerfs: "), "{args:?}: {said}");
        (code.unwrap(), String::from_utf8_lossy(&output.stdout).into_owned() + &said)
    }

    #[track_caller]
    fn good_is_as_it_was(&self) {
        assert!(self.store.ok(&["ls"]).contains("good:latest"));
        self.store.ok(&["inspect", "good"]);
        self.store.ok(&["history", "good"]);
        assert!(self.store.mount("good").join("etc/passwd").exists());
        self.store.umount();
        assert_eq!(list(&self.store.path("outside")), ["file"]);
        assert_eq!(fs::read(self.store.path("outside/file")).unwrap(), b"untouched");
    }

    /// Tries everything on it.
    #[track_caller]
    fn does_no_harm(self, what: &str, word: &str) {
        self.good_is_as_it_was();
        self.try_to(&["inspect", "bad:1"]);
        let target = self.store.path("m");
        self.try_to(&["mount", "--read-only", "bad:1", target.to_str().unwrap()]);
        self.store.umount();
        self.try_to(&["save", "-o", "/dev/null", "bad:1"]);
        let (code, said) = self.try_to(&["fsck"]);
        assert!(code == 1 && said.contains(word), "{what}: {said}");
        self.try_to(&["gc"]);
        self.try_to(&["df"]);
        self.store.ok(&["tag", "good", "other"]);
        self.store.ok(&["rm", "other"]);
        self.good_is_as_it_was();
        let (code, said) = self.try_to(&["fsck", "--repair"]);
        assert!(code == 0 || said.contains("left: "), "{what}: {said}");
        self.good_is_as_it_was();
        self.try_to(&["rm", "--force", "bad:1"]);
        self.try_to(&["gc"]);
        self.good_is_as_it_was();
        self.store.ok(&["rm", "good"]);
        assert_eq!(fs::read(self.store.path("outside/file")).unwrap(), b"untouched", "{what}");
    }
}

/// One case: what is put there, and a word that fsck says about it.
type Case<'a> = (&'a str, &'a str, &'a dyn Fn(&Hostile));

#[track_caller]
fn all_do_no_harm(cases: &[Case<'_>]) {
    for (what, word, put) in cases {
        let hostile = Hostile::new();
        put(&hostile);
        hostile.does_no_harm(what, word);
    }
}

#[test]
fn manifests_and_configurations_that_are_not_what_they_say() {
    let good = |h: &Hostile| h.manifest(&h.config());
    all_do_no_harm(&[
        ("a wrong digest", "its content is sha256:", &|h| {
            let entry = good(h);
            let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
            let text = fs::read_to_string(h.layout.blob(&digest)).unwrap();
            fs::write(h.layout.blob(&digest), text.replace("\"schemaVersion\":2", "\"schemaVersion\":3")).unwrap();
            h.list(entry);
        }),
        ("a wrong size", "bytes, not 7", &|h| {
            let mut entry = good(h);
            entry["size"] = 7.into();
            h.list(entry);
        }),
        ("a wrong media type", "text/plain, which is none", &|h| {
            let mut config = h.config();
            config["mediaType"] = "text/plain".into();
            h.list(h.manifest(&config));
        }),
        ("a media type that is none of an image", "text/plain is none", &|h| {
            let mut entry = good(h);
            entry["mediaType"] = "text/plain".into();
            h.list(entry);
        }),
        ("a media type that differs inside", "what refers to it says", &|h| {
            let manifest = json!({"schemaVersion": 2, "mediaType": INDEX, "config": h.config(), "layers": []});
            h.list(h.document(MANIFEST, &manifest));
        }),
        ("an unknown version", "schemaVersion 3", &|h| {
            let manifest = json!({"schemaVersion": 3, "config": h.config(), "layers": h.good.manifest.layers});
            h.list(h.document(MANIFEST, &manifest));
        }),
        ("a configuration that is no JSON", "expected", &|h| {
            let digest = h.blob(b"no JSON");
            h.list(h.manifest(&json!({"mediaType": CONFIG, "digest": digest, "size": 7})));
        }),
        ("a configuration of other types", "invalid type", &|h| {
            h.list(h.manifest(&h.document(CONFIG, &json!({"architecture": 1, "os": [], "rootfs": "x"}))));
        }),
        ("JSON that is nested deeply", "recursion limit", &|h| {
            let deep = "[".repeat(100_000);
            let text = format!("{{\"architecture\":\"a\",\"os\":\"b\",\"x\":{deep}");
            let digest = h.blob(text.as_bytes());
            h.list(h.manifest(&json!({"mediaType": CONFIG, "digest": digest, "size": text.len()})));
        }),
        ("a layer too few", "1 layers and 0 diff ids", &|h| {
            let config = json!({"architecture": "a", "os": "b", "rootfs": {"type": "layers", "diff_ids": []}});
            h.list(h.manifest(&h.document(CONFIG, &config)));
        }),
        ("a layer that is another one", "is, uncompressed, not sha256:", &|h| {
            let config =
                json!({"architecture": "a", "os": "b", "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"x")]}});
            h.list(h.manifest(&h.document(CONFIG, &config)));
        }),
        ("a manifest of 64 MB", "no document of an image has more", &|h| {
            let size = 64 << 20;
            let mut hasher = layout::digest::Hasher::default();
            (0..64).for_each(|_| hasher.update(&vec![0; 1 << 20]));
            let digest = hasher.finish();
            fs::File::create(h.layout.blob(&digest)).unwrap().set_len(size).unwrap();
            h.list(json!({"mediaType": MANIFEST, "digest": digest, "size": size}));
        }),
        ("nothing there", "No such file", &|h| {
            h.list(json!({"mediaType": MANIFEST, "digest": Digest::of(b"gone"), "size": 4}));
        }),
        ("a compression that it does not have", "not what its content is", &|h| {
            let layer = h.blob(&[0; 1024]);
            let layer = json!({"mediaType": LAYER_GZIP, "digest": layer, "size": 1024});
            let diff_ids = json!([Digest::of(&[0; 1024])]);
            let config = json!({"architecture": "a", "os": "b", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
            let manifest = json!({"schemaVersion": 2, "config": h.document(CONFIG, &config), "layers": [layer]});
            h.list(h.document(MANIFEST, &manifest));
        }),
    ]);
}

#[test]
fn indexes_that_go_round_or_too_deep() {
    all_do_no_harm(&[
        ("indexes in indexes", "nested too deeply", &|h| {
            let mut inner = h.manifest(&h.config());
            for _ in 0..12 {
                inner["platform"] = json!({"architecture": "amd64", "os": "linux"});
                inner = h.document(INDEX, &json!({"schemaVersion": 2, "manifests": [inner, inner]}));
            }
            h.list(inner);
        }),
        ("an index that lists itself", "its content is sha256:", &|h| {
            let digest = Digest::of(b"round and round");
            let own = json!({"mediaType": INDEX, "digest": digest, "size": 300,
                "platform": {"architecture": "amd64", "os": "linux"}});
            let index = json!({"schemaVersion": 2, "manifests": [own]}).to_string();
            fs::write(h.layout.blob(&digest), &index).unwrap();
            h.list(json!({"mediaType": INDEX, "digest": digest, "size": index.len()}));
        }),
        ("a list of nothing that could be read", "invalid type", &|h| {
            h.list(h.document(INDEX, &json!({"schemaVersion": 2, "manifests": {"a": 1}})));
        }),
    ]);
}

#[test]
fn entries_of_the_index_that_nobody_understands() {
    let entry = |h: &Hostile, key: &str, value: Value| {
        let mut entry = h.manifest(&h.config());
        entry[key] = value;
        h.list(entry);
    };
    all_do_no_harm(&[
        ("a negative size", "invalid value", &|h| entry(h, "size", json!(-1))),
        ("a size beyond 64 bits", "invalid type", &|h| entry(h, "size", json!(1e30))),
        ("a size in words", "invalid type", &|h| entry(h, "size", json!("12"))),
        ("another algorithm", "only sha256 is supported", &|h| {
            entry(h, "digest", json!(format!("sha512:{}", "a".repeat(128))));
        }),
        ("a digest that leads out", "is no digest", &|h| entry(h, "digest", json!("sha256:../../../../outside/file"))),
        ("a digest in capitals", "is no digest", &|h| entry(h, "digest", json!(format!("sha256:{}", "A".repeat(64))))),
        ("annotations that are no words", "invalid type", &|h| entry(h, "annotations", json!({REF_NAME: 5}))),
        ("no digest", "missing field", &|h| h.list(json!({"mediaType": MANIFEST, "size": 1}))),
        ("a parent that is none", "org.ctr.image.parent", &|h| {
            entry(h, "annotations", json!({REF_NAME: "bad:1", "org.ctr.image.parent": "../x"}));
        }),
        ("a name twice", "another entry of index.json has the same name", &|h| {
            let config =
                json!({"architecture": "a", "os": "b", "rootfs": {"type": "layers", "diff_ids": h.good.layers()}});
            h.list(h.manifest(&h.config()));
            h.list(h.manifest(&h.document(CONFIG, &config)));
        }),
    ]);
}

#[test]
fn names_that_are_no_references_are_names_all_the_same() {
    for name in [
        "../../outside/file",
        "a b",
        "",
        "-rf",
        "UPPER",
        "\u{1b}[31mred",
        "sha256:",
        "a:b:c",
        "/",
        "x".repeat(5000).as_str(),
    ] {
        let h = Hostile::new();
        let mut entry = h.manifest(&h.config());
        entry["annotations"] = json!({REF_NAME: name});
        h.list(entry);
        h.good_is_as_it_was();
        h.store.ok(&["fsck"]);
        h.store.ok(&["gc"]);
        h.try_to(&["inspect", "--", name]);
        h.try_to(&["rm", "--force", "--", name]);
        h.good_is_as_it_was();
    }
}

#[test]
fn what_is_no_file_where_a_blob_should_be() {
    let place = |h: &Hostile| h.layout.blob(&Digest::of(b"bad"));
    let listed = |h: &Hostile| h.list(json!({"mediaType": MANIFEST, "digest": Digest::of(b"bad"), "size": 9}));
    all_do_no_harm(&[
        ("a link out", "symbolic link", &|h| {
            symlink(h.store.path("outside/file"), place(h)).unwrap();
            listed(h);
        }),
        ("a folder", "no regular file", &|h| {
            fs::create_dir(place(h)).unwrap();
            fs::write(place(h).join("x"), "").unwrap();
            listed(h);
        }),
        ("a pipe", "no regular file", &|h| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, place(h), rustix::fs::FileType::Fifo, mode, 0).unwrap();
            listed(h);
        }),
        ("a link to a folder that nobody lists", "symbolic link", &|h| {
            symlink(h.store.path("outside"), place(h)).unwrap();
        }),
        ("a name that is no digest", "its name is no digest", &|h| {
            symlink(h.store.path("outside"), h.layout.blobs().join("..x")).unwrap();
        }),
    ]);
}

#[test]
fn links_where_layers_and_half_made_things_should_be() {
    all_do_no_harm(&[
        ("a layer that is a link out", "its files are not there", &|h| {
            symlink(h.store.path("outside"), h.layout.layer(&Digest::of(b"bad"))).unwrap();
        }),
        ("a layer whose files are elsewhere", "its files are not there", &|h| {
            let layer = h.layout.layer(&Digest::of(b"bad"));
            fs::create_dir(&layer).unwrap();
            symlink(h.store.path("outside"), layer.join("diff")).unwrap();
        }),
        ("a layer that is a file", "its files are not there", &|h| {
            fs::write(h.layout.layer(&Digest::of(b"bad")), "").unwrap();
        }),
        ("a name that is no digest", "its name is no digest", &|h| {
            symlink(h.store.path("outside"), h.layout.layers().join("x")).unwrap();
            symlink(h.store.path("outside"), h.layout.tmp().join("layerfs-x")).unwrap();
            symlink(h.store.path("outside/file"), h.layout.tmp().join("layerfs-y")).unwrap();
        }),
    ]);
}

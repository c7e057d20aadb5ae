//! Archives of images, as others write them.

use super::{Store, Tar, list};
use layout::Digest;
use layout::oci::image::LAYER;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;

pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub fn bytes_of(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// A layer with one file.
pub fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).end()
}

/// A configuration of these layers, spaced as ours would not be: its bytes have to be kept.
pub fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let rootfs = json!({"type": "layers", "diff_ids": ids});
    let config =
        json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": rootfs, "x": 1});
    serde_json::to_vec_pretty(&config).unwrap()
}

/// A docker archive of one image, as it was written up to version 24.
pub fn docker_archive(config: &[u8], tags: Value, layers: &[(&str, &[u8])]) -> Tar {
    let names: Vec<&str> = layers.iter().map(|(name, _)| *name).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": tags, "Layers": names}]);
    let tar = Tar::new().file("manifest.json", &bytes_of(&manifest));
    // The configuration comes late, and by another way to write its name.
    layers.iter().fold(tar, |tar, (name, layer)| tar.file(name, layer)).file("./config.json", config)
}

/// What is in the store, apart from `tmp/`.
pub fn state(store: &Store) -> (String, Vec<String>, Vec<String>) {
    let layout = store.layout();
    (fs::read_to_string(layout.index()).unwrap(), list(&layout.blobs()), list(&layout.layers()))
}

/// An image layout in the making: what it has as blobs, and in its index.
#[derive(Default)]
pub struct Oci(pub Tar, pub Vec<Value>);

impl Oci {
    pub fn blob(&mut self, kind: &str, content: &[u8]) -> Value {
        let digest = Digest::of(content);
        self.0 = std::mem::take(&mut self.0).file(&format!("blobs/sha256/{}", digest.hex()), content);
        json!({"mediaType": kind, "digest": digest, "size": content.len()})
    }

    pub fn image(&mut self, kind: &str, architecture: &str, layers: &[&[u8]]) -> Value {
        let config = config(architecture, layers);
        let config = self.blob(CONFIG, &config);
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(LAYER, layer)).collect();
        self.blob(kind, &bytes_of(&json!({"schemaVersion": 2, "config": config, "layers": layers})))
    }

    pub fn index(&mut self, kind: &str, manifests: &[Value]) -> Value {
        self.blob(kind, &bytes_of(&json!({"schemaVersion": 2, "manifests": manifests})))
    }

    pub fn named(&mut self, mut image: Value, name: &str) {
        image["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.1.push(image);
    }

    pub fn end(self) -> Vec<u8> {
        let index = bytes_of(&json!({"schemaVersion": 2, "manifests": self.1}));
        self.0.file("index.json", &index).file("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}").end()
    }
}

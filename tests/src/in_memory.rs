//! An image that was never on a disk, and what a registry has to say of it: for tests of registries that lie.

use crate::liar::{Answer, Liar, Request};
use layout::Digest;
use layout::oci::image::{CONFIG, LAYER_GZIP, MANIFEST};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An image in memory, and an honest registry of it.
#[derive(Clone)]
pub struct Image {
    /// All its blobs, and whatever else was put.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// Its configuration; once changed, [`Image::seal`] has the manifest name it.
    pub config: Value,
    /// Its manifest, which is served under every name.
    pub manifest: Value,
    /// Its layers, lowest first.
    pub layers: Vec<Digest>,
}

impl Image {
    /// One with so many layers, each with a file of bytes that no compression makes fewer.
    pub fn new(layers: u8) -> Image {
        let dir = tempfile::tempdir().unwrap();
        let mut image =
            Image { blobs: BTreeMap::new(), config: Value::Null, manifest: Value::Null, layers: Vec::new() };
        let (mut diff_ids, mut listed) = (Vec::new(), Vec::new());
        for number in 0..layers {
            std::fs::write(dir.path().join(format!("file{number}")), noise(number, 300_000)).unwrap();
            let script = format!("tar -cf layer file{number} && gzip -nk layer");
            let made = std::process::Command::new("sh").args(["-c", &script]).current_dir(dir.path()).status().unwrap();
            assert!(made.success());
            let (plain, gzip) = (std::fs::read(dir.path().join("layer")), std::fs::read(dir.path().join("layer.gz")));
            let gzip = gzip.unwrap();
            diff_ids.push(Digest::of(&plain.unwrap()));
            listed.push(json!({"mediaType": LAYER_GZIP, "digest": Digest::of(&gzip), "size": gzip.len()}));
            let digest = image.put(gzip);
            image.layers.push(digest);
            std::fs::remove_file(dir.path().join("layer.gz")).unwrap();
        }
        image.config = json!({"architecture": layout::oci::image::Platform::host().architecture, "os": "linux",
            "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        image.manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": listed});
        image.seal();
        image
    }

    /// Adds a blob.
    pub fn put(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    /// Has the manifest name the configuration as it is now.
    pub fn seal(&mut self) {
        let bytes = serde_json::to_vec(&self.config).unwrap();
        let size = bytes.len();
        let digest = self.put(bytes);
        self.manifest["config"] = json!({"mediaType": CONFIG, "digest": digest, "size": size});
    }

    /// The blob of a layer.
    pub fn layer(&self, number: usize) -> &[u8] {
        &self.blobs[&self.layers[number]]
    }

    /// What an honest registry answers.
    pub fn answer(&self, request: &Request) -> Answer {
        if request.path.contains("/manifests/") {
            return Answer::new(200, MANIFEST, self.manifest.to_string());
        }
        if request.path == "/v2/" {
            return Answer::new(200, "application/json", "{}");
        }
        match self.asked(request) {
            Some(blob) => Answer::part(blob, request.from()),
            None => Answer::new(404, "application/json", r#"{"errors": [{"code": "BLOB_UNKNOWN"}]}"#),
        }
    }

    /// The blob that is asked for.
    pub fn asked(&self, request: &Request) -> Option<&[u8]> {
        let digest: Digest = request.path.rsplit_once("/blobs/")?.1.parse().ok()?;
        self.blobs.get(&digest).map(Vec::as_slice)
    }

    /// A registry that is honest but where `lie` has something else to say.
    pub fn registry(&self, lie: impl Fn(&Image, &Request) -> Option<Answer> + Send + Sync + 'static) -> Liar {
        let image = self.clone();
        Liar::start(move |request| lie(&image, request).unwrap_or_else(|| image.answer(request)))
    }
}

/// Bytes that look random and are always the same.
pub fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

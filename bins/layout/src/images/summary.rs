//! What a list of images shows, without reading more than that: of a thousand images nobody wants a thousand histories.

use super::{platforms, read_blob, with_tag};
use crate::oci::image::{Descriptor, PARENT, REF_NAME, REPO_DIGESTS, RootFs};
use crate::{Digest, Layout};
use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, open, openat};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

/// An image in a list.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its id.
    pub id: Digest,
    /// Its manifest.
    pub manifest: Digest,
    /// Its names, familiar form, sorted.
    pub names: Vec<String>,
    /// The digests that registries know it by, in full, sorted.
    pub repo_digests: Vec<String>,
    /// The image that its last build step started from.
    pub parent: Option<Digest>,
    /// When it was made.
    pub created: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its layers' diff ids, lowest first.
    pub layers: Vec<Digest>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Link,
}

#[derive(Deserialize)]
struct Link {
    digest: Digest,
}

#[derive(Deserialize)]
struct Config {
    created: Option<String>,
    config: Option<Run>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct Run {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    manifests: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Reads small files of one folder one after the other: the way to the folder is gone once, and the memory is had once.
#[derive(Debug)]
struct Reader {
    folder: OwnedFd,
    buffer: Vec<u8>,
}

impl Reader {
    fn new(folder: &Path) -> Result<Reader> {
        let opened = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = opened.with_context(|| format!("open {}", folder.display()))?;
        Ok(Reader { folder, buffer: vec![0; 16 << 10] })
    }

    /// A file as JSON; `None` where that is not as simple as it should be. It is then read again, with more care.
    fn json<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty()).ok()?;
        // A regular file gives all that it has at once.
        let length = rustix::io::read(&file, self.buffer.as_mut_slice()).ok()?;
        let whole = length < self.buffer.len();
        serde_json::from_slice(self.buffer.get(..length).filter(|_| whole)?).ok()
    }
}

/// What `index.json` lists, without the keys that do not matter here; where it is not as it should be, the slow way.
fn listed(layout: &Layout) -> Result<Vec<Descriptor>> {
    let bytes = std::fs::read(layout.index()).unwrap_or_default();
    match serde_json::from_slice::<Index>(&bytes) {
        Ok(index) if index.schema_version == 2 => {
            let descriptor = |listed: Listed| Descriptor {
                annotations: listed.annotations,
                ..Descriptor::new(&listed.media_type, listed.digest, listed.size)
            };
            Ok(index.manifests.into_iter().map(descriptor).collect())
        }
        _ => {
            let index = super::index(layout)?;
            super::warn_of_foreign(&index);
            Ok(index.manifests)
        }
    }
}

/// All images, as [`super::all`] gives them.
pub fn all(layout: &Layout) -> Result<Vec<Summary>> {
    let lines = listed(layout)?;
    let mut blobs = Reader::new(&layout.blobs())?;
    let mut found: Vec<Summary> = Vec::new();
    let mut by_id: BTreeMap<Digest, usize> = BTreeMap::new();
    // What is listed under several names is read once.
    let mut ids: BTreeMap<&Digest, Digest> = BTreeMap::new();
    for listed in &lines {
        let known = ids.get(&listed.digest).and_then(|id| by_id.get(id)).copied();
        let at = match known {
            Some(at) => at,
            None => match read(layout, &mut blobs, listed) {
                Ok(image) => {
                    ids.insert(&listed.digest, image.id.clone());
                    *by_id.entry(image.id.clone()).or_insert_with(|| {
                        found.push(image);
                        found.len() - 1
                    })
                }
                Err(error) => {
                    eprintln!("WARNING: image {}: {error:#}", listed.digest.short());
                    continue;
                }
            },
        };
        note(&mut found[at], listed);
    }
    for image in &mut found {
        for list in [&mut image.names, &mut image.repo_digests] {
            list.sort();
            list.dedup();
        }
    }
    Ok(found)
}

fn read(layout: &Layout, blobs: &mut Reader, listed: &Descriptor) -> Result<Summary> {
    fn document<T: DeserializeOwned>(layout: &Layout, blobs: &mut Reader, digest: &Digest) -> Result<T> {
        blobs.json(digest.hex()).map_or_else(|| read_blob(layout, digest), Ok)
    }
    let descriptor = platforms::choose(layout, listed, None)?;
    let manifest: Manifest = document(layout, blobs, &descriptor.digest)?;
    let config: Config = document(layout, blobs, &manifest.config.digest)?;
    Ok(Summary {
        id: manifest.config.digest,
        manifest: descriptor.digest,
        names: Vec::new(),
        repo_digests: Vec::new(),
        parent: None,
        created: config.created,
        labels: config.config.and_then(|run| run.labels).unwrap_or_default(),
        layers: config.rootfs.diff_ids,
    })
}

/// Takes down what a line of the index says of its image.
fn note(image: &mut Summary, listed: &Descriptor) {
    image.names.extend(listed.annotation(REF_NAME).map(with_tag));
    let digests = listed.annotation(REPO_DIGESTS).unwrap_or_default();
    image.repo_digests.extend(digests.split_whitespace().map(str::to_owned));
    if let (None, Some(parent)) = (&image.parent, listed.annotation(PARENT)) {
        // A note that cannot be read is none; fsck tells of it.
        image.parent = parent.parse().ok();
    }
}

/// Sizes of layers that were looked at: images share them, and each is asked for once.
#[derive(Debug)]
pub struct LayerSizes {
    known: BTreeMap<Digest, u64>,
    layers: Reader,
}

impl LayerSizes {
    /// None is known yet.
    pub fn new(layout: &Layout) -> Result<LayerSizes> {
        Ok(LayerSizes { known: BTreeMap::new(), layers: Reader::new(&layout.layers())? })
    }

    /// Sum of the sizes of all files of these layers, in bytes.
    pub fn sum(&mut self, layout: &Layout, layers: &[Digest]) -> Result<u64> {
        let mut sum: u64 = 0;
        for layer in layers {
            let size = match self.known.get(layer) {
                Some(size) => *size,
                None => {
                    let info: Option<super::LayerSize> = self.layers.json(&format!("{}/layer.json", layer.hex()));
                    let size = info.map_or_else(|| super::layer_size(layout, layer), |info| Ok(info.size))?;
                    self.known.insert(layer.clone(), size);
                    size
                }
            };
            // Not extracted, or extracted for this stack of layers alone.
            if size == 0 {
                return super::layer_names(layout, layers)
                    .iter()
                    .try_fold(0, |sum: u64, name| Ok(sum.saturating_add(super::layer_size(layout, name)?)));
            }
            sum = sum.saturating_add(size);
        }
        Ok(sum)
    }
}

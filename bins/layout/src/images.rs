//! Reading the image store. Writing it is `layerfs`'s alone.
//!
//! `index.json` is replaced by rename, so a reader needs no lock: it sees one whole state or the next.

pub mod platforms;
pub mod summary;

use crate::oci::image::{self, Descriptor, ImageConfig, Index, Manifest, Platform};
use crate::{Digest, Layout, Reference};
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// What is known of an extracted layer: `layers/HEX/layer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LayerInfo {
    /// Digest of the uncompressed tar; as a rule the folder's name.
    pub diff_id: Digest,
    /// The folder's name if the layer holds copies of files of the layers below, to which its hard links lead. What it holds
    /// depends on them then: this is the digest over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<Digest>,
    /// Sum of the sizes of its regular files, in bytes: what docker's SIZE column adds up.
    pub size: u64,
    /// The blob that it was extracted from or stored as.
    pub blob: Descriptor,
}

impl LayerInfo {
    /// The name of its folder.
    pub fn name(&self) -> &Digest {
        self.chain_id.as_ref().unwrap_or(&self.diff_id)
    }
}

/// An image in the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// The image id: the digest of its configuration.
    pub id: Digest,
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
    /// Its names, familiar form (`python:3-slim`), sorted. None: dangling, or a build step.
    pub names: Vec<String>,
    /// The digests that registries know it by, `NAME@DIGEST` in full, sorted.
    pub repo_digests: Vec<String>,
    /// The image that its last build step started from.
    pub parent: Option<Digest>,
}

impl Image {
    /// The layers' diff ids, lowest first.
    pub fn layers(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// Sum of the sizes of all files of all layers, in bytes.
    pub fn size(&self, layout: &Layout) -> Result<u64> {
        Ok(self.layer_sizes(layout)?.into_iter().fold(0, u64::saturating_add))
    }

    /// The sizes of the files of each layer, in bytes, lowest first.
    pub fn layer_sizes(&self, layout: &Layout) -> Result<Vec<u64>> {
        layer_names(layout, self.layers()).iter().map(|name| layer_size(layout, name)).collect()
    }
}

/// The names of the folders in `layers/` of a stack of layers, lowest first: the diff id of each, or, where only that is there,
/// its chain id.
pub fn layer_names(layout: &Layout, diff_ids: &[Digest]) -> Vec<Digest> {
    let there = |name: &Digest| layout.layer(name).is_dir();
    if diff_ids.iter().all(there) {
        return diff_ids.to_vec();
    }
    let both = diff_ids.iter().zip(chain_ids(diff_ids));
    both.map(|(diff_id, chain_id)| if !there(diff_id) && there(&chain_id) { chain_id } else { diff_id.clone() })
        .collect()
}

/// The chain ids of a stack of layers, lowest first: digests over each and all that is below it
/// (<https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid>).
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        chains.push(match chains.last() {
            None => diff_id.clone(),
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chains
}

/// Of [`LayerInfo`] the size alone.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LayerSize {
    size: u64,
}

/// The size of one layer's files, in bytes, by the name of its folder; 0 where the layer was never extracted here.
pub fn layer_size(layout: &Layout, name: &Digest) -> Result<u64> {
    let file = layout.layer_info(name);
    match std::fs::read(&file) {
        Ok(bytes) => {
            let info: LayerSize = serde_json::from_slice(&bytes).with_context(|| format!("read {}", file.display()))?;
            Ok(info.size)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// Reads `index.json`. Entries that cannot be understood are in [`Index::foreign`].
///
/// # Errors
/// It is not there, or is no index: then `layerfs fsck --repair` lists again what the blobs hold.
pub fn index(layout: &Layout) -> Result<Index> {
    let file = layout.index();
    let read = std::fs::read(&file).map_err(anyhow::Error::from).and_then(|bytes| Index::parse(&bytes));
    read.with_context(|| format!("read {} (layerfs fsck --repair makes a new one from the blobs)", file.display()))
}

/// All images, in the order of `index.json`; several names of one image are one entry. An image that cannot be
/// read is left out, with a warning on standard error.
pub fn all(layout: &Layout) -> Result<Vec<Image>> {
    let mut images: Vec<Image> = Vec::new();
    let mut by_id: BTreeMap<Digest, usize> = BTreeMap::new();
    let index = index(layout)?;
    warn_of_foreign(&index);
    for descriptor in index.manifests {
        let digest = descriptor.digest.clone();
        // One that cannot be read (damaged, or for another processor) must not take all others along.
        let image = match load(layout, descriptor) {
            Ok(image) => image,
            Err(error) => {
                eprintln!("WARNING: image {}: {error:#}", digest.short());
                continue;
            }
        };
        match by_id.get(&image.id) {
            Some(&i) => {
                images[i].names.extend(image.names);
                images[i].repo_digests.extend(image.repo_digests);
                images[i].parent = images[i].parent.take().or(image.parent);
            }
            None => {
                by_id.insert(image.id.clone(), images.len());
                images.push(image);
            }
        }
    }
    for image in &mut images {
        for list in [&mut image.names, &mut image.repo_digests] {
            list.sort();
            list.dedup();
        }
    }
    Ok(images)
}

fn warn_of_foreign(index: &Index) {
    for entry in &index.foreign {
        eprintln!("WARNING: an entry of index.json is left out: {}", Index::why_foreign(entry));
    }
}

/// Finds an image by name, by id or by a unique prefix of the id.
///
/// # Errors
/// `No such image: NAME`, docker's words, when there is none.
pub fn find(layout: &Layout, wanted: &str) -> Result<Image> {
    match lookup(layout, wanted)? {
        Some(image) => Ok(image),
        None => bail!("No such image: {}", with_tag(wanted)),
    }
}

/// As [`find`], with `None` when there is none.
pub fn lookup(layout: &Layout, wanted: &str) -> Result<Option<Image>> {
    Ok(pick(&all(layout)?, wanted)?.cloned())
}

/// As [`lookup`], among images that were read before: for who looks more than once.
pub fn pick<'a>(images: &'a [Image], wanted: &str) -> Result<Option<&'a Image>> {
    if let Ok(reference) = Reference::parse(wanted) {
        let name = reference.familiar();
        if let Some(image) = images.iter().find(|image| image.names.contains(&name)) {
            return Ok(Some(image));
        }
        if let Some(digest) = &reference.digest {
            return Ok(images.iter().find(|image| image.descriptor.digest == *digest || image.id == *digest));
        }
    }
    // A name that another tool gave, and that is no reference.
    if let Some(image) = images.iter().find(|image| image.names.iter().any(|name| name == wanted)) {
        return Ok(Some(image));
    }
    let prefix = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut matching = images.iter().filter(|image| image.id.hex().starts_with(prefix));
    match (matching.next(), matching.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => bail!("{wanted} is the start of more than one image id: give more digits"),
    }
}

/// What people read in an error: the name with its tag.
fn with_tag(wanted: &str) -> String {
    Reference::parse(wanted).map_or_else(|_| wanted.to_owned(), |reference| reference.familiar())
}

/// Loads the image behind a descriptor of `index.json`; of an index of several platforms, the host's.
pub fn load(layout: &Layout, listed: Descriptor) -> Result<Image> {
    load_for(layout, listed, None)
}

/// As [`load`], with the image of a platform that was asked for.
pub fn load_for(layout: &Layout, listed: Descriptor, platform: Option<&Platform>) -> Result<Image> {
    let descriptor = platforms::choose(layout, &listed, platform)?;
    let manifest: Manifest = read_blob(layout, &descriptor.digest)?;
    if manifest.schema_version != 2 {
        bail!("read {}: it has the schemaVersion {}, and only 2 is known", descriptor.digest, manifest.schema_version);
    }
    let config: ImageConfig = read_blob(layout, &manifest.config.digest)?;
    // A note that cannot be read is none; fsck tells of it.
    let parent = listed.annotation(image::PARENT).and_then(|parent| parent.parse().ok());
    Ok(Image {
        id: manifest.config.digest.clone(),
        // skopeo writes the name as it was typed: `busybox` is `busybox:latest` here too.
        names: listed.annotation(image::REF_NAME).map(with_tag).into_iter().collect(),
        repo_digests: listed
            .annotation(image::REPO_DIGESTS)
            .map(|list| list.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
        descriptor,
        manifest,
        config,
        parent,
    })
}

/// The most bytes that a manifest or a configuration may have. (Registries and other tools take 4 MiB.)
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// Reads a JSON blob: a manifest, an index, a configuration.
///
/// # Errors
/// It is not there, no regular file, not of the form that was asked for, or larger than [`MAX_DOCUMENT`].
pub fn read_blob<T: serde::de::DeserializeOwned>(layout: &Layout, digest: &Digest) -> Result<T> {
    let file = layout.blob(digest);
    let read = open_blob(layout, digest).and_then(|(mut blob, size)| {
        if size > MAX_DOCUMENT {
            bail!("it has {size} bytes, and no document of an image has more than {MAX_DOCUMENT}");
        }
        // A blob does not grow; to ask for its end would be one more call for each.
        let mut bytes = vec![0; size as usize];
        blob.read_exact(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    });
    read.with_context(|| format!("read {}", file.display()))
}

/// Opens a blob; gives its size too.
///
/// # Errors
/// It is not there, or no regular file: a link would lead out of the store, a pipe would keep its reader waiting.
pub fn open_blob(layout: &Layout, digest: &Digest) -> Result<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(layout.blob(digest), flags, Mode::empty()) {
        Err(Errno::LOOP) => bail!("it is a symbolic link, and no file of the store"),
        opened => File::from(opened?),
    };
    let found = opened.metadata()?;
    if !found.is_file() {
        bail!("it is no regular file");
    }
    Ok((opened, found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish;
    use serde_json::json;

    #[test]
    fn one_entry_that_is_not_understood_does_not_hide_the_others() {
        let good = Descriptor::new(image::MANIFEST, Digest::of(b"a"), 1);
        let foreign = json!({"mediaType": image::MANIFEST, "digest": format!("sha512:{}", "a".repeat(128)), "size": 3});
        let text = json!({"schemaVersion": 2, "manifests": [foreign, good, {"size": -1}], "other": 1}).to_string();
        let index = Index::parse(text.as_bytes()).unwrap();
        assert_eq!((index.manifests.as_slice(), index.foreign.len()), ([good].as_slice(), 2));
        assert!(Index::why_foreign(&index.foreign[0]).contains("sha512"));
        assert_eq!(Index::parse(&index.encode().unwrap()).unwrap(), index);
        assert!(index.extra.contains_key("other"));
        for bad in
            [&b"{}"[..], b"[]", b"{\"schemaVersion\":3,\"manifests\":[]}", b"{\"schemaVersion\":2,\"manifests\":1}"]
        {
            assert!(Index::parse(bad).is_err());
        }
    }

    #[test]
    fn a_chain_id_covers_all_layers_below_and_names_a_folder_where_the_diff_id_does_not() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let chain = Digest::of(format!("{a} {b}").as_bytes());
        let stack = [a.clone(), b.clone()];
        assert_eq!(chain_ids(&stack), [a.clone(), chain.clone()]);
        assert!(chain_ids(&[]).is_empty());
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        assert_eq!(layer_names(&layout, &stack), stack);
        std::fs::create_dir(layout.layer(&chain)).unwrap();
        assert_eq!(layer_names(&layout, &stack), [a, chain]);
        assert_eq!(layer_names(&layout, std::slice::from_ref(&b)), [b]);
    }

    #[test]
    fn images_that_other_tools_named_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let put = |value: serde_json::Value| {
            let bytes = serde_json::to_vec(&value).unwrap();
            let digest = Digest::of(&bytes);
            publish::bytes(&layout, &layout.blob(&digest), &bytes).unwrap();
            (digest, bytes.len())
        };
        let (config, size) =
            put(json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}));
        let (manifest, manifest_size) = put(json!({"schemaVersion": 2, "layers": [],
            "config": {"mediaType": image::CONFIG, "digest": config, "size": size}}));
        let listed = |name: &str| {
            json!({"mediaType": image::MANIFEST, "digest": manifest, "size": manifest_size,
                "annotations": {image::REF_NAME: name}})
        };
        let index = json!({"schemaVersion": 2, "manifests": [listed("busybox"), listed("My Name")]});
        publish::json(&layout, &layout.index(), &index).unwrap();
        for wanted in ["busybox", "busybox:latest", "docker.io/library/busybox", "My Name", config.short()] {
            assert_eq!(find(&layout, wanted).unwrap().id, config, "{wanted}");
        }
        assert_eq!(find(&layout, "busybox").unwrap().names, ["My Name", "busybox:latest"]);
        assert!(lookup(&layout, "busybox:1").unwrap().is_none());
    }
}

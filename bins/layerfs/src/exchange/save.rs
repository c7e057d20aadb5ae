//! `layerfs save`: images in an archive that docker, podman and skopeo load, and `load`.
//!
//! The archive is an OCI image layout, as the store itself is, and beside its `index.json` there is docker's `manifest.json`,
//! which leads to the same blobs. All blobs are as they are in the store, so every digest stays. The same images
//! give the same bytes.

use super::output_file::OutputFile;
use super::{DockerEntry, INDEX_JSON, MANIFEST_JSON, OCI_LAYOUT, blob_path};
use crate::archive::member::{Kind, Member};
use crate::archive::write::TarWriter;
use crate::cli::SaveArgs;
use crate::image::store;
use anyhow::{Context, Result, bail};
use layout::digest::HashingReader;
use layout::images::{self, Image};
use layout::oci::image::{Descriptor, FULL_NAME, Index, PARENT, Platform, REF_NAME};
use layout::{Digest, Layout, Reference, events};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{BufWriter, Read, Write};

/// An image that is to be saved, under which names.
struct Saved {
    image: Image,
    names: Vec<Reference>,
}

/// Saves.
pub fn run(layout: &Layout, args: &SaveArgs) -> Result<()> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let mut out = OutputFile::open(args.output.as_deref(), "save image")?;
    // Shared, so that no blob is removed between being named and being written.
    let _held = store::hold(layout)?;
    let saved = collect(layout, &args.images, platform.as_ref())?;
    let mut tar = TarWriter::new(BufWriter::with_capacity(256 << 10, &mut out));
    write(layout, &saved, &mut tar)?;
    tar.finish()?.flush().context("write the archive")?;
    out.finish()?;
    for Saved { image, .. } in &saved {
        events::of_image(layout, "save", image.id.as_str(), image.id.as_str(), image.config.config.labels.as_ref());
    }
    Ok(())
}

/// Finds the images. One that is named twice is saved once, under both names.
fn collect(layout: &Layout, wanted: &[String], platform: Option<&Platform>) -> Result<Vec<Saved>> {
    let mut saved: Vec<Saved> = Vec::new();
    for wanted in wanted {
        for (image, name) in find(layout, wanted, platform)? {
            let digest = image.descriptor.digest.clone();
            let at = match saved.iter().position(|known| known.image.descriptor.digest == digest) {
                Some(at) => at,
                None => {
                    saved.push(Saved { image, names: Vec::new() });
                    saved.len() - 1
                }
            };
            if let Some(name) = name.filter(|name| !saved[at].names.contains(name)) {
                saved[at].names.push(name);
            }
        }
    }
    Ok(saved)
}

/// The images that a word stands for: a repository without a tag is all its tags, as with docker.
fn find(layout: &Layout, wanted: &str, platform: Option<&Platform>) -> Result<Vec<(Image, Option<Reference>)>> {
    let reference = Reference::parse(wanted).ok();
    let mut names = Vec::new();
    if let Some(reference) = &reference {
        let is_bare = reference.digest.is_none()
            && !wanted.ends_with(&format!(":{}", reference.tag.as_deref().unwrap_or_default()));
        let index = images::index(layout)?;
        let known = index.manifests.iter().filter_map(|listed| Reference::parse(listed.annotation(REF_NAME)?).ok());
        names.extend(
            known.filter(|known| known == reference || (is_bare && known.repository() == reference.repository())),
        );
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(vec![(images::platforms::find(layout, wanted, platform)?, None)]);
    }
    let found =
        names.into_iter().map(|name| Ok((images::platforms::find(layout, &name.familiar(), platform)?, Some(name))));
    found.collect()
}

fn write<W: Write>(layout: &Layout, saved: &[Saved], tar: &mut TarWriter<W>) -> Result<()> {
    let ids: BTreeSet<&Digest> = saved.iter().map(|saved| &saved.image.id).collect();
    // A parent is of use only where it is.
    let parent = |saved: &Saved| saved.image.parent.clone().filter(|parent| ids.contains(parent));
    let entries: Vec<DockerEntry> = saved.iter().map(|saved| docker_entry(saved, parent(saved))).collect();
    let index = Index {
        manifests: saved.iter().flat_map(|saved| descriptors(saved, parent(saved))).collect(),
        ..Index::default()
    };
    document(tar, OCI_LAYOUT, &json!({"imageLayoutVersion": "1.0.0"}))?;
    document(tar, INDEX_JSON, &index)?;
    document(tar, MANIFEST_JSON, &entries)?;
    for folder in ["blobs/", "blobs/sha256/"] {
        tar.append(&member(folder, Kind::Dir, 0o755, 0), &mut std::io::empty())?;
    }
    let mut written = BTreeSet::new();
    for Saved { image, .. } in saved {
        let documents = [&image.descriptor, &image.manifest.config];
        for blob in documents.into_iter().chain(&image.manifest.layers) {
            if written.insert(&blob.digest) {
                self::blob(layout, tar, blob).with_context(|| format!("save the image {}", image.id.short()))?;
            }
        }
    }
    Ok(())
}

fn docker_entry(saved: &Saved, parent: Option<Digest>) -> DockerEntry {
    let names: Vec<String> = saved.names.iter().map(Reference::familiar).collect();
    DockerEntry {
        config: blob_path(&saved.image.id),
        repo_tags: Some(names).filter(|names| !names.is_empty()),
        layers: saved.image.manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect(),
        parent,
    }
}

/// A line of the index for each name, as in the store.
fn descriptors(saved: &Saved, parent: Option<Digest>) -> Vec<Descriptor> {
    let of = &saved.image.descriptor;
    let mut plain = Descriptor::new(&of.media_type, of.digest.clone(), of.size);
    plain.annotations.extend(parent.map(|parent| (PARENT.to_owned(), parent.to_string())));
    if saved.names.is_empty() {
        return vec![plain];
    }
    let named = |name: &Reference| {
        let mut named = plain.clone();
        named.annotations.insert(REF_NAME.to_owned(), name.familiar());
        named.annotations.insert(FULL_NAME.to_owned(), name.full());
        named
    };
    saved.names.iter().map(named).collect()
}

fn document<W: Write>(tar: &mut TarWriter<W>, name: &str, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).with_context(|| format!("encode {name}"))?;
    tar.append(&member(name, Kind::File, 0o644, bytes.len() as u64), &mut bytes.as_slice())
}

/// Writes a blob, and verifies it on the way: a damaged store must not pass for an archive that is whole.
fn blob<W: Write>(layout: &Layout, tar: &mut TarWriter<W>, blob: &Descriptor) -> Result<()> {
    let failed = || format!("read the blob {} (see layerfs fsck)", blob.digest);
    let (file, size) = images::open_blob(layout, &blob.digest).with_context(failed)?;
    if size != blob.size {
        bail!("{}: it has {size} bytes, not {}", failed(), blob.size);
    }
    let mut content = HashingReader::new(file.take(size));
    tar.append(&member(&blob_path(&blob.digest), Kind::File, 0o644, size), &mut content)?;
    let (_, found, _) = content.finish();
    if found != blob.digest {
        bail!("{}: its content is {found}", failed());
    }
    Ok(())
}

fn member(path: &str, kind: Kind, mode: u32, size: u64) -> Member {
    let (link, xattrs) = Default::default();
    Member { path: path.into(), kind, link, mode, uid: 0, gid: 0, size, parts: None, mtime: (0, 0), xattrs }
}

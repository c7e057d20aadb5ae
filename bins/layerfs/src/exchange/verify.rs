//! The images of an archive, proved: each layer is what the configuration says it is.
//!
//! A configuration names its layers by the digests of their uncompressed tars. So each layer is uncompressed, and, if it is
//! not in the store yet, extracted, in `tmp/`. Nothing is put into the store before all images of the archive have
//! stood the test.

use super::Found;
use super::stage::{FileId, Stage};
use crate::image::{self, store};
use crate::layer::compression::Compression;
use crate::layer::{self, Prepared, pipeline};
use anyhow::{Context, Result, bail};
use layout::oci::image::{CONFIG, Descriptor, ImageConfig, MANIFEST, Manifest, PARENT};
use layout::{Digest, Layout, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// An image that may be listed.
#[derive(Debug)]
pub struct Verified {
    /// Its id.
    pub id: Digest,
    /// Names to give it.
    pub names: Vec<Reference>,
    manifest: Listed,
    parent: Option<Digest>,
}

/// How it is going to be listed.
#[derive(Debug)]
enum Listed {
    /// By the manifest from the archive.
    Own(Descriptor),
    /// By one that is made for it: docker's archives have none.
    Made(Manifest),
}

/// Everything that is verified, and not in the store yet.
pub struct Verifier<'a> {
    layout: &'a Layout,
    stage: &'a Stage,
    /// Files of the archive that become blobs.
    blobs: BTreeSet<FileId>,
    /// Layers that are new here.
    layers: Vec<Prepared>,
    /// The blobs of the layers that were looked at, by diff id.
    seen: BTreeMap<Digest, Descriptor>,
    /// What a file of the archive is when uncompressed.
    diff_ids: BTreeMap<FileId, Digest>,
}

impl<'a> Verifier<'a> {
    /// One that has seen nothing yet.
    pub fn new(layout: &'a Layout, stage: &'a Stage) -> Self {
        let (blobs, layers) = Default::default();
        Verifier { layout, stage, blobs, layers, seen: BTreeMap::new(), diff_ids: BTreeMap::new() }
    }

    /// Verifies an image.
    pub fn image(&mut self, found: Found) -> Result<Verified> {
        let id = self.stage.digest(found.config).clone();
        let failed = || format!("image {id}");
        let config: ImageConfig =
            self.stage.json(found.config).context("read its configuration").with_context(failed)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != found.layers.len() {
            bail!("{}: it has {} layers and {} diff ids", failed(), found.layers.len(), diff_ids.len());
        }
        let mut layers = Vec::new();
        for ((file, said), diff_id) in found.layers.into_iter().zip(diff_ids) {
            layers.push(
                match said {
                    Some(blob) => self.given_blob(file, blob, diff_id),
                    None => self.any_blob(file, diff_id),
                }
                .with_context(|| format!("layer {diff_id}"))
                .with_context(failed)?,
            );
        }
        self.blobs.insert(found.config);
        let manifest = match found.manifest {
            Some((descriptor, file)) => {
                self.blobs.insert(file);
                Listed::Own(descriptor)
            }
            None => Listed::Made(Manifest {
                schema_version: 2,
                media_type: Some(MANIFEST.to_owned()),
                config: Descriptor::new(CONFIG, id.clone(), self.stage.size(found.config)),
                layers,
                extra: Default::default(),
            }),
        };
        Ok(Verified { id, names: found.names, manifest, parent: found.parent })
    }

    /// A layer whose blob the manifest names: it is kept as it is.
    fn given_blob(&mut self, file: FileId, blob: Descriptor, diff_id: &Digest) -> Result<Descriptor> {
        self.blobs.insert(file);
        if self.seen.contains_key(diff_id) || self.layout.layer_diff(diff_id).is_dir() {
            self.check(file, diff_id)?;
        } else {
            let opened = self.stage.open(file)?;
            self.layers.push(layer::prepare_blob(self.layout, opened, diff_id, &blob)?);
            self.diff_ids.insert(file, diff_id.clone());
        }
        self.seen.entry(diff_id.clone()).or_insert_with(|| blob.clone());
        Ok(blob)
    }

    /// A layer of a docker archive: if the store has it, then its blob is taken; else a compressed one is kept as it
    /// is, and another is compressed.
    fn any_blob(&mut self, file: FileId, diff_id: &Digest) -> Result<Descriptor> {
        let known = match self.seen.get(diff_id) {
            Some(blob) => Some(blob.clone()),
            None => layer::info(self.layout, diff_id)?
                .map(|info| info.blob)
                .filter(|blob| self.layout.blob(&blob.digest).exists()),
        };
        if let Some(blob) = known {
            self.check(file, diff_id)?;
            self.seen.insert(diff_id.clone(), blob.clone());
            return Ok(blob);
        }
        let compression = self.compression(file)?;
        if compression != Compression::None {
            let blob =
                Descriptor::new(compression.media_type(), self.stage.digest(file).clone(), self.stage.size(file));
            return self.given_blob(file, blob, diff_id);
        }
        // The digest of a plain tar is its diff id: what is wrong need not be extracted first.
        self.is(self.stage.digest(file), diff_id)?;
        let prepared = layer::prepare(self.layout, self.stage.open(file)?)?;
        let blob = prepared.info.blob.clone();
        self.is(&prepared.info.diff_id, diff_id)?;
        self.layers.push(prepared);
        self.seen.insert(diff_id.clone(), blob.clone());
        Ok(blob)
    }

    /// Says that a file is a layer, compressed or not, without extracting it.
    fn check(&mut self, file: FileId, diff_id: &Digest) -> Result<()> {
        if self.stage.digest(file) == diff_id {
            return Ok(());
        }
        if !self.diff_ids.contains_key(&file) {
            let (_, found) = pipeline::digests(self.stage.open(file)?)?;
            self.diff_ids.insert(file, found.context("its compression is not supported")?);
        }
        self.is(&self.diff_ids[&file], diff_id)
    }

    fn is(&self, found: &Digest, diff_id: &Digest) -> Result<()> {
        if found != diff_id {
            bail!("uncompressed it is {found}, and the image says {diff_id}");
        }
        Ok(())
    }

    /// How a file of the archive is compressed.
    fn compression(&self, file: FileId) -> Result<Compression> {
        let mut start = Vec::new();
        self.stage.open(file)?.take(6).read_to_end(&mut start)?;
        Compression::of(&start)
    }

    /// What is to be put into the store.
    pub fn finish(self) -> (BTreeSet<FileId>, Vec<Prepared>) {
        (self.blobs, self.layers)
    }
}

/// Lists verified images under their names, all at once. Gives what happened to names that other images had.
pub fn list(layout: &Layout, images: &[Verified]) -> Result<Vec<String>> {
    let mut listed = Vec::new();
    for image in images {
        let mut descriptor = match &image.manifest {
            Listed::Own(descriptor) => descriptor.clone(),
            Listed::Made(manifest) => {
                let (digest, size) = store::put_json(layout, manifest).context("store the image's manifest")?;
                Descriptor::new(MANIFEST, digest, size)
            }
        };
        if let Some(parent) = &image.parent {
            descriptor.annotations.insert(PARENT.to_owned(), parent.to_string());
        }
        listed.push((descriptor, image));
    }
    store::edit_index(layout, |index| {
        let mut moved = Vec::new();
        for (descriptor, image) in &listed {
            image::list(index, descriptor);
            for name in &image.names {
                let had = index.manifests.iter().find(|known| image::has_name(known, name));
                if let Some(known) = had.filter(|known| known.digest != descriptor.digest)
                    && let Ok(old) = layout::images::load(layout, known.clone())
                    && old.id != image.id
                {
                    moved.push(format!(
                        "The image {name} already exists, renaming the old one with ID {} to empty string",
                        old.id
                    ));
                }
                image::set_name(index, descriptor, name);
            }
        }
        Ok(moved)
    })
}

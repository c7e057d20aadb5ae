//! Layers: `layers/HEX/`, each a folder that appears whole or not at all.
//!
//! A layer is made in `tmp/` and renamed into place. Two that make the same layer at the same time make the same thing, so the
//! one who comes second drops theirs and is content.

pub mod add;
pub mod beneath;
pub mod diff;
pub mod examine;
pub mod extract;
pub mod pipeline;
pub mod whiteout;

use crate::image::store;
use anyhow::{Context, Result, bail};
use layout::images::LayerInfo;
use layout::oci::image::{Descriptor, LAYER_GZIP};
use layout::{Digest, Layout, publish};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// An empty tar: what `scratch` is made of where overlayfs asks for a layer.
const EMPTY_TAR: &[u8] = &[0; 1024];

/// A layer that is read, extracted and verified, and still in `tmp/`: dropped, it leaves nothing.
#[derive(Debug)]
pub struct Prepared {
    /// What it is.
    pub info: LayerInfo,
    folder: store::TempFolder,
    /// Its blob, unless it is in the store already.
    blob: Option<NamedTempFile>,
}

impl Prepared {
    /// Puts it into the store: the blob first, then the folder that names it.
    pub fn publish(self, layout: &Layout) -> Result<LayerInfo> {
        if let Some(blob) = self.blob {
            publish::persist_durable(blob, &layout.blob(&self.info.blob.digest))?;
        }
        publish_folder(layout, self.folder, &self.info)?;
        Ok(self.info)
    }
}

/// Stores a layer from a tar stream, plain or gzip'd: its blob and its files. The caller holds the gc lock shared.
pub fn store(layout: &Layout, input: impl Read + Send) -> Result<LayerInfo> {
    let prepared = prepare(layout, input)?;
    // Known already: the blob that it was stored as stays the one, so that images share it.
    if let Some(known) = info(layout, &prepared.info.diff_id)?
        && layout.blob(&known.blob.digest).exists()
    {
        return Ok(known);
    }
    prepared.publish(layout)
}

/// The first half of [`store`]: reads the tar stream, extracts it, and compresses it unless it is.
pub fn prepare(layout: &Layout, input: impl Read + Send) -> Result<Prepared> {
    let folder = new_folder(layout)?;
    let blob = store::temp_file(layout)?;
    let passed = pipeline::store(input, blob.reopen().context("open a temporary file")?, &folder.path().join("diff"))?;
    let info = LayerInfo {
        diff_id: passed.diff_id,
        size: passed.size,
        blob: Descriptor::new(LAYER_GZIP, passed.blob_digest, passed.blob_size),
    };
    Ok(Prepared { info, folder, blob: Some(blob) })
}

/// Makes sure that a layer is extracted; where it is not, extracts it from its blob and verifies both digests.
pub fn ensure(layout: &Layout, diff_id: &Digest, blob: &Descriptor) -> Result<()> {
    if layout.layer_diff(diff_id).is_dir() {
        return Ok(());
    }
    let file = layout.blob(&blob.digest);
    let opened = File::open(&file).with_context(|| format!("open {}", file.display()));
    let opened = opened.with_context(|| format!("extract the layer {}", blob.digest))?;
    prepare_blob(layout, opened, diff_id, blob)?.publish(layout).map(drop)
}

/// Extracts a layer from its blob, which may be on its way yet, and verifies both digests.
pub fn prepare_blob(layout: &Layout, input: impl Read + Send, diff_id: &Digest, blob: &Descriptor) -> Result<Prepared> {
    let folder = new_folder(layout)?;
    let failed = || format!("extract the layer {}", blob.digest);
    let passed = pipeline::unpack(input, &folder.path().join("diff")).with_context(failed)?;
    if passed.blob_digest != blob.digest || passed.blob_size != blob.size {
        bail!("{}: its content has the digest {} and {} bytes", failed(), passed.blob_digest, passed.blob_size);
    }
    if passed.diff_id != *diff_id {
        bail!("{}: uncompressed it is {}, and the image says {diff_id}", failed(), passed.diff_id);
    }
    let info = LayerInfo { diff_id: passed.diff_id, size: passed.size, blob: blob.clone() };
    Ok(Prepared { info, folder, blob: None })
}

/// The diff id of the layer that holds nothing, which is made if it is not there.
pub fn empty(layout: &Layout) -> Result<Digest> {
    let diff_id = Digest::of(EMPTY_TAR);
    if layout.layer_diff(&diff_id).is_dir() {
        return Ok(diff_id);
    }
    Ok(store(layout, EMPTY_TAR)?.diff_id)
}

/// What is known of an extracted layer; `None` where it is not extracted.
pub fn info(layout: &Layout, diff_id: &Digest) -> Result<Option<LayerInfo>> {
    let file = layout.layer_info(diff_id);
    match fs::read(&file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("read {}", file.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// A folder in `tmp/` with an empty `diff/`, owned by root, mode 0755: what a layer's root is unless the tar says otherwise.
fn new_folder(layout: &Layout) -> Result<store::TempFolder> {
    let folder = store::temp_dir(layout)?;
    let diff = folder.path().join("diff");
    rustix::fs::mkdir(&diff, Mode::from_raw_mode(0o755)).with_context(|| format!("make {}", diff.display()))?;
    Ok(folder)
}

fn publish_folder(layout: &Layout, folder: store::TempFolder, info: &LayerInfo) -> Result<()> {
    write_info(folder.path(), info)?;
    let target = layout.layer(&info.diff_id);
    match rustix::fs::rename(folder.path(), &target) {
        Ok(()) => {
            // It has left `tmp/`: there is nothing to clean up there.
            folder.keep();
            publish::sync_dir(&layout.layers())
        }
        // Somebody made the same layer meanwhile. Theirs may name a blob that is gone; ours is there.
        Err(Errno::EXIST | Errno::NOTEMPTY) => publish::json_durable(layout, &layout.layer_info(&info.diff_id), info),
        Err(error) => Err(error).with_context(|| format!("publish {}", target.display())),
    }
}

fn write_info(folder: &Path, info: &LayerInfo) -> Result<()> {
    let file = folder.join("layer.json");
    let bytes = serde_json::to_vec(info).context("encode layer.json")?;
    // Others may look into the layer's folder, as into the layout's other folders.
    rustix::fs::chmod(folder, Mode::from_raw_mode(0o711))
        .with_context(|| format!("set mode of {}", folder.display()))?;
    let written = File::create(&file).and_then(|mut out| out.write_all(&bytes).and_then(|()| out.sync_all()));
    written.with_context(|| format!("write {}", file.display()))
}

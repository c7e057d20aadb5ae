//! Layers: `layers/HEX/`, each a folder that appears whole or not at all.
//!
//! A layer is made in `tmp/` and renamed into place. Two that make the same layer at the same time make the same thing, so the
//! one who comes second drops theirs and is content.

pub mod add;
pub mod attributes;
pub mod below;
pub mod beneath;
pub mod changes;
pub mod compression;
pub mod diff;
pub mod entry;
pub mod examine;
pub mod extract;
pub mod parents;
pub mod pipeline;
pub mod queue;
pub mod whiteout;
pub mod zstd;

use crate::image::store;
use crate::layer::below::Below;
use crate::layer::pipeline::Passed;
use anyhow::{Context, Result, bail};
use layout::images::{self, LayerInfo};
use layout::oci::image::Descriptor;
use layout::{Digest, Layout, publish};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::slice;
use tempfile::NamedTempFile;

/// An empty tar: what `scratch` is made of where overlayfs asks for a layer.
const EMPTY_TAR: &[u8] = &[0; 1024];

/// A layer that is read, extracted and verified, and still in `tmp/`: dropped, it leaves nothing.
#[derive(Debug)]
pub struct Prepared {
    /// What it is.
    pub info: LayerInfo,
    /// Its files; `None` if some of them are in layers below that are not known yet: it is extracted when it is mounted.
    folder: Option<store::TempFolder>,
    /// Its blob, unless it is in the store already.
    blob: Option<NamedTempFile>,
}

impl Prepared {
    /// What one pass over a layer gave. `stack` are the layers that it lies on and it, lowest first.
    fn new(passed: Passed, folder: store::TempFolder, below: &Below, stack: &[Digest]) -> Prepared {
        let Passed { diff_id, compression, blob_digest, blob_size, extracted } = passed;
        let chain_id = images::chain_ids(stack).pop().filter(|_| extracted.needs_below);
        let known = !extracted.needs_below || matches!(below, Below::Known(_));
        let blob = Descriptor::new(compression.media_type(), blob_digest, blob_size);
        let info = LayerInfo { diff_id, chain_id, size: extracted.size, blob };
        Prepared { info, folder: known.then_some(folder), blob: None }
    }

    /// Puts it into the store: the blob first, then the folder that names it.
    pub fn publish(self, layout: &Layout) -> Result<LayerInfo> {
        if let Some(blob) = self.blob {
            publish::persist_durable(blob, &layout.blob(&self.info.blob.digest))?;
        }
        if let Some(folder) = self.folder {
            publish_folder(layout, folder, &self.info)?;
        }
        Ok(self.info)
    }
}

/// Stores a layer from a tar stream, plain or compressed: its blob and its files. It lies on nothing, or at least needs nothing
/// of what it lies on. The caller holds the gc lock shared.
pub fn store(layout: &Layout, input: impl Read + Send) -> Result<LayerInfo> {
    store_on(layout, &[], input)
}

/// As [`store`], for a layer that lies on others, lowest first, all of them extracted.
pub fn store_on(layout: &Layout, below: &[Digest], input: impl Read + Send) -> Result<LayerInfo> {
    let prepared = prepare_on(layout, input, &folders(layout, below), below)?;
    // Known already: the blob that it was stored as stays the one, so that images share it.
    if let Some(known) = info(layout, prepared.info.name())?
        && layout.blob(&known.blob.digest).exists()
    {
        return Ok(known);
    }
    prepared.publish(layout)
}

/// The first half of [`store`], for a layer of whose place nothing is known: reads the tar stream, extracts it, and compresses
/// it unless it is.
pub fn prepare(layout: &Layout, input: impl Read + Send) -> Result<Prepared> {
    prepare_on(layout, input, &Below::Unknown, &[])
}

fn prepare_on(layout: &Layout, input: impl Read + Send, below: &Below, stack: &[Digest]) -> Result<Prepared> {
    let folder = new_folder(layout)?;
    let blob = store::temp_file(layout)?;
    let out = blob.reopen().context("open a temporary file")?;
    let passed = pipeline::store(input, out, &folder.path().join("diff"), below)?;
    let stack = [stack, slice::from_ref(&passed.diff_id)].concat();
    Ok(Prepared { blob: Some(blob), ..Prepared::new(passed, folder, below, &stack) })
}

/// Makes sure that a layer is extracted; where it is not, extracts it from its blob and verifies both digests. It lies on the
/// layers `below`, lowest first, all of them extracted.
pub fn ensure(layout: &Layout, below: &[Digest], diff_id: &Digest, blob: &Descriptor) -> Result<()> {
    let stack = [below, slice::from_ref(diff_id)].concat();
    if images::layer_names(layout, &stack).last().is_some_and(|name| layout.layer_diff(name).is_dir()) {
        return Ok(());
    }
    let known = folders(layout, below);
    prepare_blob_on(layout, open(layout, blob)?, blob, &known, &stack)?.publish(layout).map(drop)
}

/// Extracts a layer from its blob, which may be on its way yet, and verifies both digests.
pub fn prepare_blob(layout: &Layout, input: impl Read + Send, diff_id: &Digest, blob: &Descriptor) -> Result<Prepared> {
    prepare_blob_on(layout, input, blob, &Below::Unknown, slice::from_ref(diff_id))
}

/// As [`prepare_blob`], for a layer that lies on the layers `below`, lowest first, all of them extracted.
pub fn prepare_blob_above(
    layout: &Layout,
    input: impl Read + Send,
    below: &[Digest],
    diff_id: &Digest,
    blob: &Descriptor,
) -> Result<Prepared> {
    let stack = [below, slice::from_ref(diff_id)].concat();
    prepare_blob_on(layout, input, blob, &folders(layout, below), &stack)
}

fn prepare_blob_on(
    layout: &Layout,
    input: impl Read + Send,
    blob: &Descriptor,
    below: &Below,
    stack: &[Digest],
) -> Result<Prepared> {
    let folder = new_folder(layout)?;
    let failed = || format!("extract the layer {}", blob.digest);
    let passed = pipeline::unpack(input, &folder.path().join("diff"), below).with_context(failed)?;
    if passed.blob_digest != blob.digest || passed.blob_size != blob.size {
        bail!("{}: its content has the digest {} and {} bytes", failed(), passed.blob_digest, passed.blob_size);
    }
    if let Some(diff_id) = stack.last().filter(|diff_id| passed.diff_id != **diff_id) {
        bail!("{}: uncompressed it is {}, and the image says {diff_id}", failed(), passed.diff_id);
    }
    let mut prepared = Prepared::new(passed, folder, below, stack);
    prepared.info.blob = blob.clone();
    Ok(prepared)
}

fn open(layout: &Layout, blob: &Descriptor) -> Result<File> {
    let file = layout.blob(&blob.digest);
    let opened = File::open(&file).with_context(|| format!("open {}", file.display()));
    opened.with_context(|| format!("extract the layer {}", blob.digest))
}

/// The folders of a stack of layers, for one that lies on them.
fn folders(layout: &Layout, stack: &[Digest]) -> Below {
    let names = images::layer_names(layout, stack);
    Below::Known(names.iter().rev().map(|name| layout.layer_diff(name)).collect())
}

/// The diff id of the layer that holds nothing, which is made if it is not there.
pub fn empty(layout: &Layout) -> Result<Digest> {
    let diff_id = Digest::of(EMPTY_TAR);
    if layout.layer_diff(&diff_id).is_dir() {
        return Ok(diff_id);
    }
    Ok(store(layout, EMPTY_TAR)?.diff_id)
}

/// What is known of an extracted layer, by the name of its folder; `None` where it is not extracted.
pub fn info(layout: &Layout, name: &Digest) -> Result<Option<LayerInfo>> {
    let file = layout.layer_info(name);
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
    // One call for all files: whoever finds the layer after a power cut shall find it whole.
    let opened = beneath::open_root(folder.path())?;
    rustix::fs::syncfs(&opened).with_context(|| format!("sync {}", folder.path().display()))?;
    let target = layout.layer(info.name());
    match rustix::fs::rename(folder.path(), &target) {
        Ok(()) => {
            // It has left `tmp/`: there is nothing to clean up there.
            folder.keep();
            publish::sync_dir(&layout.layers())
        }
        // Somebody made the same layer meanwhile. Theirs may name a blob that is gone; ours is there.
        Err(Errno::EXIST | Errno::NOTEMPTY) => publish::json_durable(layout, &layout.layer_info(info.name()), info),
        Err(error) => Err(error).with_context(|| format!("publish {}", target.display())),
    }
}

fn write_info(folder: &Path, info: &LayerInfo) -> Result<()> {
    let file = folder.join("layer.json");
    let bytes = serde_json::to_vec(info).context("encode layer.json")?;
    // It was made as a temporary one: now it is as the layout's other folders.
    rustix::fs::chmod(folder, Mode::from_raw_mode(0o711))
        .with_context(|| format!("set mode of {}", folder.display()))?;
    File::create(&file).and_then(|mut out| out.write_all(&bytes)).with_context(|| format!("write {}", file.display()))
}

//! `layerfs add`: a tar on standard input becomes a layer, for `commit --layer` to make an image with.

use crate::cli::AddArgs;
use crate::{
    image::{import, store},
    layer, mount, output,
};
use anyhow::{Context, Result};
use layout::{Digest, Layout};
use serde::Serialize;
use std::path::Path;

/// What `add` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Added<'a> {
    /// Digest of the uncompressed tar.
    diff_id: &'a Digest,
    /// Digest of the blob that it is stored as.
    blob: &'a Digest,
    /// Sum of the sizes of its files, in bytes.
    size: u64,
}

/// Adds the layer and prints what it is.
pub fn run(layout: &Layout, args: &AddArgs) -> Result<()> {
    let _held = store::hold(layout)?;
    let below = args.parent.as_deref().map_or(Ok(Vec::new()), |parent| mount::layers_of(layout, parent))?;
    let layer = layer::store_on(layout, &below, import::open_input(Path::new("-"))?).context("add a layer")?;
    let added = Added { diff_id: &layer.diff_id, blob: &layer.blob.digest, size: layer.size };
    output::line(serde_json::to_string(&added).context("encode the output")?)
}

//! `layerfs commit`: a parent image, and what changed on it, become an image.

use crate::cli::CommitArgs;
use crate::{
    image::{self, change, import, store},
    layer::{self, diff, pipeline},
    output,
};
use anyhow::{Context, Result, bail};
use layout::images::{self, LayerInfo};
use layout::oci::image::{Descriptor, History, ImageConfig, Platform, RunConfig};
use layout::{Digest, Layout, Reference, time};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;

/// The image below.
struct Parent {
    /// `None` for `scratch`.
    id: Option<Digest>,
    config: ImageConfig,
    layers: Vec<Descriptor>,
}

/// Commits and prints the image's id.
pub fn run(layout: &Layout, args: &CommitArgs) -> Result<()> {
    let names = args.tags.iter().map(|tag| Reference::parse_name(tag)).collect::<Result<Vec<Reference>>>()?;
    let run_config = args.config.as_deref().map(read_config).transpose()?;
    // Whatever can be wrong with the words is found before the change is read.
    args.changes.iter().try_for_each(|instruction| change::apply(&mut RunConfig::default(), instruction))?;
    let _held = store::hold(layout)?;
    let mut parent = find_parent(layout, &args.parent)?;

    let new_layer = find_layer(layout, args, &parent.config.rootfs.diff_ids)?;
    let created = time::now();
    let mut config = parent.config;
    config.created = Some(created.clone());
    config.author = args.author.clone();
    if let Some(run_config) = run_config {
        config.config = run_config;
    }
    for instruction in &args.changes {
        change::apply(&mut config.config, instruction)?;
    }
    config.history.push(History {
        created: Some(created),
        created_by: Some(args.created_by.clone()).filter(|text| !text.is_empty()),
        author: args.author.clone(),
        comment: args.comment.clone(),
        empty_layer: new_layer.is_none(),
    });
    if let Some(layer) = new_layer {
        config.rootfs.diff_ids.push(layer.diff_id);
        parent.layers.push(layer.blob);
    }
    let step_of = if args.step { parent.id.as_ref() } else { None };
    let id = image::publish(layout, &config, parent.layers, &names, step_of)?;
    output::line(id)
}

fn find_parent(layout: &Layout, wanted: &str) -> Result<Parent> {
    if wanted == "scratch" {
        let config =
            ImageConfig { architecture: Platform::host().architecture, os: "linux".to_owned(), ..Default::default() };
        return Ok(Parent { id: None, config, layers: Vec::new() });
    }
    if let Some(parent) = parent_by_id(layout, wanted)? {
        return Ok(parent);
    }
    let image = images::find(layout, wanted)?;
    Ok(Parent { id: Some(image.id), config: image.config, layers: image.manifest.layers })
}

/// The short way for each step of a build: an id names the configuration, the configuration its layers, and each extracted
/// layer knows its blob. The index, and with it the number of images, does not matter.
fn parent_by_id(layout: &Layout, wanted: &str) -> Result<Option<Parent>> {
    let Some((id, config)) = image::config_by_id(layout, wanted) else { return Ok(None) };
    let mut layers = Vec::new();
    for name in images::layer_names(layout, &config.rootfs.diff_ids) {
        match layer::info(layout, &name)? {
            Some(info) if layout.blob(&info.blob.digest).exists() => layers.push(info.blob),
            _ => return Ok(None),
        }
    }
    Ok(Some(Parent { id: Some(id), config, layers }))
}

/// The layer that the arguments name or make; `None` when nothing changed.
fn find_layer(layout: &Layout, args: &CommitArgs, below: &[Digest]) -> Result<Option<LayerInfo>> {
    if let Some(diff_id) = &args.layer {
        let stack = [below, std::slice::from_ref(diff_id)].concat();
        let name = images::layer_names(layout, &stack).pop();
        let found = layer::info(layout, name.as_ref().unwrap_or(diff_id))?;
        return found.with_context(|| format!("no such layer: {diff_id}")).map(Some);
    }
    match &args.upper {
        Some(upper) if !diff::is_empty(upper)? => store_upper(layout, upper, &args.without).map(Some),
        _ => Ok(None),
    }
}

/// Stores an upper folder as a layer: one thread writes the tar, this one takes it in as any other.
fn store_upper(layout: &Layout, upper: &Path, without: &[PathBuf]) -> Result<LayerInfo> {
    let (sender, chunks) = pipeline::queue();
    thread::scope(|scope| {
        let writer =
            scope.spawn(move || diff::write_without(upper, without, sender)?.finish().context("write the layer"));
        let stored = layer::store(layout, chunks);
        let written = writer.join().unwrap_or_else(|_| bail!("a thread ended early"));
        pipeline::both(stored, written).map(|(layer, ())| layer)
    })
    .with_context(|| format!("commit {}", upper.display()))
}

fn read_config(file: &Path) -> Result<RunConfig> {
    let mut text = String::new();
    import::open_input(file)?.read_to_string(&mut text).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("read the image's defaults in {}", file.display()))
}

//! `layerfs ls` and `layerfs inspect`: what is in the store.

use crate::cli::{InspectArgs, LsArgs};
use crate::output;
use anyhow::{Context, Result};
use layout::images::Image;
use layout::images::summary::{self, LayerSizes, Summary};
use layout::oci::image::Platform;
use layout::{Layout, images, units};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Lists the images, newest first.
pub fn ls(layout: &Layout, args: &LsArgs) -> Result<()> {
    let mut found = summary::all(layout)?;
    found.sort_by(|a, b| b.created.cmp(&a.created));
    if !args.all {
        hide_steps(&mut found);
    }
    let mut sizes = LayerSizes::new(layout)?;
    if args.json {
        let entries: Result<Vec<Value>> = found.iter().map(|image| entry(layout, image, &mut sizes)).collect();
        return output::json(&entries?);
    }
    let mut rows = vec![["NAME", "IMAGE ID", "CREATED", "SIZE"].map(str::to_owned).to_vec()];
    for image in &found {
        let created = image.created.as_deref().unwrap_or("-");
        let created = created.get(..19).unwrap_or(created).replace('T', " ");
        let size = units::human_size(sizes.sum(layout, &image.layers)?);
        let names = if image.names.is_empty() { vec!["<none>".to_owned()] } else { image.names.clone() };
        rows.extend(
            names.into_iter().map(|name| vec![name, image.id.short().to_owned(), created.clone(), size.clone()]),
        );
    }
    output::table(&rows)
}

/// Takes away what is only a step towards another image: no name, and somebody's parent.
fn hide_steps(found: &mut Vec<Summary>) {
    let parents: BTreeSet<_> = found.iter().filter_map(|image| image.parent.clone()).collect();
    found.retain(|image| !image.names.is_empty() || !parents.contains(&image.id));
}

fn entry(layout: &Layout, image: &Summary, sizes: &mut LayerSizes) -> Result<Value> {
    Ok(json!({
        "Id": image.id,
        "Names": image.names,
        "Created": image.created,
        "Size": sizes.sum(layout, &image.layers)?,
        "Parent": image.parent,
        "Manifest": image.manifest,
        "Layers": image.layers,
    }))
}

/// Prints all that is known of images, with docker's keys.
pub fn inspect(layout: &Layout, args: &InspectArgs) -> Result<()> {
    let mut found = Vec::new();
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    for wanted in &args.images {
        let image = images::platforms::find(layout, wanted, platform.as_ref())?;
        found.push(details(layout, &image).with_context(|| format!("inspect {wanted}"))?);
    }
    output::json(&found)
}

fn details(layout: &Layout, image: &Image) -> Result<Value> {
    let comment = image.config.history.last().and_then(|step| step.comment.clone());
    Ok(json!({
        "Id": image.id,
        "RepoTags": image.names,
        "RepoDigests": image.repo_digests,
        "Parent": image.parent.as_ref().map_or("", |parent| parent.as_str()),
        "Comment": comment.unwrap_or_default(),
        "Created": image.config.created,
        "Author": image.config.author.as_deref().unwrap_or_default(),
        "Config": image.config.config,
        "Architecture": image.config.architecture,
        "Os": image.config.os,
        "Size": image.size(layout)?,
        "RootFS": {"Type": "layers", "Layers": image.layers()},
        "History": image.config.history,
        "Manifest": image.descriptor,
        "Blobs": image.manifest.layers,
    }))
}

//! An image's document.

use super::container;
use anyhow::Result;
use layout::container::Config;
use layout::images::{self, Image};
use layout::oci::image::RunConfig;
use layout::{Layout, Reference, time};
use serde_json::{Value, json};

/// Docker's keys, in docker's order.
pub fn document(layout: &Layout, image: &Image) -> Result<Value> {
    let config = &image.config;
    let platform = config.platform();
    let size = image.size(layout)?;
    let mut shown = json!({
        "Id": image.id,
        "RepoTags": image.names,
        "RepoDigests": image.repo_digests.iter().map(|known| familiar(known)).collect::<Vec<_>>(),
        "Parent": image.parent.as_ref().map_or("", |parent| parent.as_str()),
        "Comment": config.history.last().and_then(|step| step.comment.as_deref()).unwrap_or_default(),
        "Created": config.created,
        "DockerVersion": config.extra.get("docker_version").and_then(Value::as_str).unwrap_or_default(),
        "Author": config.author.as_deref().unwrap_or_default(),
        "Config": run_config(&config.config),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": size,
        "VirtualSize": size,
        "GraphDriver": {"Data": graph_data(layout, image), "Name": "overlay2"},
        "RootFS": {"Type": config.rootfs.kind, "Layers": image.layers()},
        // When it was named is not kept; docker shows this of an image that never was.
        "Metadata": {"LastTagTime": time::ZERO},
        "Descriptor": image.descriptor,
    });
    if let Some(variant) = platform.variant {
        shown["Variant"] = json!(variant);
    }
    Ok(shown)
}

/// As of a container that is made of it; but what the image says nothing about is null.
fn run_config(run: &RunConfig) -> Value {
    let mut shown = container::config(&Config { run: run.clone(), ..Config::default() });
    if run.labels.is_none() {
        shown["Labels"] = Value::Null;
    }
    shown
}

fn familiar(reference: &str) -> String {
    Reference::parse(reference).map_or_else(|_| reference.to_owned(), |reference| reference.familiar())
}

/// The folders that its files are in, the highest first. Nothing is written to an image.
fn graph_data(layout: &Layout, image: &Image) -> Value {
    let names = images::layer_names(layout, image.layers());
    let mut dirs = names.iter().rev().map(|name| layout.layer_diff(name).to_string_lossy().into_owned());
    let upper = dirs.next();
    let lower: Vec<String> = dirs.collect();
    match lower.is_empty() {
        true => json!({"UpperDir": upper}),
        false => json!({"LowerDir": lower.join(":"), "UpperDir": upper}),
    }
}

//! `layerfs df`: what takes how much room. It counts as `docker system df` does, and what that leaves out.

use crate::care::{gc, reach};
use crate::cli::DfArgs;
use crate::output;
use anyhow::{Context, Result};
use layout::images::{self, Image};
use layout::{Digest, Layout, units};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A row: docker's columns.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    /// How many there are.
    total: u64,
    /// How many of them are in use.
    active: u64,
    /// Bytes.
    size: u64,
    /// How many bytes are there for nothing.
    reclaimable: u64,
}

impl Row {
    fn add(&mut self, size: u64, active: bool) {
        self.total += 1;
        self.active += u64::from(active);
        self.size += size;
        self.reclaimable += if active { 0 } else { size };
    }

    fn cells(&self, what: &str) -> Vec<String> {
        let percent = (self.reclaimable * 100).checked_div(self.size).map_or(String::new(), |p| format!(" ({p}%)"));
        let reclaimable = format!("{}{percent}", units::human_size(self.reclaimable));
        vec![
            what.to_owned(),
            self.total.to_string(),
            self.active.to_string(),
            units::human_size(self.size),
            reclaimable,
        ]
    }
}

/// One image, with docker's keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    id: Digest,
    repo_tags: Vec<String>,
    created: Option<String>,
    /// The files of all its layers.
    size: u64,
    /// Those of layers that other images have too.
    shared_size: u64,
    /// Those of layers that it has alone.
    unique_size: u64,
    containers: u64,
}

/// All rows, and the images.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Room {
    /// Images that are not only steps of builds; in use are those of containers. What is reclaimable counts as with docker:
    /// all but what images in use have alone.
    images: Row,
    /// Extracted layers; in use is what an image, a container or a mount needs.
    layers: Row,
    /// Blobs, compressed layers for the most part.
    blobs: Row,
    /// Half-made things.
    temporary: Row,
    /// Each image.
    usage: Vec<Usage>,
}

/// Prints it.
pub fn run(layout: &Layout, args: &DfArgs) -> Result<()> {
    let room = look(layout)?;
    if args.json {
        return output::json(&room);
    }
    let mut rows = vec![["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"].map(str::to_owned).to_vec()];
    rows.push(room.images.cells("Images"));
    rows.push(room.layers.cells("Extracted layers"));
    rows.push(room.blobs.cells("Blobs"));
    rows.push(room.temporary.cells("Half-made"));
    output::table(&rows)?;
    if args.verbose {
        output::line("\nImages space usage:\n")?;
        output::table(&verbose(&room))?;
    }
    Ok(())
}

fn verbose(room: &Room) -> Vec<Vec<String>> {
    let head = ["NAME", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for image in &room.usage {
        let created = image.created.as_deref().unwrap_or("-");
        let created = created.get(..19).unwrap_or(created).replace('T', " ");
        let names = if image.repo_tags.is_empty() { vec!["<none>".to_owned()] } else { image.repo_tags.clone() };
        let sizes = [image.size, image.shared_size, image.unique_size].map(units::human_size);
        for name in names {
            let mut row = vec![name, image.id.short().to_owned(), created.clone()];
            row.extend(sizes.clone());
            row.push(image.containers.to_string());
            rows.push(row);
        }
    }
    rows
}

fn look(layout: &Layout) -> Result<Room> {
    // Where something cannot be read nobody knows what is rubbish; the sizes are true all the same.
    let reach = match reach::find(layout) {
        Ok(reach) => Some(reach),
        Err(error) => {
            eprintln!("layerfs: WARNING: nothing is said to be reclaimable of layers and blobs: {error:#}");
            None
        }
    };
    let (mut layers, mut blobs, mut temporary) = (Row::default(), Row::default(), Row::default());
    for name in names(&layout.layers())? {
        let diff_id: Option<Digest> = format!("sha256:{name}").parse().ok();
        let size = diff_id.as_ref().map_or(0, |diff_id| images::layer_size(layout, diff_id).unwrap_or(0));
        let needed = |diff_id: &Digest| reach.as_ref().is_none_or(|reach| reach.layers.contains(diff_id));
        layers.add(size, diff_id.as_ref().is_some_and(needed));
    }
    for name in names(&layout.blobs())? {
        let size = layout.blobs().join(&name).symlink_metadata().map_or(0, |found| found.len());
        let digest: Option<Digest> = format!("sha256:{name}").parse().ok();
        let needed = |digest: &Digest| reach.as_ref().is_none_or(|reach| reach.blobs.contains(digest));
        blobs.add(size, digest.as_ref().is_some_and(needed));
    }
    for name in names(&layout.tmp())? {
        let path = layout.tmp().join(&name);
        temporary.add(bytes_in(&path), !gc::is_left_over(&path));
    }
    let all = images::all(layout)?;
    let every_layer: BTreeSet<Digest> = all.iter().flat_map(|image| image.layers().to_vec()).collect();
    let usage = usage(layout, all)?;
    let images = images_row(layout, &usage, &every_layer);
    Ok(Room { images, layers, blobs, temporary, usage })
}

/// Docker's sum: what could be had back is all but the unique parts of the images that containers use.
fn images_row(layout: &Layout, usage: &[Usage], layers: &BTreeSet<Digest>) -> Row {
    let size = layers.iter().map(|layer| images::layer_size(layout, layer).unwrap_or(0)).sum::<u64>();
    let in_use = usage.iter().filter(|image| image.containers > 0);
    let used: u64 = in_use.clone().map(|image| image.unique_size).sum();
    let active = in_use.count() as u64;
    Row { total: usage.len() as u64, active, size, reclaimable: size.saturating_sub(used) }
}

fn usage(layout: &Layout, mut found: Vec<Image>) -> Result<Vec<Usage>> {
    let parents: BTreeSet<Digest> = found.iter().filter_map(|image| image.parent.clone()).collect();
    let is_step = |image: &Image| image.names.is_empty() && parents.contains(&image.id);
    let mut containers: BTreeMap<Digest, u64> = BTreeMap::new();
    for id in layout.container_ids()? {
        if layout.container_dir(&id).container_json().exists() {
            *containers.entry(layout.read_container(&id)?.image).or_default() += 1;
        }
    }
    found.retain(|image| !is_step(image) || containers.contains_key(&image.id));
    let mut users: BTreeMap<Digest, u64> = BTreeMap::new();
    for image in &found {
        let layers: BTreeSet<&Digest> = image.layers().iter().collect();
        layers.into_iter().for_each(|layer| *users.entry(layer.clone()).or_default() += 1);
    }
    let usage = found.into_iter().map(|image| {
        let size_of = |layer: &&Digest| images::layer_size(layout, layer).unwrap_or(0);
        let size: u64 = image.layers().iter().map(|layer| size_of(&layer)).sum();
        let shared = image.layers().iter().filter(|layer| users.get(layer).is_some_and(|users| *users > 1));
        let shared_size: u64 = shared.map(|layer| size_of(&layer)).sum();
        let containers = containers.get(&image.id).copied().unwrap_or(0);
        let (id, created, repo_tags) = (image.id, image.config.created, image.names);
        Usage { id, repo_tags, created, size, shared_size, unique_size: size - shared_size, containers }
    });
    Ok(usage.collect())
}

/// The sum of the sizes of all files in a folder, or of the one file.
fn bytes_in(path: &Path) -> u64 {
    let (mut sum, mut todo) = (0, vec![path.to_path_buf()]);
    while let Some(path) = todo.pop() {
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {
                // What is deeper than a path can be long is not counted.
                let Ok(entries) = std::fs::read_dir(&path) else { continue };
                todo.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
            }
            Ok(found) => sum += found.len(),
            Err(_) => {}
        }
    }
    sum
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let name = entry.with_context(|| format!("list {}", dir.display()))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    Ok(names)
}

//! `layerfs mount`: an image's layers, laid over each other at a folder.

pub mod overlay;

use crate::cli::MountArgs;
use crate::mount::overlay::Overlay;
use crate::{
    image::{self, store},
    layer::{self, below},
};
use anyhow::{Context, Result, bail};
use layout::{Digest, Layout, images};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Mounts.
pub fn run(layout: &Layout, args: &MountArgs) -> Result<()> {
    // Shared, so that no layer is removed between being found and being in use.
    let _held = store::hold(layout)?;
    let layers = match &args.image {
        Some(image) => layers_of(layout, image)?,
        None => extracted(layout, &args.layers)?,
    };
    let absolute = |dir: &Path| -> Result<PathBuf> {
        std::path::absolute(dir).with_context(|| format!("resolve {}", dir.display()))
    };
    let upper = match (&args.upper, &args.work) {
        (Some(upper), Some(work)) => Some((absolute(upper)?, absolute(work)?)),
        _ => None,
    };
    // The root of what is mounted is the upper folder, so it gets the mode that docker gives a container's root.
    let dirs = upper.iter().flat_map(|(upper, work)| [(upper.as_path(), 0o755), (work.as_path(), 0o700)]);
    // A container's folder is not made here: somebody may be removing it, and it would be back, with nothing in it that says whose it is.
    let is_elsewhere = |(dir, _): &(&Path, u32)| !dir.starts_with(layout.containers());
    for (dir, mode) in dirs.chain([(args.target.as_path(), 0o755)]).filter(is_elsewhere) {
        make_dir(dir, mode)?;
    }
    let mut overlay = overlay_of(layout, &layers, upper)?;
    overlay.volatile = args.volatile;
    overlay.mount(&absolute(&args.target)?, args.classic)
}

/// An image as an overlay that can only be read. The caller holds the gc lock shared as long as it is in use.
pub fn read_only(layout: &Layout, image: &str) -> Result<Overlay> {
    overlay_of(layout, &layers_of(layout, image)?, None)
}

/// The overlay of a stack of layers, lowest first.
fn overlay_of(layout: &Layout, layers: &[Digest], upper: Option<(PathBuf, PathBuf)>) -> Result<Overlay> {
    let mut lowers: Vec<PathBuf> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in images::layer_names(layout, layers).iter().rev() {
        // Overlayfs takes no folder twice. Of a layer that an image has several times the highest is enough: it covers
        // everything that the same layer further down could show.
        if !seen.insert(name.clone()) {
            continue;
        }
        let folder = layout.layer_diff(name);
        // Overlayfs does not look whether a root hides what is below it.
        let hides = below::hides_all_below(&folder)?;
        lowers.push(folder);
        if hides {
            break;
        }
    }
    // Overlayfs needs one layer under an upper folder, and two without one. `scratch` has none.
    let needed = if upper.is_some() { 1 } else { 2 };
    if lowers.len() < needed {
        let empty = layer::empty(layout)?;
        if seen.insert(empty.clone()) {
            lowers.push(layout.layer_diff(&empty));
        }
    }
    Ok(Overlay { lowers, upper, volatile: false, layers: layout.layers() })
}

/// The layers of an image by their diff ids, lowest first, all of them extracted.
pub fn layers_of(layout: &Layout, wanted: &str) -> Result<Vec<Digest>> {
    let (id, diff_ids, blobs) = match image::config_by_id(layout, wanted) {
        Some((_, config)) if is_extracted(layout, &config.rootfs.diff_ids) => return Ok(config.rootfs.diff_ids),
        // It may be for another platform than the host's, of an image that has several.
        Some((id, config)) => {
            let manifest = images::platforms::manifest_of(layout, &id)?;
            let manifest = manifest.with_context(|| format!("No such image: {wanted}"))?;
            (id, config.rootfs.diff_ids, manifest.layers)
        }
        None => {
            let image = images::find(layout, wanted)?;
            (image.id, image.config.rootfs.diff_ids, image.manifest.layers)
        }
    };
    if diff_ids.len() != blobs.len() {
        bail!("the image {id} has {} layers and {} diff ids", blobs.len(), diff_ids.len());
    }
    for (at, (diff_id, blob)) in diff_ids.iter().zip(&blobs).enumerate() {
        layer::ensure(layout, &diff_ids[..at], diff_id, blob)?;
    }
    Ok(diff_ids)
}

fn is_extracted(layout: &Layout, layers: &[Digest]) -> bool {
    images::layer_names(layout, layers).iter().all(|name| layout.layer_diff(name).is_dir())
}

fn extracted(layout: &Layout, layers: &[Digest]) -> Result<Vec<Digest>> {
    for (layer, name) in layers.iter().zip(images::layer_names(layout, layers)) {
        if !layout.layer_diff(&name).is_dir() {
            bail!("no such layer: {layer}");
        }
    }
    Ok(layers.to_vec())
}

/// Makes a folder and its parents; one that is there stays as it is.
fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    match rustix::fs::mkdir(dir, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => {
            let parent = dir.parent().with_context(|| format!("make {}", dir.display()))?;
            make_dir(parent, 0o755)?;
            rustix::fs::mkdir(dir, Mode::from_raw_mode(mode)).with_context(|| format!("make {}", dir.display()))
        }
        Err(error) => Err(error).with_context(|| format!("make {}", dir.display())),
    }
}

//! Reading docker's archives: `manifest.json` says which file is whose configuration and which are its layers.
//!
//! The names in it are docker's own affair: `HEX.json` and `HASH/layer.tar` up to version 24, where a layer that
//! several images share is one file and links to it; `blobs/sha256/HEX` since. A layer may be compressed or not.

use super::oci_archive::no_image_for;
use super::stage::Stage;
use super::{DockerEntry, Found, MANIFEST_JSON};
use anyhow::{Context, Result, bail};
use layout::oci::image::{ImageConfig, Platform};
use layout::{Digest, Reference};
use std::collections::BTreeSet;

/// Finds the images; of several platforms only those for the one that was asked for, if one was.
pub fn find(stage: &Stage, platform: Option<&Platform>) -> Result<Vec<Found>> {
    let entries: Vec<DockerEntry> =
        stage.find(MANIFEST_JSON).and_then(|file| stage.json(file)).context(MANIFEST_JSON)?;
    let (mut found, mut others) = (Vec::new(), BTreeSet::new());
    for entry in &entries {
        let failed = || format!("{MANIFEST_JSON}: the image with the configuration {:?}", entry.config);
        let image = image(stage, entry).with_context(failed)?;
        let config: ImageConfig = stage.json(image.config).with_context(failed)?;
        match platform.is_none_or(|wanted| wanted.takes(&config.platform())) {
            true => found.push(image),
            false => drop(others.insert(config.platform().to_string())),
        }
    }
    if found.is_empty() {
        match platform {
            Some(platform) if !others.is_empty() => bail!(no_image_for(platform, others)),
            _ => bail!("{MANIFEST_JSON}: it lists no image"),
        }
    }
    keep_known_parents(stage, &mut found);
    Ok(found)
}

fn image(stage: &Stage, entry: &DockerEntry) -> Result<Found> {
    let names = entry.repo_tags.iter().flatten().map(|name| named(name)).collect::<Result<Vec<Reference>>>()?;
    let layers = entry.layers.iter().map(|layer| Ok((stage.find(layer)?, None))).collect::<Result<Vec<_>>>()?;
    Ok(Found { config: stage.find(&entry.config)?, manifest: None, layers, names, parent: entry.parent.clone() })
}

fn named(name: &str) -> Result<Reference> {
    let name = Reference::parse(name)?;
    if name.digest.is_some() {
        bail!("{name}: an image in an archive is named by a tag");
    }
    Ok(name)
}

/// A parent that is not in the archive is not known here.
fn keep_known_parents(stage: &Stage, found: &mut [Found]) {
    let ids: BTreeSet<Digest> = found.iter().map(|image| stage.digest(image.config).clone()).collect();
    for image in found {
        let own = stage.digest(image.config);
        image.parent = image.parent.take().filter(|parent| ids.contains(parent) && parent != own);
    }
}

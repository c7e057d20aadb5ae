//! Reading an OCI image layout in an archive: each blob lies under its digest, and `index.json` lists the manifests.
//!
//! What is listed may be an index of several platforms, whose other images need not be in the archive.

use super::stage::{FileId, Stage};
use super::{Found, INDEX_JSON, OCI_LAYOUT, blob_path};
use anyhow::{Context, Result, bail};
use layout::images::platforms::is_index;
use layout::oci::image::{
    CONFIG, DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, FULL_NAME, ImageConfig, Index, LAYER, LAYER_GZIP,
    LAYER_ZSTD, MANIFEST, Manifest, PARENT, Platform, REF_NAME,
};
use layout::{Digest, Reference};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Nobody nests indexes deeper than this.
const MAX_DEPTH: usize = 4;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// Whether the archive holds an image layout that lists anything.
pub fn is_one(stage: &Stage) -> bool {
    stage.has(OCI_LAYOUT) && stage.has(INDEX_JSON)
}

/// Finds the images; of each index that of the wanted platform, or the host's.
pub fn find(stage: &Stage, wanted: Option<&Platform>) -> Result<Vec<Found>> {
    let marker: Marker = stage.find(OCI_LAYOUT).and_then(|file| stage.json(file)).context(OCI_LAYOUT)?;
    if !marker.image_layout_version.starts_with("1.") {
        bail!("{OCI_LAYOUT}: version {:?} of the image layout is not known", marker.image_layout_version);
    }
    let index: Index = stage.find(INDEX_JSON).and_then(|file| stage.json(file)).context(INDEX_JSON)?;
    let mut found: Vec<Found> = Vec::new();
    let mut others = BTreeSet::new();
    for listed in &index.manifests {
        let failed = || format!("{INDEX_JSON}: {}", listed.digest);
        let leaves = leaves_of(stage, listed).with_context(failed)?;
        others.extend(
            leaves.iter().filter(|leaf| leaf.1.is_some()).filter_map(|leaf| Some(leaf.2.as_ref()?.to_string())),
        );
        let Some(leaf) = choose(leaves, listed, wanted) else {
            // Asked for one platform, an archive of several images may have it of some.
            match wanted {
                Some(_) => continue,
                None => bail!("{}: {}", failed(), no_image_for(&Platform::host(), others)),
            }
        };
        let mut image = image(stage, listed, leaf).with_context(failed)?;
        // A layout lists an image once for each of its names.
        let digest = |found: &Found| found.manifest.as_ref().map(|(descriptor, _)| descriptor.digest.clone());
        match found.iter_mut().find(|known| digest(known) == digest(&image)) {
            Some(known) => known.names.append(&mut image.names),
            None => found.push(image),
        }
    }
    match wanted {
        Some(platform) if found.is_empty() && !others.is_empty() => bail!(no_image_for(platform, others)),
        _ if found.is_empty() => bail!("{INDEX_JSON}: it lists no image"),
        _ => {}
    }
    let ids: BTreeSet<Digest> = found.iter().map(|image| stage.digest(image.config).clone()).collect();
    for image in &mut found {
        let own = stage.digest(image.config);
        image.parent = image.parent.take().filter(|parent| ids.contains(parent) && parent != own);
    }
    Ok(found)
}

/// What `load` says where a platform is missing, in docker's archives too.
pub fn no_image_for(platform: &Platform, others: BTreeSet<String>) -> String {
    format!("the archive has no image for {platform} (it has: {})", others.into_iter().collect::<Vec<_>>().join(", "))
}

fn image(stage: &Stage, listed: &Descriptor, (descriptor, file): (Descriptor, FileId)) -> Result<Found> {
    let manifest: Manifest = stage.json(file).with_context(|| format!("manifest {}", descriptor.digest))?;
    if manifest.schema_version != 2 {
        bail!("manifest {}: schemaVersion {}, and only 2 is known", descriptor.digest, manifest.schema_version);
    }
    if ![CONFIG, DOCKER_CONFIG].contains(&manifest.config.media_type.as_str()) {
        bail!("it is no image: its configuration is of type {:?}", manifest.config.media_type);
    }
    let mut layers = Vec::new();
    for layer in &manifest.layers {
        check_layer_type(layer)?;
        layers.push((blob(stage, layer)?, Some(layer.clone())));
    }
    let parent = listed.annotation(PARENT).map(str::parse).transpose().context("read its parent")?;
    let config = blob(stage, &manifest.config)?;
    let plain = Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size);
    Ok(Found { config, manifest: Some((plain, file)), layers, names: names(listed), parent })
}

/// The full name if there is one; docker writes only the tag as the other.
fn names(listed: &Descriptor) -> Vec<Reference> {
    let name = listed.annotation(FULL_NAME).or(listed.annotation(REF_NAME));
    // A name that is no reference is another tool's affair; the image can be had by its id.
    let name = name.and_then(|name| Reference::parse(name).ok());
    name.filter(|name| name.digest.is_none()).into_iter().collect()
}

fn check_layer_type(layer: &Descriptor) -> Result<()> {
    // Layers that may not be given away were of a type of their own; here one is.
    let kind = layer.media_type.replace(".nondistributable.", ".").replace(".foreign.", ".");
    let docker = DOCKER_LAYER.trim_end_matches(".gzip");
    let known = [LAYER, LAYER_GZIP, LAYER_ZSTD, DOCKER_LAYER, docker];
    if !known.contains(&kind.as_str()) && kind != format!("{docker}.zstd") {
        bail!("layer {}: its media type {:?} is none of a layer", layer.digest, layer.media_type);
    }
    Ok(())
}

/// The file of a blob, whose digest and size are as the descriptor says.
fn blob(stage: &Stage, descriptor: &Descriptor) -> Result<FileId> {
    let file = stage.find(&blob_path(&descriptor.digest))?;
    if *stage.digest(file) != descriptor.digest {
        bail!("blob {}: its content has the digest {}", descriptor.digest, stage.digest(file));
    }
    if stage.size(file) != descriptor.size {
        bail!("blob {}: it has {} bytes, not {}", descriptor.digest, stage.size(file), descriptor.size);
    }
    Ok(file)
}

/// A manifest, and the platform that it is listed for.
type Leaf = (Descriptor, Option<FileId>, Option<Platform>);

fn leaves_of(stage: &Stage, listed: &Descriptor) -> Result<Vec<Leaf>> {
    let mut leaves = Vec::new();
    collect(stage, listed, 0, &mut BTreeSet::new(), &mut leaves)?;
    Ok(leaves)
}

fn collect(
    stage: &Stage,
    found: &Descriptor,
    depth: usize,
    seen: &mut BTreeSet<Digest>,
    leaves: &mut Vec<Leaf>,
) -> Result<()> {
    // Of what an index lists, only one has to be here.
    let file = match stage.has(&blob_path(&found.digest)) || depth == 0 {
        true => Some(blob(stage, found)?),
        false => None,
    };
    if !is_index(found) {
        match [MANIFEST, DOCKER_MANIFEST].contains(&found.media_type.as_str()) {
            true => {}
            // Beside its images an index may list other things: signatures, descriptions.
            false if depth > 0 => return Ok(()),
            false => bail!("the media type {:?} is none of an image", found.media_type),
        }
        let platform = found.platform.clone().or_else(|| platform_of(stage, file?).ok());
        leaves.push((found.clone(), file, platform));
        return Ok(());
    }
    if depth >= MAX_DEPTH {
        bail!("indexes are nested too deeply");
    }
    let Some(file) = file.filter(|_| seen.insert(found.digest.clone())) else { return Ok(()) };
    let index: Index = stage.json(file).with_context(|| format!("index {}", found.digest))?;
    index.manifests.iter().try_for_each(|inner| collect(stage, inner, depth + 1, seen, leaves))
}

fn platform_of(stage: &Stage, manifest: FileId) -> Result<Platform> {
    let manifest: Manifest = stage.json(manifest)?;
    let config: ImageConfig = document(stage, &manifest.config)?;
    Ok(config.platform())
}

fn document<T: DeserializeOwned>(stage: &Stage, descriptor: &Descriptor) -> Result<T> {
    stage.json(blob(stage, descriptor)?)
}

/// The manifest to take: that of the wanted platform, else of an index the host's, else the only one.
fn choose(leaves: Vec<Leaf>, listed: &Descriptor, wanted: Option<&Platform>) -> Option<(Descriptor, FileId)> {
    let host = Platform::host();
    let any = wanted.is_none() && !is_index(listed);
    let platform = wanted.unwrap_or(&host);
    let fits = |leaf: &Leaf| any || leaf.2.as_ref().is_some_and(|of| platform.takes(of));
    leaves.into_iter().filter(fits).find_map(|(descriptor, file, _)| Some((descriptor, file?)))
}

//! Which of the images in an index is meant: the host's, or that of a platform that was asked for.
//!
//! What `index.json` lists may itself be an index, with a manifest for each platform, and sometimes with one more index in
//! between. Of the platforms that it names only those need to be in the store that were copied.

use super::{Image, load_for, read_blob, with_tag};
use crate::oci::image::{DOCKER_LIST, Descriptor, INDEX, ImageConfig, Index, Manifest, Platform, REF_NAME};
use crate::{Digest, Layout};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// Nobody nests indexes deeper than this.
const MAX_DEPTH: usize = 4;

/// A manifest somewhere below what `index.json` lists, and what it is for, where that is known.
type Leaf = (Descriptor, Option<Platform>);

/// The manifest that a descriptor leads to: its own if it is one, else that of `wanted`, else the host's.
///
/// # Errors
/// There is none for that platform; then the platforms that are there are named. Or an index cannot be read.
pub fn choose(layout: &Layout, listed: &Descriptor, wanted: Option<&Platform>) -> Result<Descriptor> {
    if wanted.is_none() && !is_index(listed) {
        return Ok(listed.clone());
    }
    let mut leaves = Vec::new();
    collect(layout, listed, 0, &mut BTreeSet::new(), &mut leaves)?;
    let host = Platform::host();
    let platform = wanted.unwrap_or(&host);
    let mut fitting = leaves.iter().filter(|(_, of)| of.as_ref().is_some_and(|of| platform.takes(of)));
    let there = |leaf: &&Leaf| layout.blob(&leaf.0.digest).exists();
    if let Some((found, _)) = fitting.clone().find(there) {
        return Ok(found.clone());
    }
    let names: BTreeSet<String> = leaves.iter().filter(there).filter_map(|leaf| leaf.1.as_ref()).map(name).collect();
    let names = match names.is_empty() {
        true => "no other is here either".to_owned(),
        false => format!("here are: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    };
    match fitting.next() {
        Some(_) => bail!("{} has an image for {platform}, but it was not copied here ({names})", listed.digest),
        None => bail!("{} has no image for {platform} ({names})", listed.digest),
    }
}

/// As [`super::find`], and of several platforms the one that was asked for, if one was.
pub fn find(layout: &Layout, wanted: &str, platform: Option<&Platform>) -> Result<Image> {
    let Some(platform) = platform else { return super::find(layout, wanted) };
    if let Some(image) = by_name(layout, wanted, Some(platform))? {
        return Ok(image);
    }
    let image = super::find(layout, wanted)?;
    if !platform.takes(&image.config.platform()) {
        bail!("the image {} is for {}, not for {platform}", image.id.short(), image.config.platform());
    }
    Ok(image)
}

/// The image that has this name, without a look at any other: for who runs it, however many there are. Other names
/// that it may have are not filled in.
///
/// # Errors
/// The name is there, and its image cannot be read.
pub fn by_name(layout: &Layout, wanted: &str, platform: Option<&Platform>) -> Result<Option<Image>> {
    let is_named = |listed: &Descriptor| {
        listed.annotation(REF_NAME).is_some_and(|name| name == wanted || with_tag(name) == with_tag(wanted))
    };
    let listed = super::index(layout)?.manifests.into_iter().find(is_named);
    listed.map(|listed| load_for(layout, listed, platform)).transpose()
}

/// The manifest of an image by its whole id, whatever platform it is for.
pub fn manifest_of(layout: &Layout, id: &Digest) -> Result<Option<Manifest>> {
    for listed in super::index(layout)?.manifests {
        let mut leaves = Vec::new();
        // One that cannot be read is not the one that is looked for.
        let _ = collect(layout, &listed, 0, &mut BTreeSet::new(), &mut leaves);
        let mut manifests = leaves.iter().filter_map(|leaf| read_blob::<Manifest>(layout, &leaf.0.digest).ok());
        if let Some(manifest) = manifests.find(|manifest| manifest.config.digest == *id) {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// Whether a descriptor is of an index.
pub fn is_index(descriptor: &Descriptor) -> bool {
    matches!(descriptor.media_type.as_str(), INDEX | DOCKER_LIST)
}

fn name(platform: &Platform) -> String {
    platform.to_string()
}

fn collect(
    layout: &Layout,
    found: &Descriptor,
    depth: usize,
    seen: &mut BTreeSet<Digest>,
    leaves: &mut Vec<Leaf>,
) -> Result<()> {
    if !is_index(found) {
        let platform = found.platform.clone().or_else(|| platform_of(layout, &found.digest).ok());
        leaves.push((found.clone(), platform));
        return Ok(());
    }
    if depth >= MAX_DEPTH {
        bail!("{}: indexes are nested too deeply", found.digest);
    }
    // One that was seen is either twice in the same index, or holds itself.
    if !seen.insert(found.digest.clone()) || (depth > 0 && !layout.blob(&found.digest).exists()) {
        return Ok(());
    }
    let index: Index = read_blob(layout, &found.digest)?;
    index.manifests.iter().try_for_each(|inner| collect(layout, inner, depth + 1, seen, leaves))
}

/// What an image's configuration says that it is for.
fn platform_of(layout: &Layout, manifest: &Digest) -> Result<Platform> {
    let manifest: Manifest = read_blob(layout, manifest)?;
    let config: ImageConfig = read_blob(layout, &manifest.config.digest)?;
    Ok(config.platform())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::load;
    use crate::publish;
    use serde_json::{Value, json};

    fn put(layout: &Layout, value: &Value) -> (Digest, usize) {
        let bytes = serde_json::to_vec(value).unwrap();
        let digest = Digest::of(&bytes);
        publish::bytes(layout, &layout.blob(&digest), &bytes).unwrap();
        (digest, bytes.len())
    }

    fn listed(kind: &str, (digest, size): (Digest, usize)) -> Descriptor {
        Descriptor::new(kind, digest, size as u64)
    }

    fn image(layout: &Layout, architecture: &str) -> Descriptor {
        let rootfs = json!({"type": "layers", "diff_ids": []});
        let config = put(layout, &json!({"architecture": architecture, "os": "linux", "rootfs": rootfs}));
        let config = listed(crate::oci::image::DOCKER_CONFIG, config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
        listed(crate::oci::image::DOCKER_MANIFEST, put(layout, &manifest))
    }

    fn index(layout: &Layout, kind: &str, manifests: &[&Descriptor]) -> Descriptor {
        listed(kind, put(layout, &json!({"schemaVersion": 2, "manifests": manifests})))
    }

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn of_several_platforms_the_hosts_is_taken_unless_another_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let host = Platform::host();
        let (mut own, other) = (image(&layout, &host.architecture), image(&layout, "s390x"));
        // Only one of them says in the index what it is for; the other's configuration does.
        own.platform = Some(host.clone());
        let inner = index(&layout, DOCKER_LIST, &[&other, &own]);
        let mut absent = Descriptor::new(INDEX, Digest::of(b"absent"), 1);
        let outer = index(&layout, INDEX, &[&absent, &inner]);
        for top in [&inner, &outer] {
            assert_eq!(load(&layout, top.clone()).unwrap().descriptor.digest, own.digest);
            let s390x = load_for(&layout, top.clone(), Some(&platform("linux/s390x"))).unwrap();
            assert_eq!((s390x.descriptor.digest, s390x.config.architecture.as_str()), (other.digest.clone(), "s390x"));
            let error = choose(&layout, top, Some(&platform("linux/riscv64"))).unwrap_err().to_string();
            assert!(error.contains(&format!("no image for linux/riscv64 (here are: {host}, linux/s390x)")), "{error}");
        }
        absent.media_type = crate::oci::image::MANIFEST.to_owned();
        absent.platform = Some(platform("linux/arm64"));
        let partial = index(&layout, INDEX, &[&absent, &other]);
        let error = choose(&layout, &partial, Some(&platform("arm64"))).unwrap_err().to_string();
        assert!(error.contains("was not copied here (here are: linux/s390x)"), "{error}");
        // A single image runs wherever its user wants, but is not another platform's.
        assert_eq!(choose(&layout, &other, None).unwrap().digest, other.digest);
        assert!(choose(&layout, &other, Some(&host)).is_err());
        let listed = json!({"schemaVersion": 2, "manifests": [outer]});
        publish::json(&layout, &layout.index(), &listed).unwrap();
        let id = load(&layout, other.clone()).unwrap().id;
        assert_eq!(manifest_of(&layout, &id).unwrap().unwrap().config.digest, id);
        assert!(manifest_of(&layout, &other.digest).unwrap().is_none());
    }

    #[test]
    fn an_index_cannot_lead_astray() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let mut top = image(&layout, "amd64");
        for _ in 0..6 {
            top = index(&layout, INDEX, &[&top, &top, &top]);
        }
        assert!(choose(&layout, &top, None).unwrap_err().to_string().contains("nested too deeply"));
    }
}

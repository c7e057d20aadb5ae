//! Images: a configuration and a manifest as blobs, and a line in the index for each name.
//!
//! The rules of `index.json`: an image with names has one descriptor a name; an image without any (a build step, or one whose
//! name went to another) has one without a name. All descriptors of an image carry the same parent.

pub mod change;
pub mod commit;
pub mod history;
pub mod import;
pub mod list;
pub mod prune;
pub mod remove;
mod remover;
pub mod store;
pub mod tag;

use anyhow::{Context, Result};
use layout::oci::image::{
    CONFIG, Descriptor, FULL_NAME, ImageConfig, Index, MANIFEST, Manifest, PARENT, REF_NAME, REPO_DIGESTS,
};
use layout::{Digest, Layout, Reference, events, images};
use std::collections::BTreeSet;

/// Stores an image and lists it, under `names` or without one; gives its id. The caller holds the gc lock shared.
pub fn publish(
    layout: &Layout,
    config: &ImageConfig,
    layers: Vec<Descriptor>,
    names: &[Reference],
    parent: Option<&Digest>,
) -> Result<Digest> {
    let (id, size) = store::put_json(layout, config).context("store the image's configuration")?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::new(CONFIG, id.clone(), size),
        layers,
        extra: Default::default(),
    };
    let (digest, size) = store::put_json(layout, &manifest).context("store the image's manifest")?;
    let mut descriptor = Descriptor::new(MANIFEST, digest, size);
    if let Some(parent) = parent {
        descriptor.annotations.insert(PARENT.to_owned(), parent.to_string());
    }
    store::edit_index(layout, |index| {
        list(index, &descriptor);
        names.iter().for_each(|name| set_name(index, &descriptor, name));
        Ok(())
    })?;
    for name in names {
        events::of_image(layout, "tag", id.as_str(), &name.familiar(), config.config.labels.as_ref());
    }
    Ok(id)
}

/// Lists an image whose manifest is a blob in the store, under `name` if there is one, and notes that a registry knows it by
/// `repo_digest` (`NAME@DIGEST`, in full). Whether that leads to another image than before.
pub fn list_manifest(
    layout: &Layout,
    image: &Descriptor,
    name: Option<&Reference>,
    repo_digest: Option<&str>,
) -> Result<bool> {
    store::edit_index(layout, |index| {
        let known = |known: &&Descriptor| match name {
            Some(name) => has_name(known, name),
            None => known.digest == image.digest,
        };
        let before = index.manifests.iter().find(known).map(|known| known.digest.clone());
        list(index, image);
        if let Some(name) = name {
            set_name(index, image, name);
        }
        if let Some(repo_digest) = repo_digest {
            add_repo_digest(index, image, repo_digest);
        }
        Ok(before.as_ref() != Some(&image.digest))
    })
}

/// Notes on each descriptor of an image that a registry knows it by this digest.
pub fn add_repo_digest(index: &mut Index, image: &Descriptor, repo_digest: &str) {
    let same = |known: &&mut Descriptor| known.digest == image.digest;
    let mut all = BTreeSet::from([repo_digest.to_owned()]);
    for known in index.manifests.iter_mut().filter(same) {
        all.extend(known.annotation(REPO_DIGESTS).unwrap_or_default().split_whitespace().map(str::to_owned));
    }
    let all = all.into_iter().collect::<Vec<_>>().join(" ");
    for known in index.manifests.iter_mut().filter(same) {
        known.annotations.insert(REPO_DIGESTS.to_owned(), all.clone());
    }
}

/// Lists an image; one that is listed already keeps its names, and gets the parent if it had none.
pub fn list(index: &mut Index, image: &Descriptor) {
    let parent = image.annotation(PARENT);
    let mut listed = false;
    for known in index.manifests.iter_mut().filter(|known| known.digest == image.digest) {
        listed = true;
        if let (Some(parent), None) = (parent, known.annotation(PARENT)) {
            known.annotations.insert(PARENT.to_owned(), parent.to_owned());
        }
    }
    if !listed {
        index.manifests.push(image.clone());
    }
}

/// Gives a listed image a name. Whoever had it loses it, and stays without a name if it was the last.
pub fn set_name(index: &mut Index, image: &Descriptor, name: &Reference) {
    let had = index.manifests.iter().position(|known| has_name(known, name));
    if let Some(at) = had {
        if index.manifests[at].digest == image.digest {
            return;
        }
        unname(index, at);
    }
    let mut named = image.clone();
    let listed = index.manifests.iter().find(|known| known.digest == image.digest);
    for key in [PARENT, REPO_DIGESTS] {
        if let Some(value) = listed.and_then(|known| known.annotation(key)) {
            named.annotations.insert(key.to_owned(), value.to_owned());
        }
    }
    named.annotations.insert(REF_NAME.to_owned(), name.familiar());
    named.annotations.insert(FULL_NAME.to_owned(), name.full());
    // A descriptor without a name becomes the one with it.
    match index.manifests.iter().position(|known| known.digest == image.digest && name_of(known).is_none()) {
        Some(at) => index.manifests[at] = named,
        None => index.manifests.push(named),
    }
}

/// Takes the name from the descriptor at `at`. It stays listed if it was the image's last.
pub fn unname(index: &mut Index, at: usize) {
    let digest = index.manifests[at].digest.clone();
    let others = index.manifests.iter().enumerate().any(|(i, known)| i != at && known.digest == digest);
    if others {
        index.manifests.remove(at);
    } else {
        index.manifests[at].annotations.remove(REF_NAME);
        index.manifests[at].annotations.remove(FULL_NAME);
    }
}

/// The same descriptor without a name.
pub fn without_name(descriptor: &Descriptor) -> Descriptor {
    let mut bare = descriptor.clone();
    bare.annotations.remove(REF_NAME);
    bare.annotations.remove(FULL_NAME);
    bare
}

/// The name of a descriptor.
pub fn name_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(REF_NAME)
}

/// Whether a descriptor has this name, however whoever wrote it spelled it: skopeo writes what was asked for, `busybox`.
pub fn has_name(descriptor: &Descriptor, name: &Reference) -> bool {
    name_of(descriptor).is_some_and(|known| match Reference::parse(known) {
        Ok(known) => known == *name,
        Err(_) => known == name.familiar(),
    })
}

/// Finds an image's configuration by whole id without reading the index: an id is the name of the blob. The start of
/// each container takes this way.
pub fn config_by_id(layout: &Layout, wanted: &str) -> Option<(Digest, ImageConfig)> {
    let id: Digest = match wanted.len() {
        64 => format!("sha256:{wanted}").parse().ok()?,
        _ => wanted.parse().ok()?,
    };
    let config = images::read_blob(layout, &id).ok()?;
    Some((id, config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(content: &str) -> Descriptor {
        Descriptor::new(MANIFEST, Digest::of(content.as_bytes()), 1)
    }

    fn names(index: &Index) -> Vec<(String, Option<String>)> {
        index.manifests.iter().map(|d| (d.digest.short().to_owned(), name_of(d).map(str::to_owned))).collect()
    }

    #[test]
    fn a_name_moves_and_leaves_its_image_dangling() {
        let (a, b) = (image("a"), image("b"));
        let (one, two) = (Reference::parse("one").unwrap(), Reference::parse("two:2").unwrap());
        let mut index = Index::default();
        list(&mut index, &a);
        set_name(&mut index, &a, &one);
        set_name(&mut index, &a, &two);
        set_name(&mut index, &a, &two);
        assert_eq!(index.manifests.len(), 2);
        list(&mut index, &b);
        set_name(&mut index, &b, &one);
        assert_eq!(index.manifests.len(), 2, "{index:?}");
        set_name(&mut index, &b, &two);
        let short = |d: &Descriptor| d.digest.short().to_owned();
        let mut listed = names(&index);
        listed.sort();
        let mut expected =
            vec![(short(&a), None), (short(&b), Some("one:latest".to_owned())), (short(&b), Some("two:2".to_owned()))];
        expected.sort();
        assert_eq!(listed, expected);
    }

    #[test]
    fn all_descriptors_of_an_image_say_how_registries_know_it() {
        let (a, one, two) = (image("a"), Reference::parse("one").unwrap(), Reference::parse("two").unwrap());
        let mut index = Index::default();
        list(&mut index, &a);
        set_name(&mut index, &a, &one);
        add_repo_digest(&mut index, &a, "r/x@2");
        set_name(&mut index, &a, &two);
        add_repo_digest(&mut index, &a, "r/x@1");
        add_repo_digest(&mut index, &a, "r/x@2");
        let said: Vec<_> = index.manifests.iter().map(|known| known.annotation(REPO_DIGESTS)).collect();
        assert_eq!(said, [Some("r/x@1 r/x@2"); 2]);
    }

    #[test]
    fn a_step_that_is_named_keeps_its_parent() {
        let mut step = image("step");
        step.annotations.insert(PARENT.to_owned(), Digest::of(b"parent").to_string());
        let mut index = Index::default();
        list(&mut index, &step);
        set_name(&mut index, &image("step"), &Reference::parse("app").unwrap());
        assert_eq!(index.manifests.len(), 1);
        assert!(index.manifests[0].annotation(PARENT).is_some());
        set_name(&mut index, &image("other"), &Reference::parse("app").unwrap());
        assert!(index.manifests[0].annotation(PARENT).is_some() && name_of(&index.manifests[0]).is_none());
    }
}

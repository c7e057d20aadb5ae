//! `layerfs fsck --repair`: what is put right, and what is put away.
//!
//! | what is wrong | what is done |
//! | --- | --- |
//! | an extracted layer | it is extracted again from its blob |
//! | a blob | it is written again from the extracted layer, if the same bytes come out; else it goes to `tmp/`, so that nobody takes it for what its name says |
//! | `index.json` | it is made again from the manifests in `blobs/`, without names |
//! | two images of one name | the first keeps it |
//! | an image of which a document or both forms of a layer are lost | it is taken from the index; a pull brings it back |
//!
//! Nothing is destroyed at once: what is put away stays in `tmp/` for `gc` to remove after an hour.

use crate::care::fsck::{Blob, Check, Folder, Object, rebuild};
use crate::care::reach;
use crate::image::{self, store};
use crate::layer;
use anyhow::{Context, Result};
use layout::oci::image::{Descriptor, Index, PARENT, REF_NAME, REPO_DIGESTS};
use layout::{Digest, Layout, Reference, images, publish};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

/// Repairs what can be; gives what was done, a line each. The caller holds the gc lock alone.
pub(super) fn run(check: &Check) -> Result<Vec<String>> {
    let layout = check.layout;
    let Some(index) = &check.index else {
        let said = new_index(layout)?;
        return Ok(vec![said]);
    };
    let mut done = Vec::new();
    strays(check, &mut done)?;
    let mut saved = BTreeSet::new();
    for (digest, blob) in check.blobs.iter().filter(|(_, blob)| !matches!(blob, Blob::Whole { .. })) {
        if rebuilt(check, digest) {
            done.push(format!("blob {digest}: written again from the extracted layer"));
            saved.insert(digest.clone());
        } else if *blob == Blob::Damaged {
            let place = put_away(layout, &layout.blob(digest))?;
            done.push(format!("blob {digest}: moved to {place}"));
        }
    }
    let mounted = reach::mounted_now(layout)?;
    for (diff_id, _) in check.layers.iter().filter(|(_, state)| **state == Folder::Damaged) {
        // Whoever has it mounted would see its files disappear. It stays a problem until they have ended.
        if !mounted.contains(diff_id) {
            layer_folder(check, diff_id, &mut done)?;
        }
    }
    if saved.is_empty() {
        entries(check, index, &mut done)?;
    }
    Ok(done)
}

/// Things between the blobs and the layers that are neither.
fn strays(check: &Check, done: &mut Vec<String>) -> Result<()> {
    for finding in &check.findings {
        if let Object::Stray(path) = &finding.object {
            let place = put_away(check.layout, &check.layout.root().join(path))?;
            done.push(format!("{path}: moved to {place}"));
        }
    }
    Ok(())
}

/// Tries to write a blob again.
fn rebuilt(check: &Check, digest: &Digest) -> bool {
    let holds = |(diff_id, blobs): (&Digest, &BTreeSet<super::LayerBlob>)| {
        blobs.iter().any(|(blob, ..)| blob == digest).then(|| diff_id.clone())
    };
    let diff_ids = check.blobs_of.iter().filter_map(holds);
    diff_ids
        .into_iter()
        .any(|diff_id| check.layers.contains_key(&diff_id) && rebuild::blob(check.layout, &diff_id, digest).is_ok())
}

/// Extracts a damaged layer again; one that no whole blob is left of goes to `tmp/`, unless an image can still use it.
fn layer_folder(check: &Check, diff_id: &Digest, done: &mut Vec<String>) -> Result<()> {
    let layout = check.layout;
    let is_good = |blob: &&super::LayerBlob| match check.blobs.get(&blob.0) {
        Some(Blob::Whole { diff_id: found, .. }) => found.as_ref() == Some(diff_id),
        _ => false,
    };
    let blob = check.blobs_of.get(diff_id).and_then(|blobs| blobs.iter().find(is_good));
    let needed = check.listed.iter().any(|listed| listed.layers.iter().any(|(needed, _)| needed == diff_id));
    if blob.is_none() && needed && layout.layer_diff(diff_id).is_dir() {
        return Ok(());
    }
    let Some((digest, media_type, _)) = blob else {
        let place = put_away(layout, &layout.layer(diff_id))?;
        done.push(format!("layer {diff_id}: moved to {place}"));
        return Ok(());
    };
    let (file, size) = images::open_blob(layout, digest).with_context(|| format!("open {digest}"))?;
    let blob = Descriptor::new(media_type, digest.clone(), size);
    // The new one first: whatever happens on the way, there is one or none, and none is extracted by the next mount.
    let prepared = layer::prepare_blob(layout, file, diff_id, &blob)?;
    put_away(layout, &layout.layer(diff_id))?;
    prepared.publish(layout)?;
    done.push(format!("layer {diff_id}: extracted again from its blob"));
    Ok(())
}

/// Moves something to `tmp/`, as old as now; gives its new place, from the root on.
fn put_away(layout: &Layout, path: &Path) -> Result<String> {
    let failed = || format!("put {} away", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let place = format!("tmp/damaged-{name}-{}", since.as_nanos());
    let target = layout.root().join(&place);
    std::fs::rename(path, &target).with_context(failed)?;
    let now = rustix::fs::Timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    rustix::fs::utimensat(rustix::fs::CWD, &target, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .with_context(failed)?;
    Ok(place)
}

fn new_index(layout: &Layout) -> Result<String> {
    let index = rebuild::index(layout)?;
    let there = layout.index().symlink_metadata().is_ok();
    let before = if there { format!("; the old one is {}", put_away(layout, &layout.index())?) } else { String::new() };
    let text = index.encode().context("encode index.json")?;
    publish::bytes_durable(layout, &layout.index(), &text)?;
    Ok(format!(
        "index.json: made again with {} images, without names (layerfs tag gives them){before}",
        index.manifests.len()
    ))
}

/// What is wrong with single entries of the index.
fn entries(check: &Check, seen: &Index, done: &mut Vec<String>) -> Result<()> {
    store::edit_index(check.layout, |index| {
        // Somebody removed or named an image since: what was found may be true of none of its entries any more.
        if index != seen {
            return Ok(());
        }
        // One of another algorithm is no fault of its own: who wrote it can read it.
        let is_others = |entry: &serde_json::Value| entry["digest"].as_str().is_some_and(|d| d.starts_with("sha512:"));
        for entry in index.foreign.extract_if(.., |entry| !is_others(entry)) {
            done.push(format!("index.json: an entry that nobody can read is gone: {entry}"));
        }
        let mut taken = BTreeSet::new();
        for entry in &mut index.manifests {
            annotations(entry, &mut taken, done);
            if let Some(Blob::Whole { size, .. }) = check.blobs.get(&entry.digest)
                && *size != entry.size
            {
                done.push(format!("image {}: its size in index.json is {size} now", shown(entry)));
                entry.size = *size;
            }
        }
        let lost = |at: usize| check.listed.iter().any(|listed| listed.at == at && check.is_lost(listed));
        let mut kept = Vec::new();
        for (at, entry) in std::mem::take(&mut index.manifests).into_iter().enumerate() {
            match lost(at) {
                true => done.push(format!(
                    "image {}: it is lost, and not listed any more{}",
                    shown(&entry),
                    way_back(&entry)
                )),
                false => kept.push(entry),
            }
        }
        index.manifests = kept;
        Ok(())
    })
}

fn annotations(entry: &mut Descriptor, taken: &mut BTreeSet<String>, done: &mut Vec<String>) {
    if let Some(name) = entry.annotation(REF_NAME).map(str::to_owned) {
        let familiar = Reference::parse(&name).map_or_else(|_| name.clone(), |name| name.familiar());
        if !taken.insert(familiar) {
            done.push(format!("image {}: it has lost the name {name}, which another has", entry.digest));
            *entry = image::without_name(entry);
        }
    }
    let is_digest = |known: &str| Reference::parse(known).is_ok_and(|reference| reference.digest.is_some());
    let bad_parent = entry.annotation(PARENT).is_some_and(|parent| parent.parse::<Digest>().is_err());
    let bad_digests = entry.annotation(REPO_DIGESTS).is_some_and(|list| !list.split_whitespace().all(is_digest));
    for (bad, key) in [(bad_parent, PARENT), (bad_digests, REPO_DIGESTS)] {
        if bad {
            entry.annotations.remove(key);
            done.push(format!("image {}: its annotation {key} is gone", shown(entry)));
        }
    }
}

fn shown(entry: &Descriptor) -> &str {
    entry.annotation(REF_NAME).unwrap_or(entry.digest.as_str())
}

/// How to get a lost image back.
fn way_back(entry: &Descriptor) -> String {
    entry
        .annotation(REF_NAME)
        .map_or_else(String::new, |name| format!(" (ctr pull {name} brings it back from a registry)"))
}

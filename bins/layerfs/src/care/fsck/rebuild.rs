//! Making again what was lost, out of what is left: the index out of the manifests, a blob out of the extracted layer.

use crate::image::store;
use crate::layer::{diff, examine, pipeline};
use anyhow::{Context, Result, bail};
use layout::oci::image::{Descriptor, ImageConfig, Index, MANIFEST, Manifest};
use layout::{Digest, Layout, images, publish};
use std::collections::BTreeSet;
use std::thread;

/// An index of all images that the blobs hold, without names: those were in the index alone.
pub fn index(layout: &Layout) -> Result<Index> {
    let (mut manifests, mut indexes, mut inner) = (Vec::new(), Vec::new(), BTreeSet::new());
    let dir = layout.blobs();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
        let name = entry.with_context(|| format!("list {}", dir.display()))?.file_name();
        let Ok(digest) = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>() else { continue };
        // Most blobs are layers, and no JSON; the larger of them are not even read.
        let Ok((_, size)) = images::open_blob(layout, &digest) else { continue };
        if let Ok(found) = images::read_blob::<Index>(layout, &digest) {
            inner.extend(found.manifests.into_iter().map(|listed| listed.digest));
            let media_type = found.media_type.unwrap_or_else(|| layout::oci::image::INDEX.to_owned());
            indexes.push(Descriptor::new(&media_type, digest, size));
        } else if let Ok(found) = images::read_blob::<Manifest>(layout, &digest)
            && images::read_blob::<ImageConfig>(layout, &found.config.digest).is_ok()
        {
            let media_type = found.media_type.unwrap_or_else(|| MANIFEST.to_owned());
            manifests.push(Descriptor::new(&media_type, digest, size));
        }
    }
    // What an index lists is had by way of it.
    let mut found: Vec<Descriptor> =
        indexes.into_iter().chain(manifests).filter(|listed| !inner.contains(&listed.digest)).collect();
    found.sort_by(|a, b| a.digest.cmp(&b.digest));
    Ok(Index { manifests: found, ..Default::default() })
}

/// Writes a blob again out of the extracted layer. The same bytes come out only if this tool wrote them the first time: the
/// archive in its order, the compression with its settings.
///
/// # Errors
/// Among others: other bytes came out. Then nothing is changed.
pub fn blob(layout: &Layout, diff_id: &Digest, wanted: &Digest) -> Result<()> {
    let file = store::temp_file(layout)?;
    let out = file.reopen().context("open a temporary file")?;
    let dir = layout.layer_diff(diff_id);
    let (sender, chunks) = pipeline::queue();
    let (found, digest, _) = thread::scope(|scope| {
        let writer = scope.spawn(|| Ok(diff::write(&dir, sender)?.finish()?));
        let packed = examine::recompress(chunks, out);
        let written = writer.join().unwrap_or_else(|_| bail!("a thread ended early"));
        pipeline::both(packed, written).map(|(packed, ())| packed)
    })?;
    if found != *diff_id {
        bail!("the extracted layer does not give the same archive");
    }
    if digest != *wanted {
        bail!("the same archive was compressed by another program");
    }
    publish::persist_durable(file, &layout.blob(wanted))
}

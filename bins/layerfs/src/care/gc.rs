//! `layerfs gc`: removing what nothing refers to.
//!
//! Who makes something holds the gc lock shared until it is referred to; this holds it alone. So what nothing refers to
//! now, nothing will.

use crate::cli::GcArgs;
use crate::{care::reach, image::store, layer::beneath, mount::overlay, output};
use anyhow::{Context, Result};
use layout::lock::Lock;
use layout::{Digest, Layout, publish, units};
use serde::Serialize;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Other tools publish small files by way of `tmp/` too, without the gc lock, in a moment. What is older than this is left
/// over from one that was killed.
const LEFT_OVER: Duration = Duration::from_secs(3600);

/// What was removed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Removed {
    /// Blobs.
    pub blobs: u64,
    /// Extracted layers.
    pub layers: u64,
    /// Half-made things in `tmp/`.
    pub temporary: u64,
    /// Bytes of the blobs.
    pub blob_bytes: u64,
}

/// Waits for the lock, collects, and says what it removed.
pub fn run(layout: &Layout, args: &GcArgs) -> Result<()> {
    let alone = match Lock::try_exclusive(&layout.gc_lock())? {
        Some(alone) => alone,
        None => {
            eprintln!("layerfs: waiting for those who are making images at this moment");
            Lock::exclusive(&layout.gc_lock())?
        }
    };
    let removed = collect(layout, &alone)?;
    if args.json {
        return output::json(&removed);
    }
    output::line(format!(
        "removed {} blobs ({}), {} layers, {} temporary files",
        removed.blobs,
        units::human_size(removed.blob_bytes),
        removed.layers,
        removed.temporary
    ))
}

/// Collects if nobody is making anything at this moment; otherwise the rubbish waits for the next `gc`.
pub fn collect_if_quiet(layout: &Layout) -> Result<()> {
    if let Some(alone) = Lock::try_exclusive(&layout.gc_lock())? {
        collect(layout, &alone)?;
    }
    Ok(())
}

/// Removes what nothing refers to. `_alone` is the gc lock, held exclusive.
fn collect(layout: &Layout, _alone: &Lock) -> Result<Removed> {
    let reach = reach::find(layout)?;
    let mut removed = Removed::default();
    for (name, diff_id) in digests_in(&layout.layers())? {
        if diff_id.is_none_or(|diff_id| !reach.layers.contains(&diff_id)) {
            remove_layer(layout, &layout.layers().join(&name))?;
            removed.layers += 1;
        }
    }
    for (name, digest) in digests_in(&layout.blobs())? {
        if digest.is_none_or(|digest| !reach.blobs.contains(&digest)) {
            let file = layout.blobs().join(&name);
            removed.blob_bytes += file.symlink_metadata().map_or(0, |found| found.len());
            remove(&layout.blobs(), name.as_bytes())?;
            removed.blobs += 1;
        }
    }
    removed.temporary = empty_tmp(layout)?;
    Ok(removed)
}

/// The names in a folder, and the digests that they are.
fn digests_in(dir: &Path) -> Result<Vec<(std::ffi::OsString, Option<Digest>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let name = entry.with_context(|| format!("list {}", dir.display()))?.file_name();
        let digest = name.to_str().and_then(|hex| format!("sha256:{hex}").parse().ok());
        found.push((name, digest));
    }
    Ok(found)
}

/// A layer disappears whole, as it came: half of one, after a `kill -9`, would be taken for the layer.
fn remove_layer(layout: &Layout, layer: &Path) -> Result<()> {
    let temp = store::temp_dir(layout)?;
    let grave = temp.path().join("removed");
    fs::rename(layer, &grave).with_context(|| format!("remove {}", layer.display()))?;
    remove(temp.path(), b"removed")
}

fn remove(dir: &Path, name: &[u8]) -> Result<()> {
    let opened = beneath::open_root(dir)?;
    beneath::remove_all(&opened, name).with_context(|| format!("clean {}", dir.display()))
}

/// Whether somebody holds a lock on it: a build whose RUN takes hours works in such a folder, a pull writes such a file.
fn is_in_use(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => !matches!(Lock::try_on_dir(path), Ok(Some(_))),
        Ok(found) if found.is_file() => Lock::is_held(path).unwrap_or(true),
        // Neither a link nor a pipe is held by anybody.
        _ => false,
    }
}

/// Whether something in `tmp/` is left over. What this tool made there has no maker any more once the gc lock is held alone;
/// a new index, once the index lock is.
pub fn is_left_over(path: &Path) -> bool {
    let prefixes = [store::TEMP_PREFIX, store::INDEX_PREFIX];
    let is_ours = |name: &OsStr| prefixes.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()));
    let ours = path.file_name().is_some_and(is_ours);
    let modified = path.symlink_metadata().and_then(|found| found.modified()).ok();
    let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
    ours || (age.is_some_and(|age| age > LEFT_OVER) && !is_in_use(path))
}

fn empty_tmp(layout: &Layout) -> Result<u64> {
    let dir = layout.tmp();
    let mut count = 0;
    // For a moment nobody makes a new index.
    let _index = Lock::exclusive(&layout.index_lock())?;
    for entry in fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry.with_context(|| format!("list {}", dir.display()))?;
        if is_left_over(&entry.path()) {
            // A build that was killed leaves its root mounted, and nobody removes files through a mount.
            for target in reach::mounts_below(&entry.path())? {
                overlay::umount(&target)?;
            }
            remove(&dir, entry.file_name().as_bytes())?;
            count += 1;
        }
    }
    publish::sync_dir(&dir)?;
    Ok(count)
}

//! The image store: blobs under their digests, and `index.json`, which names the images.
//!
//! Blobs never change, so they need no lock, only to appear whole. The index changes, under its lock, by being replaced.
//! Whoever makes blobs or layers holds the gc lock shared from before the first of them until the index refers to them.

use crate::layer::beneath;
use anyhow::{Context, Result};
use layout::lock::Lock;
use layout::oci::image::Index;
use layout::{Digest, Layout, images, publish};
use serde::Serialize;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// What this tool's temporary files and folders begin with. All of them are made under the shared gc lock, so `gc`, which
/// holds it alone, knows that nobody needs them.
pub const TEMP_PREFIX: &str = "layerfs-";

/// What a new index begins with until it is in its place. It is made under the index lock, and mostly without the gc lock: `gc`
/// takes it only while it holds the index lock as well.
pub const INDEX_PREFIX: &str = "index-";

/// Takes the gc lock shared: what is made while it is held is not taken for rubbish.
pub fn hold(layout: &Layout) -> Result<Lock> {
    Lock::shared(&layout.gc_lock())
}

/// A new file in `tmp/`. The caller holds the gc lock, shared at least.
pub fn temp_file(layout: &Layout) -> Result<NamedTempFile> {
    temp_file_named(layout, TEMP_PREFIX)
}

fn temp_file_named(layout: &Layout, prefix: &str) -> Result<NamedTempFile> {
    let file = Builder::new()
        .prefix(prefix)
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(layout.tmp())
        .with_context(|| format!("make a temporary file in {}", layout.tmp().display()))?;
    Ok(file)
}

/// A folder in `tmp/` that is removed when it is dropped, unless it was renamed away and kept. Not left to `TempDir`, which
/// holds a descriptor for each level: a hostile tree is deeper than there are descriptors.
#[derive(Debug)]
pub struct TempFolder(Option<PathBuf>);

/// A new folder in `tmp/`.
pub fn temp_dir(layout: &Layout) -> Result<TempFolder> {
    let made = Builder::new()
        .prefix(TEMP_PREFIX)
        .tempdir_in(layout.tmp())
        .with_context(|| format!("make a temporary folder in {}", layout.tmp().display()))?;
    Ok(TempFolder(Some(made.keep())))
}

impl TempFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// It is not to be removed: it has another name by now.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        if let Some((parent, name)) = self.0.as_deref().and_then(|path| path.parent().zip(path.file_name())) {
            // What stays is what `gc` takes.
            let _ = beneath::open_root(parent).and_then(|dir| beneath::remove_all(&dir, name.as_bytes()));
        }
    }
}

/// Stores a JSON document as a blob; gives its digest and size.
pub fn put_json<T: Serialize>(layout: &Layout, value: &T) -> Result<(Digest, u64)> {
    let bytes = serde_json::to_vec(value).context("encode a blob")?;
    Ok((put_bytes(layout, &bytes)?, bytes.len() as u64))
}

/// Stores bytes as a blob; gives their digest.
pub fn put_bytes(layout: &Layout, bytes: &[u8]) -> Result<Digest> {
    let digest = Digest::of(bytes);
    let target = layout.blob(&digest);
    if !target.exists() {
        let mut file = temp_file(layout)?;
        file.write_all(bytes).with_context(|| format!("write {}", target.display()))?;
        publish::persist_durable(file, &target)?;
    }
    Ok(digest)
}

/// Changes the index, alone: nobody else changes it between what `edit` reads and what it leaves.
pub fn edit_index<T>(layout: &Layout, edit: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
    let _guard = Lock::exclusive(&layout.index_lock())?;
    let before = images::index(layout)?;
    let mut index = before.clone();
    let result = edit(&mut index)?;
    if index != before {
        let file = layout.index();
        let mut temp = temp_file_named(layout, INDEX_PREFIX)?;
        let bytes = index.encode().with_context(|| format!("encode {}", file.display()))?;
        temp.write_all(&bytes).with_context(|| format!("write {}", file.display()))?;
        publish::persist_durable(temp, &file)?;
    }
    Ok(result)
}

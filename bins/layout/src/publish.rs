//! The first crash rule: a file appears whole or not at all.
//!
//! Whatever is written goes to `tmp/` on the same filesystem and is renamed into place (rename(2) is atomic).
//! A writer killed at any instruction leaves rubbish in `tmp/` and nothing else. The `_durable` forms fsync the
//! file before and its folder after the rename, so that a power cut is survived too: images use them, the
//! run path does not (a container does not survive a power cut anyhow).

use crate::Layout;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// Publishes `value` as JSON at `target`, mode 0644: indented, because these files are read by people.
pub fn json<T: Serialize>(layout: &Layout, target: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec_pretty(value);
    bytes(layout, target, &line(text.with_context(|| format!("encode {}", target.display()))?))
}

/// As [`json`], on a filesystem that is not the root's.
pub fn json_beside<T: Serialize>(target: &Path, value: &T) -> Result<()> {
    let failed = || format!("write {}", target.display());
    let text = serde_json::to_vec_pretty(value).with_context(failed)?;
    let mut file = NamedTempFile::new_in(target.parent().with_context(failed)?).with_context(failed)?;
    file.write_all(&line(text)).with_context(failed)?;
    persist(file, target)
}

/// As [`json`], on one line, and it survives a power cut: the index of the images, which programs read.
pub fn json_durable<T: Serialize>(layout: &Layout, target: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec(value);
    bytes_durable(layout, target, &line(text.with_context(|| format!("encode {}", target.display()))?))
}

/// Publishes `content` at `target`, mode 0644.
pub fn bytes(layout: &Layout, target: &Path, content: &[u8]) -> Result<()> {
    let mut file = temp_file(layout)?;
    file.write_all(content).with_context(|| format!("write {}", target.display()))?;
    persist(file, target)
}

/// As [`bytes`], and it survives a power cut.
pub fn bytes_durable(layout: &Layout, target: &Path, content: &[u8]) -> Result<()> {
    let mut file = temp_file(layout)?;
    file.write_all(content).with_context(|| format!("write {}", target.display()))?;
    persist_durable(file, target)
}

/// A new file in `tmp/`, removed when dropped unless it is persisted.
pub fn temp_file(layout: &Layout) -> Result<NamedTempFile> {
    let file = NamedTempFile::new_in(layout.tmp())
        .with_context(|| format!("make a temporary file in {}", layout.tmp().display()))?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).context("set mode of a temporary file")?;
    Ok(file)
}

/// A new folder in `tmp/`, removed when dropped unless it is kept (`into_path`, `keep`) and renamed.
pub fn temp_dir(layout: &Layout) -> Result<tempfile::TempDir> {
    tempfile::TempDir::new_in(layout.tmp())
        .with_context(|| format!("make a temporary folder in {}", layout.tmp().display()))
}

/// Renames a temporary file into place.
pub fn persist(file: NamedTempFile, target: &Path) -> Result<()> {
    file.persist(target).map_err(|e| e.error).with_context(|| format!("publish {}", target.display()))?;
    Ok(())
}

/// Renames a temporary file into place so that it survives a power cut: fsync of the file, rename, fsync of the folder.
pub fn persist_durable(file: NamedTempFile, target: &Path) -> Result<()> {
    file.as_file().sync_all().with_context(|| format!("sync {}", target.display()))?;
    persist(file, target)?;
    if let Some(parent) = target.parent() {
        sync_dir(parent)?;
    }
    Ok(())
}

/// Makes the names in a folder survive a power cut.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).with_context(|| format!("sync {}", dir.display()))
}

fn line(mut text: Vec<u8>) -> Vec<u8> {
    text.push(b'\n');
    text
}

/// Reads a JSON file.
///
/// # Errors
/// The file's name with the cause: not there, or not of the form that the layout says, with line and column.
pub fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let there = read_json_if_there(file)?;
    there.ok_or(io::ErrorKind::NotFound).map_err(io::Error::from).with_context(|| format!("read {}", file.display()))
}

/// Reads a JSON file that may as well not be there, which costs no more than asking for it.
///
/// # Errors
/// As [`read_json`].
pub fn read_json_if_there<T: serde::de::DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("read {}", file.display()))?,
    };
    serde_json::from_slice(&bytes).map(Some).with_context(|| format!("read {}", file.display()))
}

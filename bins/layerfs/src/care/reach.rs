//! What refers to what, from the roots down: the index, the containers, and what is mounted now.

use crate::{layer, mount::overlay};
use anyhow::{Context, Result};
use layout::images::{self, platforms};
use layout::oci::image::{Descriptor, ImageConfig, Index, Manifest};
use layout::{Digest, Layout};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Everything that something refers to.
#[derive(Debug, Default)]
pub struct Reach {
    /// Blobs: manifests, configurations, layers as they are stored.
    pub blobs: BTreeSet<Digest>,
    /// Layers by the names that their folders may have.
    pub layers: BTreeSet<Digest>,
}

/// Follows all references.
///
/// # Errors
/// A document that is there and cannot be read: what it refers to is not known, so nothing may be removed.
pub fn find(layout: &Layout) -> Result<Reach> {
    let mut reach = Reach::default();
    let index = images::index(layout)?;
    if let Some(entry) = index.foreign.first() {
        let why = Index::why_foreign(entry);
        anyhow::bail!("an entry of index.json is not understood, nor what it refers to ({why}): see layerfs fsck");
    }
    for descriptor in index.manifests {
        reach.descriptor(layout, &descriptor, 0)?;
    }
    for id in layout.container_ids()? {
        // A container in the making has no file yet; its maker holds the gc lock until it has.
        if layout.container_dir(&id).container_json().exists() {
            let image = layout.read_container(&id)?.image;
            reach.config(layout, &image)?;
        }
    }
    reach.layers.extend(mounted_now(layout)?);
    for diff_id in reach.layers.clone() {
        reach.blobs.extend(layer::info(layout, &diff_id)?.map(|info| info.blob.digest));
    }
    Ok(reach)
}

/// The layers that are shown by a mount now.
pub fn mounted_now(layout: &Layout) -> Result<Vec<Digest>> {
    let mounts = fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let layers = layout.layers();
    let source = overlay::source_of(&layers)?;
    if !mounts.split(|b| *b == b'\n').any(|mount| is_of(mount, &source)) {
        return Ok(mounted(&mounts, &layers));
    }
    // All of them, then.
    let mut all = Vec::new();
    for entry in fs::read_dir(&layers).with_context(|| format!("list {}", layers.display()))? {
        let name = entry.with_context(|| format!("list {}", layers.display()))?.file_name();
        all.extend(name.to_str().and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok()));
    }
    Ok(all)
}

/// Whether a mount, a line of `mountinfo`, has this source.
fn is_of(mount: &[u8], source: &str) -> bool {
    // After the dash: the filesystem's type, the source, the options.
    let at = mount.windows(3).position(|window| window == b" - ");
    at.and_then(|at| mount[at + 3..].split(|b| *b == b' ').nth(1)) == Some(source.as_bytes())
}

/// Where something is mounted in a folder now, the last first (proc_pid_mountinfo(5): the fifth field).
pub fn mounts_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let points = table.split(|b| *b == b'\n').rev().filter_map(|line| line.split(|b| *b == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescape(point))));
    Ok(points.filter(|point| point.starts_with(dir)).collect())
}

impl Reach {
    fn descriptor(&mut self, layout: &Layout, descriptor: &Descriptor, depth: usize) -> Result<()> {
        if !self.blobs.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        if !layout.blob(&descriptor.digest).exists() {
            // An index may list platforms that were never copied here. What the store itself lists should be there; as it
            // is not, nobody knows which layers it needs, and they may be all that is left of it.
            if depth == 0 {
                anyhow::bail!("{} is listed in index.json and is missing: see layerfs fsck", descriptor.digest);
            }
            return Ok(());
        }
        if platforms::is_index(descriptor) {
            if depth > 4 {
                anyhow::bail!("follow {}: indexes are nested too deeply", descriptor.digest);
            }
            let index: Index = images::read_blob(layout, &descriptor.digest)?;
            return index.manifests.iter().try_for_each(|inner| self.descriptor(layout, inner, depth + 1));
        }
        let manifest: Manifest = images::read_blob(layout, &descriptor.digest)?;
        self.blobs.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        self.config(layout, &manifest.config.digest)
    }

    fn config(&mut self, layout: &Layout, digest: &Digest) -> Result<()> {
        self.blobs.insert(digest.clone());
        if layout.blob(digest).exists() {
            let config: ImageConfig = images::read_blob(layout, digest)?;
            self.layers.extend(images::chain_ids(&config.rootfs.diff_ids));
            self.layers.extend(config.rootfs.diff_ids);
        }
        Ok(())
    }
}

/// The layers that are named in the options of the mounts in a `mountinfo` (proc_pid_mountinfo(5)).
fn mounted(mountinfo: &[u8], layers: &Path) -> Vec<Digest> {
    let text = unescape(mountinfo);
    let plain = [layers.as_os_str().as_bytes(), b"/"].concat();
    // In the option string of mount(2) the path has backslashes of its own.
    let classic = overlay::escape(&plain, overlay::SPECIAL);
    let mut found = BTreeSet::new();
    for folder in [plain, classic] {
        let places = text.windows(folder.len()).enumerate().filter(|(_, window)| *window == folder);
        let names = places.filter_map(|(at, _)| text.get(at + folder.len()..)?.get(..64));
        found.extend(names.filter_map(|hex| format!("sha256:{}", std::str::from_utf8(hex).ok()?).parse().ok()));
    }
    found.into_iter().collect()
}

/// Undoes the kernel's escapes: a byte that would end the field is written as a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                plain.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = after;
            }
            _ => plain.push(*byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_layers_are_in_use() {
        let (a, b, c) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        let text = format!(
            "36 35 0:50 / /mnt rw - overlay overlay rw,lowerdir=/v/l\\134:1/{}/diff:/v/l\\134:1/{}/diff,upperdir=/x\n\
             37 35 0:51 / /m\\040x rw - overlay overlay rw,lowerdir+=/v/l:1/{}/diff\n\
             38 35 0:52 / /m rw - overlay overlay rw,lowerdir=/other/{}/diff:/v/l:1/short\n",
            a.hex(),
            b.hex(),
            c.hex(),
            Digest::of(b"d").hex()
        );
        let mut expected = vec![a, b, c];
        expected.sort();
        assert_eq!(mounted(text.as_bytes(), Path::new("/v/l:1")), expected);
    }

    #[test]
    fn a_mount_that_does_not_name_its_layers_says_whose_they_are() {
        let line = br"36 35 0:50 / /mnt rw - overlay layers:1:2 rw,lowerdir=3:4:5";
        assert!(is_of(line, "layers:1:2") && !is_of(line, "layers:1:22") && !is_of(b"", "layers:1:2"));
    }

    #[test]
    fn the_kernels_escapes_are_undone() {
        assert_eq!(unescape(br"/a\040b\054c\134d\9"), br"/a b,c\d\9");
    }
}

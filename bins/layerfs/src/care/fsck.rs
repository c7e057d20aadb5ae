//! `layerfs fsck`: proving that the store is what it says.
//!
//! Every name in the store is a digest, so everything can be checked against its own name. Blobs that nothing refers to
//! are no fault, only rubbish: `gc` is for them.

use crate::cli::FsckArgs;
use crate::{
    image::store,
    layer::{self, pipeline},
    output,
};
use anyhow::{Context, Result};
use layout::oci::image::{DOCKER_LIST, Descriptor, INDEX, ImageConfig, Index, Manifest};
use layout::{Digest, Layout, images};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

/// Verifies everything; exits 1 when something is wrong.
pub fn run(layout: &Layout, args: &FsckArgs) -> Result<u8> {
    let _held = store::hold(layout)?;
    let mut check = Check { layout, good: BTreeMap::new(), bad: BTreeSet::new(), problems: Vec::new() };
    check.index();
    check.all_blobs()?;
    check.layers()?;
    check.containers()?;
    if args.json {
        output::json(&check.problems)?;
    } else if check.problems.is_empty() {
        output::line(format!("{} blobs, no problems", check.good.len()))?;
    } else {
        check.problems.iter().try_for_each(output::line)?;
    }
    Ok(u8::from(!check.problems.is_empty()))
}

struct Check<'a> {
    layout: &'a Layout,
    /// Blobs that were read and are true to their names, and the digest of their uncompressed content, if it can be had.
    good: BTreeMap<Digest, Option<Digest>>,
    /// Blobs that a problem was told of.
    bad: BTreeSet<Digest>,
    problems: Vec<String>,
}

impl Check<'_> {
    fn index(&mut self) {
        match images::index(self.layout) {
            Ok(index) => index.manifests.iter().for_each(|listed| self.image(listed, true, 0)),
            Err(error) => self.problems.push(format!("{error:#}")),
        }
    }

    /// An image, or an index of several. Of the platforms of an index only those need to be here that were copied.
    fn image(&mut self, listed: &Descriptor, needed: bool, depth: usize) {
        let there = self.layout.blob(&listed.digest).exists();
        if (!there && !needed) || !self.blob(listed) {
            return;
        }
        let result = match listed.media_type.as_str() {
            INDEX | DOCKER_LIST if depth > 4 => Err(anyhow::anyhow!("indexes are nested too deeply")),
            INDEX | DOCKER_LIST => images::read_blob::<Index>(self.layout, &listed.digest)
                .map(|index| index.manifests.iter().for_each(|inner| self.image(inner, false, depth + 1))),
            _ => self.manifest(&listed.digest),
        };
        if let Err(error) = result {
            self.problems.push(format!("image {}: {error:#}", listed.digest));
        }
    }

    fn manifest(&mut self, digest: &Digest) -> Result<()> {
        let manifest: Manifest = images::read_blob(self.layout, digest)?;
        if !self.blob(&manifest.config) {
            return Ok(());
        }
        let config: ImageConfig = images::read_blob(self.layout, &manifest.config.digest)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            anyhow::bail!("it has {} layers and {} diff ids", manifest.layers.len(), diff_ids.len());
        }
        for (blob, diff_id) in manifest.layers.iter().zip(diff_ids) {
            if self.blob(blob)
                && self.good.get(&blob.digest).is_some_and(|found| found.as_ref().is_some_and(|found| found != diff_id))
            {
                self.problems.push(format!("layer {}: uncompressed it is not {diff_id}", blob.digest));
            }
        }
        Ok(())
    }

    /// Reads a blob, once, and compares it with its descriptor; says whether it is good.
    fn blob(&mut self, descriptor: &Descriptor) -> bool {
        let file = self.layout.blob(&descriptor.digest);
        let wrong = match file.metadata() {
            Ok(found) if found.len() == descriptor.size => return self.content(&descriptor.digest),
            Ok(found) => format!("it has {} bytes, not {}", found.len(), descriptor.size),
            Err(error) => error.to_string(),
        };
        self.bad_blob(&descriptor.digest, wrong)
    }

    fn content(&mut self, digest: &Digest) -> bool {
        if self.good.contains_key(digest) {
            return true;
        }
        let wrong = match File::open(self.layout.blob(digest)).context("open it").and_then(pipeline::digests) {
            Ok((found, diff_id)) if found == *digest => {
                self.good.insert(digest.clone(), diff_id);
                return true;
            }
            Ok((found, _)) => format!("its content is {found}"),
            Err(error) => format!("{error:#}"),
        };
        self.bad_blob(digest, wrong)
    }

    /// Tells of a problem with a blob, once.
    fn bad_blob(&mut self, digest: &Digest, wrong: String) -> bool {
        if self.bad.insert(digest.clone()) {
            self.problems.push(format!("blob {digest}: {wrong}"));
        }
        false
    }

    /// Blobs that no image was found to need.
    fn all_blobs(&mut self) -> Result<()> {
        let dir = self.layout.blobs();
        for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let name = entry.with_context(|| format!("list {}", dir.display()))?.file_name();
            match format!("sha256:{}", name.to_string_lossy()).parse::<Digest>() {
                Ok(digest) => drop(self.content(&digest)),
                Err(_) => self.problems.push(format!("blob {}: its name is no digest", name.display())),
            }
        }
        Ok(())
    }

    fn layers(&mut self) -> Result<()> {
        let dir = self.layout.layers();
        for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let name = entry.with_context(|| format!("list {}", dir.display()))?.file_name();
            let shown = name.display();
            let Ok(diff_id) = format!("sha256:{}", name.to_string_lossy()).parse::<Digest>() else {
                self.problems.push(format!("layer {shown}: its name is no digest"));
                continue;
            };
            if !self.layout.layer_diff(&diff_id).is_dir() {
                self.problems.push(format!("layer {shown}: its files are not there"));
            }
            match layer::info(self.layout, &diff_id) {
                Ok(Some(info)) if info.diff_id != diff_id => {
                    self.problems.push(format!("layer {shown}: layer.json is of {}", info.diff_id));
                }
                Ok(Some(_)) => {}
                Ok(None) => self.problems.push(format!("layer {shown}: layer.json is not there")),
                Err(error) => self.problems.push(format!("layer {shown}: {error:#}")),
            }
        }
        Ok(())
    }

    fn containers(&mut self) -> Result<()> {
        for id in self.layout.container_ids()? {
            if !self.layout.container_dir(&id).container_json().exists() {
                continue;
            }
            match self.layout.read_container(&id) {
                Ok(container) if !self.layout.blob(&container.image).exists() => {
                    self.problems.push(format!("container {}: its image {} is not there", id.short(), container.image));
                }
                Ok(_) => {}
                Err(error) => self.problems.push(format!("container {}: {error:#}", id.short())),
            }
        }
        Ok(())
    }
}

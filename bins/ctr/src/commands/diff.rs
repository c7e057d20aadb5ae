//! `ctr diff`: what a container has changed, as `layerfs diff --names` lists it.

use super::{Engine, ends_with_one};
use crate::cli::Diff;
use crate::create::files;
use anyhow::Result;
use layout::container::Container;
use layout::oci::image::ImageConfig;
use layout::tool::{Call, Tool};
use layout::{Layout, images, publish};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

impl Engine {
    pub(super) fn diff(&self, args: &Diff) -> Result<u8> {
        let id = self.layout.find_container(&args.container).map_err(ends_with_one)?;
        let container = self.layout.read_container(&id)?;
        let mut without = made_by_the_engine(&self.layout, &container)?;
        // And the folders above: `/dev`, `/etc`, `/sys/fs`.
        let above = |path: &PathBuf| path.ancestors().skip(1).map(PathBuf::from).collect::<Vec<_>>();
        let above: BTreeSet<PathBuf> = without.iter().flat_map(above).filter(|path| path.parent().is_some()).collect();
        without.extend(above);
        self.pass_on(
            Call::new(Tool::Layerfs)
                .args(["diff", "--names", "--image", container.image.as_str()])
                .args(without.iter().flat_map(|path| ["--without".into(), path.clone().into_os_string()]))
                .arg(self.layout.container_dir(&id).upper()),
        )
    }
}

/// What the engine put into the container's writable layer, for each container: to mount something on it or to mark it as a
/// container. What is mounted because somebody asked for it belongs to the container, as with docker.
pub(super) fn made_by_the_engine(layout: &Layout, container: &Container) -> Result<Vec<PathBuf>> {
    let spec: layout::oci::runtime::Spec = publish::read_json(&layout.container_dir(&container.id).config_json())?;
    let asked: BTreeSet<&str> = container
        .mounts
        .iter()
        .map(|point| point.destination.as_str())
        .chain(container.host_config.tmpfs.keys().map(String::as_str))
        .collect();
    let mut paths = ["/.dockerenv", "/dev/console", "/etc/mtab"].map(PathBuf::from).to_vec();
    let own = spec.mounts.into_iter().map(|mount| mount.destination);
    paths.extend(own.filter(|path| path.to_str().is_none_or(|path| !asked.contains(path))));
    if etc_is_as_it_was_made(layout, container)? {
        paths.push("/etc".into());
    }
    Ok(paths)
}

/// Whether the folder that the engine's own link is in says nothing else than the image's.
fn etc_is_as_it_was_made(layout: &Layout, container: &Container) -> Result<bool> {
    let image: ImageConfig = images::read_blob(layout, &container.image)?;
    let mode = files::mode_of_etc(layout, &image.rootfs.diff_ids);
    let now = layout.container_dir(&container.id).upper().join("etc").symlink_metadata();
    Ok(now.is_ok_and(|etc| files::is_roots_folder(&etc) && Some(etc.mode() & 0o7777) == mode))
}

//! What the parent makes of the mounts, because the container's process could not.
//!
//! A process in a user namespace of its own is nobody on the host: it may not reach every folder that the
//! configuration binds, and it may never map the ids of a mount of the host's. So the parent copies such mounts,
//! detached, before it makes the process, which inherits the descriptors and attaches them.
//!
//! An *idmapped* mount shows the ids of its files changed, as the id maps of some user namespace say (mount_setattr(2)):
//! files of user 0 on the disk are those of user 100000 there, which is 0 again in the container. Nothing is changed on disk.

use super::bind;
use super::options::{Bind, MountOptions, Propagation};
use crate::namespaces::{Namespaces, user};
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result};
use layout::oci::runtime::{IdMapping, Mount, NamespaceKind, Spec};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;
use std::path::Path;

/// Prepared mounts, by their place in the configuration's list.
pub type Sources = BTreeMap<usize, OwnedFd>;

/// Prepares what must be; mostly that is nothing.
pub fn prepare(spec: &Spec, namespaces: &Namespaces, bundle: &Path) -> Result<Sources> {
    let mut sources = Sources::new();
    let as_root = rustix::process::geteuid().is_root() && namespaces.has(NamespaceKind::User);
    let mut maps = Maps { spec, namespaces, made: Vec::new() };
    for (place, mount) in spec.mounts.iter().enumerate() {
        let idmapped =
            !mount.uid_mappings.is_empty() || mount.options.iter().any(|o| matches!(o.as_str(), "idmap" | "ridmap"));
        if !idmapped && !as_root {
            continue;
        }
        let options = MountOptions::parse(&mount.options)?;
        if options.remount || (options.bind.is_none() && mount.kind != "bind") {
            continue;
        }
        let what = || {
            let hint = if as_root || !idmapped || rustix::process::geteuid().is_root() {
                ""
            } else {
                " (only root may map the ids of a mount)"
            };
            format!("bind {} for {}{hint}", mount.source, mount.destination.display())
        };
        let made = bind::make(mount, &options, bundle).with_context(what)?;
        separate(&made, spec).with_context(what)?;
        if idmapped {
            let recursive = options.idmap == Some(Bind::Tree);
            narrate!("ids as the container is to see them", "mount_setattr({}, MOUNT_ATTR_IDMAP)", mount.source);
            sys::map_ids_of_mount(&made, maps.of(mount)?, recursive)
                .context("map its ids (does its filesystem support idmapped mounts?)")
                .with_context(what)?;
        }
        sources.insert(place, made);
    }
    Ok(sources)
}

/// What we make here is made in the host's mount namespace; it gets the propagation that the whole tree has in the container's.
fn separate(made: &OwnedFd, spec: &Spec) -> Result<()> {
    let wanted = spec.linux.as_ref().map(|linux| linux.rootfs_propagation.as_str()).unwrap_or_default();
    match Propagation::parse(wanted).map_or(libc::MS_SLAVE, |propagation| propagation.kind as _) {
        libc::MS_SHARED => Ok(()),
        kind => {
            let wanted = Propagation { kind: kind as _, recursive: true };
            narrate!("the container's mounts are not the host's business", "mount_setattr({})", wanted.name());
            sys::mount_setattr(made, wanted.attr(), true).context("separate it from the host's")
        }
    }
}

/// The user namespaces that mounts are mapped by.
struct Maps<'a> {
    spec: &'a Spec,
    namespaces: &'a Namespaces,
    /// Those that we made, by their maps.
    made: Vec<(&'a [IdMapping], &'a [IdMapping], OwnedFd)>,
}

impl<'a> Maps<'a> {
    /// The namespace for a mount: its own mappings, else those of the container.
    fn of(&mut self, mount: &'a Mount) -> Result<&OwnedFd> {
        let (uids, gids): (&[IdMapping], &[IdMapping]) = match &self.spec.linux {
            _ if !mount.uid_mappings.is_empty() => (&mount.uid_mappings, &mount.gid_mappings),
            Some(linux) => (&linux.uid_mappings, &linux.gid_mappings),
            None => (&[], &[]),
        };
        let at = match self.made.iter().position(|(u, g, _)| (*u, *g) == (uids, gids)) {
            Some(at) => at,
            None => {
                let namespace = match self.namespaces.path(NamespaceKind::User) {
                    Some(path) if uids.is_empty() => crate::namespaces::open(path)?,
                    _ => user::with_maps(uids, gids)?,
                };
                self.made.push((uids, gids, namespace));
                self.made.len() - 1
            }
        };
        Ok(&self.made[at].2)
    }
}

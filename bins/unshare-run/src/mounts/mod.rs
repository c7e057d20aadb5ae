//! The `mounts` of the configuration, one after the other, each onto a descriptor inside of the root.
//!
//! The mount API of Linux 5.2 makes a mount first ([`filesystem`], [`bind`]), detached, and attaches it in one
//! step afterwards (`move_mount`): it has all its flags before anybody can see it. What a mount goes onto is
//! opened by [`in_root`] and judged by [`target`]. [`pivot_root`] comes first and last, [`devices`] and [`masked`] between.

pub mod bind;
pub mod cgroup;
pub mod check;
mod copy_up;
pub mod devices;
mod filesystem;
pub mod in_root;
pub mod masked;
pub mod options;
pub mod pivot_root;
pub mod sources;
pub mod target;
mod tmpfs;

use crate::namespaces::Namespaces;
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result};
pub use bind::{attach, clone_mount, clone_private, open_host};
pub use filesystem::new_filesystem;
use in_root::Root;
use layout::oci::runtime::Mount;
use options::{MountOptions, Propagation};
use rustix::fd::OwnedFd;
use rustix::mount::MountAttrFlags;
use std::path::Path;
pub use target::is_procfs;

/// What a mount may need to know of its surroundings.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Relative sources start here.
    pub bundle: &'a Path,
    /// What the container has of its own.
    pub namespaces: &'a Namespaces,
}

/// A mount with which something is to be done when all of the root is there.
#[derive(Debug)]
pub struct Unfinished {
    mount: OwnedFd,
    read_only: bool,
    propagation: Vec<Propagation>,
}

impl Unfinished {
    /// `/dev` becomes read-only when all is in it.
    pub fn make_read_only(&self) -> Result<()> {
        if self.read_only { masked::make_mount_read_only(&self.mount) } else { Ok(()) }
    }

    /// The propagation that a mount has by its own options, which that of the root has changed.
    pub fn propagate(&self) -> Result<()> {
        self.propagation.iter().try_for_each(|propagation| {
            narrate!("who else sees what is mounted there later", "mount_setattr({})", propagation.name());
            sys::mount_setattr(&self.mount, propagation.attr(), propagation.recursive).context("set its propagation")
        })
    }
}

/// Makes one mount. `source` is what the parent has prepared for it ([`sources`]), if that was needed.
/// Gives it back if it is not finished.
pub fn mount(
    root: &Root,
    mount: &Mount,
    source: Option<OwnedFd>,
    around: &Surroundings<'_>,
) -> Result<Option<Unfinished>> {
    let what = || format!("mount {} at {}", describe(mount), mount.destination.display());
    let mut options = MountOptions::parse(&mount.options).with_context(what)?;
    let read_only = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    let late = is_dev(mount) && mount.kind == "tmpfs" && !options.remount && options.attr.set & read_only != 0;
    if late {
        options.attr.set &= !read_only;
    }
    let made = match (source, mount.kind.as_str()) {
        _ if options.remount => filesystem::remount(root, mount, &options),
        (Some(source), _) => bind::put(root, mount, source),
        (None, kind) if options.bind.is_some() || kind == "bind" => {
            bind::make(mount, &options, around.bundle).and_then(|source| bind::put(root, mount, source))
        }
        (None, "cgroup") => cgroup::mount(root, &mount.destination, &options, around),
        (None, "cgroup2") => cgroup::unified(root, &mount.destination, &options),
        (None, "tmpfs") => tmpfs::mount(root, mount, &options),
        (None, _) => filesystem::mount(root, mount, &options, around),
    };
    let made = Unfinished { mount: made.with_context(what)?, read_only: late, propagation: options.propagation };
    made.propagate().with_context(what)?;
    Ok((late || !made.propagation.is_empty()).then_some(made))
}

fn describe(mount: &Mount) -> String {
    if mount.kind.is_empty() || mount.kind == "bind" { format!("bind of {}", mount.source) } else { mount.kind.clone() }
}

/// Whether this mount is the container's `/dev`.
pub fn is_dev(mount: &Mount) -> bool {
    mount.destination.components().eq(Path::new("/dev").components())
}

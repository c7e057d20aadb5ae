//! Filesystems in memory, which start empty, or (`tmpcopyup`) with what they cover.

use super::bind::attach;
use super::copy_up;
use super::filesystem::new_filesystem;
use super::in_root::Root;
use super::options::{MountOptions, flag_names};
use super::target;
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result};
use layout::oci::runtime::Mount;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;

/// Mounts a tmpfs. Without a mode of its own it has that of the folder that it covers, as `/tmp` should keep its 1777.
pub fn mount(root: &Root, mount: &Mount, options: &MountOptions) -> Result<OwnedFd> {
    target::refuse_false_proc(&mount.destination, || Ok(false))?;
    let mut options = options.clone();
    if !options.data.iter().any(|option| option.starts_with("mode=")) {
        // A folder that is yet to be made has none to give.
        if let Ok(covered) = root.open(&mount.destination, OFlags::PATH | OFlags::DIRECTORY) {
            let mode = rustix::fs::fstat(&covered).context("stat its target")?.st_mode & 0o7777;
            options.data.push(format!("mode={mode:o}"));
        }
    }
    let target = target::dir(root, &mount.destination)?;
    let source = if mount.source.is_empty() { "tmpfs" } else { &mount.source };
    if !options.copy_up {
        let made = new_filesystem("tmpfs", source, &options)?;
        attach(&made, &target, &mount.destination)?;
        return Ok(made);
    }
    let flags = std::mem::take(&mut options.attr);
    let made = new_filesystem("tmpfs", source, &options)?;
    narrate!("it starts with what it covers", "copy {} into it", mount.destination.display());
    copy_up::copy(&target, &made).context("copy what it covers")?;
    narrate!("its flags", "mount_setattr({})", flag_names(flags.set));
    sys::mount_setattr(&made, flags, false).context("set its flags")?;
    attach(&made, &target, &mount.destination)?;
    Ok(made)
}

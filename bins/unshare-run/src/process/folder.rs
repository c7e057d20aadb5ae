//! The folder that it starts in.

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use std::path::Path;

/// Enters the folder; `false` when we are not permitted to.
pub fn enter_folder(folder: &Path) -> Result<bool> {
    match rustix::process::chdir(folder) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("enter folder {}", folder.display())),
    }
}

/// Makes sure that the folder that we are in is in the container's root: a path through `/proc/self/fd` could
/// lead to one of the host's that we still have open (CVE-2024-21626).
pub fn check_inside(folder: &Path) -> Result<()> {
    let place = rustix::process::getcwd(Vec::new()).context("ask for the current folder")?;
    if !place.as_bytes().starts_with(b"/") {
        bail!("enter folder {}: it leads out of the container's root", folder.display());
    }
    Ok(())
}

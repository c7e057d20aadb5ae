//! BusyBox: one program that is many, by the name it is called by. Which names, it says itself.

use crate::host::Builder;
use crate::programs;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Adds the `busybox` of PATH, and a link for each of its names that no other program has.
///
/// # Errors
/// There is none, or it does not answer.
pub fn add(builder: &mut Builder) -> Result<()> {
    let busybox = programs::find_in_path("busybox")
        .or_else(|| programs::find_default("busybox"))
        .context("find busybox: it is not in PATH (Debian's package is busybox-static)")?;
    let output =
        Command::new(&busybox).arg("--list-full").output().with_context(|| format!("run {}", busybox.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        bail!("ask {} for its names: {} {said}", busybox.display(), output.status);
    }
    let place = builder.add_program(&busybox)?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    for path in names.lines().map(|line| Path::new("/").join(line)) {
        let Some(name) = path.file_name() else { continue };
        let is_taken = programs::PATH.iter().any(|dir| builder.tree.has(&Path::new(dir).join(name)));
        let folder = path.parent().unwrap_or(Path::new("/"));
        if !is_taken && programs::PATH.iter().any(|dir| Path::new(dir) == folder) {
            builder.tree.link(&path, &place)?;
        }
    }
    Ok(())
}

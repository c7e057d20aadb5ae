//! `unified`: v2 files by name, with values that are written as they are.

use crate::group::{Group, read_optional};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Resources;
use std::path::Path;

/// Refuses what cannot be a file of a group: with a slash it could be any file of the machine.
pub fn check(resources: &Resources) -> Result<()> {
    for (file, value) in &resources.unified {
        if file.contains('/') {
            bail!("unified resource {file:?} must be a file name (no slashes)");
        }
        if file.contains('\0') || value.contains('\0') || !file.contains('.') {
            bail!("unified resource {file:?} must be in the form CONTROLLER.PARAMETER");
        }
    }
    Ok(())
}

/// The controllers that the files belong to: the part of the name before the dot. `cgroup.` is every group's.
pub fn controllers(resources: &Resources) -> impl Iterator<Item = &str> {
    let names = resources.unified.keys().filter_map(|file| Some(file.split_once('.')?.0));
    names.filter(|controller| *controller != "cgroup")
}

/// Writes the files.
pub fn apply(group: &Group, resources: &Resources) -> Result<()> {
    if resources.unified.is_empty() {
        return Ok(());
    }
    let Some(folder) = group.unified_folder() else {
        bail!("set unified resources: they are names of v2 files, and only cgroup v1 is mounted on this machine");
    };
    for (file, value) in &resources.unified {
        let controller = file.split('.').next().unwrap_or_default();
        if controller != "cgroup" && !folder.join(file).exists() && !has(&folder, controller)? {
            let why = match group.hierarchy.v1_tree(controller) {
                Some(tree) => format!("it is in a v1 tree, at {}", tree.top.display()),
                None => group.why_without(controller),
            };
            bail!("unified resource {file:?} can't be set: controller {controller:?} not available: {why}");
        }
        let write = || value.lines().try_for_each(|line| group.write(&folder.join(file), line));
        write().with_context(|| format!("set unified resource {file:?}"))?;
    }
    Ok(())
}

fn has(folder: &Path, controller: &str) -> Result<bool> {
    let list = read_optional(&folder.join("cgroup.controllers"))?.unwrap_or_default();
    Ok(list.split_whitespace().any(|found| found == controller))
}

//! Removing a group: rmdir, from the innermost folder out, in every tree.
//!
//! A cgroup's folder can be removed although it shows files, but not while a task or a group is in it. A killed
//! process leaves its group some time after the signal, when it has let go of its memory: hence the waiting.

use crate::group::Group;
use crate::kill::list;
use crate::processes;
use anyhow::{Result, bail};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a group may stay busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// Removes the group in every tree, and all groups inside it. What is not there is removed already. With `parents`
/// the groups above go too, as long as they have neither a process nor a group in them.
///
/// # Errors
/// All folders that could not be removed, each with its cause: one that fails does not keep the others.
pub fn delete(group: &Group, parents: bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut failures = Vec::new();
    for folder in group.folders() {
        match remove_tree(group, &folder, deadline) {
            Err(error) => failures.push(format!("{error:#}")),
            Ok(()) if parents => remove_above(group, &folder),
            Ok(()) => {}
        }
    }
    match failures.len() {
        0 => Ok(()),
        _ => bail!("delete {}: {}", group.name, failures.join("; ")),
    }
}

/// Removes what `create` has made so far, when the rest of it failed. Nobody is in it; what stays would be empty.
pub fn undo(group: &Group, made: &[PathBuf]) {
    for folder in made.iter().rev() {
        // The error that led here is the one to report.
        let _ = group.remove_folder(folder);
    }
}

fn remove_tree(group: &Group, folder: &Path, deadline: Instant) -> Result<()> {
    let mut pause = Duration::from_micros(200);
    loop {
        // Nearly always there are no groups inside, and this one call does it.
        let Err(error) = group.remove_folder(folder) else { return Ok(()) };
        if error.raw_os_error() != Some(libc::EBUSY) {
            return Err(failure(folder, &error));
        }
        for inner in processes::folders_inside(folder)? {
            match group.remove_folder(&inner) {
                Err(error) if error.raw_os_error() != Some(libc::EBUSY) => return Err(failure(&inner, &error)),
                _ => {}
            }
        }
        match group.remove_folder(folder) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(busy(group, folder, &error)),
            Err(_) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Whether a group above is in use the kernel decides, in the one moment of the rmdir: whoever is about to make a group
/// in it either has done so, and it stays, or makes it anew ([`Group::make_folder`]).
fn remove_above(group: &Group, folder: &Path) {
    let depth = group.name.as_str().matches('/').count();
    for above in folder.ancestors().take(depth).skip(1) {
        if group.remove_folder(above).is_err() {
            return;
        }
    }
}

fn failure(folder: &Path, error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("remove {}: {error}", folder.display())
}

fn busy(group: &Group, folder: &Path, error: &io::Error) -> anyhow::Error {
    match processes::in_tree(group) {
        Ok(pids) if !pids.is_empty() => anyhow::anyhow!(
            "remove {}: {error}: processes are in it: {} (end them with: cgset kill {})",
            folder.display(),
            list(&pids),
            group.name
        ),
        _ => failure(folder, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;
    use std::fs;

    #[test]
    fn a_group_goes_in_every_tree_with_the_groups_inside_it_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let text = "\
1 0 0:31 / /memory rw - cgroup cgroup rw,memory
2 0 0:32 / /unified rw - cgroup2 cgroup2 rw
";
        for folder in ["memory/ctr/a", "unified/ctr/a"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let group = Group::new("ctr/a".parse().unwrap(), Hierarchy::parse(text, dir.path()), false);
        delete(&group, false).unwrap();
        delete(&group, false).unwrap();
        assert!(!dir.path().join("memory/ctr/a").exists());
        assert!(dir.path().join("unified/ctr").exists(), "the group above stays");
        fs::create_dir(dir.path().join("memory/ctr/b")).unwrap();
        delete(&group, true).unwrap();
        assert!(dir.path().join("memory/ctr").exists(), "another group is in it");
        assert!(!dir.path().join("unified/ctr").exists());
        assert!(dir.path().join("unified").exists(), "the top of a tree is nobody's");
    }
}

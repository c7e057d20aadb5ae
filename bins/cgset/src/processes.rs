//! Which processes are in a group and in the groups inside it.

use crate::group::{Group, read_optional};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The groups inside a folder, those inside these first: the order in which they can be removed.
pub fn folders_inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(folders_inside(&entry.path())?);
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The processes in the group and in the groups inside it. On v1 a process that is in the group in one tree only
/// counts as well.
///
/// A 0 is a process that is in a pid namespace out of sight.
pub fn in_tree(group: &Group) -> Result<BTreeSet<i32>> {
    in_and_below(group.folders())
}

/// As [`in_tree`], for the v2 tree alone.
pub fn in_unified_tree(group: &Group) -> Result<BTreeSet<i32>> {
    in_and_below(group.unified_folder())
}

fn in_and_below(folders: impl IntoIterator<Item = PathBuf>) -> Result<BTreeSet<i32>> {
    let mut pids = BTreeSet::new();
    for folder in folders {
        pids.extend(in_folder(&folder)?);
        for inner in folders_inside(&folder)? {
            pids.extend(in_folder(&inner)?);
        }
    }
    Ok(pids)
}

/// Prints them, one a line or as JSON.
pub fn print(group: &Group, json: bool) -> Result<()> {
    group.require()?;
    let pids = in_tree(group)?;
    let text = match json {
        true => serde_json::to_string(&pids).context("encode JSON")? + "\n",
        false => pids.iter().map(|pid| format!("{pid}\n")).collect(),
    };
    io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

/// The processes that `cgroup.procs` of one folder lists; none when it is gone.
pub fn in_folder(folder: &Path) -> Result<Vec<i32>> {
    let text = read_optional(&folder.join("cgroup.procs"))?.unwrap_or_default();
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;

    #[test]
    fn processes_are_found_in_every_tree_and_at_every_depth() {
        let dir = tempfile::tempdir().unwrap();
        let text = "\
1 0 0:31 / /memory rw - cgroup cgroup rw,memory
2 0 0:32 / /pids rw - cgroup cgroup rw,pids
";
        for (folder, procs) in [("memory/a", "7\n8\n"), ("pids/a", "8\n"), ("pids/a/b", ""), ("pids/a/b/c", "9\n")] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("cgroup.procs"), procs).unwrap();
        }
        let group = Group::new("a".parse().unwrap(), Hierarchy::parse(text, dir.path()), false);
        assert_eq!(in_tree(&group).unwrap(), BTreeSet::from([7, 8, 9]));
        let inside = folders_inside(&dir.path().join("pids/a")).unwrap();
        assert_eq!(inside, [dir.path().join("pids/a/b/c"), dir.path().join("pids/a/b")]);
    }
}

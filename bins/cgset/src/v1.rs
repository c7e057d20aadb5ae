//! Making a group on v1: a folder in each tree (kernel: Documentation/admin-guide/cgroup-v1).

use crate::group::{Group, read};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Gives a new group in the cpuset tree the processors and memory nodes of the group above.
///
/// A cpuset starts empty on v1, and an empty one takes no process. (On v2 an empty one means the same as above it.)
pub fn inherit_cpuset(group: &Group, folder: &Path, top: &Path) -> Result<()> {
    if folder == top {
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = folder.join(file);
        if !read(&own)?.is_empty() {
            continue;
        }
        let above = folder.parent().unwrap_or(top);
        let mut value = read(&above.join(file))?;
        if value.is_empty() {
            inherit_cpuset(group, above, top)?;
            value = read(&above.join(file))?;
        }
        group.write(&own, &value)?;
    }
    Ok(())
}

/// Makes the group in every v1 tree. What had to be made is added to `made`.
pub fn create(group: &Group, made: &mut Vec<PathBuf>) -> Result<()> {
    for (tree, folder) in group.hierarchy.v1.iter().zip(group.v1_folders()) {
        group.make_folder(&folder, made)?;
        if tree.controllers.iter().any(|c| c == "cpuset") {
            inherit_cpuset(group, &folder, &tree.top)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;
    use std::fs;

    #[test]
    fn a_new_cpuset_inherits_from_the_nearest_that_has_one() {
        let dir = tempfile::tempdir().unwrap();
        let line = "1 0 0:31 / /cpuset rw - cgroup cgroup rw,cpuset";
        let hierarchy = Hierarchy::parse(line, dir.path());
        let top = dir.path().join("cpuset");
        let leaf = top.join("a/b");
        fs::create_dir_all(&leaf).unwrap();
        for (folder, value) in [(&top, "0-3\n"), (&top.join("a"), "\n"), (&leaf, "\n")] {
            fs::write(folder.join("cpuset.cpus"), value).unwrap();
            fs::write(folder.join("cpuset.mems"), value).unwrap();
        }
        let group = Group::new("a/b".parse().unwrap(), hierarchy, false);
        create(&group, &mut Vec::new()).unwrap();
        assert_eq!(read(&leaf.join("cpuset.cpus")).unwrap(), "0-3");
        assert_eq!(read(&top.join("a/cpuset.mems")).unwrap(), "0-3");
    }
}

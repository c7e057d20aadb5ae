//! Delegation: giving a group to a user, who may then make groups inside it and move processes between them.
//!
//! Who owns a folder may make folders in it, and owns the files that appear in them: so inside, the user sets limits as he
//! likes. The limits of the group itself stay root's. Which files are given away the kernel says
//! (cgroup-v2.rst, "Model of Delegation"). On v1 it is the same by custom, with fewer guarantees.

use crate::group::{Group, read_optional};
use anyhow::{Context, Result};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// What kernels before 4.15, which have no list, would have on it.
const V2_FILES: &str = "cgroup.procs cgroup.threads cgroup.subtree_control";
const V1_FILES: &str = "cgroup.procs tasks";

/// Makes the group the user's, in every tree.
pub fn delegate(group: &Group, user: u32, owner_group: Option<u32>) -> Result<()> {
    let of_kernel = read_optional(Path::new("/sys/kernel/cgroup/delegate"))?;
    let v2_files = of_kernel.as_deref().unwrap_or(V2_FILES);
    let give = |folder: PathBuf, files: &str| -> Result<()> {
        give_one(group, &folder, user, owner_group)?;
        files.split_whitespace().try_for_each(|file| give_one(group, &folder.join(file), user, owner_group))
    };
    group.v1_folders().try_for_each(|folder| give(folder, V1_FILES))?;
    group.unified_folder().map_or(Ok(()), |folder| give(folder, v2_files))
}

fn give_one(group: &Group, path: &Path, user: u32, owner_group: Option<u32>) -> Result<()> {
    match chown(path, Some(user), owner_group) {
        // The list is of all files that a kernel may have; a group has those of its controllers.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("give {} to user {user}", path.display())),
        Ok(()) => {
            let of_group = owner_group.map(|id| format!(":{id}")).unwrap_or_default();
            group.tell(format_args!("chown {user}{of_group} {}", path.display()));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_folder_and_some_files_are_given_and_no_limit_is() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root may give files away.
        }
        let dir = tempfile::tempdir().unwrap();
        let text = "1 0 0:31 / /pids rw - cgroup cgroup rw,pids\n2 0 0:32 / /cg rw - cgroup2 cgroup2 rw\n";
        for folder in ["pids/a", "cg/a"] {
            let folder = dir.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            for file in ["cgroup.procs", "tasks", "pids.max", "cgroup.subtree_control"] {
                fs::write(folder.join(file), "").unwrap();
            }
        }
        let group = Group::new("a".parse().unwrap(), Hierarchy::parse(text, dir.path()), false);
        delegate(&group, 1234, Some(5678)).unwrap();
        let owner = |path: &str| {
            let about = fs::metadata(dir.path().join(path)).unwrap();
            (about.uid(), about.gid())
        };
        for given in ["pids/a", "pids/a/tasks", "pids/a/cgroup.procs", "cg/a", "cg/a/cgroup.subtree_control"] {
            assert_eq!(owner(given), (1234, 5678), "{given}");
        }
        for kept in ["pids/a/pids.max", "cg/a/pids.max", "pids"] {
            assert_eq!(owner(kept), (0, 0), "{kept}");
        }
    }
}

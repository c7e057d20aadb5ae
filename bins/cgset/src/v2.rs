//! Making a group on v2: one folder, and controllers that the groups above pass on (kernel: cgroup-v2.rst).

use crate::group::{ControllerFolder, Group, errno, read, read_optional};
use crate::hierarchy::Version;
use anyhow::Result;
use layout::oci::runtime::Resources;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The controllers that every group gets where the machine has them: those with limits, and `io` for its counters.
const ENABLED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// Completes limits that share a file, or are taken from one another, by what the group has now: a sum of memory and swap
/// by the limit of memory, a period by the quota.
pub fn fill_in<'a>(group: &Group, resources: &'a Resources) -> Result<Cow<'a, Resources>> {
    let mut filled = Cow::Borrowed(resources);
    let is = |value: Option<i64>| value.is_some_and(|n| n != 0);
    if let Some(memory) = &resources.memory
        && memory.swap.is_some_and(|swap| swap > 0)
        && !is(memory.limit)
        && let Some(limit) = present(group, "memory", "memory.max")?
    {
        filled.to_mut().memory.get_or_insert_default().limit = Some(limit);
    }
    if let Some(cpu) = &resources.cpu
        && cpu.period.is_some_and(|period| period != 0)
        && !is(cpu.quota)
    {
        filled.to_mut().cpu.get_or_insert_default().quota = present(group, "cpu", "cpu.max")?;
    }
    Ok(filled)
}

/// The first number in a file of the group; `None` for `max`.
fn present(group: &Group, controller: &str, file: &str) -> Result<Option<i64>> {
    match group.controller(controller)? {
        Some(ControllerFolder { version: Version::V2, path }) => {
            let text = read_optional(&path.join(file))?.unwrap_or_default();
            Ok(text.split_whitespace().next().and_then(|number| number.parse().ok()))
        }
        _ => Ok(None),
    }
}

/// Makes the group in the v2 tree and has the groups above pass the controllers on. What had to be made is added to `made`.
///
/// # Errors
/// A controller of `needed` that cannot be passed on. The others are a courtesy (their counters), and a group
/// that cannot have them does without.
pub fn create(group: &Group, needed: &[&str], made: &mut Vec<PathBuf>) -> Result<()> {
    let (Some(top), Some(folder)) = (group.hierarchy.unified.clone(), group.unified_folder()) else { return Ok(()) };
    group.make_folder(&folder, made)?;
    let available = read(&top.join("cgroup.controllers"))?;
    let wanted: Vec<&str> =
        available.split_whitespace().filter(|c| ENABLED.contains(c) || needed.contains(c)).collect();
    // What the machine does not have is found out by whoever writes the limit.
    let needed: Vec<&str> = needed.iter().copied().filter(|controller| wanted.contains(controller)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut above = top.clone();
    for part in folder.strip_prefix(&top).unwrap_or(Path::new("")) {
        pass_on(group, &above, &wanted, &needed)?;
        above.push(part);
    }
    Ok(())
}

/// Adds controllers to `cgroup.subtree_control` of a folder: the groups inside it have those, and only those.
fn pass_on(group: &Group, folder: &Path, wanted: &[&str], needed: &[&str]) -> Result<()> {
    let file = folder.join("cgroup.subtree_control");
    let passed = read(&file)?;
    let missing: Vec<&str> = wanted.iter().copied().filter(|c| !passed.split_whitespace().any(|p| p == *c)).collect();
    if missing.is_empty() {
        // The kernel changes the list first, then makes the files of the groups inside: somebody else may have got only so
        // far. Whoever asks for what is there already waits until he is done, and changes nothing.
        for controller in needed {
            match group.write(&file, &format!("+{controller}")) {
                // It is not ours to ask; the group above was given to us when it was complete.
                Err(error) if matches!(errno(&error), Some(libc::EACCES | libc::EPERM)) => return Ok(()),
                result => result?,
            }
        }
        return Ok(());
    }
    let all = missing.iter().map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ");
    let Err(error) = group.write(&file, &all) else { return Ok(()) };
    let is_needed = missing.iter().any(|controller| needed.contains(controller));
    if errno(&error) == Some(libc::EBUSY) {
        // Processes are in this folder. One by one the kernel would take `cpu` or `pids` all the same, and make the
        // folder the root of a threaded group: the groups inside could then not take a process.
        return if is_needed { Err(error) } else { Ok(()) };
    }
    // The kernel takes all of the line or nothing: one by one, to do without those that can be done without.
    for controller in missing {
        let result = group.write(&file, &format!("+{controller}"));
        if needed.contains(&controller) {
            result?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;
    use serde_json::json;
    use std::fs;

    #[test]
    fn what_the_group_has_completes_what_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy::parse("1 0 0:26 / /cg rw - cgroup2 cgroup2 rw", dir.path());
        let folder = dir.path().join("cg/demo");
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in
            [("cgroup.controllers", "cpu memory\n"), ("memory.max", "64\n"), ("cpu.max", "5000 100000\n")]
        {
            fs::write(folder.join(file), text).unwrap();
        }
        let group = Group::new("demo".parse().unwrap(), hierarchy, false);
        let filled = |asked| fill_in(&group, &serde_json::from_value(asked).unwrap()).unwrap().into_owned();
        let both = filled(json!({"memory": {"swap": 96}, "cpu": {"period": 50000}}));
        assert_eq!(both.memory.unwrap().limit, Some(64));
        assert_eq!(both.cpu.unwrap().quota, Some(5000));
        let given = filled(json!({"memory": {"swap": 96, "limit": 32}, "cpu": {"quota": -1, "period": 50000}}));
        assert_eq!((given.memory.unwrap().limit, given.cpu.unwrap().quota), (Some(32), Some(-1)));
    }

    #[test]
    fn controllers_are_passed_on_from_the_top_down_to_the_group() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy::parse("1 0 0:26 / /cg rw - cgroup2 cgroup2 rw", dir.path());
        let top = dir.path().join("cg");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("cgroup.controllers"), "cpuset cpu io memory hugetlb pids\n").unwrap();
        fs::write(top.join("cgroup.subtree_control"), "memory pids\n").unwrap();
        let complete = "cpuset cpu io memory pids";
        fs::write(top.join("a/cgroup.subtree_control"), complete).unwrap();
        fs::write(top.join("a/b/cgroup.subtree_control"), "\n").unwrap();
        let group = Group::new("a/b".parse().unwrap(), hierarchy, false);
        create(&group, &[], &mut Vec::new()).unwrap();
        // A fake file keeps what was written; the kernel would add it to what is there.
        assert_eq!(read(&top.join("cgroup.subtree_control")).unwrap(), "+cpuset +cpu +io");
        assert_eq!(read(&top.join("a/cgroup.subtree_control")).unwrap(), complete);
        assert_eq!(read(&top.join("a/b/cgroup.subtree_control")).unwrap(), "", "the group itself may hold processes");
        create(&group, &["memory"], &mut Vec::new()).unwrap();
        let asked_again = read(&top.join("a/cgroup.subtree_control")).unwrap();
        assert!(asked_again.starts_with("+memory"), "whoever is at it is waited for: {asked_again}");
    }
}

//! Limits on v1: which file of which controller gets which value (kernel: Documentation/admin-guide/cgroup-v1).

use crate::convert::{default_swap, or_max};
use crate::group::{Group, errno, read};
use crate::limits::{Setting, write_all};
use anyhow::Result;
use layout::oci::runtime::{Cpu, Memory, Resources};
use std::path::{Path, PathBuf};

/// What `resources` asks of one controller.
pub fn settings(controller: &str, resources: &Resources) -> Vec<Setting> {
    match controller {
        "memory" => resources.memory.as_ref().map(memory).unwrap_or_default(),
        "cpu" => resources.cpu.as_ref().map(cpu).unwrap_or_default(),
        "cpuset" => resources.cpu.as_ref().map(cpuset).unwrap_or_default(),
        "pids" => {
            resources.pids.iter().filter(|p| p.limit != 0).map(|p| Setting::new("pids.max", or_max(p.limit))).collect()
        }
        _ => Vec::new(),
    }
}

fn memory(memory: &Memory) -> Vec<Setting> {
    let asked = |value: Option<i64>| value.filter(|v| *v != 0);
    let mut settings = Vec::new();
    if let Some(limit) = asked(memory.limit) {
        settings.push(Setting::new("memory.limit_in_bytes", limit));
    }
    match (asked(memory.swap), asked(memory.limit)) {
        (Some(swap), _) => settings.push(Setting::new("memory.memsw.limit_in_bytes", swap)),
        (None, Some(limit)) => settings
            .push(Setting { optional: true, ..Setting::new("memory.memsw.limit_in_bytes", default_swap(limit)) }),
        (None, None) => {}
    }
    if let Some(reservation) = asked(memory.reservation) {
        settings.push(Setting::new("memory.soft_limit_in_bytes", reservation));
    }
    settings
}

fn cpu(cpu: &Cpu) -> Vec<Setting> {
    let number = |file, value: Option<u64>| value.filter(|v| *v != 0).map(|v| Setting::new(file, v));
    let quota = cpu.quota.filter(|q| *q != 0).map(|q| Setting::new("cpu.cfs_quota_us", q));
    [
        number("cpu.shares", cpu.shares),
        number("cpu.cfs_period_us", cpu.period),
        quota,
        number("cpu.cfs_burst_us", cpu.burst),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The same files on both generations.
pub fn cpuset(cpu: &Cpu) -> Vec<Setting> {
    let list = |file, value: &Option<String>| value.as_deref().filter(|v| !v.is_empty()).map(|v| Setting::new(file, v));
    [list("cpuset.cpus", &cpu.cpus), list("cpuset.mems", &cpu.mems)].into_iter().flatten().collect()
}

/// Writes the settings of the memory controller.
///
/// The kernel insists at each moment that the limit of memory is not above that of memory and swap. So whoever
/// raises both must begin with the sum, whoever lowers both with memory; EINVAL says that it was the other way.
pub fn write_memory(group: &Group, folder: &Path, settings: &[Setting]) -> Result<()> {
    match write_all(group, folder, settings) {
        Err(error) if settings.len() > 1 && errno(&error) == Some(libc::EINVAL) => {
            let mut swapped = settings.to_vec();
            swapped.swap(0, 1);
            write_all(group, folder, &swapped)
        }
        result => result,
    }
}

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
    use serde_json::json;
    use std::fs;

    fn pairs(controller: &str, value: serde_json::Value) -> Vec<(String, String)> {
        let resources = serde_json::from_value(value).unwrap();
        settings(controller, &resources).into_iter().map(|s| (s.file, s.value)).collect()
    }

    fn pair(file: &str, value: &str) -> (String, String) {
        (file.to_owned(), value.to_owned())
    }

    #[test]
    fn a_memory_limit_alone_gives_as_much_swap() {
        let both = [pair("memory.limit_in_bytes", "64"), pair("memory.memsw.limit_in_bytes", "128")];
        assert_eq!(pairs("memory", json!({"memory": {"limit": 64}})), both);
        let none = [pair("memory.limit_in_bytes", "-1"), pair("memory.memsw.limit_in_bytes", "-1")];
        assert_eq!(pairs("memory", json!({"memory": {"limit": -1}})), none);
        let given = [pair("memory.limit_in_bytes", "64"), pair("memory.memsw.limit_in_bytes", "64")];
        assert_eq!(pairs("memory", json!({"memory": {"limit": 64, "swap": 64}})), given);
    }

    #[test]
    fn cpu_limits_are_three_files_and_cpus_another_controllers() {
        let asked = json!({"cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0-1"}});
        let files = [pair("cpu.shares", "512"), pair("cpu.cfs_period_us", "100000"), pair("cpu.cfs_quota_us", "50000")];
        assert_eq!(pairs("cpu", asked.clone()), files);
        assert_eq!(pairs("cpuset", asked), [pair("cpuset.cpus", "0-1")]);
        assert_eq!(pairs("pids", json!({"pids": {"limit": -1}})), [pair("pids.max", "max")]);
    }

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

//! Limits on v2: which file gets which value, and how a group comes to have the file (kernel: cgroup-v2.rst).

use crate::convert::{cpu_max, default_swap, or_max, swap_alone, weight_of_shares};
use crate::group::{Group, errno, read};
use crate::limits::Setting;
use crate::v1;
use anyhow::Result;
use layout::oci::runtime::{Cpu, Memory, Resources};
use std::path::{Path, PathBuf};

/// The controllers that every group gets where the machine has them: those with limits, and `io` for its counters.
const ENABLED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// What `resources` asks of one controller.
pub fn settings(controller: &str, resources: &Resources) -> Result<Vec<Setting>> {
    Ok(match controller {
        "memory" => resources.memory.as_ref().map(memory).transpose()?.unwrap_or_default(),
        "cpu" => resources.cpu.as_ref().map(cpu).unwrap_or_default(),
        "cpuset" => resources.cpu.as_ref().map(v1::cpuset).unwrap_or_default(),
        // The one controller whose files are the same on both.
        _ => v1::settings(controller, resources),
    })
}

fn memory(memory: &Memory) -> Result<Vec<Setting>> {
    let asked = |value: Option<i64>| value.filter(|v| *v != 0);
    let mut settings = Vec::new();
    // Swap goes first: with memory lowered first, the group would be pushed out to swap that it is not to have.
    match (asked(memory.swap), asked(memory.limit)) {
        (Some(swap), limit) => settings.push(Setting::new("memory.swap.max", or_max(swap_alone(swap, limit)?))),
        (None, Some(limit)) => {
            let swap = swap_alone(default_swap(limit), Some(limit))?;
            settings.push(Setting { optional: true, ..Setting::new("memory.swap.max", or_max(swap)) });
        }
        (None, None) => {}
    }
    if let Some(limit) = asked(memory.limit) {
        settings.push(Setting::new("memory.max", or_max(limit)));
    }
    if let Some(reservation) = asked(memory.reservation) {
        settings.push(Setting::new("memory.low", or_max(reservation)));
    }
    Ok(settings)
}

fn cpu(cpu: &Cpu) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(shares) = cpu.shares.filter(|s| *s != 0) {
        settings.push(Setting::new("cpu.weight", weight_of_shares(shares)));
    }
    let quota = cpu.quota.filter(|q| *q != 0);
    let period = cpu.period.filter(|p| *p != 0);
    if quota.is_some() || period.is_some() {
        settings.push(Setting::new("cpu.max", cpu_max(quota, period)));
    }
    if let Some(burst) = cpu.burst.filter(|b| *b != 0) {
        settings.push(Setting::new("cpu.max.burst", burst));
    }
    settings
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
    if wanted.is_empty() {
        return Ok(());
    }
    let mut above = top.clone();
    for part in folder.strip_prefix(&top).unwrap_or(Path::new("")) {
        pass_on(group, &above, &wanted, needed)?;
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
        return needed.iter().try_for_each(|controller| group.write(&file, &format!("+{controller}")));
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

    fn pairs(controller: &str, value: serde_json::Value) -> Vec<(String, String)> {
        let resources = serde_json::from_value(value).unwrap();
        settings(controller, &resources).unwrap().into_iter().map(|s| (s.file, s.value)).collect()
    }

    fn pair(file: &str, value: &str) -> (String, String) {
        (file.to_owned(), value.to_owned())
    }

    #[test]
    fn limits_have_other_names_and_numbers_than_on_v1() {
        assert_eq!(
            pairs("memory", json!({"memory": {"limit": 64, "reservation": 32}})),
            [pair("memory.swap.max", "64"), pair("memory.max", "64"), pair("memory.low", "32")]
        );
        assert_eq!(
            pairs("cpu", json!({"cpu": {"shares": 1024, "quota": 50000, "period": 100000}})),
            [pair("cpu.weight", "39"), pair("cpu.max", "50000 100000")]
        );
        assert_eq!(pairs("pids", json!({"pids": {"limit": 20}})), [pair("pids.max", "20")]);
        assert_eq!(pairs("cpu", json!({"cpu": {"shares": 0, "quota": 0}})), []);
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

//! What is set, as the kernel reports it, and in which files.

use crate::group::{Group, read_optional};
use crate::hierarchy::Version;
use crate::{devices_bpf, processes};
use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The files that hold limits, by their controller. On v2 a group has all of them in its one folder.
const V1_FILES: [(&str, &[&str]); 6] = [
    ("memory", &["memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.memsw.limit_in_bytes"]),
    ("cpu", &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"]),
    ("cpuset", &["cpuset.cpus", "cpuset.mems"]),
    ("pids", &["pids.max"]),
    ("devices", &["devices.list"]),
    ("freezer", &["freezer.state"]),
];
const V2_FILES: [(&str, &[&str]); 4] = [
    ("memory", &["memory.max", "memory.low", "memory.swap.max"]),
    ("cpu", &["cpu.weight", "cpu.max", "cpu.max.burst"]),
    ("cpuset", &["cpuset.cpus", "cpuset.mems", "cpuset.cpus.effective"]),
    ("pids", &["pids.max"]),
];

/// Where a group is: what a runtime needs to start a process in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Folders {
    /// The group's name.
    pub name: String,
    /// `v1`, `v2` or `hybrid`.
    pub version: &'static str,
    /// Its folder in the v2 tree: for clone3(2) with CLONE_INTO_CGROUP.
    pub unified: Option<PathBuf>,
    /// Its folders in the v1 trees: a process enters by writing `0` to `tasks` in each.
    #[serde(rename = "V1")]
    pub v1: Vec<PathBuf>,
}

impl Folders {
    /// The folders of a group.
    pub fn of(group: &Group) -> Folders {
        Folders {
            name: group.name.to_string(),
            version: group.hierarchy.kind(),
            unified: group.unified_folder(),
            v1: group.v1_folders().collect(),
        }
    }
}

/// A control file that exists, with its value.
pub struct ControlFile {
    /// The file.
    pub path: PathBuf,
    /// What the kernel reports.
    pub value: String,
}

/// The files that hold the group's limits, as far as this kernel has them.
pub fn limit_files(group: &Group) -> Result<Vec<ControlFile>> {
    let mut candidates = Vec::new();
    for (version, table) in [(Version::V1, &V1_FILES[..]), (Version::V2, &V2_FILES[..])] {
        for (controller, files) in table {
            if let Some(found) = group.controller(controller)?.filter(|found| found.version == version) {
                candidates.extend(files.iter().map(|file| found.path.join(file)));
            }
        }
    }
    if group.hierarchy.v1_tree("freezer").is_none() {
        candidates.extend(group.unified_folder().map(|folder| folder.join("cgroup.freeze")));
    }
    let mut files = Vec::new();
    for path in candidates {
        if let Some(value) = read_optional(&path)? {
            files.push(ControlFile { path, value });
        }
    }
    Ok(files)
}

/// Prints the values, and the processes that are in the group.
pub fn show(group: &Group, json: bool) -> Result<()> {
    group.require()?;
    let files = limit_files(group)?;
    let processes = processes::in_tree(group)?;
    let programs = group.unified_folder().map(|folder| devices_bpf::attached(&folder)).unwrap_or_default();
    if json {
        let limits: Map<String, Value> =
            files.iter().map(|file| (file_name(&file.path), Value::from(file.value.clone()))).collect();
        let shown = serde_json::json!({
            "Name": group.name.as_str(), "Version": group.hierarchy.kind(), "Limits": limits,
            "DevicePrograms": programs, "Processes": processes,
        });
        println!("{shown}");
        return Ok(());
    }
    for file in &files {
        for line in file.value.lines().chain(file.value.is_empty().then_some("")) {
            println!("{:<28} {line}", file_name(&file.path));
        }
    }
    for id in programs {
        println!("{:<28} eBPF program {id}", "devices");
    }
    println!("{:<28} {}", "cgroup.procs", processes.iter().map(i32::to_string).collect::<Vec<_>>().join(" "));
    Ok(())
}

/// Prints the folders, and unless only those are wanted each file that holds a limit: one path a line.
pub fn print_where(group: &Group, only_folders: bool) -> Result<()> {
    group.require()?;
    if only_folders {
        for folder in group.folders() {
            println!("{}", folder.display());
        }
        return Ok(());
    }
    for folder in group.folders() {
        println!("{}/", folder.display());
    }
    for file in limit_files(group)? {
        println!("{}", file.path.display());
    }
    Ok(())
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

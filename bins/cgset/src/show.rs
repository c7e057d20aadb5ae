//! What is set, as the kernel reports it, and in which files.

use crate::control_files::{self, ControlFile};
use crate::group::Group;
use crate::{devices_bpf, processes};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

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

/// Prints the values, and the processes that are in the group.
pub fn show(group: &Group, json: bool) -> Result<()> {
    group.require()?;
    let files = control_files::list(group)?;
    let processes = processes::in_tree(group)?;
    let programs = group.unified_folder().map(|folder| devices_bpf::attached(&folder)).unwrap_or_default();
    if json {
        let limits: Map<String, Value> =
            files.iter().map(|file| (file.name(), Value::from(file.value.clone()))).collect();
        return crate::print_json(&serde_json::json!({
            "Name": group.name.as_str(), "Version": group.hierarchy.kind(), "Limits": limits,
            "DevicePrograms": programs, "Processes": processes,
        }));
    }
    let mut text = String::new();
    for file in &files {
        push(&mut text, &file.name(), 32, &file.value);
    }
    for id in programs {
        push(&mut text, "devices", 32, &format!("eBPF program {id}"));
    }
    let pids = processes.iter().map(i32::to_string).collect::<Vec<_>>();
    push(&mut text, "cgroup.procs", 32, &pids.join(" "));
    write(&text)
}

/// What `where` is asked for.
pub enum Part<'a> {
    /// Folders, and files that were written.
    Written,
    /// Folders and files.
    All,
    /// Folders alone.
    Folders,
    /// One file.
    File(&'a str),
}

/// Prints where the group is, and which files hold its limits.
pub fn print_where(group: &Group, part: Part<'_>, json: bool) -> Result<()> {
    let files = |all: bool| -> Result<Vec<ControlFile>> {
        let files = control_files::list(group)?;
        Ok(files.into_iter().filter(|file| all || file.is_set).collect())
    };
    if json {
        // Of a group that is not there it is told where it would be.
        let files = files(matches!(part, Part::All))?
            .into_iter()
            .map(|file| serde_json::json!({"Path": file.path, "Value": file.value}));
        let mut answer = serde_json::to_value(Folders::of(group)).context("encode JSON")?;
        answer["Files"] = files.collect();
        return crate::print_json(&answer);
    }
    group.require()?;
    let mut text = String::new();
    if let Part::File(name) = part {
        return write(&format!("{}\n", find(group, name)?.display()));
    }
    let slash = if matches!(part, Part::Folders) { "" } else { "/" };
    for folder in group.folders() {
        let _ = writeln!(text, "{}{slash}", folder.display());
    }
    if !matches!(part, Part::Folders) {
        let files = files(matches!(part, Part::All))?;
        let width = files.iter().map(|file| file.path.as_os_str().len()).max().unwrap_or(0);
        for file in files {
            push(&mut text, &file.path.display().to_string(), width, &file.value);
        }
    }
    write(&text)
}

/// Files of the same meaning, on v1 and on v2.
const NAMES: [[&str; 2]; 10] = [
    ["memory.limit_in_bytes", "memory.max"],
    ["memory.soft_limit_in_bytes", "memory.low"],
    ["memory.usage_in_bytes", "memory.current"],
    ["memory.max_usage_in_bytes", "memory.peak"],
    ["memory.memsw.limit_in_bytes", "memory.swap.max"],
    ["memory.oom_control", "memory.events"],
    ["cpu.shares", "cpu.weight"],
    ["cpu.cfs_quota_us", "cpu.max"],
    ["freezer.state", "cgroup.freeze"],
    ["cpuset.effective_cpus", "cpuset.cpus.effective"],
];

/// A file of the group, by its name or by the name that it has on the other version.
fn find(group: &Group, name: &str) -> Result<PathBuf> {
    if name.contains('/') {
        bail!("find {name:?}: the name of a file has no slash");
    }
    let pair = NAMES.iter().find(|pair| pair.contains(&name));
    for name in [name].iter().chain(pair.into_iter().flatten()) {
        let found = group.folders().into_iter().map(|folder| folder.join(name)).find(|file| file.is_file());
        if let Some(file) = found {
            return Ok(file);
        }
    }
    bail!("find {name}: group {} has no such file (ls $(cgset where --folders {0}))", group.name)
}

/// A name, and its value beside it; further lines of the value below that.
fn push(text: &mut String, name: &str, width: usize, value: &str) {
    for line in value.lines().chain(value.is_empty().then_some("")) {
        let _ = writeln!(text, "{}", format!("{name:<width$} {line}").trim_end());
    }
}

fn write(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

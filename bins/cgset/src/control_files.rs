//! The files that hold limits, and what is in them when nobody has set any.

use crate::group::{Group, read_optional};
use crate::hierarchy::Version;
use crate::stats::parse::is_no_limit;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// What a new group has in a file.
#[derive(Debug, Clone, Copy)]
enum Usual {
    /// Just this.
    Is(&'static str),
    /// `max`, or the number that is v1's word for it; also in each line of several.
    NoLimit,
    /// What the group above has.
    AsAbove,
    /// It is the kernel's answer, and never what was set.
    Answer,
}
use Usual::{Answer, AsAbove, Is, NoLimit};

type Table = &'static [(&'static str, &'static [(&'static str, Usual)])];

/// The files by their controller.
const V1_FILES: Table = &[
    (
        "memory",
        &[
            ("memory.limit_in_bytes", NoLimit),
            ("memory.memsw.limit_in_bytes", NoLimit),
            ("memory.soft_limit_in_bytes", NoLimit),
            ("memory.kmem.tcp.limit_in_bytes", NoLimit),
            ("memory.swappiness", AsAbove),
            ("memory.oom_control", Is("oom_kill_disable 0")),
        ],
    ),
    (
        "cpu",
        &[
            ("cpu.shares", Is("1024")),
            ("cpu.cfs_quota_us", Is("-1")),
            ("cpu.cfs_period_us", Is("100000")),
            ("cpu.cfs_burst_us", Is("0")),
            ("cpu.idle", Is("0")),
            ("cpu.rt_runtime_us", Is("0")),
            ("cpu.rt_period_us", Is("1000000")),
        ],
    ),
    ("cpuset", &[("cpuset.cpus", AsAbove), ("cpuset.mems", AsAbove)]),
    ("pids", &[("pids.max", NoLimit)]),
    (
        "blkio",
        &[
            ("blkio.weight", Is("500")),
            ("blkio.weight_device", Is("")),
            ("blkio.bfq.weight", Is("100")),
            ("blkio.bfq.weight_device", Is("")),
            ("blkio.throttle.read_bps_device", Is("")),
            ("blkio.throttle.write_bps_device", Is("")),
            ("blkio.throttle.read_iops_device", Is("")),
            ("blkio.throttle.write_iops_device", Is("")),
        ],
    ),
    ("rdma", &[("rdma.max", NoLimit)]),
    ("net_cls", &[("net_cls.classid", Is("0"))]),
    ("net_prio", &[("net_prio.ifpriomap", AsAbove)]),
    ("devices", &[("devices.list", Is("a *:* rwm"))]),
    ("freezer", &[("freezer.state", Is("THAWED"))]),
];
const V2_FILES: Table = &[
    (
        "memory",
        &[
            ("memory.max", NoLimit),
            ("memory.swap.max", NoLimit),
            ("memory.high", NoLimit),
            ("memory.low", Is("0")),
            ("memory.min", Is("0")),
            ("memory.oom.group", Is("0")),
        ],
    ),
    (
        "cpu",
        &[("cpu.weight", Is("100")), ("cpu.max", Is("max 100000")), ("cpu.max.burst", Is("0")), ("cpu.idle", Is("0"))],
    ),
    (
        "cpuset",
        &[
            ("cpuset.cpus", Is("")),
            ("cpuset.mems", Is("")),
            ("cpuset.cpus.effective", Answer),
            ("cpuset.mems.effective", Answer),
        ],
    ),
    ("pids", &[("pids.max", NoLimit)]),
    ("io", &[("io.weight", Is("default 100")), ("io.bfq.weight", Is("default 100")), ("io.max", Is(""))]),
    ("rdma", &[("rdma.max", NoLimit)]),
];

/// A control file that exists, with its value.
#[derive(Debug)]
pub struct ControlFile {
    /// The file.
    pub path: PathBuf,
    /// What the kernel reports.
    pub value: String,
    /// Whether that is something else than in a new group.
    pub is_set: bool,
}

impl ControlFile {
    /// The last part of the path: `memory.max`.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The files that hold the group's limits, as far as this kernel has them.
pub fn list(group: &Group) -> Result<Vec<ControlFile>> {
    let mut candidates: Vec<(PathBuf, Usual)> = Vec::new();
    for (version, table) in [(Version::V1, V1_FILES), (Version::V2, V2_FILES)] {
        for (controller, files) in table {
            if let Some(found) = group.controller(controller)?.filter(|found| found.version == version) {
                candidates.extend(files.iter().map(|(file, usual)| (found.path.join(file), *usual)));
            }
        }
    }
    if let Some(found) = group.controller("hugetlb")? {
        candidates.extend(limits_of_huge_pages(&found.path).into_iter().map(|path| (path, NoLimit)));
    }
    if group.hierarchy.v1_tree("freezer").is_none() {
        candidates.extend(group.unified_folder().map(|folder| (folder.join("cgroup.freeze"), Is("0"))));
    }
    let mut files = Vec::new();
    for (path, usual) in candidates {
        if let Some(value) = read_optional(&path)? {
            let is_set = is_set(&path, &value, usual);
            files.push(ControlFile { path, value, is_set });
        }
    }
    Ok(files)
}

/// The size of the pages is a part of the names.
fn limits_of_huge_pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let of_pages = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_limit = name.ends_with(".max") || name.ends_with(".limit_in_bytes");
        name.starts_with("hugetlb.") && is_limit
    };
    files.retain(of_pages);
    files.sort();
    files
}

fn is_set(path: &Path, value: &str, usual: Usual) -> bool {
    match usual {
        Is("oom_kill_disable 0") => !value.starts_with("oom_kill_disable 0"),
        // What holds for all disks is in a file of its own.
        Is("") => value.lines().any(|line| !line.starts_with("default ")),
        Is(text) => value != text,
        NoLimit => {
            // A line of rdma.max: the device, and `what=limit` words.
            let limits = value.split_whitespace().filter_map(|word| match word.split_once('=') {
                Some((_, limit)) => Some(limit),
                None => (!value.contains('=')).then_some(word),
            });
            limits.into_iter().any(|limit| !is_no_limit(limit))
        }
        AsAbove => {
            let name = path.file_name().unwrap_or_default();
            let above = path.ancestors().nth(2).and_then(|folder| read_optional(&folder.join(name)).ok().flatten());
            above.as_deref() != Some(value)
        }
        Answer => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;
    use std::fs;

    #[test]
    fn what_was_set_is_told_from_what_a_new_group_has() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy::parse("1 0 0:26 / /cg rw - cgroup2 cgroup2 rw", dir.path());
        let folder = dir.path().join("cg/demo");
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [
            ("cgroup.controllers", "cpu memory hugetlb rdma cpuset\n"),
            ("memory.max", "64\n"),
            ("memory.high", "max\n"),
            ("cpu.max", "max 100000\n"),
            ("cpu.weight", "50\n"),
            ("cpuset.cpus", "\n"),
            ("cpuset.cpus.effective", "0-1\n"),
            ("hugetlb.2MB.max", "max\n"),
            ("hugetlb.1GB.max", "0\n"),
            ("rdma.max", "mlx5_0 hca_handle=max hca_object=max\nmlx5_1 hca_handle=2 hca_object=max\n"),
        ] {
            fs::write(folder.join(file), text).unwrap();
        }
        let group = Group::new("demo".parse().unwrap(), hierarchy, false);
        let files = list(&group).unwrap();
        assert_eq!(files.len(), 9);
        let set: Vec<_> = files.iter().filter(|file| file.is_set).map(ControlFile::name).collect();
        assert_eq!(set, ["memory.max", "cpu.weight", "rdma.max", "hugetlb.1GB.max"]);
    }

    #[test]
    fn no_limit_has_several_names() {
        for (value, usual, wanted) in [
            ("9223372036854771712", NoLimit, false),
            ("9223372035781033984", NoLimit, false),
            ("max", NoLimit, false),
            ("0", NoLimit, true),
            ("mlx5_0 hca_handle=max", NoLimit, false),
            ("oom_kill_disable 0\nunder_oom 0", Is("oom_kill_disable 0"), false),
            ("oom_kill_disable 1\nunder_oom 0", Is("oom_kill_disable 0"), true),
        ] {
            assert_eq!(is_set(Path::new("/x/y"), value, usual), wanted, "{value}");
        }
    }
}

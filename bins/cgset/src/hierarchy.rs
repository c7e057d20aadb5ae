//! Where the trees of cgroups are: v1, v2 or hybrid, found in the list of mounts.
//!
//! | | `/proc/self/mountinfo` shows |
//! | --- | --- |
//! | v1 | filesystems of type `cgroup`, each for one or a few controllers (`memory`, or `cpu,cpuacct`) |
//! | v2 | one filesystem of type `cgroup2` for all controllers, usually at `/sys/fs/cgroup` |
//! | hybrid | v1, and a `cgroup2` without controllers beside it, usually at `/sys/fs/cgroup/unified` |
//!
//! Nothing is taken for granted about the paths: cgroups(7) leaves them to whoever mounts. The format is
//! described in proc_pid_mountinfo(5).

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The controllers that the kernel has for v1; other words in the mount options are options.
const V1_CONTROLLERS: [&str; 14] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

/// Which generation of cgroups a folder belongs to: the files in it differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

/// One mounted v1 tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Tree {
    /// Where it is mounted.
    pub top: PathBuf,
    /// Its controllers; none for a tree that only has a name (`name=systemd`).
    pub controllers: Vec<String>,
}

/// All mounted trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchy {
    /// The v1 trees, in the order of their mounts.
    pub v1: Vec<V1Tree>,
    /// The v2 tree.
    pub unified: Option<PathBuf>,
}

impl Hierarchy {
    /// Finds the trees of this machine.
    pub fn detect() -> Result<Hierarchy> {
        let file = "/proc/self/mountinfo";
        let text = std::fs::read(file).with_context(|| format!("read {file}"))?;
        let found = Self::parse(&String::from_utf8_lossy(&text), Path::new("/"));
        if found == Hierarchy::default() {
            bail!("find cgroups: none are mounted; try: mount -t cgroup2 none /sys/fs/cgroup");
        }
        Ok(found)
    }

    /// Finds the trees in the text of a mountinfo file. Mount points are taken from `root`, which is `/` but in tests.
    pub fn parse(mountinfo: &str, root: &Path) -> Hierarchy {
        let mut mounts: Vec<CgroupMount> = mountinfo.lines().filter_map(CgroupMount::parse).collect();
        // A tree can be mounted twice, or a part of it somewhere else (a bind mount): whole trees are preferred.
        mounts.sort_by_key(|mount| mount.inner_root != "/");
        let mut found = Hierarchy::default();
        for mount in mounts {
            let top = root.join(mount.mount_point.trim_start_matches('/'));
            match mount.version {
                Version::V2 if found.unified.is_none() => found.unified = Some(top),
                Version::V1 if !found.v1.iter().any(|tree| tree.controllers == mount.controllers) => {
                    found.v1.push(V1Tree { top, controllers: mount.controllers });
                }
                _ => {}
            }
        }
        found
    }

    /// `v1`, `v2` or `hybrid`.
    pub fn kind(&self) -> &'static str {
        match (self.v1.is_empty(), &self.unified) {
            (false, None) => "v1",
            (false, Some(_)) => "hybrid",
            (true, _) => "v2",
        }
    }

    /// The v1 tree of a controller.
    pub fn v1_tree(&self, controller: &str) -> Option<&V1Tree> {
        self.v1.iter().find(|tree| tree.controllers.iter().any(|c| c == controller))
    }
}

/// One line of mountinfo that is about cgroups.
struct CgroupMount {
    version: Version,
    /// Which folder of the filesystem is what the mount point shows.
    inner_root: String,
    mount_point: String,
    controllers: Vec<String>,
}

impl CgroupMount {
    /// `36 31 0:33 / /sys/fs/cgroup/devices rw,relatime shared:9 - cgroup cgroup rw,devices`
    fn parse(line: &str) -> Option<CgroupMount> {
        // The lone dash ends a list of optional fields, whose number varies.
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut filesystem = filesystem.split(' ');
        let version = match filesystem.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let mut mount = mount.split(' ').skip(3);
        let inner_root = mount.next()?.to_owned();
        let mount_point = unescape(mount.next()?);
        let is_controller = |word: &&str| V1_CONTROLLERS.contains(word) || word.starts_with("name=");
        let controllers = match version {
            Version::V1 => filesystem.nth(1)?.split(',').filter(is_controller).map(str::to_owned).collect(),
            Version::V2 => Vec::new(),
        };
        Some(CgroupMount { version, inner_root, mount_point, controllers })
    }
}

/// The kernel writes space, tab, newline and backslash in paths as a backslash and three octal digits.
fn unescape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn a_hybrid_machine_has_v1_trees_and_a_unified_one() {
        let found = Hierarchy::parse(HYBRID, Path::new("/"));
        assert_eq!(found.kind(), "hybrid");
        assert_eq!(found.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(found.v1_tree("cpuacct").unwrap().top, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(found.v1[2].controllers, ["name=systemd"]);
        assert!(found.v1_tree("pids").is_none());
    }

    #[test]
    fn a_v2_machine_has_one_tree() {
        let line =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
        let found = Hierarchy::parse(line, Path::new("/fake"));
        assert_eq!(found.kind(), "v2");
        assert_eq!(found.unified.as_deref(), Some(Path::new("/fake/sys/fs/cgroup")));
    }

    #[test]
    fn the_whole_tree_is_preferred_to_a_part_of_it() {
        let text = "\
1 0 0:26 /docker/1 /var/box/cgroup rw - cgroup2 cgroup2 rw
2 0 0:32 /docker/1 /var/box/memory rw - cgroup cgroup rw,memory
3 0 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
4 0 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";
        let found = Hierarchy::parse(text, Path::new("/"));
        assert_eq!(found.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(found.v1.len(), 1);
        assert_eq!(found.v1[0].top, Path::new("/sys/fs/cgroup/memory"));
    }

    #[test]
    fn mount_points_with_spaces_are_unescaped() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescape(r"/plain\"), r"/plain\");
    }
}

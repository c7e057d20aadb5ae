//! A value that the kernel did not take: which file, which value, and what it would have taken.
//!
//! The kernel answers with a number, the same few for everything. What they mean depends on the file.

use crate::group::read_optional;
use rustix::process::geteuid;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A value that the kernel did not take.
#[derive(Debug)]
pub struct Refused {
    /// What the kernel said.
    pub error: io::Error,
    file: PathBuf,
    value: String,
    /// Looked up at once: what is told of the group must be what was so then.
    advice: Option<String>,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {:?} to {}: {}", self.value, self.file.display(), self.error)?;
        match &self.advice {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl Refused {
    /// That `value` was not taken by `file`.
    pub fn new(file: &Path, value: &str, error: io::Error) -> Refused {
        let advice = error.raw_os_error().and_then(|number| advice(file, number));
        Refused { error, file: file.to_owned(), value: value.to_owned(), advice }
    }
}

fn advice(file: &Path, number: i32) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let folder = file.parent()?;
    if matches!(number, libc::ENODEV | libc::ENOENT) && !folder.exists() {
        return Some("the group is not there, or was removed meanwhile".to_owned());
    }
    compared(name, number, folder).or_else(|| {
        let words = of_processes(name, number).or_else(|| of_values(name, number)).or_else(|| anywhere(number))?;
        Some(words.to_owned())
    })
}

/// Where what is allowed depends on the machine or on other values.
fn compared(name: &str, number: i32, folder: &Path) -> Option<String> {
    let here = |file: &str| value(&folder.join(file));
    let above = |file: &str| value(&folder.parent()?.join(file));
    match (name, number) {
        ("cpuset.cpus", _) => {
            let list = above("cpuset.cpus.effective").or_else(|| above("cpuset.effective_cpus"))?;
            Some(format!("a list such as 0-2,4 of the processors that the group above has, which are {list}"))
        }
        ("cpuset.mems", _) => {
            let list = above("cpuset.mems.effective").or_else(|| above("cpuset.effective_mems"))?;
            Some(format!("a list such as 0,1 of the memory nodes that the group above has, which are {list}"))
        }
        ("memory.limit_in_bytes", libc::EBUSY) => {
            let (usage, peak) = (here("memory.usage_in_bytes")?, here("memory.max_usage_in_bytes")?);
            Some(format!("the group uses {usage} bytes (at most {peak} so far), which cannot be taken away"))
        }
        ("memory.memsw.limit_in_bytes", libc::EBUSY) => {
            let usage = here("memory.memsw.usage_in_bytes")?;
            Some(format!("the group uses {usage} bytes of memory and swap, which cannot be taken away"))
        }
        ("memory.limit_in_bytes", libc::EINVAL) => {
            let both = here("memory.memsw.limit_in_bytes")?;
            Some(format!("no more than memory.memsw.limit_in_bytes, memory and swap together, which is {both}"))
        }
        ("memory.memsw.limit_in_bytes", libc::EINVAL) => {
            let memory = here("memory.limit_in_bytes")?;
            Some(format!("no less than memory.limit_in_bytes, memory alone, which is {memory}"))
        }
        ("cpu.rt_runtime_us" | "cpu.rt_period_us", libc::EINVAL) => {
            let (runtime, period) = (above("cpu.rt_runtime_us")?, above("cpu.rt_period_us")?);
            Some(format!(
                "the group above has {runtime} of {period} microseconds for real-time tasks and all groups in it \
                 together can have no more: set it there first"
            ))
        }
        (_, libc::ENOENT) if name.starts_with("hugetlb.") => {
            let sizes = sizes_of_huge_pages()?;
            Some(format!("this machine has huge pages of these sizes: {sizes}"))
        }
        _ => None,
    }
}

fn value(file: &Path) -> Option<String> {
    read_optional(file).ok().flatten().filter(|text| !text.is_empty())
}

/// `2MB, 1GB`, out of `/sys/kernel/mm/hugepages/hugepages-2048kB`.
fn sizes_of_huge_pages() -> Option<String> {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").ok()?;
    let kilobytes = entries.flatten().filter_map(|entry| {
        entry.file_name().to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok()
    });
    let mut sizes: Vec<u64> = kilobytes.collect();
    sizes.sort_unstable();
    let names = sizes.into_iter().map(|size| match size {
        1_048_576.. => format!("{}GB", size >> 20),
        1024.. => format!("{}MB", size >> 10),
        _ => format!("{size}KB"),
    });
    Some(names.collect::<Vec<_>>().join(", "))
}

/// The files that move processes, and pass controllers on.
fn of_processes(name: &str, number: i32) -> Option<&'static str> {
    Some(match (name, number) {
        ("cgroup.procs", libc::ESRCH) => "it has ended, or is in a pid namespace out of sight",
        ("cgroup.procs", libc::EBUSY | libc::EOPNOTSUPP) => {
            "a v2 group that passes controllers on to groups inside it takes no processes: use one of those"
        }
        ("cgroup.procs", libc::ENOSPC) => "its cpuset.cpus or cpuset.mems is empty",
        ("cgroup.procs", libc::ENOENT) => {
            "the process or the group is outside of this cgroup namespace, and nothing moves across its border"
        }
        ("cgroup.procs", libc::EINVAL) => {
            "a thread of the kernel stays where it is, and a real-time task needs a group with cpu.rt_runtime_us"
        }
        ("cgroup.procs", libc::EACCES) if !geteuid().is_root() => {
            "who moves a process must own the group above where it is and where it goes: have root put the first one \
             in (cgset add), and begin from that"
        }
        ("cgroup.subtree_control", libc::EBUSY) => {
            "processes are in this very group, and a v2 group that passes controllers on may hold none: move them into a \
             group inside it first (cgset create --make-room does; by hand: cgset create, cgset add)"
        }
        ("cgroup.subtree_control", libc::ENOENT) => "the group above does not pass this controller on",
        _ => return None,
    })
}

/// The files that hold limits.
fn of_values(name: &str, number: i32) -> Option<&'static str> {
    let is_value = matches!(number, libc::EINVAL | libc::ERANGE);
    Some(match (name, number) {
        ("memory.memsw.limit_in_bytes" | "memory.swap.max", libc::ENOENT) => {
            "this kernel does not account for swap (it may, when booted with swapaccount=1)"
        }
        ("memory.swappiness", _) if is_value => "the kernel allows 0 to 100",
        ("memory.oom_control", libc::EINVAL) => "the kernel allows 0 and 1",
        ("cpu.weight", libc::EINVAL) => "the group is idle, and has no weight (set cpu.idle to 0 first)",
        ("cpu.weight" | "io.weight", _) if is_value => "the kernel allows 1 to 10000",
        ("cpu.idle", _) if is_value => "the kernel allows 0 and 1",
        ("cpu.shares", libc::EINVAL) => "the group is idle, and has no share (set cpu.idle to 0 first)",
        ("cpu.max" | "cpu.cfs_quota_us" | "cpu.cfs_period_us", libc::EINVAL) => {
            "a quota is 1000 microseconds or more and no less than the burst, a period 1000 to 1000000, and on v1 they are \
             no greater part of the time than the group above has"
        }
        ("cpu.max.burst" | "cpu.cfs_burst_us", libc::EINVAL) => "a burst is no more than the quota",
        ("pids.max", libc::EINVAL) => "the kernel allows 0 to 4194304, and max",
        ("io.weight" | "io.bfq.weight" | "blkio.weight" | "blkio.bfq.weight", libc::ENOENT)
        | ("blkio.weight_device" | "blkio.bfq.weight_device", libc::ENOENT) => {
            "nobody in this kernel weighs disks: that takes the scheduler BFQ (modprobe bfq) or, on v2, blk-iocost"
        }
        ("blkio.leaf_weight" | "blkio.leaf_weight_device", libc::ENOENT) => {
            "it went with the scheduler CFQ, in Linux 5.0"
        }
        ("blkio.bfq.weight" | "io.bfq.weight", _) if is_value => "the kernel allows 1 to 1000",
        (file, libc::ENODEV | libc::ENXIO) if file.starts_with("io.") || file.starts_with("blkio.") => {
            "no whole disk has these numbers (lsblk --nodeps --output NAME,MAJ:MIN lists them)"
        }
        ("io.max", _) if is_value => "MAJOR:MINOR and some of rbps= wbps= riops= wiops=, with a number from 1 or max",
        (file, libc::EOPNOTSUPP) if file.contains("weight") => "this disk has another scheduler than BFQ",
        ("rdma.max", libc::ENODEV) => "no such RDMA device (ls /sys/class/infiniband)",
        ("rdma.max", libc::EINVAL) => "hca_handle= and hca_object=, with a number or max",
        ("net_prio.ifpriomap", libc::ENODEV) => "no such interface",
        ("devices.allow", libc::EPERM) => "the group above may not use that device itself",
        (file, libc::EINVAL) if file.starts_with("memory.") => "bytes, also with K, M or G after the number, or max",
        _ => return None,
    })
}

fn anywhere(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::EACCES | libc::EPERM if !geteuid().is_root() => "only root may, or whom the group was delegated to",
        libc::EPERM => "a cgroup namespace may not change the limits of the group that is its top",
        libc::EROFS => "the tree is mounted read-only (in a container it is, unless it is privileged)",
        libc::ENOENT => "this kernel, or this group, has no such file",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn said(dir: &Path, name: &str, value: &str, number: i32) -> String {
        Refused::new(&dir.join(name), value, io::Error::from_raw_os_error(number)).to_string()
    }

    #[test]
    fn what_is_allowed_is_looked_up() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("demo");
        fs::create_dir(&dir).unwrap();
        fs::write(top.path().join("cpuset.cpus.effective"), "0-1\n").unwrap();
        fs::write(dir.join("memory.limit_in_bytes"), "4096\n").unwrap();
        let text = said(&dir, "cpuset.cpus", "9", libc::EINVAL);
        assert!(text.starts_with("write \"9\" to /") && text.ends_with("which are 0-1"), "{text}");
        let text = said(&dir, "memory.memsw.limit_in_bytes", "9", libc::EINVAL);
        assert!(text.ends_with("which is 4096"), "{text}");
    }

    #[test]
    fn each_number_means_something_else_for_each_file() {
        let dir = tempfile::tempdir().unwrap();
        for (name, number, part) in [
            ("cpu.weight", libc::ERANGE, "1 to 10000"),
            ("io.max", libc::ENODEV, "no whole disk"),
            ("io.max", libc::EINVAL, "rbps="),
            ("pids.max", libc::EINVAL, "4194304"),
            ("memory.high", libc::EINVAL, "K, M or G"),
            ("memory.high", libc::EROFS, "read-only"),
            ("cgroup.procs", libc::ESRCH, "has ended"),
        ] {
            let text = said(dir.path(), name, "x", number);
            assert!(text.contains(part), "{text}");
        }
        assert!(said(&dir.path().join("gone"), "io.max", "x", libc::ENODEV).contains("removed meanwhile"));
    }
}

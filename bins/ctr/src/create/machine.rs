//! What this machine has, as far as it decides which limits can be: processors, memory nodes, and the files of its
//! cgroups. A limit that the kernel has no file for is left out with a warning, as docker does.

use anyhow::{Result, bail};
use layout::container::HostConfig;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What it has.
#[derive(Debug)]
pub struct Machine {
    /// How many processors it runs on.
    pub processors: usize,
    sys: PathBuf,
    mountinfo: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        Machine {
            processors: std::thread::available_parallelism().map_or(1, |number| number.get()),
            sys: "/sys".into(),
            mountinfo: fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        }
    }

    /// Checks `--cpuset-cpus` and `--cpuset-mems`: `what` there is, `key` in docker's words.
    pub fn check_set(&self, what: &str, key: &str, wanted: &str) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let Some(numbers) = numbers(wanted) else {
            bail!("Invalid value {wanted} for cpuset {key}: invalid format: {wanted}");
        };
        let file = if key == "cpus" { "devices/system/cpu/online" } else { "devices/system/node/online" };
        let online = fs::read_to_string(self.sys.join(file)).unwrap_or_else(|_| "0".to_owned());
        let online = online.trim();
        if !numbers.is_subset(&self::numbers(online).unwrap_or_default()) {
            bail!("Requested {what} are not available - requested {wanted}, available: {online}");
        }
        Ok(())
    }

    /// Takes out what the kernel cannot do; gives docker's warnings.
    pub fn discard(&self, host: &mut HostConfig) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |text: &str| warnings.push(text.to_owned());
        if host.memory > 0 && host.memory_swap > 0 && !self.counts_swap() {
            warn(
                "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited \
                 without swap.",
            );
            host.memory_swap = -1;
        }
        if host.memory_swappiness.is_some() && self.v1("memory").is_none() {
            warn(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory \
                 swappiness discarded.",
            );
            host.memory_swappiness = None;
        }
        if host.oom_kill_disable == Some(true) && self.v1("memory").is_none() {
            warn("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
            host.oom_kill_disable = Some(false);
        }
        if host.blkio_weight != 0 && !self.weighs("weight") {
            warn("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.");
            host.blkio_weight = 0;
        }
        if !host.blkio_weight_device.is_empty() && !self.weighs("weight_device") {
            warn(
                "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device \
                 discarded.",
            );
            host.blkio_weight_device.clear();
        }
        warnings
    }

    /// Whether this machine has cgroup v2 alone.
    pub fn is_unified(&self) -> bool {
        !self.mountinfo.lines().any(|line| line.contains(" - cgroup "))
    }

    /// Whether the kernel's real-time limits are there, as docker asks.
    pub fn has_realtime(&self) -> bool {
        self.v1("cpu").is_some_and(|tree| tree.join("cpu.rt_period_us").exists())
    }

    fn counts_swap(&self) -> bool {
        match self.v1("memory") {
            Some(tree) => tree.join("memory.memsw.limit_in_bytes").exists(),
            // The top group has no such file; /proc/swaps is there where the kernel knows swap at all.
            None => self.any_group_has("memory.swap.max").unwrap_or_else(|| Path::new("/proc/swaps").exists()),
        }
    }

    /// Whether somebody weighs what groups read and write: BFQ, CFQ on v1, or iocost on v2.
    fn weighs(&self, v1: &str) -> bool {
        match self.v1("blkio") {
            Some(tree) => ["blkio", "blkio.bfq"].iter().any(|name| tree.join(format!("{name}.{v1}")).exists()),
            None => ["io.weight", "io.bfq.weight"].iter().any(|file| self.any_group_has(file) == Some(true)),
        }
    }

    /// Whether the groups of the v2 tree have a file, as the first one with its controller shows; nobody knows where there is
    /// none yet.
    fn any_group_has(&self, file: &str) -> Option<bool> {
        let top = self.tree(|kind, _| kind == "cgroup2")?;
        let controller = file.split('.').next()?;
        let folders = fs::read_dir(top).ok()?.flatten().map(|entry| entry.path());
        let mut with_it = folders.filter(|folder| {
            fs::read_to_string(folder.join("cgroup.controllers"))
                .is_ok_and(|text| text.split_whitespace().any(|word| word == controller))
        });
        with_it.next().map(|folder| folder.join(file).exists())
    }

    /// Where a v1 controller is mounted.
    fn v1(&self, controller: &str) -> Option<PathBuf> {
        self.tree(|kind, options| kind == "cgroup" && options.split(',').any(|option| option == controller))
    }

    fn tree(&self, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
        self.mountinfo.lines().find_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mut words = filesystem.split(' ');
            let (kind, options) = (words.next()?, words.nth(1)?);
            wanted(kind, options).then(|| mount.split(' ').nth(4).map(PathBuf::from)).flatten()
        })
    }
}

/// The numbers of a list such as `0-2,4`.
fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if first > last || last > 1 << 16 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_cannot_do_is_left_out_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().display();
        let machine = Machine {
            processors: 2,
            sys: dir.path().into(),
            mountinfo: format!("1 0 0:1 / {tree} rw - cgroup cgroup rw,memory,blkio"),
        };
        let mut host = HostConfig { memory: 1 << 30, memory_swap: 2 << 30, blkio_weight: 500, ..HostConfig::default() };
        let warnings = machine.discard(&mut host);
        assert_eq!((warnings.len(), host.memory_swap, host.blkio_weight), (2, -1, 0), "{warnings:?}");
        for file in ["memory.memsw.limit_in_bytes", "blkio.bfq.weight"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        let mut host = HostConfig { memory: 1 << 30, memory_swap: 2 << 30, blkio_weight: 500, ..HostConfig::default() };
        assert!(machine.discard(&mut host).is_empty() && host.blkio_weight == 500 && !machine.is_unified());
    }

    #[test]
    fn sets_are_lists_of_numbers_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("devices/system/cpu")).unwrap();
        fs::write(dir.path().join("devices/system/cpu/online"), "0-1\n").unwrap();
        let machine = Machine { processors: 2, sys: dir.path().into(), mountinfo: String::new() };
        let said = |wanted| machine.check_set("CPUs", "cpus", wanted).map_err(|error| error.to_string());
        assert_eq!(said("0,1"), Ok(()));
        assert_eq!(said("0-9"), Err("Requested CPUs are not available - requested 0-9, available: 0-1".to_owned()));
        assert_eq!(said("x"), Err("Invalid value x for cpuset cpus: invalid format: x".to_owned()));
        assert_eq!(machine.check_set("memory nodes", "mems", "0").map_err(|error| error.to_string()), Ok(()));
    }
}

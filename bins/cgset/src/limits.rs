//! What a group is to be limited to, and giving it that.
//!
//! The limits are OCI's `linux.resources` (config-linux.md, "Control groups"): from a file, from the flags, or
//! both. As in runc a 0 there asks for nothing: it is how programs in Go write a number that was not given.

mod cpu;
mod flags;
mod io;
mod memory;
mod others;
mod passed_over;
mod setting;
mod unified;

pub use setting::{Setting, write_all};

use crate::cli::{DeviceFilter, LimitArgs};
use crate::group::{ControllerFolder, Group};
use crate::hierarchy::{Hierarchy, Version};
use crate::{devices, devices_bpf, devices_v1, v2};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Resources;
use std::io::Read;
use std::path::Path;

/// Limits that were read and found sound.
#[derive(Debug)]
pub struct Limits {
    /// The limits.
    pub resources: Resources,
    /// What enforces the device list.
    pub devices_by: DeviceFilter,
    /// The limit of swap was not asked for by name: a kernel that does not count swap will do.
    swap_is_implied: bool,
}

/// One kind of limit.
struct Kind {
    /// The controller's name on v1.
    v1: &'static str,
    /// Its name on v2, which does not have them all.
    v2: Option<&'static str>,
    /// How OCI's numbers become values for its files.
    settings: fn(&Resources, Version) -> Result<Vec<Setting>>,
}

/// The kinds, in the order in which they are set. Devices have no number, and go another way.
const KINDS: [Kind; 9] = [
    Kind { v1: "memory", v2: Some("memory"), settings: memory::settings },
    Kind { v1: "cpu", v2: Some("cpu"), settings: cpu::settings },
    Kind { v1: "cpuset", v2: Some("cpuset"), settings: cpu::cpuset },
    Kind { v1: "pids", v2: Some("pids"), settings: others::pids },
    Kind { v1: "blkio", v2: Some("io"), settings: io::settings },
    Kind { v1: "hugetlb", v2: Some("hugetlb"), settings: others::hugetlb },
    Kind { v1: "rdma", v2: Some("rdma"), settings: others::rdma },
    Kind { v1: "net_cls", v2: None, settings: others::net_class },
    Kind { v1: "net_prio", v2: None, settings: others::net_priorities },
];

impl Kind {
    /// The generation that has it on this machine; `None` where it is passed over ([`passed_over`]).
    fn version(&self, hierarchy: &Hierarchy) -> Option<Version> {
        match (hierarchy.v1_tree(self.v1), self.v2) {
            (Some(_), _) => Some(Version::V1),
            (None, Some(_)) if hierarchy.unified.is_some() => Some(Version::V2),
            (None, None) if hierarchy.v1.is_empty() => None,
            (None, _) => Some(Version::V1),
        }
    }

    fn folder(&self, group: &Group, version: Version) -> Result<ControllerFolder> {
        match (version, self.v2) {
            (Version::V2, Some(name)) => group.require_controller(name),
            _ => group.require_controller(self.v1),
        }
    }
}

impl Limits {
    /// The limits that the command line asks for, on a machine with these trees.
    pub fn from_args(args: &LimitArgs, hierarchy: &Hierarchy) -> Result<Limits> {
        let mut resources = match &args.resources {
            Some(file) => read_resources(file)?,
            None => Resources::default(),
        };
        let swap_is_implied = flags::override_with(&mut resources, args)?;
        let limits = Limits { resources, devices_by: args.devices_by, swap_is_implied };
        limits.check(hierarchy)?;
        Ok(limits)
    }

    /// Refuses what no kernel would take, before anything is changed.
    fn check(&self, hierarchy: &Hierarchy) -> Result<()> {
        unified::check(&self.resources)?;
        for kind in &KINDS {
            let version = match kind.v1 {
                // To be taken apart, a sum of memory and swap may need the limit that the group has.
                "memory" => Version::V1,
                _ => kind.version(hierarchy).unwrap_or(Version::V1),
            };
            (kind.settings)(&self.resources, version)?;
        }
        if let Some((swap @ 1.., limit @ 1..)) = self.resources.memory.as_ref().and_then(|m| m.swap.zip(m.limit)) {
            crate::convert::swap_alone(swap, Some(limit))?;
        }
        devices::parse_rules(&self.resources.devices).map(drop)
    }

    /// The controllers that these limits need in the v2 tree. A group there only has those that the groups above pass on.
    pub fn v2_controllers(&self, group: &Group) -> Vec<&str> {
        let of_kind = |kind: &Kind| {
            let on_v2 = kind.version(&group.hierarchy) == Some(Version::V2);
            // What cannot be converted yet (swap, to be taken from a limit that the group has) is asked for all the same.
            let asked = on_v2 && (kind.settings)(&self.resources, Version::V2).map_or(true, |s| !s.is_empty());
            kind.v2.filter(|_| asked)
        };
        KINDS.iter().filter_map(of_kind).chain(unified::controllers(&self.resources)).collect()
    }

    /// Writes them to the group.
    pub fn apply(&self, group: &Group) -> Result<()> {
        for note in passed_over::notes(&self.resources, &group.hierarchy) {
            eprintln!("cgset: note: {note}");
        }
        let resources = v2::fill_in(group, &self.resources)?;
        for kind in &KINDS {
            let Some(version) = kind.version(&group.hierarchy) else { continue };
            let mut settings = (kind.settings)(&resources, version)?;
            if settings.is_empty() {
                continue;
            }
            let folder = kind.folder(group, version)?;
            if let (Version::V2, "memory", Some(memory)) = (version, kind.v1, &resources.memory) {
                memory::check_before_update(memory, &folder.path)?;
            }
            for setting in &mut settings {
                setting.optional |= self.swap_is_implied && memory::SWAP_FILES.contains(&setting.either[0].0.as_str());
            }
            write_all(group, &folder.path, &settings)?;
        }
        unified::apply(group, &resources)?;
        self.apply_devices(group)
    }

    fn apply_devices(&self, group: &Group) -> Result<()> {
        let rules = devices::parse_rules(&self.resources.devices)?;
        if rules.is_empty() {
            return Ok(());
        }
        let v1_tree = group.hierarchy.v1_tree("devices");
        match (self.devices_by, v1_tree, group.unified_folder()) {
            (DeviceFilter::Auto | DeviceFilter::V1, Some(_), _) => {
                let folder = group.require_controller("devices")?;
                write_all(group, &folder.path, &devices_v1::settings(&rules)?)
            }
            (DeviceFilter::Auto | DeviceFilter::Bpf, _, Some(folder)) => devices_bpf::attach(group, &folder, &rules),
            (DeviceFilter::V1, None, _) => bail!("limit devices: the v1 devices controller is not mounted"),
            (_, _, None) => bail!("limit devices: no v2 tree is mounted for an eBPF program to be attached in"),
        }
    }
}

fn read_resources(file: &Path) -> Result<Resources> {
    let mut text = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut text).context("read limits from standard input")?;
    } else {
        text = std::fs::read(file).with_context(|| format!("read limits from {}", file.display()))?;
    }
    serde_json::from_slice(&text).with_context(|| format!("read limits from {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn limits(value: Value) -> Limits {
        let resources = serde_json::from_value(value).unwrap();
        Limits { resources, devices_by: DeviceFilter::Auto, swap_is_implied: false }
    }

    #[test]
    fn each_limit_needs_its_controller() {
        let asked = limits(json!({
            "memory": {"limit": 1}, "cpu": {"quota": 5, "cpus": "0"}, "pids": {"limit": 3}, "blockIO": {"weight": 20},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 5}], "rdma": {"mlx5_0": {"hcaHandles": 1}},
            "network": {"classID": 5}, "unified": {"misc.max": "10", "cgroup.max.depth": "3"}
        }));
        let on = |mountinfo: &str| {
            let hierarchy = Hierarchy::parse(mountinfo, Path::new("/"));
            let group = Group::new("demo".parse().unwrap(), hierarchy, false);
            asked.v2_controllers(&group).join(" ")
        };
        let v2 = "1 0 0:26 / /cg rw - cgroup2 cgroup2 rw\n";
        assert_eq!(on(v2), "memory cpu cpuset pids io hugetlb rdma misc");
        let hybrid = format!("{v2}2 0 0:27 / /v1 rw - cgroup cgroup rw,memory,cpu,cpuset,pids,blkio,rdma\n");
        assert_eq!(on(&hybrid), "hugetlb misc");
    }

    #[test]
    fn what_no_kernel_would_take_is_refused_before_anything_is_made() {
        for (value, said) in [
            (json!({"memory": {"limit": 20, "swap": 10}}), "set a swap limit of 10"),
            (json!({"memory": {"swappiness": 400}}), "the kernel allows 0 to 100"),
            (json!({"unified": {"../cgroup.procs": "1"}}), "\"../cgroup.procs\" must be a file name (no slashes)"),
            (json!({"unified": {"memory": "1"}}), "must be in the form CONTROLLER.PARAMETER"),
            (json!({"hugepageLimits": [{"pageSize": "x", "limit": 1}]}), "limit huge pages of size \"x\""),
            (json!({"devices": [{"allow": true, "type": "x"}]}), "type \"x\""),
        ] {
            let error = limits(value).check(&Hierarchy::default()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}

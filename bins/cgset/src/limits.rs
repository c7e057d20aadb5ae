//! What a group is to be limited to, and giving it that.
//!
//! The limits are OCI's `linux.resources` (config-linux.md, "Control groups"): from a file, from the flags, or
//! both. As in runc a 0 there asks for nothing: it is how programs in Go write a number that was not given.

use crate::cli::{Cpus, DeviceFilter, LimitArgs};
use crate::group::{Group, errno};
use crate::hierarchy::Version;
use crate::{convert, devices, devices_bpf, devices_v1, v1, v2};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Pids, Resources};
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;

/// Limits that were read and found sound.
#[derive(Debug)]
pub struct Limits {
    /// The limits.
    pub resources: Resources,
    /// What enforces the device list.
    pub devices_by: DeviceFilter,
}

/// One value for one control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The file's name: `pids.max`.
    pub file: String,
    /// What is written.
    pub value: String,
    /// Whether a kernel without that file will do (swap accounting that nobody asked for by name).
    pub optional: bool,
}

impl Setting {
    /// A value that must be written.
    pub fn new(file: &str, value: impl ToString) -> Setting {
        Setting { file: file.to_owned(), value: value.to_string(), optional: false }
    }
}

impl Limits {
    /// The limits that the command line asks for.
    pub fn from_args(args: &LimitArgs) -> Result<Limits> {
        let mut resources = match &args.resources {
            Some(file) => read_resources(file)?,
            None => Resources::default(),
        };
        override_with_flags(&mut resources, args);
        check(&resources)?;
        Ok(Limits { resources, devices_by: args.devices_by })
    }

    /// The controllers that these limits need. A group on v2 only has those that the groups above pass on.
    pub fn controllers(&self) -> Vec<&str> {
        let resources = &self.resources;
        let mut needed: Vec<&str> =
            CONTROLLERS.into_iter().filter(|c| !v1::settings(c, resources).is_empty()).collect();
        // The part of a v2 file's name before the dot is its controller; `cgroup.` is every group's.
        let of_files = resources.unified.keys().filter_map(|file| Some(file.split_once('.')?.0));
        needed.extend(of_files.filter(|controller| *controller != "cgroup"));
        needed
    }

    /// Writes them to the group.
    pub fn apply(&self, group: &Group) -> Result<()> {
        for controller in CONTROLLERS {
            let settings = v1::settings(controller, &self.resources);
            if settings.is_empty() {
                continue;
            }
            let folder = group.require_controller(controller)?;
            match folder.version {
                Version::V1 if controller == "memory" => v1::write_memory(group, &folder.path, &settings)?,
                Version::V1 => write_all(group, &folder.path, &settings)?,
                Version::V2 => write_all(group, &folder.path, &v2::settings(controller, &self.resources)?)?,
            }
        }
        self.apply_unified(group)?;
        self.apply_devices(group)
    }

    fn apply_unified(&self, group: &Group) -> Result<()> {
        let unified = &self.resources.unified;
        if unified.is_empty() {
            return Ok(());
        }
        let Some(folder) = group.unified_folder() else {
            bail!("set unified limits: they are names of v2 files, and this machine has no v2 tree");
        };
        let settings: Vec<Setting> = unified.iter().map(|(file, value)| Setting::new(file, value)).collect();
        write_all(group, &folder, &settings)
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

/// The controllers with limits of their own; devices have no number and go another way.
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "cpuset", "pids"];

/// Writes values to the control files of a folder.
pub fn write_all(group: &Group, folder: &Path, settings: &[Setting]) -> Result<()> {
    for setting in settings {
        match group.write(&folder.join(&setting.file), &setting.value) {
            Err(error) if setting.optional && errno(&error) == Some(libc::ENOENT) => {}
            result => result?,
        }
    }
    Ok(())
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

fn override_with_flags(resources: &mut Resources, args: &LimitArgs) {
    if args.memory.is_some() || args.memory_swap.is_some() {
        let memory = resources.memory.get_or_insert_default();
        // A new memory limit makes a swap limit that was meant for the old one meaningless.
        memory.swap = args.memory_swap.or(if args.memory.is_some() { None } else { memory.swap });
        memory.limit = args.memory.or(memory.limit);
    }
    if args.cpus.is_some() || args.cpu_shares.is_some() || args.cpuset_cpus.is_some() {
        let cpu = resources.cpu.get_or_insert_default();
        match args.cpus {
            Some(Cpus::Max) => cpu.quota = Some(-1),
            Some(Cpus::Quota(quota)) => (cpu.quota, cpu.period) = (Some(quota), Some(100_000)),
            None => {}
        }
        cpu.shares = args.cpu_shares.or(cpu.shares);
        cpu.cpus = args.cpuset_cpus.clone().or(cpu.cpus.take());
    }
    if let Some(limit) = args.pids_limit {
        resources.pids = Some(Pids { limit });
    }
}

/// Refuses what is not understood. A limit that is passed over in silence is a limit that somebody relies on.
fn check(resources: &Resources) -> Result<()> {
    refuse_unknown("", &resources.extra)?;
    if let Some(memory) = &resources.memory {
        refuse_unknown("memory.", &memory.extra)?;
        if let (Some(swap @ 1..), Some(limit @ 1..)) = (memory.swap, memory.limit) {
            convert::swap_alone(swap, Some(limit))?;
        }
    }
    if let Some(cpu) = &resources.cpu {
        refuse_unknown("cpu.", &cpu.extra)?;
    }
    for (file, value) in &resources.unified {
        if file.contains('/') || !file.contains('.') || value.contains('\0') {
            bail!("set unified limit {file:?}: that is no name of a v2 control file such as memory.high");
        }
    }
    Ok(())
}

fn refuse_unknown(prefix: &str, keys: &Map<String, Value>) -> Result<()> {
    match keys.iter().find(|(_, value)| asks_for_something(value)) {
        Some((key, value)) => bail!("set {prefix}{key} to {value}: cgset does not support this limit"),
        None => Ok(()),
    }
}

/// Programs in Go write many keys that they do not use: `"blockIO": {"weight": 0}`, `"disableOOMKiller": false`.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(asks_for_something),
        Value::Object(map) => map.values().any(asks_for_something),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resources(value: Value) -> Resources {
        serde_json::from_value(value).unwrap()
    }

    fn args() -> LimitArgs {
        LimitArgs {
            memory: None,
            memory_swap: None,
            cpus: None,
            cpu_shares: None,
            cpuset_cpus: None,
            pids_limit: None,
            resources: None,
            devices_by: DeviceFilter::Auto,
        }
    }

    #[test]
    fn what_dockers_config_leaves_empty_asks_for_nothing() {
        let docker = resources(json!({
            "memory": {"disableOOMKiller": false}, "cpu": {"shares": 0}, "pids": {"limit": 0}, "blockIO": {"weight": 0},
            "hugepageLimits": [], "network": {"classID": 0, "priorities": []}
        }));
        check(&docker).unwrap();
        let limits = Limits { resources: docker, devices_by: DeviceFilter::Auto };
        assert_eq!(limits.controllers(), Vec::<&str>::new());
    }

    #[test]
    fn a_limit_that_is_not_known_is_refused_by_name() {
        for (value, key) in [
            (json!({"blockIO": {"weight": 10}}), "set blockIO to"),
            (json!({"memory": {"swappiness": 10}}), "set memory.swappiness to 10"),
            (json!({"cpu": {"idle": 1}}), "set cpu.idle"),
            (json!({"memory": {"limit": 20, "swap": 10}}), "set a swap limit of 10"),
            (json!({"unified": {"../cgroup.procs": "1"}}), "../cgroup.procs"),
        ] {
            let said = check(&resources(value)).unwrap_err().to_string();
            assert!(said.contains(key), "{said}");
        }
    }

    #[test]
    fn flags_override_the_file() {
        let mut found =
            resources(json!({"memory": {"limit": 10, "swap": 20}, "cpu": {"shares": 512, "period": 50000}}));
        let flags = LimitArgs { memory: Some(64), cpus: Some(Cpus::Quota(50_000)), pids_limit: Some(-1), ..args() };
        override_with_flags(&mut found, &flags);
        let memory = found.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64), None));
        let cpu = found.cpu.unwrap();
        assert_eq!((cpu.shares, cpu.quota, cpu.period), (Some(512), Some(50_000), Some(100_000)));
        assert_eq!(found.pids, Some(Pids { limit: -1 }));
    }

    #[test]
    fn each_limit_needs_its_controller() {
        let asked = resources(json!({
            "memory": {"limit": 1}, "cpu": {"quota": 5, "cpus": "0"}, "pids": {"limit": 3},
            "unified": {"io.weight": "10", "cgroup.max.depth": "3"}
        }));
        let limits = Limits { resources: asked, devices_by: DeviceFilter::Auto };
        assert_eq!(limits.controllers(), ["memory", "cpu", "cpuset", "pids", "io"]);
    }
}

//! What the configuration says of namespaces, checked before anything is done.

use super::Namespaces;
use anyhow::{Result, bail};
use layout::oci::runtime::{Linux, NamespaceKind};
use std::collections::BTreeSet;

/// Checks the namespaces and what is to be set in them.
pub fn check(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    let mut seen = BTreeSet::new();
    for namespace in &linux.namespaces {
        let kind = namespace.kind;
        if !seen.insert(kind) {
            bail!("linux.namespaces: {kind:?} is given twice");
        }
        if let Some(path) = namespace.path.as_ref().filter(|path| !path.is_absolute()) {
            bail!("linux.namespaces: path {:?} is not absolute", path.display());
        }
    }
    check_mappings(linux, namespaces)?;
    check_time(linux, namespaces)?;
    check_devices(linux, namespaces)
}

fn check_mappings(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    let (uids, gids) = (!linux.uid_mappings.is_empty(), !linux.gid_mappings.is_empty());
    if uids != gids {
        bail!("linux.uidMappings and gidMappings go together");
    }
    if namespaces.is_new(NamespaceKind::User) && !uids {
        bail!("linux.uidMappings and gidMappings: a new user namespace needs both");
    }
    if !namespaces.has(NamespaceKind::User) && uids {
        bail!("linux.uidMappings: they need a user namespace");
    }
    if linux.uid_mappings.iter().chain(&linux.gid_mappings).any(|range| range.size == 0) {
        bail!("linux.uidMappings and gidMappings: a range of no ids");
    }
    Ok(())
}

fn check_time(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    if linux.time_offsets.is_empty() {
        return Ok(());
    }
    if !namespaces.is_new(NamespaceKind::Time) {
        bail!("linux.timeOffsets: they are set when a time namespace is made, and none is");
    }
    for (clock, offset) in &linux.time_offsets {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            bail!("linux.timeOffsets {clock:?}: only the clocks monotonic and boottime can be off");
        }
        if offset.nanosecs >= 1_000_000_000 {
            bail!("linux.timeOffsets {clock}: nanosecs {} are a second or more", offset.nanosecs);
        }
    }
    Ok(())
}

fn check_devices(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    if !linux.net_devices.is_empty() && !namespaces.has(NamespaceKind::Network) {
        bail!("linux.netDevices: they need a network namespace of the container's own");
    }
    for (name, device) in &linux.net_devices {
        for name in [name, &device.name] {
            // As the kernel has it: IFNAMSIZ, and what would not do as a file in /sys/class/net.
            let bad = name.len() > 15
                || name == "."
                || name == ".."
                || name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
            if bad {
                bail!("linux.netDevices {name:?}: this is no name of a network device");
            }
        }
        if name.is_empty() {
            bail!("linux.netDevices: a device without a name");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdict(change: impl FnOnce(&mut Value)) -> Result<()> {
        let spec = crate::validate::defaults_but(change);
        check(&spec.linux.clone().unwrap_or_default(), &Namespaces::of(&spec))
    }

    #[test]
    fn what_makes_no_sense_of_namespaces_is_refused_by_name() {
        verdict(|_| {}).unwrap();
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 9] = [
            ("twice", |spec| spec["linux"]["namespaces"][0] = json!({"type": "uts"})),
            ("not absolute", |spec| spec["linux"]["namespaces"][0] = json!({"type": "pid", "path": "ns/pid"})),
            ("needs both", |spec| spec["linux"]["namespaces"][0] = json!({"type": "user"})),
            ("go together", |spec| spec["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1}])),
            ("none is", |spec| spec["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 1}})),
            ("need a network namespace", |spec| {
                spec["linux"]["namespaces"] = json!([]);
                spec["linux"]["netDevices"] = json!({"eth7": {}});
            }),
            ("no name of a network device", |spec| spec["linux"]["netDevices"] = json!({"eth7": {"name": "a/b"}})),
            ("only the clocks", |spec| {
                spec["linux"]["namespaces"][0] = json!({"type": "time"});
                spec["linux"]["timeOffsets"] = json!({"realtime": {"secs": 1}});
            }),
            ("a second or more", |spec| {
                spec["linux"]["namespaces"][0] = json!({"type": "time"});
                spec["linux"]["timeOffsets"] = json!({"boottime": {"nanosecs": 1_000_000_000}});
            }),
        ];
        for (words, change) in cases {
            let error = format!("{:#}", verdict(change).expect_err(words));
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

//! Memory: how much, with swap and without (kernel: cgroup-v1/memory.rst; cgroup-v2.rst, "Memory").

use crate::convert::{or_max, swap_alone};
use crate::group::read_optional;
use crate::hierarchy::Version;
use crate::limits::Setting;
use anyhow::{Result, bail};
use layout::oci::runtime::{Memory, Resources};
use std::path::Path;

/// The files that hold the limit of swap.
pub const SWAP_FILES: [&str; 2] = ["memory.memsw.limit_in_bytes", "memory.swap.max"];

/// What is asked of the memory controller.
pub fn settings(resources: &Resources, version: Version) -> Result<Vec<Setting>> {
    let Some(memory) = &resources.memory else { return Ok(Vec::new()) };
    check(memory)?;
    match version {
        Version::V1 => v1(memory),
        Version::V2 => v2(memory),
    }
}

/// Refuses what is no number of bytes, whatever a kernel would make of it.
fn check(memory: &Memory) -> Result<()> {
    let keys = [("limit", memory.limit), ("swap", memory.swap), ("reservation", memory.reservation)];
    match keys.iter().find(|(_, bytes)| bytes.is_some_and(|bytes| bytes < -1)) {
        Some((key, Some(bytes))) => bail!("memory.{key} of {bytes}: it is a number of bytes, or -1 for no limit"),
        _ => Ok(()),
    }
}

/// A 0 is how programs in Go write a number that was not given.
fn asked(value: Option<i64>) -> Option<i64> {
    value.filter(|v| *v != 0)
}

fn v1(memory: &Memory) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    let (limit, swap) = (asked(memory.limit), asked(memory.swap));
    settings.extend(limit.map(|limit| Setting::new("memory.limit_in_bytes", limit)));
    match (swap, limit) {
        (Some(swap), _) => settings.push(Setting::new(SWAP_FILES[0], swap)),
        // The sum cannot be less than memory alone, which is unlimited now.
        (None, Some(-1)) => settings.push(Setting::new(SWAP_FILES[0], -1).where_there()),
        (None, _) => {}
    }
    settings.extend(asked(memory.reservation).map(|bytes| Setting::new("memory.soft_limit_in_bytes", bytes)));
    settings.extend(asked(memory.kernel_tcp).map(|bytes| Setting::new("memory.kmem.tcp.limit_in_bytes", bytes)));
    if memory.use_hierarchy == Some(true) {
        settings.push(Setting::new("memory.use_hierarchy", 1).where_there());
    }
    settings.extend(memory.disable_oom_killer.map(|wait| Setting::new("memory.oom_control", u8::from(wait))));
    match memory.swappiness {
        // -1, as the unsigned number that it becomes on its way through docker's: not given.
        None | Some(u64::MAX) => {}
        Some(percent @ 0..=100) => settings.push(Setting::new("memory.swappiness", percent)),
        Some(other) => bail!("set memory.swappiness to {other}: the kernel allows 0 to 100"),
    }
    Ok(settings)
}

fn v2(memory: &Memory) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    let (limit, swap) = (asked(memory.limit), asked(memory.swap));
    // Swap goes first: with memory lowered first, the group would be pushed out to swap that it is not to have.
    match (swap, limit) {
        (Some(swap), limit) => {
            let alone = swap_alone(swap, limit)?;
            let setting = Setting::new(SWAP_FILES[1], or_max(alone));
            // All of it, or none: a kernel that does not count swap will do. runc does so too.
            settings.push(if alone <= 0 { setting.where_there() } else { setting });
        }
        (None, Some(-1)) => settings.push(Setting::new(SWAP_FILES[1], "max").where_there()),
        (None, _) => {}
    }
    settings.extend(limit.map(|limit| Setting::new("memory.max", or_max(limit))));
    settings.extend(asked(memory.reservation).map(|bytes| Setting::new("memory.low", or_max(bytes))));
    Ok(settings)
}

/// Refuses a v2 limit that is below what the group uses, if that was asked for: v2 takes any limit, and kills until it
/// holds. (v1 refuses by itself.)
pub fn check_before_update(memory: &Memory, folder: &Path) -> Result<()> {
    if memory.check_before_update != Some(true) {
        return Ok(());
    }
    let usage = read_optional(&folder.join("memory.current"))?.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    for (name, limit) in [("memory and swap", asked(memory.swap)), ("memory", asked(memory.limit))] {
        if let Some(limit) = limit.filter(|limit| *limit > 0 && *limit <= usage) {
            bail!("set a limit of {limit} for {name}: {usage} bytes are in use, and checkBeforeUpdate is set");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::setting::tests::shown;
    use serde_json::{Value, json};

    fn on(version: Version, memory: Value) -> Result<String> {
        let resources = serde_json::from_value(json!({ "memory": memory })).unwrap();
        settings(&resources, version).map(|settings| shown(&settings))
    }

    #[test]
    fn less_than_no_limit_is_refused() {
        for version in [Version::V1, Version::V2] {
            assert!(on(version, json!({"limit": -1, "swap": -1})).is_ok());
            for key in ["limit", "swap", "reservation"] {
                let said = on(version, json!({ key: -7 })).unwrap_err().to_string();
                assert!(said.starts_with(&format!("memory.{key} of -7")), "{said}");
            }
        }
    }

    #[test]
    fn limits_have_other_names_and_numbers_on_v2() {
        let asked = json!({"limit": 64, "swap": 96, "reservation": 32});
        let v1 = "memory.limit_in_bytes=64, memory.memsw.limit_in_bytes=96, memory.soft_limit_in_bytes=32";
        assert_eq!(on(Version::V1, asked.clone()).unwrap(), v1);
        assert_eq!(on(Version::V2, asked).unwrap(), "memory.swap.max=32, memory.max=64, memory.low=32");
        assert!(on(Version::V2, json!({"swap": 96})).is_err());
    }

    #[test]
    fn a_limit_alone_says_nothing_of_swap_and_no_limit_lifts_both() {
        assert_eq!(on(Version::V1, json!({"limit": 64})).unwrap(), "memory.limit_in_bytes=64");
        assert_eq!(on(Version::V2, json!({"limit": 64, "swap": 0})).unwrap(), "memory.max=64");
        let lifted = "memory.limit_in_bytes=-1, memory.memsw.limit_in_bytes=-1";
        assert_eq!(on(Version::V1, json!({"limit": -1})).unwrap(), lifted);
        assert_eq!(on(Version::V2, json!({"limit": -1})).unwrap(), "memory.swap.max=max, memory.max=max");
        assert_eq!(on(Version::V2, json!({"limit": 64, "swap": 64})).unwrap(), "memory.swap.max=0, memory.max=64");
    }

    #[test]
    fn what_only_v1_has_is_written_there() {
        let asked =
            json!({"swappiness": 0, "disableOOMKiller": true, "kernelTCP": 5, "kernel": 7, "useHierarchy": true});
        let v1 = "memory.kmem.tcp.limit_in_bytes=5, memory.use_hierarchy=1, memory.oom_control=1, memory.swappiness=0";
        assert_eq!(on(Version::V1, asked.clone()).unwrap(), v1);
        assert_eq!(on(Version::V2, asked).unwrap(), "");
        assert!(on(Version::V1, json!({"swappiness": 101})).unwrap_err().to_string().contains("0 to 100"));
        assert_eq!(on(Version::V1, json!({"swappiness": u64::MAX})).unwrap(), "");
    }

    #[test]
    fn a_limit_below_the_usage_is_refused_if_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("memory.current"), "5000\n").unwrap();
        let memory = |check: bool, limit: i64| {
            serde_json::from_value(json!({"checkBeforeUpdate": check, "limit": limit})).unwrap()
        };
        check_before_update(&memory(false, 4000), dir.path()).unwrap();
        check_before_update(&memory(true, 6000), dir.path()).unwrap();
        check_before_update(&memory(true, -1), dir.path()).unwrap();
        let said = check_before_update(&memory(true, 5000), dir.path()).unwrap_err().to_string();
        assert!(said.contains("5000 bytes are in use"), "{said}");
    }
}

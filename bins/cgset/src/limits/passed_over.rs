//! What is asked for and not done, because the generation of cgroups at hand has nothing of the kind.
//!
//! runc passes these over as well, so that one `config.json` does for all machines. Here each is told of, in a note on
//! standard error. What could be done on this machine and fails is an error instead.

use crate::hierarchy::Hierarchy;
use layout::oci::runtime::Resources;
use serde_json::{Map, Value};

/// A note for each key that has no effect.
pub fn notes(resources: &Resources, hierarchy: &Hierarchy) -> Vec<String> {
    let mut notes = Vec::new();
    let mut pass_over = |asked: bool, key: &str, why: &str| {
        if asked {
            notes.push(format!("{key} has no effect: {why}"));
        }
    };
    let v2 = |controller: &str| hierarchy.v1_tree(controller).is_none() && hierarchy.unified.is_some();
    let number = |value: Option<i64>| value.is_some_and(|n| n != 0);
    let memory = resources.memory.clone().unwrap_or_default();
    let not_on_v2 = "cgroup v2 has no such limit";
    pass_over(number(memory.kernel), "memory.kernel", "kernel memory counts as memory since Linux 5.16");
    if v2("memory") {
        pass_over(number(memory.kernel_tcp), "memory.kernelTCP", "on cgroup v2 it counts as memory");
        pass_over(memory.swappiness.is_some(), "memory.swappiness", "cgroup v2 has it only for the whole machine");
        let why = "cgroup v2 cannot have a group wait for memory";
        pass_over(memory.disable_oom_killer == Some(true), "memory.disableOOMKiller", why);
    }
    let cpu = resources.cpu.clone().unwrap_or_default();
    if v2("cpu") {
        pass_over(number(cpu.realtime_runtime), "cpu.realtimeRuntime", not_on_v2);
        pass_over(cpu.realtime_period.is_some_and(|n| n != 0), "cpu.realtimePeriod", not_on_v2);
    }
    let io = resources.block_io.clone().unwrap_or_default();
    if v2("blkio") {
        let leaf = io.leaf_weight.into_iter().chain(io.weight_device.iter().filter_map(|disk| disk.leaf_weight));
        pass_over(leaf.into_iter().any(|w| w != 0), "blockIO.leafWeight", "on cgroup v2 processes are in leaves only");
    }
    let network = resources.network.clone().unwrap_or_default();
    if hierarchy.v1.is_empty() {
        let why =
            "cgroup v2 marks no packets; the firewall can match the path of a group instead (nft: socket cgroupv2)";
        pass_over(network.class_id.is_some_and(|n| n != 0), "network.classID", why);
        pass_over(!network.priorities.is_empty(), "network.priorities", why);
    }
    for (prefix, keys) in [("", &resources.extra), ("memory.", &memory.extra), ("cpu.", &cpu.extra)] {
        notes.extend(unknown(prefix, keys));
    }
    notes
}

/// Keys that nobody here has heard of, which OCI says not to fail for (config.md, "Extensibility"). Programs in Go write
/// many keys that ask for nothing.
fn unknown(prefix: &str, keys: &Map<String, Value>) -> Vec<String> {
    let asking = keys.iter().filter(|(_, value)| asks_for_something(value));
    asking.map(|(key, _)| format!("{prefix}{key} has no effect: cgset does not know this key")).collect()
}

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
    use std::path::Path;

    const V1: &str = "1 0 0:31 / /m rw - cgroup cgroup rw,memory,cpu,blkio";
    const V2: &str = "1 0 0:26 / /cg rw - cgroup2 cgroup2 rw";

    fn on(mountinfo: &str, value: Value) -> Vec<String> {
        notes(&serde_json::from_value(value).unwrap(), &Hierarchy::parse(mountinfo, Path::new("/")))
    }

    #[test]
    fn what_only_v1_can_do_is_told_of_on_v2() {
        let asked = json!({
            "memory": {"kernel": 5, "kernelTCP": 5, "swappiness": 0, "disableOOMKiller": true},
            "cpu": {"realtimeRuntime": 5, "realtimePeriod": 6}, "blockIO": {"leafWeight": 5},
            "network": {"classID": 5, "priorities": [{"name": "lo", "priority": 5}]}
        });
        assert_eq!(on(V2, asked.clone()).len(), 9);
        let on_v1 = on(V1, asked);
        assert!(on_v1.len() == 1 && on_v1[0].starts_with("memory.kernel has no effect"), "{on_v1:?}");
    }

    #[test]
    fn what_dockers_config_leaves_empty_asks_for_nothing() {
        let docker = json!({
            "memory": {"disableOOMKiller": false, "kernel": 0}, "cpu": {"shares": 0, "later": 0}, "pids": {"limit": 0},
            "blockIO": {"weight": 0}, "network": {"classID": 0, "priorities": []}, "later": {"x": [0, ""]}
        });
        assert_eq!(on(V2, docker), Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_are_named() {
        let notes = on(V2, json!({"later": 1, "memory": {"later": "x"}, "cpu": {"later": {"y": true}}}));
        for (note, key) in notes.iter().zip(["later has", "memory.later has", "cpu.later has"]) {
            assert!(note.starts_with(key), "{note}");
        }
        assert_eq!(notes.len(), 3);
    }
}

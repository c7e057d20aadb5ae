//! Good configurations, changed at random: whatever comes of it is refused or understood, and nothing panics or hangs.

use super::{Random, fuzz};
use crate::namespaces::Namespaces;
use layout::oci::defaults;
use layout::oci::runtime::Spec;
use serde_json::{Map, Value, json};

/// A configuration with about everything that there is.
fn everything() -> Value {
    let mut config = serde_json::to_value(defaults::spec()).unwrap();
    let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    config["hostname"] = json!("box");
    config["domainname"] = json!("example");
    config["annotations"] = json!({"key": "value"});
    config["hooks"] =
        json!({"createRuntime": [{"path": "/bin/x", "args": ["x"], "env": ["A=1"], "timeout": 3}], "poststop": []});
    config["process"]["args"] = json!(["sh", "-c", "true"]);
    config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]);
    config["process"]["user"] = json!({"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3]});
    config["process"]["consoleSize"] = json!({"height": 10, "width": 20});
    config["process"]["oomScoreAdj"] = json!(5);
    config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 3});
    config["process"]["execCPUAffinity"] = json!({"initial": "0-1", "final": "0,1"});
    config["mounts"][0]["uidMappings"] = mapping.clone();
    config["mounts"][0]["gidMappings"] = mapping.clone();
    let linux = &mut config["linux"];
    linux["uidMappings"] = mapping.clone();
    linux["gidMappings"] = mapping;
    linux["namespaces"] = json!([{"type": "pid"}, {"type": "mount"}, {"type": "user"}, {"type": "time"}, {"type": "uts"},
        {"type": "network", "path": "/proc/1/ns/net"}]);
    linux["timeOffsets"] = json!({"monotonic": {"secs": 1, "nanosecs": 2}});
    linux["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    linux["cgroupsPath"] = json!("/a/b");
    linux["personality"] = json!({"domain": "LINUX32"});
    linux["rootfsPropagation"] = json!("rslave");
    linux["seccomp"] = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [{"names": ["read", "clone"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": 5, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}]}]});
    linux["resources"] = json!({"memory": {"limit": 1 << 30}, "cpu": {"quota": 1000, "period": 2000, "cpus": "0-1"}, "pids": {"limit": 5},
        "devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}], "unified": {"memory.high": "5"}});
    config
}

/// What breaks programs.
fn nasty(random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(u64::MAX),
        3 => json!(i64::MIN),
        4 => json!(1e300),
        5 => json!(0.5),
        6 => json!(true),
        7 => json!(""),
        8 => json!(random.pick(&[
            "/",
            "..",
            ".",
            "../../..",
            "/../x",
            "//",
            "a\0b",
            "/proc/self/fd/3",
            "\u{202e}x",
            "=",
            "A=\0",
            ":",
            "%s%n",
            "-1",
            "0-",
            "9-1"
        ])),
        9 => json!("x".repeat(random.below(70_000))),
        10 => json!([]),
        11 => json!({}),
        12 => json!(random.number()),
        13 => json!(random.below(100)),
        14 => (0..random.below(200)).fold(json!(1), |inner, _| json!([inner])),
        _ => json!([null, {"type": "user"}, "bind", 5]),
    }
}

/// All places in a configuration, as JSON pointers (RFC 6901).
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            places(inner, format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, inner)| places(inner, format!("{here}/{i}"), found))
        }
        _ => {}
    }
    found.push(here);
}

/// One change somewhere.
fn change(config: &mut Value, random: &mut Random) {
    let mut all = Vec::new();
    places(config, String::new(), &mut all);
    let (place, other) = (random.pick(&all).clone(), random.pick(&all).clone());
    let elsewhere = config.pointer(&other).cloned().unwrap_or_default();
    let Some(value) = config.pointer_mut(&place) else { return };
    match (random.below(6), value) {
        (0, Value::Object(map)) => rename_or_remove(map, random),
        (0, Value::Array(list)) => list.truncate(list.len() / 2),
        (1, Value::Array(list)) if !list.is_empty() => list.push(list[random.below(list.len())].clone()),
        (1, Value::String(text)) => {
            text.insert(random.below(text.len() + 1).min(text.len()), *random.pick(&['/', '.', '\0', 'x', ',', '9']))
        }
        // Another part of the configuration, if that does not make it grow beyond measure.
        (2, value) if other.len() > 20 => *value = elsewhere,
        (_, value) => *value = nasty(random),
    }
}

fn rename_or_remove(map: &mut Map<String, Value>, random: &mut Random) {
    let keys: Vec<String> = map.keys().cloned().collect();
    if keys.is_empty() {
        return;
    }
    let removed = map.remove(random.pick(&keys));
    if random.one_in(2) {
        map.insert(random.pick(&["x", "type", "path", "limit", ""]).to_string(), removed.unwrap_or_default());
    }
}

/// One change to the text.
fn change_text(text: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(text.len());
    match random.below(4) {
        0 => text.truncate(at),
        1 => text[at] = random.number() as u8,
        2 => text.insert(at, *random.pick(b"{}[]\",:\\0e-\xff\n")),
        _ => drop(text.drain(at..(at + random.below(40)).min(text.len()))),
    }
}

/// Everything that is done with a configuration before anything is done to the machine.
fn understand(text: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<Spec>(text) else { return };
    let valid = crate::validate::validate(&spec);
    let _ = Namespaces::of(&spec);
    let _ = crate::cgroup::path_of(&spec, "id");
    if valid.is_ok() {
        assert!(spec.process.is_some_and(|process| !process.args.is_empty() && process.cwd.is_absolute()));
        return;
    }
    let said = format!("{:#}", valid.unwrap_err());
    assert!(!said.is_empty());
}

/// What is written again is the same: `create` keeps a copy, from which `delete` and `exec` work.
fn is_kept(text: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<Spec>(text) else { return };
    let written = serde_json::to_vec(&spec).unwrap();
    let again: Spec = serde_json::from_slice(&written)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
    assert_eq!(again, spec);
}

#[test]
fn any_configuration_is_understood_or_refused() {
    let seeds = [everything(), serde_json::to_value(defaults::spec()).unwrap()];
    let parsed: Spec = serde_json::from_value(everything()).unwrap();
    assert_eq!(serde_json::from_value::<Spec>(serde_json::to_value(&parsed).unwrap()).unwrap(), parsed);
    fuzz("configurations", |random| {
        let mut config = random.pick(&seeds).clone();
        for _ in 0..=random.below(4) {
            change(&mut config, random);
        }
        let mut text = serde_json::to_vec(&config).unwrap();
        if random.one_in(4) {
            (0..=random.below(3)).for_each(|_| {
                if !text.is_empty() {
                    change_text(&mut text, random)
                }
            });
        }
        understand(&text);
        is_kept(&text);
    });
}

//! One file a group of options. Each says in `COVERS` which options its tests show the effect of, by their long names.

pub mod life;
pub mod network;
pub mod process;
pub mod resources;
pub mod security;
pub mod storage;
pub mod watch;

/// All options whose effect a test shows.
pub fn covered() -> Vec<&'static str> {
    [
        life::COVERS,
        network::COVERS,
        process::COVERS,
        resources::COVERS,
        security::COVERS,
        storage::COVERS,
        watch::COVERS,
    ]
    .concat()
}

use ctr_tests::Sandbox;
use serde_json::Value;

/// The container's `state.json`.
pub fn state(sandbox: &Sandbox, name: &str) -> Value {
    json(sandbox, name, "state.json")
}

/// The container's `config.json`, which the runtime reads.
pub fn spec(sandbox: &Sandbox, name: &str) -> Value {
    json(sandbox, name, "config.json")
}

fn json(sandbox: &Sandbox, name: &str, file: &str) -> Value {
    let file = sandbox.root().join("names").join(name).join(file);
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// What the kernel says in a file of a running container's group: `v1` in the tree of a controller, or `v2` in the one tree.
pub fn limit(sandbox: &Sandbox, name: &str, controller: &str, v1: &str, v2: &str) -> String {
    let pid = state(sandbox, name)["Pid"].to_string();
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let of = |wanted: &str| {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            controllers.split(',').any(|found| found == wanted).then(|| path.to_owned())
        })
    };
    let file = match of(controller) {
        Some(path) => format!("/sys/fs/cgroup/{controller}{path}/{v1}"),
        None => format!("/sys/fs/cgroup{}/{v2}", of("").unwrap()),
    };
    let text = std::fs::read_to_string(&file);
    assert!(text.is_ok(), "read {file}: {text:?}");
    text.unwrap().trim().to_owned()
}

/// Whether this machine has cgroup v2 alone.
pub fn is_unified() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

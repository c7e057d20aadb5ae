//! How a container is looked after. What each option does in time is shown in `restart.rs`, `health.rs` and `logs.rs`.

use ctr_tests::Sandbox;
use serde_json::{Value, json};

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[
    "restart",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-period",
    "health-timeout",
    "no-healthcheck",
    "log-driver",
    "log-opt",
];

#[test]
fn what_is_asked_for_is_written_down_as_docker_does() {
    let sandbox = Sandbox::with_base();
    let options = "--restart on-failure:3 --health-cmd true --health-interval 1m30s --health-retries 4 \
                   --health-start-period 5s --health-timeout 500ms --log-driver local --log-opt max-size=1m";
    sandbox.sh(&format!("ctr create --name box {options} base true")).ok();
    let read = |name: &str| -> Value {
        let file = sandbox.root().join("names").join(name).join("container.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    let container = read("box");
    let policy = json!({"Name": "on-failure", "MaximumRetryCount": 3});
    assert_eq!(container["HostConfig"]["RestartPolicy"], policy);
    assert_eq!(container["HostConfig"]["LogConfig"], json!({"Type": "local", "Config": {"max-size": "1m"}}));
    let check = json!({
        "Test": ["CMD-SHELL", "true"],
        "Interval": 90_000_000_000i64,
        "Timeout": 500_000_000,
        "StartPeriod": 5_000_000_000i64,
        "Retries": 4,
    });
    assert_eq!(container["Config"]["Healthcheck"], check);
    sandbox.ctr(["create", "--name", "none", "--no-healthcheck", "base", "true"]).ok();
    assert_eq!(read("none")["Config"]["Healthcheck"], json!({"Test": ["NONE"]}));
}

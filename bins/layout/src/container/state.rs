//! `state.json`: what became of a container. Only who holds the shim's lock writes it.

use serde::{Deserialize, Serialize};

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// Where it is in its life.
    pub status: Status,
    /// Its first process on the host; 0 when there is none.
    pub pid: i32,
    /// What it ended with.
    pub exit_code: i32,
    /// Why it could not be started.
    #[serde(default)]
    pub error: String,
    /// When it was started last.
    pub started_at: String,
    /// When it ended last.
    pub finished_at: String,
    /// Whether the kernel ended it for want of memory.
    #[serde(rename = "OOMKilled", default)]
    pub oom_killed: bool,
    /// How often its policy has had it started again since somebody started it.
    #[serde(default)]
    pub restart_count: u32,
    /// Whether somebody stopped it on purpose: then `unless-stopped` leaves it down, until it is started again.
    #[serde(default)]
    pub stopped_on_purpose: bool,
    /// How it is, by its health check; none when it has no check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

impl State {
    /// The state of a container that was never started.
    pub fn created() -> State {
        State {
            status: Status::Created,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            started_at: crate::time::ZERO.to_owned(),
            finished_at: crate::time::ZERO.to_owned(),
            oom_killed: false,
            restart_count: 0,
            stopped_on_purpose: false,
            health: None,
        }
    }
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, or made ready, and not started.
    Created,
    /// Its process runs.
    Running,
    /// Its process is frozen.
    Paused,
    /// It ended and will be started again.
    Restarting,
    /// It ended.
    Exited,
    /// It could not be removed whole.
    Dead,
}

impl Status {
    /// Whether the container is up, or about to be again: what `ps` shows without `-a`.
    pub fn is_up(self) -> bool {
        matches!(self, Status::Running | Status::Paused | Status::Restarting)
    }

    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }
}

/// What the health checks have found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    /// How many checks in a row have failed.
    pub failing_streak: u32,
    /// The last five checks, the newest last.
    pub log: Vec<HealthCheck>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    /// When it began.
    pub start: String,
    /// When it ended.
    pub end: String,
    /// 0 is healthy; -1 that it took too long.
    pub exit_code: i32,
    /// What it wrote, the first 4096 bytes.
    pub output: String,
}

/// A held port, in `$CTR_RUN/ID/ports.json`: what `portfwd publish` listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PublishedPort {
    /// The host's address.
    pub host_ip: std::net::IpAddr,
    /// The host's port.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

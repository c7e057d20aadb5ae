//! The two JSON files of a container: what was asked for, and what became of it.
//!
//! The keys are docker's (`docker inspect`), so that whoever knows one file knows the other.

use crate::oci::image::RunConfig;
use crate::paths::ContainerDir;
use crate::{ContainerId, Digest, Layout, publish};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `container.json`: written when the container is made, and hardly ever changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// When it was made.
    pub created: String,
    /// Its name; `names/NAME` is a link here.
    pub name: String,
    /// The image's id.
    pub image: Digest,
    /// The program that runs.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What runs, the image's defaults filled in.
    pub config: Config,
    /// What it may use of the host.
    pub host_config: HostConfig,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// The host name.
    pub hostname: String,
    /// The NIS domain name.
    pub domainname: String,
    /// Whether the client's input goes to the container.
    pub attach_stdin: bool,
    /// Whether the container's output goes to the client that starts it.
    pub attach_stdout: bool,
    /// Its error output likewise.
    pub attach_stderr: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its input stays open without a client.
    pub open_stdin: bool,
    /// Whether its input closes with the first client.
    pub stdin_once: bool,
    /// The image as it was named.
    pub image: String,
    /// The keys of the image's own configuration: user, environment, command, ...
    #[serde(flatten)]
    pub run: RunConfig,
}

/// What it may use of the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `bridge`, `host`, `none`, `container:ID`.
    pub network_mode: String,
    /// Ports to publish, by the container's port: `80/tcp`.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// Whether ports that the image exposes are published at random ports of the host.
    pub publish_all_ports: bool,
    /// Whether its root filesystem cannot be written to.
    pub readonly_rootfs: bool,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// Memory limit in bytes; 0 is none.
    pub memory: i64,
    /// Billionths of a processor; 0 is no limit.
    pub nano_cpus: i64,
    /// Relative weight; 0 is the default.
    pub cpu_shares: u64,
    /// Task limit; 0 is none.
    pub pids_limit: i64,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    /// The host's address; empty is all.
    pub host_ip: String,
    /// The host's port; empty is any free one.
    pub host_port: String,
}

/// `state.json`: only who holds the shim's lock writes it.
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

impl Layout {
    /// The files of a container.
    pub fn container_dir(&self, id: &ContainerId) -> ContainerDir {
        ContainerDir(self.container(id))
    }

    /// The ids of all containers; what is no id is passed over.
    pub fn container_ids(&self) -> Result<Vec<ContainerId>> {
        let dir = self.containers();
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let entry = entry.with_context(|| format!("list {}", dir.display()))?;
            if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Finds a container by name, id or unique prefix of the id, in docker's order: whole id, name, prefix.
    ///
    /// # Errors
    /// `No such container: NAME`, docker's words, when there is none.
    pub fn find_container(&self, wanted: &str) -> Result<ContainerId> {
        let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
        if let Ok(id) = wanted.parse::<ContainerId>()
            && self.container(&id).is_dir()
        {
            return Ok(id);
        }
        if is_name(wanted)
            && let Some(id) = self.id_of_name(wanted)
        {
            return Ok(id);
        }
        let mut matching = Vec::new();
        if !wanted.is_empty() && wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
            matching = self.container_ids()?;
            matching.retain(|id| id.as_str().starts_with(wanted));
        }
        match matching.len() {
            0 => bail!("No such container: {wanted}"),
            1 => Ok(matching.remove(0)),
            _ => bail!("multiple IDs found with provided prefix: {wanted}"),
        }
    }

    /// The container that has a name, if its folder is there.
    pub fn id_of_name(&self, name: &str) -> Option<ContainerId> {
        let target = std::fs::read_link(self.name(name)).ok()?;
        let id: ContainerId = target.file_name()?.to_str()?.parse().ok()?;
        self.container(&id).is_dir().then_some(id)
    }

    /// Reads `container.json`.
    pub fn read_container(&self, id: &ContainerId) -> Result<Container> {
        publish::read_json(&self.container_dir(id).container_json())
    }

    /// Reads `state.json`.
    pub fn read_state(&self, id: &ContainerId) -> Result<State> {
        publish::read_json(&self.container_dir(id).state_json())
    }
}

/// Whether docker would take this as a container's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() >= 2
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for good in ["web", "a1", "my_app-1.2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a", "../x", "-web", "a b", ".hidden"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn containers_are_found_by_id_name_and_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let id: ContainerId = format!("abc{}", "0".repeat(61)).parse().unwrap();
        std::fs::create_dir(layout.container(&id)).unwrap();
        std::os::unix::fs::symlink(format!("../containers/{id}"), layout.name("web")).unwrap();
        for wanted in ["web", "/web", "abc", id.as_str()] {
            assert_eq!(layout.find_container(wanted).unwrap(), id, "{wanted}");
        }
        for wanted in ["", "abd", "we", "../web", ".."] {
            assert!(layout.find_container(wanted).is_err(), "{wanted}");
        }
    }
}

//! The two JSON files of a container: what was asked for, and what became of it.
//!
//! The keys are docker's (`docker inspect`), so that whoever knows one file knows the other.

mod host_config;
mod state;

pub use host_config::*;
pub use state::*;

use crate::oci::image::RunConfig;
use crate::paths::ContainerDir;
use crate::{ContainerId, Digest, Layout, publish};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

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
    /// What is mounted into it.
    #[serde(default)]
    pub mounts: Vec<MountPoint>,
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
    /// Seconds to wait after the first signal, before SIGKILL; docker's 10 when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The keys of the image's own configuration: user, environment, command, ...
    #[serde(flatten)]
    pub run: RunConfig,
}

/// What of the host's, or of a volume's, is mounted where in a container: what came of `-v`, `--mount`, `--volumes-from` and
/// the image's volumes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// `bind` or `volume`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The volume's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The folder or file on the host.
    pub source: String,
    /// Where it is in the container.
    pub destination: String,
    /// What manages the volume: `local`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Its options as they were given: `ro`, `z`, ...
    pub mode: String,
    /// Whether it can be written to.
    #[serde(rename = "RW")]
    pub writable: bool,
    /// `rprivate`, `shared`, ...; empty for a volume.
    pub propagation: String,
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

    /// Reads `state.json`: what is beside it, on another disk, is newer ([`Layout::write_state`]).
    pub fn read_state(&self, id: &ContainerId) -> Result<State> {
        match publish::read_json_if_there(&self.last_state(id))? {
            Some(newer) => Ok(newer),
            None => publish::read_json(&self.container_dir(id).state_json()),
        }
    }

    /// Writes `state.json`. Where that cannot be, because the disk is full, it goes to the run folder until there is room: how a
    /// container ended must not be lost.
    pub fn write_state(&self, id: &ContainerId, state: &State) -> Result<()> {
        let elsewhere = self.last_state(id);
        if let Err(error) = publish::json(self, &self.container_dir(id).state_json(), state) {
            return publish::json_beside(&elsewhere, state).map_err(|_| error);
        }
        match std::fs::remove_file(&elsewhere) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", elsewhere.display()))
            }
            _ => Ok(()),
        }
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

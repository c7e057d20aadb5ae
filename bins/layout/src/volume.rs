//! Volumes: folders that outlive containers.
//!
//! `volumes/NAME/` has two things: `volume.json`, with docker's keys, and `_data`, the files. Nothing counts who uses a volume: a
//! volume is in use exactly while some `container.json` names it.

use crate::container::Container;
use crate::{ContainerId, Layout, publish};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The label that marks a volume that nobody named: it goes with its container (`rm -v`, `run --rm`).
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The one driver that there is.
pub const DRIVER: &str = "local";

/// `volume.json`: what `volume inspect` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// When it was made.
    pub created_at: String,
    /// Always `local`.
    pub driver: String,
    /// Labels; none at all (`null`) when it was made by the way, for a container.
    pub labels: Option<BTreeMap<String, String>>,
    /// Where its files are: `volumes/NAME/_data`.
    pub mountpoint: String,
    /// Its name.
    pub name: String,
    /// What is mounted at `_data` while a container uses it: `type`, `device`, `o` as of mount(8).
    pub options: Option<BTreeMap<String, String>>,
    /// Always `local`.
    pub scope: String,
}

impl Volume {
    /// Whether nobody named it.
    pub fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }

    /// An option for the driver; empty if there is none.
    pub fn option(&self, key: &str) -> &str {
        self.options.as_ref().and_then(|options| options.get(key)).map_or("", String::as_str)
    }

    /// Whether its files come from elsewhere, and have to be mounted.
    pub fn is_mounted(&self) -> bool {
        !self.option("device").is_empty()
    }
}

impl Layout {
    /// Reads `volume.json`.
    ///
    /// # Errors
    /// `No such volume: NAME`, docker's words, when there is none.
    pub fn read_volume(&self, name: &str) -> Result<Volume> {
        if !is_name(name) || !self.volume(name).is_dir() {
            bail!("No such volume: {name}");
        }
        publish::read_json(&self.volume_json(name))
    }

    /// All volumes, by name. What is no volume is passed over.
    pub fn volumes_by_name(&self) -> Result<Vec<Volume>> {
        let listed = || format!("list {}", self.volumes().display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.volumes()).with_context(listed)? {
            let name = entry.with_context(listed)?.file_name();
            // One that is removed at this moment cannot be read, and is none any more.
            found.extend(name.to_str().and_then(|name| self.read_volume(name).ok()));
        }
        found.sort_by(|a: &Volume, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Which containers use which volumes, found by reading every `container.json`.
    ///
    /// # Errors
    /// A container that cannot be read: nobody knows what it uses.
    pub fn volume_users(&self) -> Result<BTreeMap<String, Vec<ContainerId>>> {
        let mut users: BTreeMap<String, Vec<ContainerId>> = BTreeMap::new();
        for id in self.container_ids()? {
            let container: Container = match self.read_container(&id) {
                Ok(container) => container,
                Err(_) if !self.container(&id).is_dir() => continue,
                Err(error) => return Err(error),
            };
            for mount in container.mounts.into_iter().filter(|mount| !mount.name.is_empty()) {
                let list = users.entry(mount.name).or_default();
                if !list.contains(&id) {
                    list.push(id.clone());
                }
            }
        }
        Ok(users)
    }
}

/// Whether docker would take this as a volume's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn is_name(name: &str) -> bool {
    check_name(name).is_ok()
}

/// As [`is_name`], in docker's words.
///
/// # Errors
/// The name is too short, or holds what no name may hold.
pub fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        bail!("volume name is too short, names should be at least two alphanumeric characters");
    }
    if !crate::container::is_name(name) {
        bail!(
            "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are \
             allowed. If you intended to pass a host directory, use absolute path"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_one_whose_folder_and_file_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let volume = Volume {
            created_at: "2026-11-21T04:24:28Z".into(),
            driver: DRIVER.into(),
            labels: None,
            mountpoint: layout.volume_data("data").to_string_lossy().into_owned(),
            name: "data".into(),
            options: None,
            scope: "local".into(),
        };
        std::fs::create_dir_all(layout.volume_data("data")).unwrap();
        std::fs::create_dir_all(layout.volume_data("half")).unwrap();
        publish::json(&layout, &layout.volume_json("data"), &volume).unwrap();
        assert_eq!(layout.volumes_by_name().unwrap(), [volume]);
        for name in ["other", "../volumes/data", "a", ""] {
            assert_eq!(layout.read_volume(name).unwrap_err().to_string(), format!("No such volume: {name}"));
        }
        assert!(layout.volume_users().unwrap().is_empty());
    }
}

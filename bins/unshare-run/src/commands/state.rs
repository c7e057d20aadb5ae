//! `state`: what is known of a container.

use crate::state::{State, StateDir, Status};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A container as the specification wants `state` to print it, and what runc adds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Version of the specification that its configuration follows.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Its first process; 0 when there is none.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// The folder that it was made from.
    pub bundle: PathBuf,
    /// Its root folder on the host.
    pub rootfs: PathBuf,
    /// When it was made.
    pub created: String,
    /// Notes of the configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whose it is.
    pub owner: String,
}

impl View {
    /// The view of a container as it is now.
    pub fn of(dir: &StateDir, state: State) -> View {
        let status = dir.status(&state);
        View {
            oci_version: state.oci_version,
            id: state.id,
            // A number that is no longer the container's is none.
            pid: if status == Status::Stopped { 0 } else { state.pid },
            status,
            bundle: state.bundle,
            rootfs: state.rootfs,
            created: state.created,
            annotations: state.annotations,
            owner: dir.owner(),
        }
    }
}

/// `state ID`.
pub fn state(root: &Path, id: &str) -> Result<String> {
    let what = || format!("state of {id}");
    let dir = StateDir::new(root, id).with_context(what)?;
    let state = dir.state().with_context(what)?;
    serde_json::to_string_pretty(&View::of(&dir, state)).with_context(what)
}

//! The OCI runtime configuration, `config.json`: <https://github.com/opencontainers/runtime-spec/blob/main/config.md>.
//!
//! `ctr` and `imgbuild` write it, `unshare-run` (or a runc in its place) reads it, and `cgset` reads
//! [`Resources`]. Names are the specification's, and so is the order of its pages: the container as a whole here,
//! [`process`], what [`linux`] has, its [`resources`] and its [`seccomp`] filter.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub mod linux;
pub mod process;
pub mod resources;
pub mod seccomp;

pub use linux::*;
pub use process::*;
pub use resources::*;
pub use seccomp::*;

/// The version of the specification that is written.
pub const VERSION: &str = "1.2.0";

/// A container: which root, which process, which view of the machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Version of the specification.
    pub oci_version: String,
    /// The process; a bundle without one can be created but not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The host name, in a UTS namespace of the container's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// The NIS domain name, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// What is mounted into the root, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Programs to run at points of the container's life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Root {
    /// Its folder; a relative path starts at the bundle.
    pub path: PathBuf,
    /// Whether it cannot be written to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
}

/// One mount (config.md "Mounts"). `options` mixes mount flags and the filesystem's own, as mount(8) does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where, as the container sees it.
    pub destination: PathBuf,
    /// Filesystem type; `bind` or nothing with a `bind` option.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Device, or the path to bind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// `ro`, `nosuid`, `mode=755`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// User ids of an idmapped mount: in the files, as seen (mount_setattr(2)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Programs of the host that are run at points of the container's life (config.md "POSIX-platform Hooks").
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated: when the namespaces are there, before `pivot_root`; in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// Right after `prestart`, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// Before `pivot_root`, in the container's namespaces; the program is the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// At `start`, before the program, in the container; the program is the container's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// After the program has been started, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// After the container has been deleted, in the runtime's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One program to run; the container's state is its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hook {
    /// Absolute path.
    pub path: PathBuf,
    /// Its arguments, the first of which is its name; as in execve(2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// `NAME=VALUE`; without this key the environment of whoever runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Seconds after which it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

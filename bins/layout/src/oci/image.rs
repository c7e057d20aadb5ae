//! The OCI image format: <https://github.com/opencontainers/image-spec>.
//!
//! Keys that are not named here are kept (`extra`), so that a document that is read and written again
//! loses nothing.

use crate::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Media type of an image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer: an uncompressed tar.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer: a gzip'd tar.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a layer: a tar compressed with zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker's manifest list, the same thing as [`INDEX`].
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest (schema 2), the same thing as [`MANIFEST`].
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's configuration, the same thing as [`CONFIG`].
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's layer, the same thing as [`LAYER_GZIP`].
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The annotation that names an image in `index.json` (`python:3-slim`); skopeo, umoci and podman read it.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the same name in full (`docker.io/library/python:3-slim`), as containerd writes it.
pub const FULL_NAME: &str = "io.containerd.image.name";
/// The annotation that says which image (by id) a build step started from.
pub const PARENT: &str = "org.ctr.image.parent";
/// The annotation that says under which digests registries know an image: `NAME@DIGEST`, in full, with spaces between. It is
/// the digest that was asked for, which is an index's where there is one for several platforms.
pub const REPO_DIGESTS: &str = "org.ctr.image.repo-digests";

/// A link to content: what, which and how much (descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The platform, in an index of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Notes about it; names are kept here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
            extra: Map::new(),
        }
    }

    /// An annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }
}

/// What a platform-specific image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the processor: `amd64`.
    pub architecture: String,
    /// Go's name of the system: `linux`.
    pub os: String,
    /// The processor's version: `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Platform {
    /// The one that this program was built for.
    pub fn host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None, extra: Map::new() }
    }

    /// Reads what `--platform` takes: `linux/arm64`, `linux/arm/v7`, `arm64`; also the kernel's names of processors.
    ///
    /// # Errors
    /// More than three parts, or an empty one.
    pub fn parse(text: &str) -> anyhow::Result<Platform> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => anyhow::bail!("{text:?} is no platform: write it as linux/amd64 or linux/arm/v7"),
        };
        if parts.iter().any(|part| part.is_empty()) {
            anyhow::bail!("{text:?} is no platform: write it as linux/amd64 or linux/arm/v7");
        }
        let architecture = match architecture {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "i386" | "i686" => "386",
            other => other,
        };
        let variant = variant.filter(|variant| (architecture, *variant) != ("arm64", "v8")).map(str::to_owned);
        Ok(Platform { architecture: architecture.to_owned(), os: os.to_owned(), variant, extra: Map::new() })
    }

    /// Whether an image for `other` is one for this platform. `arm64` and `arm64/v8` are the same.
    pub fn takes(&self, other: &Platform) -> bool {
        let variant =
            |of: &Platform| of.variant.clone().filter(|v| (of.architecture.as_str(), v.as_str()) != ("arm64", "v8"));
        self.os == other.os
            && self.architecture == other.architecture
            && variant(self).is_none_or(|wanted| variant(other) == Some(wanted))
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// `index.json`, or an index of several platforms (image-index.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
    /// Entries of `manifests` that another tool wrote and this one cannot read (a digest of another algorithm, say).
    #[serde(skip)]
    pub foreign: Vec<Value>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests: Vec::new(),
            foreign: Vec::new(),
            extra: Map::new(),
        }
    }
}

impl Index {
    /// Reads an index of which single entries may not be understood: one of them must not hide all others.
    ///
    /// # Errors
    /// What is no index at all, or one of a version that is not known.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Index> {
        let index = match serde_json::from_slice::<Index>(bytes) {
            Ok(index) => index,
            Err(error) => Self::parse_entries(bytes).ok_or(error)?,
        };
        match index.schema_version {
            2 => Ok(index),
            other => anyhow::bail!("it has the schemaVersion {other}, and only 2 is known"),
        }
    }

    /// The slow way: entry by entry. `None` when not only entries are wrong.
    fn parse_entries(bytes: &[u8]) -> Option<Index> {
        let mut whole: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let Some(Value::Array(entries)) = whole.insert("manifests".to_owned(), Value::Array(Vec::new())) else {
            return None;
        };
        let mut index: Index = serde_json::from_value(Value::Object(whole)).ok()?;
        for entry in entries {
            match Descriptor::deserialize(&entry) {
                Ok(descriptor) => index.manifests.push(descriptor),
                Err(_) => index.foreign.push(entry),
            }
        }
        Some(index)
    }

    /// The index as it is written, on one line, with what another tool wrote and this one does not understand.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut value = serde_json::to_value(self)?;
        if let Some(Value::Array(entries)) = value.get_mut("manifests") {
            entries.extend(self.foreign.iter().cloned());
        }
        serde_json::to_vec(&value)
    }

    /// Why an entry of [`Index::foreign`] cannot be read.
    pub fn why_foreign(entry: &Value) -> String {
        match Descriptor::deserialize(entry) {
            Ok(_) => "it can be read".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

/// A manifest: one configuration and its layers (manifest.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image configuration. Its digest is the image id.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An image configuration (config.md): what runs by default, on which layers, and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Go's name of the processor.
    pub architecture: String,
    /// Go's name of the system.
    pub os: String,
    /// The defaults of a container.
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: RunConfig,
    /// The layers by their diff ids.
    pub rootfs: RootFs,
    /// A line a build step; those that made no layer say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub history: Vec<History>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ImageConfig {
    /// What it says that it is for. The variant is a key of its own beside the architecture.
    pub fn platform(&self) -> Platform {
        let variant = self.extra.get("variant").and_then(Value::as_str).filter(|variant| !variant.is_empty());
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: variant.map(str::to_owned),
            extra: Map::new(),
        }
    }
}

/// What a container of this image runs unless told otherwise. Docker's keys beyond the specification
/// (Healthcheck, OnBuild, Shell) are kept too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// `USER[:GROUP]`; empty is root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports that the program listens on: `80/tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    /// `NAME=VALUE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// What always runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its default arguments, or the program when there is no entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Folders that are volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Value>>,
    /// The folder that it starts in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that `stop` sends.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed tars, lowest first.
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// One step of how an image came to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A note: `Imported from -`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step changed nothing but the configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// Go writes empty slices and missing objects as `null`.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

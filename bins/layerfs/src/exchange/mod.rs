//! Images in archives: how they travel without a registry.
//!
//! There are two forms. Docker's (`docker save`) has a `manifest.json` that names for each image a configuration, its layers
//! and its names. The OCI's is an image layout in a tar: `index.json`, and blobs under their digests. What `save`
//! writes is both at once, as docker has done since version 25; `load` reads either.

pub mod export;
pub mod load;
pub mod output_file;
pub mod save;

mod docker_archive;
mod oci_archive;
mod stage;
mod verify;

use layout::Digest;
use layout::Reference;
use layout::oci::image::Descriptor;
use serde::{Deserialize, Serialize};

/// Where an OCI image layout says that it is one.
pub const OCI_LAYOUT: &str = "oci-layout";
/// Where it lists its images.
pub const INDEX_JSON: &str = "index.json";
/// Where docker lists them.
pub const MANIFEST_JSON: &str = "manifest.json";

/// One image in docker's `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerEntry {
    /// The configuration's place in the archive.
    pub config: String,
    /// Its names, with tags.
    pub repo_tags: Option<Vec<String>>,
    /// The layers' places, lowest first. Each may be compressed or not.
    pub layers: Vec<String>,
    /// The id of the image that it was built on, if that is in the archive too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
}

/// The place of a blob in an image layout.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// An image that was found in an archive, by the numbers of its files there; nothing is verified but its documents.
#[derive(Debug)]
struct Found {
    /// The configuration, whose digest is the image's id.
    config: stage::FileId,
    /// The manifest, where there is one in the archive.
    manifest: Option<(Descriptor, stage::FileId)>,
    /// The layers, lowest first, and what the manifest says of them.
    layers: Vec<(stage::FileId, Option<Descriptor>)>,
    /// Names to give it.
    names: Vec<Reference>,
    /// The image that it was built on.
    parent: Option<Digest>,
}

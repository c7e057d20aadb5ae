//! `registries.json`: which registries are mirrors, and which need not be secure. The keys are those of docker's `daemon.json`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a registry may say nothing, when nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to speak to registries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of `registries.json` and `certs.d`.
    pub folder: PathBuf,
    /// Registries that may speak http, or https with a certificate that nobody vouches for: `HOST`, `HOST:PORT` or a range
    /// of addresses.
    pub insecure: Vec<String>,
    /// Whom to ask before docker.io, as URLs.
    pub mirrors: Vec<String>,
    /// How many blobs come at once.
    pub max_downloads: usize,
    /// How many blobs go at once.
    pub max_uploads: usize,
    /// How long a registry may say nothing: `$CTR_REGISTRY_TIMEOUT`, in seconds.
    pub patience: Duration,
}

/// The file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    insecure_registries: Vec<String>,
    registry_mirrors: Vec<String>,
    max_concurrent_downloads: Option<usize>,
    max_concurrent_uploads: Option<usize>,
}

impl Settings {
    /// Reads `registries.json` in `folder`. There need not be one.
    ///
    /// # Errors
    /// A file that is not of this form, with line and column; a mirror that is no URL.
    pub fn load(folder: &Path) -> Result<Settings> {
        let path = folder.join("registries.json");
        let file = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        for mirror in &file.registry_mirrors {
            if !mirror.starts_with("https://") && !mirror.starts_with("http://") {
                bail!("read {}: the mirror {mirror:?} is no URL: it begins with https:// or http://", path.display());
            }
        }
        Ok(Settings {
            folder: folder.to_owned(),
            insecure: file.insecure_registries,
            mirrors: file.registry_mirrors,
            max_downloads: file.max_concurrent_downloads.unwrap_or(3).max(1),
            max_uploads: file.max_concurrent_uploads.unwrap_or(5).max(1),
            patience: patience()?,
        })
    }
}

fn patience() -> Result<Duration> {
    match std::env::var("CTR_REGISTRY_TIMEOUT") {
        Err(_) => Ok(PATIENCE),
        Ok(text) => match text.parse() {
            Ok(seconds @ 1..=86400) => Ok(Duration::from_secs(seconds)),
            _ => bail!("CTR_REGISTRY_TIMEOUT is {text:?}: it must be a number of seconds, at least 1"),
        },
    }
}

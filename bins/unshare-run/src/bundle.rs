//! Reading an OCI bundle: a folder with `config.json` and, usually, the root filesystem.

use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Process, Spec};
use std::path::{Path, PathBuf};

/// The bundle's folder, absolute, and its configuration.
pub fn read(bundle: &Path) -> Result<(PathBuf, Spec)> {
    let dir = bundle.canonicalize().with_context(|| format!("open bundle {}", bundle.display()))?;
    let spec: Spec = layout::publish::read_json(&dir.join("config.json"))?;
    if spec.root.is_none() {
        bail!("{}: root: a bundle must have one", dir.join("config.json").display());
    }
    Ok((dir, spec))
}

/// Reads a process, for `exec --process`.
pub fn read_process(file: &Path) -> Result<Process> {
    layout::publish::read_json(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_configuration_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let error = |text: &str| {
            std::fs::write(dir.path().join("config.json"), text).unwrap();
            format!("{:#}", read(dir.path()).unwrap_err())
        };
        assert!(
            error("{\n\"ociVersion\": 1}")
                .contains("config.json: invalid type: integer `1`, expected a string at line 2")
        );
        assert!(error("{\"ociVersion\": \"1.0.0\"}").contains("root: a bundle must have one"));
        assert!(format!("{:#}", read(&dir.path().join("no")).unwrap_err()).starts_with("open bundle"));
    }
}

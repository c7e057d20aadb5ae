//! Reading an OCI bundle: a folder with `config.json` and, usually, the root filesystem.

use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Process, Spec};
use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A configuration is some kilobytes. What is far beyond that is none, and is not read to its end.
const MAX_BYTES: u64 = 16 << 20;

/// The bundle's folder, absolute, and its configuration.
pub fn read(bundle: &Path) -> Result<(PathBuf, Spec)> {
    let dir = bundle.canonicalize().with_context(|| format!("open bundle {}", bundle.display()))?;
    let file = dir.join("config.json");
    let mut spec: Spec = read_config(&file).with_context(|| format!("read {}", file.display()))?;
    if spec.root.is_none() {
        bail!("{}: root: a bundle must have one", file.display());
    }
    // Old tools leave out the first slash: config.md "Mounts".
    for mount in spec.mounts.iter_mut().filter(|mount| !mount.destination.as_os_str().is_empty()) {
        mount.destination = Path::new("/").join(&mount.destination);
    }
    Ok((dir, spec))
}

/// Reads a process, for `exec --process`.
pub fn read_process(file: &Path) -> Result<Process> {
    read_json(file)
}

/// Reads a file that the caller chose; it may be a pipe: `--process <(...)`.
pub fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T> {
    File::open(file)
        .context("open it")
        .and_then(|opened| parse(&opened))
        .with_context(|| format!("read {}", file.display()))
}

/// Reads standard input, whatever that is: a machine need not have a `/dev/stdin`.
pub fn read_stdin<T: DeserializeOwned>() -> Result<T> {
    let stdin = rustix::stdio::stdin().try_clone_to_owned().context("open standard input")?;
    parse(&File::from(stdin)).context("read standard input")
}

/// Reads a file of a folder that may be anybody's: a pipe that nobody writes to would keep us for ever.
fn read_config(file: &Path) -> Result<Spec> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = File::from(rustix::fs::open(file, flags, Mode::empty())?);
    if !opened.metadata()?.is_file() {
        bail!("it is no regular file");
    }
    parse(&opened)
}

fn parse<T: DeserializeOwned>(file: &File) -> Result<T> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("it has more than {} MiB", MAX_BYTES >> 20);
    }
    // Programs in Go write `null` for an empty list: that is as if the key were not there. Most files have none; and the
    // first error is the one that tells where.
    let error = match serde_json::from_slice(&bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let without = serde_json::from_slice(&bytes).ok().map(strip_nulls);
    without.and_then(|value| serde_json::from_value(value).ok()).ok_or_else(|| error.into())
}

fn strip_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, field)| !field.is_null())
            .map(|(name, field)| (name, strip_nulls(field)))
            .collect(),
        Value::Array(items) => items.into_iter().map(strip_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.json");
        let error = || format!("{:#}", read(dir.path()).unwrap_err());
        std::os::unix::fs::symlink("/dev/zero", &config).unwrap();
        assert!(error().contains("no regular file"), "{}", error());
        std::fs::remove_file(&config).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &config, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(error().contains("no regular file"), "{}", error());
        std::fs::remove_file(&config).unwrap();
        File::create(&config).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(error().contains("more than 16 MiB"), "{}", error());
    }

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

    #[test]
    fn null_is_nothing_and_the_first_error_is_the_one_told() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(dir.path().join("config.json"), text).unwrap();
            read(dir.path()).map(|(_, spec)| spec)
        };
        let spec = read(
            r#"{"ociVersion": "1.2.0", "root": {"path": "r", "readonly": null}, "mounts": null, "hostname": null,
                "process": {"cwd": "/", "args": null, "env": null, "user": {"uid": 0, "gid": 0, "additionalGids": null}, "rlimits": null},
                "linux": {"namespaces": null, "sysctl": null, "resources": {"devices": null, "memory": null}}}"#,
        );
        assert!(spec.unwrap().mounts.is_empty());
        let twice = read(r#"{"ociVersion": "1.0.0", "ociVersion": "1.2.0", "root": {"path": "r"}}"#).unwrap();
        assert_eq!(twice.oci_version, "1.2.0", "as Go reads it, the last one counts");
        let error =
            format!("{:#}", read("{\"ociVersion\": \"1.2.0\",\n\"mounts\": null, \"hostname\": 7}").unwrap_err());
        assert!(error.contains("at line 2"), "{error}");
    }
}

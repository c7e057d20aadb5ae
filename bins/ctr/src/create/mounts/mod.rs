//! What is mounted into a container: `-v`, `--mount`, `--volumes-from`, `--tmpfs` and the image's volumes become a list of
//! mount points, in docker's order and with docker's refusals.
//!
//! | file | what it reads |
//! | --- | --- |
//! | [`bind`] | `-v` |
//! | [`option`] | `--mount` |
//! | [`tmpfs`] | `--tmpfs` |
//! | [`fill`] | the steps that make volumes, and copy into new ones what the image has there |

pub mod bind;
pub mod fill;
pub mod option;
pub mod tmpfs;

use crate::volume;
use anyhow::{Result, bail};
use layout::container::{Config, HostConfig, MountPoint, MountRequest};
use layout::volume::DRIVER;
use layout::{Layout, id};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

/// A mount point, and what it needs before the container can be made.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What `container.json` says of it.
    pub point: MountPoint,
    /// Whether the volume's name was drawn at random.
    pub anonymous: bool,
    /// Whether a volume that is empty gets what the image has there.
    pub copy: bool,
    /// Labels of a new volume.
    pub labels: BTreeMap<String, String>,
    /// Options of a new volume.
    pub options: BTreeMap<String, String>,
}

/// All that is mounted into a container, one for each destination.
///
/// # Errors
/// Docker's words for what cannot be mounted.
pub fn resolve(layout: &Layout, config: &Config, host: &HostConfig) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for from in host.volumes_from.iter().flatten() {
        for point in volumes_of(layout, from)? {
            put(&mut wanted, Wanted { point, ..Wanted::default() });
        }
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for text in host.binds.iter().flatten() {
        let request = bind::parse(text)?;
        let destination = clean(&request.request.target);
        if taken.contains(&destination) || host.tmpfs.contains_key(&destination) {
            bail!("Duplicate mount point: {destination}");
        }
        let mut mount = want(layout, &request.request, &host.volume_driver)?;
        if !request.mode.is_empty() {
            mount.point.mode = request.mode;
        }
        taken.insert(destination);
        put(&mut wanted, mount);
    }
    for request in &host.mounts {
        option::check(request)?;
        let destination = clean(&request.target);
        if !taken.insert(destination.clone()) {
            bail!("Duplicate mount point: {destination}");
        }
        let driver = request.volume_options.as_ref().and_then(|volume| volume.driver_config.as_ref());
        put(&mut wanted, want(layout, request, driver.map_or("", |driver| &driver.name))?);
    }
    for destination in config.run.volumes.iter().flatten().map(|(destination, _)| clean(destination)) {
        if !wanted.iter().any(|mount| mount.point.destination == destination) {
            let request = MountRequest { kind: "volume".into(), target: destination, ..MountRequest::default() };
            let mut mount = want(layout, &request, &host.volume_driver)?;
            mount.point.mode.clear();
            wanted.push(mount);
        }
    }
    Ok(wanted)
}

/// A later mount at the same destination replaces what comes from another container.
fn put(wanted: &mut Vec<Wanted>, mount: Wanted) {
    wanted.retain(|other| other.point.destination != mount.point.destination);
    wanted.push(mount);
}

fn want(layout: &Layout, request: &MountRequest, driver: &str) -> Result<Wanted> {
    let point = MountPoint {
        kind: request.kind.clone(),
        destination: clean(&request.target),
        writable: !request.read_only,
        ..MountPoint::default()
    };
    match request.kind.as_str() {
        "volume" => want_volume(layout, request, driver, point),
        "bind" => {
            let propagation = request.bind_options.as_ref().map_or("", |bind| &bind.propagation);
            let propagation = if propagation.is_empty() { "rprivate" } else { propagation };
            let point = MountPoint { source: clean(&request.source), propagation: propagation.to_owned(), ..point };
            Ok(Wanted { point, ..Wanted::default() })
        }
        _ => Ok(Wanted { point, ..Wanted::default() }),
    }
}

fn want_volume(layout: &Layout, request: &MountRequest, driver: &str, point: MountPoint) -> Result<Wanted> {
    let anonymous = request.source.is_empty();
    let name = if anonymous { id::random_hex(32)? } else { request.source.clone() };
    let failed = |error: anyhow::Error| anyhow::anyhow!("create {name}: {error}");
    volume::check_driver(driver).map_err(failed)?;
    layout::volume::check_name(&name).map_err(failed)?;
    let special = request.volume_options.clone().unwrap_or_default();
    let options = special.driver_config.map(|driver| driver.options).unwrap_or_default();
    volume::local::check(&options).map_err(failed)?;
    let point = MountPoint {
        source: layout.volume_data(&name).to_string_lossy().into_owned(),
        driver: DRIVER.to_owned(),
        // Docker's word where none was given: the label of files that several containers share.
        mode: "z".to_owned(),
        name,
        ..point
    };
    Ok(Wanted { point, anonymous, copy: !special.no_copy, labels: special.labels, options })
}

/// What a container that `--volumes-from` names has mounted.
fn volumes_of(layout: &Layout, text: &str) -> Result<Vec<MountPoint>> {
    if text.is_empty() {
        bail!("volumes-from specification cannot be an empty string");
    }
    let (name, mode) = text.split_once(':').unwrap_or((text, ""));
    let mode = bind::Mode::parse(mode)?;
    if mode.propagation.is_some() || mode.no_copy {
        bail!("invalid mode: {}", mode.text);
    }
    let container = layout.read_container(&layout.find_container(name)?)?;
    let inherited =
        |point: MountPoint| MountPoint { writable: point.writable && !mode.read_only, mode: String::new(), ..point };
    Ok(container.mounts.into_iter().map(inherited).collect())
}

/// A path without `.`, `..` and double slashes, as docker cleans it.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(host: HostConfig, volumes: &[&str]) -> Result<Vec<Wanted>> {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let mut config = Config::default();
        config.run.volumes = Some(volumes.iter().map(|v| ((*v).to_owned(), serde_json::json!({}))).collect());
        resolve(&layout, &config, &host)
    }

    fn binds(binds: &[&str]) -> HostConfig {
        HostConfig { binds: Some(binds.iter().map(|b| (*b).to_owned()).collect()), ..HostConfig::default() }
    }

    #[test]
    fn a_destination_is_taken_once_and_an_image_s_volume_gives_way() {
        let error = |host: HostConfig| resolved(host, &[]).unwrap_err().to_string();
        assert_eq!(error(binds(&["/a:/x", "data:/x/"])), "Duplicate mount point: /x");
        let mut with_tmpfs = binds(&["/a:/x"]);
        with_tmpfs.tmpfs.insert("/x".into(), String::new());
        assert_eq!(error(with_tmpfs), "Duplicate mount point: /x");
        let all = resolved(binds(&["data:/x:ro", "/h:/b"]), &["/x", "/own"]).unwrap();
        let shown: Vec<_> =
            all.iter().map(|m| (m.point.kind.as_str(), m.point.destination.as_str(), m.anonymous)).collect();
        assert_eq!(shown, [("volume", "/x", false), ("bind", "/b", false), ("volume", "/own", true)]);
        assert_eq!((all[0].point.mode.as_str(), all[0].point.writable), ("ro", false));
        assert_eq!((all[1].point.propagation.as_str(), all[1].point.mode.as_str()), ("rprivate", ""));
        assert_eq!(all[2].point.name.len(), 64);
    }

    #[test]
    fn paths_are_cleaned() {
        assert_eq!((clean("/a/../b//c/."), clean("/"), clean("/../x")), ("/b/c".into(), "/".into(), "/x".into()));
    }
}

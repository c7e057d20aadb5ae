//! What is mounted into the root.
//!
//! What the user asks for replaces what every container has at the same place; and all is mounted in the order of its depth,
//! so that nothing is hidden by a folder above it.

use super::namespaces;
use crate::create::mounts::tmpfs;
use anyhow::{Context, Result, bail};
use layout::Layout;
use layout::container::{Container, MountPoint};
use layout::oci::runtime::{Mount, Spec};
use std::fs;
use std::path::{Path, PathBuf};

/// Sets the mounts.
pub fn set(spec: &mut Spec, layout: &Layout, container: &Container) -> Result<()> {
    let host = &container.host_config;
    let own = own_mounts(container)?;
    let is_taken = |place: &Path| own.iter().any(|mount| mount.destination == place);
    let dev_is_taken = is_taken(Path::new("/dev"));
    spec.mounts
        .retain(|mount| !(is_taken(&mount.destination) || dev_is_taken && mount.destination.starts_with("/dev")));
    for mount in spec.mounts.iter_mut().filter(|mount| mount.destination == Path::new("/dev/shm") && host.shm_size > 0)
    {
        mount.options.retain(|option| !option.starts_with("size="));
        mount.options.push(format!("size={}", host.shm_size));
    }
    // Who shares a network shares its names too.
    let network = namespaces::network_of(layout, &container.host_config)?;
    let dir = layout.container_dir(network.as_ref().unwrap_or(&container.id));
    for (source, destination) in
        [(dir.resolv_conf(), "/etc/resolv.conf"), (dir.hostname(), "/etc/hostname"), (dir.hosts(), "/etc/hosts")]
    {
        if !is_taken(Path::new(destination)) {
            let mut mount = bind(&source, destination, "rbind", "rprivate");
            mount.options.extend(host.readonly_rootfs.then(|| "ro".to_owned()));
            spec.mounts.push(mount);
        }
    }
    spec.mounts.extend(own);
    // Stable: what is as deep stays in the order above.
    spec.mounts.sort_by_key(|mount| mount.destination.components().count());
    if let Some(root) = &mut spec.root {
        root.readonly = host.readonly_rootfs;
    }
    if let Some(propagation) = root_propagation(&container.mounts)? {
        spec.linux.get_or_insert_default().rootfs_propagation = propagation.to_owned();
    }
    Ok(())
}

/// What the container's own options mount.
fn own_mounts(container: &Container) -> Result<Vec<Mount>> {
    let host = &container.host_config;
    let mut mounts = Vec::new();
    for (destination, options) in &host.tmpfs {
        mounts.push(memory(destination, tmpfs::options_of(options)?));
    }
    // One at the same place hides it.
    for point in container.mounts.iter().filter(|point| !host.tmpfs.contains_key(&point.destination)) {
        let request = host.mounts.iter().find(|mount| mount.target == point.destination);
        let mut mount = match point.kind.as_str() {
            "tmpfs" => {
                let wanted = request.and_then(|mount| mount.tmpfs_options.clone()).unwrap_or_default();
                let mut options = tmpfs::options_of("")?;
                options.extend((wanted.size_bytes > 0).then(|| format!("size={}", wanted.size_bytes)));
                options.extend((wanted.mode > 0).then(|| format!("mode={:o}", wanted.mode)));
                memory(&point.destination, options)
            }
            _ => {
                let flat = request.and_then(|mount| mount.bind_options.as_ref()).is_some_and(|bind| bind.non_recursive);
                let how = if flat { "bind" } else { "rbind" };
                let propagation = if point.propagation.is_empty() { "rprivate" } else { &point.propagation };
                bind(Path::new(&point.source), &point.destination, how, propagation)
            }
        };
        if !point.writable {
            mount.options.push("ro".to_owned());
        }
        mounts.push(mount);
    }
    Ok(mounts)
}

fn memory(destination: &str, options: Vec<String>) -> Mount {
    Mount {
        destination: destination.into(),
        kind: "tmpfs".to_owned(),
        source: "tmpfs".to_owned(),
        options,
        ..Mount::default()
    }
}

fn bind(source: &Path, destination: &str, how: &str, propagation: &str) -> Mount {
    Mount {
        destination: destination.into(),
        kind: "bind".to_owned(),
        source: source.to_string_lossy().into_owned(),
        options: vec![how.to_owned(), propagation.to_owned()],
        ..Mount::default()
    }
}

/// What the root has to be for mounts to pass between the host and a bind that wants that, in both directions (`shared`) or in
/// one (`slave`): what is cut off from the host at the root cannot be joined again below it.
///
/// # Errors
/// The host keeps the source's mounts to itself.
fn root_propagation(points: &[MountPoint]) -> Result<Option<&'static str>> {
    let mut wanted = None;
    for point in points.iter().filter(|point| point.kind == "bind") {
        let (needed, root) = match point.propagation.trim_start_matches('r') {
            "shared" => (["shared:", "shared:"], "shared"),
            "slave" => (["shared:", "master:"], "rslave"),
            _ => continue,
        };
        let (mount, tags) = mount_of(Path::new(&point.source))?;
        if !tags.iter().any(|tag| needed.iter().any(|needed| tag.starts_with(needed))) {
            let kind = if root == "shared" { "a shared" } else { "a shared or slave" };
            bail!("path {} is mounted on {} but it is not {kind} mount", point.source, mount.display());
        }
        if wanted != Some("shared") {
            wanted = Some(root);
        }
    }
    Ok(wanted)
}

/// The mount that a path is in, and what it says of its propagation (proc_pid_mountinfo(5)).
fn mount_of(path: &Path) -> Result<(PathBuf, Vec<String>)> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut best: Option<(PathBuf, Vec<String>)> = None;
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let Some(target) = fields.get(4).map(|target| PathBuf::from(target.replace("\\040", " "))) else { continue };
        let tags = fields[6.min(fields.len())..].iter().take_while(|field| **field != "-");
        // Of several on one place the last one is seen.
        if path.starts_with(&target) && best.as_ref().is_none_or(|(known, _)| target.starts_with(known)) {
            best = Some((target, tags.map(|tag| (*tag).to_owned()).collect()));
        }
    }
    best.with_context(|| format!("find the mount of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_all_is_in_a_mount() {
        let (mount, _) = mount_of(Path::new("/proc/self")).unwrap();
        assert!(mount.starts_with("/"), "{}", mount.display());
    }
}

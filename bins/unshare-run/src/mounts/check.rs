//! What the configuration says of root, mounts and devices, checked before anything is done.

use super::options::{MountOptions, Propagation};
use crate::namespaces::Namespaces;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Device, Linux, Mount, NamespaceKind, Spec};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Checks root, mounts, devices, masked and read-only paths.
pub fn check(spec: &Spec, linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    if spec.root.is_some() && !namespaces.has(NamespaceKind::Mount) {
        bail!("root: a root of its own needs a mount namespace of its own (by hand: --mount)");
    }
    let needs_root = [
        ("mounts", !spec.mounts.is_empty()),
        ("linux.devices", !linux.devices.is_empty()),
        ("linux.maskedPaths", !linux.masked_paths.is_empty()),
        ("linux.readonlyPaths", !linux.readonly_paths.is_empty()),
    ];
    if let Some((key, _)) = needs_root.iter().find(|(_, given)| *given && spec.root.is_none()) {
        bail!("{key}: it needs a root, and root.path is not set");
    }
    if spec.root.as_ref().is_some_and(|root| matches!(root.path.as_os_str().as_bytes(), b"" | b"/")) {
        bail!("root.path: it must be a folder of the container's own");
    }
    for (key, paths) in [("maskedPaths", &linux.masked_paths), ("readonlyPaths", &linux.readonly_paths)] {
        if let Some(path) = paths.iter().find(|path| !Path::new(path).is_absolute()) {
            bail!("linux.{key} {path:?}: it must be an absolute path");
        }
    }
    if !linux.rootfs_propagation.is_empty() && Propagation::parse(&linux.rootfs_propagation).is_none() {
        bail!(
            "linux.rootfsPropagation {:?}: it is none of shared, slave, private, unbindable (with or without r)",
            linux.rootfs_propagation
        );
    }
    for mount in &spec.mounts {
        check_mount(mount, linux, namespaces).with_context(|| format!("mounts {}", mount.destination.display()))?;
    }
    for device in &linux.devices {
        check_device(device).with_context(|| format!("linux.devices {:?}", device.path.display()))?;
    }
    Ok(())
}

fn check_mount(mount: &Mount, linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    if !mount.destination.is_absolute() {
        bail!("the destination must be an absolute path");
    }
    let options = MountOptions::parse(&mount.options)?;
    let bind = options.bind.is_some() || mount.kind == "bind";
    if mount.kind.is_empty() && !bind && !options.remount {
        bail!("it has no type, and is no bind");
    }
    if bind && !options.remount && mount.source.is_empty() {
        bail!("a bind needs a source");
    }
    if options.copy_up && mount.kind != "tmpfs" {
        bail!("option tmpcopyup is for type tmpfs");
    }
    let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    if mapped && (mount.uid_mappings.is_empty() || mount.gid_mappings.is_empty()) {
        bail!("uidMappings and gidMappings go together");
    }
    if (mapped || options.idmap.is_some()) && !bind {
        bail!("only binds can be idmapped");
    }
    if options.idmap.is_some() && !mapped && !namespaces.has(NamespaceKind::User) {
        bail!("option idmap needs uidMappings and gidMappings, or a user namespace to take them from");
    }
    if options.idmap.is_some()
        && !mapped
        && linux.uid_mappings.is_empty()
        && namespaces.path(NamespaceKind::User).is_none()
    {
        bail!("option idmap: the user namespace has no mappings");
    }
    Ok(())
}

fn check_device(device: &Device) -> Result<()> {
    if !device.path.is_absolute() || device.path.file_name().is_none() {
        bail!("it must be the absolute path of a file");
    }
    if !matches!(device.kind.as_str(), "c" | "b" | "u" | "p") {
        bail!("{:?} is no kind of device (c, u, b or p)", device.kind);
    }
    let fits = |number: i64, bits: u32| number >= 0 && number < 1 << bits;
    // The kernel has 12 bits for the major number and 20 for the minor one (makedev(3)).
    if device.kind != "p" && !(fits(device.major, 12) && fits(device.minor, 20)) {
        bail!("there can be no device {}:{}", device.major, device.minor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdict(change: impl FnOnce(&mut Value)) -> Result<()> {
        let spec = crate::validate::defaults_but(change);
        check(&spec, &spec.linux.clone().unwrap_or_default(), &Namespaces::of(&spec))
    }

    #[test]
    fn what_cannot_be_mounted_is_refused_by_name() {
        verdict(|_| {}).unwrap();
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 14] = [
            ("container's own", |spec| spec["root"]["path"] = json!("")),
            ("readonlyPaths \"etc\"", |spec| spec["linux"]["readonlyPaths"] = json!(["/etc", "etc"])),
            ("absolute", |spec| spec["mounts"][0]["destination"] = json!("proc")),
            ("mount namespace", |spec| spec["linux"]["namespaces"] = json!([])),
            ("no type", |spec| spec["mounts"][0]["type"] = json!("")),
            ("needs a source", |spec| spec["mounts"][0] = json!({"destination": "/x", "options": ["bind"]})),
            ("tmpcopyup", |spec| spec["mounts"][0]["options"] = json!(["tmpcopyup"])),
            ("go together", |spec| {
                spec["mounts"][0]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}])
            }),
            ("only binds", |spec| spec["mounts"][0]["options"] = json!(["ridmap"])),
            ("to take them from", |spec| {
                spec["mounts"][0] = json!({"destination": "/x", "source": "/", "options": ["bind", "idmap"]})
            }),
            ("rootfsPropagation \"x\"", |spec| spec["linux"]["rootfsPropagation"] = json!("x")),
            ("no kind", |spec| spec["linux"]["devices"] = json!([{"path": "/dev/x", "type": "x"}])),
            ("no device 4096:1", |spec| {
                spec["linux"]["devices"] = json!([{"path": "/dev/x", "type": "c", "major": 4096, "minor": 1}])
            }),
            ("path of a file", |spec| spec["linux"]["devices"] = json!([{"path": "dev/x", "type": "p"}])),
        ];
        for (words, change) in cases {
            let error = format!("{:#}", verdict(change).expect_err(words));
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

//! Devices of the host: nodes in the container's `/dev`, and lines in its device list, without which a node is good for
//! nothing (kernel: cgroup-v1/devices.rst).

use anyhow::{Result, bail};
use layout::container::{Container, DeviceMapping};
use layout::oci::runtime::{Device, DeviceRule, Linux};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What in the host's `/dev` is no device, or every container's own.
const NOT_FROM_HOST: [&str; 9] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx"];

/// Sets the devices and the list.
pub fn set(linux: &mut Linux, container: &Container) -> Result<()> {
    let host = &container.host_config;
    let rules = &mut linux.resources.get_or_insert_default().devices;
    if host.privileged {
        let all = DeviceRule { allow: true, kind: None, major: None, minor: None, access: Some("rwm".to_owned()) };
        *rules = vec![all];
        walk(Path::new("/dev"), Path::new("/dev"), &NOT_FROM_HOST, &mut linux.devices);
    }
    for mapping in &host.devices {
        // A privileged container has them all under the host's names.
        if host.privileged && mapping.path_on_host == mapping.path_in_container {
            continue;
        }
        let found = of_path(mapping)?;
        if !host.privileged {
            rules.extend(found.iter().map(|device| rule(device, &mapping.cgroup_permissions)));
        }
        linux.devices.extend(found);
    }
    if !host.privileged {
        rules.extend(host.device_cgroup_rules.iter().flatten().filter_map(|line| parse_rule(line)));
    }
    Ok(())
}

/// A device, or all devices in a folder.
fn of_path(mapping: &DeviceMapping) -> Result<Vec<Device>> {
    let (from, to) = (&mapping.path_on_host, Path::new(&mapping.path_in_container));
    let what = format!("error gathering device information while adding custom device \"{from}\"");
    let from = match Path::new(from).canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("{what}: no such file or directory"),
        Err(error) => bail!("{what}: {error}"),
    };
    let mut found = Vec::new();
    match node(&from, to) {
        Some(device) => found.push(device),
        None => walk(&from, to, &[], &mut found),
    }
    if found.is_empty() {
        bail!("{what}: not a device node");
    }
    Ok(found)
}

/// The devices in a folder. What cannot be read is passed over: it is no device for us.
fn walk(from: &Path, to: &Path, except: &[&str], found: &mut Vec<Device>) {
    let mut entries: Vec<_> = std::fs::read_dir(from).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if except.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, &place, except, found),
            Ok(kind) if kind.is_char_device() || kind.is_block_device() => found.extend(node(&path, &place)),
            _ => {}
        }
    }
}

/// A file of the host as a device at another place, if it is one.
pub fn node(from: &Path, to: &Path) -> Option<Device> {
    let stat = std::fs::symlink_metadata(from).ok()?;
    let kind = match stat.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    Some(Device {
        path: PathBuf::from(to),
        kind: kind.to_owned(),
        major: rustix::fs::major(stat.rdev()).into(),
        minor: rustix::fs::minor(stat.rdev()).into(),
        file_mode: Some(stat.mode() & 0o777),
        uid: Some(stat.uid()),
        gid: Some(stat.gid()),
    })
}

/// The line that allows a device.
pub fn rule(device: &Device, access: &str) -> DeviceRule {
    DeviceRule {
        allow: true,
        kind: Some(device.kind.clone()),
        major: Some(device.major),
        minor: Some(device.minor),
        access: Some(access.to_owned()),
    }
}

/// Reads `c 42:* rmw`; `create` has made sure that it is one.
fn parse_rule(line: &str) -> Option<DeviceRule> {
    let mut words = line.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    Some(DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major: number(major)?,
        minor: number(minor)?,
        access: Some(access.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(from: &str, to: &str) -> DeviceMapping {
        DeviceMapping {
            path_on_host: from.to_owned(),
            path_in_container: to.to_owned(),
            cgroup_permissions: "r".to_owned(),
        }
    }

    #[test]
    fn a_device_is_found_by_its_file_and_a_folder_has_several() {
        let found = of_path(&mapping("/dev/null", "/dev/nothing")).unwrap();
        assert_eq!((found[0].path.as_path(), found[0].major, found[0].minor), (Path::new("/dev/nothing"), 1, 3));
        assert_eq!(rule(&found[0], "r").access.as_deref(), Some("r"));
        let said = |from| of_path(&mapping(from, from)).unwrap_err().to_string();
        assert!(said("/dev/nope").ends_with("custom device \"/dev/nope\": no such file or directory"));
        assert!(said("/etc/passwd").ends_with("not a device node"));
        let mut all = Vec::new();
        walk(Path::new("/dev"), Path::new("/d"), &NOT_FROM_HOST, &mut all);
        assert!(all.iter().any(|device| device.path == Path::new("/d/null")));
        assert!(!all.iter().any(|device| device.path.starts_with("/d/pts")));
    }

    #[test]
    fn rules_are_read() {
        let rule = parse_rule("c 42:* rmw").unwrap();
        assert_eq!((rule.kind.as_deref(), rule.major, rule.minor), (Some("c"), Some(42), None));
    }
}

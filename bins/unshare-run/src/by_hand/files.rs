//! The root folder and what is mounted in it.

use super::{Caller, has};
use crate::cli::FileFlags;
use anyhow::{Result, bail};
use layout::oci::runtime::{Linux, Mount, NamespaceKind, Root, Spec};
use std::path::{Path, PathBuf};

/// Sets root and mounts. The default mounts are cut down to what these namespaces allow.
pub fn set(spec: &mut Spec, linux: &mut Linux, flags: &FileFlags, caller: &Caller) -> Result<()> {
    let Some(rootfs) = &flags.rootfs else { return Ok(()) };
    spec.root = Some(Root { path: caller.cwd.join(rootfs), readonly: flags.read_only });
    spec.mounts = std::mem::take(&mut spec.mounts).into_iter().filter_map(|mount| fit(mount, linux)).collect();
    for text in &flags.bind {
        spec.mounts.push(parse_bind(text, &caller.cwd)?);
    }
    for text in &flags.tmpfs {
        spec.mounts.push(parse_tmpfs(text)?);
    }
    if flags.unmasked {
        linux.masked_paths.clear();
        linux.readonly_paths.clear();
        for mount in spec.mounts.iter_mut().filter(|mount| mount.kind == "sysfs") {
            mount.options.retain(|option| option != "ro");
        }
    }
    Ok(())
}

/// A default mount as these namespaces allow it, or not at all.
fn fit(mut mount: Mount, linux: &Linux) -> Option<Mount> {
    let userns = has(linux, NamespaceKind::User);
    // In a user namespace the kernel wants each to be of a namespace that belongs to it.
    let lacks = |kind| userns && !has(linux, kind);
    match mount.kind.as_str() {
        "proc" if lacks(NamespaceKind::Pid) => return None,
        "sysfs" if lacks(NamespaceKind::Network) => return None,
        "mqueue" if lacks(NamespaceKind::Ipc) => return None,
        "cgroup" if !has(linux, NamespaceKind::Cgroup) || lacks(NamespaceKind::Network) => return None,
        "devpts" if userns && !maps_group_tty(linux) => mount.options.retain(|option| !option.starts_with("gid=")),
        _ => {}
    }
    Some(mount)
}

fn maps_group_tty(linux: &Linux) -> bool {
    const TTY: u32 = 5;
    linux.gid_mappings.iter().any(|map| TTY >= map.container_id && TTY - map.container_id < map.size)
}

/// A bind, with all that is mounted below its source.
pub fn bind(source: &str, target: impl Into<PathBuf>, read_only: bool) -> Mount {
    let mut options = vec!["rbind".to_owned(), "rprivate".to_owned()];
    if read_only {
        options.push("rro".to_owned());
    }
    Mount {
        destination: target.into(),
        kind: "bind".to_owned(),
        source: source.to_owned(),
        options,
        ..Mount::default()
    }
}

/// `SOURCE:TARGET`, with `:ro` or `:rw`.
fn parse_bind(text: &str, cwd: &Path) -> Result<Mount> {
    let (paths, read_only) = match (text.strip_suffix(":ro"), text.strip_suffix(":rw")) {
        (Some(paths), _) => (paths, true),
        (None, paths) => (paths.unwrap_or(text), false),
    };
    match paths.split_once(':') {
        Some((source, target)) if !source.is_empty() && !target.contains(':') => {
            if !target.starts_with('/') {
                bail!("--bind {text}: the target must be an absolute path");
            }
            Ok(bind(&cwd.join(source).display().to_string(), target, read_only))
        }
        _ => bail!("--bind {text}: it must have the form SOURCE:TARGET or SOURCE:TARGET:ro"),
    }
}

/// `TARGET`, with `:OPTIONS` as of mount(8); docker's defaults come first, so that these can undo them.
fn parse_tmpfs(text: &str) -> Result<Mount> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') {
        bail!("--tmpfs {text}: the target must be an absolute path");
    }
    let given = options.split(',').filter(|option| !option.is_empty());
    Ok(Mount {
        destination: target.into(),
        kind: "tmpfs".to_owned(),
        source: "tmpfs".to_owned(),
        options: ["nosuid", "nodev", "noexec"].into_iter().chain(given).map(str::to_owned).collect(),
        ..Mount::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_and_memory_folders_are_read() {
        let read = |text: &str| parse_bind(text, Path::new("/home/me")).map(|m| (m.source, m.destination, m.options));
        let (source, target, options) = read("src:/dst").unwrap();
        assert_eq!((source.as_str(), target.to_str().unwrap()), ("/home/me/src", "/dst"));
        assert_eq!(options, ["rbind", "rprivate"]);
        assert!(read("/a:/b:ro").unwrap().2.contains(&"rro".to_owned()));
        assert_eq!(read("/a:/b:rw").unwrap().1, Path::new("/b"));
        for bad in ["/a", ":/b", "/a:b", "/a:/b:x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let memory = parse_tmpfs("/run:size=4m,exec").unwrap();
        assert_eq!(memory.options, ["nosuid", "nodev", "noexec", "size=4m", "exec"]);
    }
}

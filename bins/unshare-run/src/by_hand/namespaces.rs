//! The namespaces that are asked for, and what is set in them.

use super::{Caller, id_map, name_and_value};
use crate::cli::NamespaceFlags;
use anyhow::{Result, bail};
use layout::oci::runtime::{IdMapping, Linux, Namespace, NamespaceKind, TimeOffset};
use std::path::Path;

/// Whether the command has other users than the caller.
pub fn in_userns(flags: &NamespaceFlags) -> bool {
    flags.userns.is_some() || is_mapped(flags)
}

fn is_mapped(flags: &NamespaceFlags) -> bool {
    flags.map_root_user || flags.map_auto || !flags.map_users.is_empty() || !flags.map_groups.is_empty()
}

/// Sets the namespaces, the maps of the user namespace, the clocks, and the kernel parameters.
pub fn set(linux: &mut Linux, flags: &NamespaceFlags, caller: &Caller) -> Result<()> {
    let new = |yes: bool| yes.then_some(None);
    let time = flags.time.clone().or(new(flags.monotonic.is_some() || flags.boottime.is_some()));
    let wanted = [
        (flags.userns.clone().or(new(in_userns(flags))), NamespaceKind::User),
        (flags.pid.clone(), NamespaceKind::Pid),
        (flags.net.clone(), NamespaceKind::Network),
        (flags.ipc.clone(), NamespaceKind::Ipc),
        (flags.uts.clone(), NamespaceKind::Uts),
        (flags.mount.clone(), NamespaceKind::Mount),
        (flags.cgroup.clone(), NamespaceKind::Cgroup),
        (time, NamespaceKind::Time),
    ];
    linux.namespaces = wanted
        .into_iter()
        .filter_map(|(wanted, kind)| {
            // What the shell calls a file starts at the current folder.
            wanted.map(|path| Namespace { kind, path: path.map(|path| caller.cwd.join(path)) })
        })
        .collect();
    map_users(linux, flags, caller)?;
    for (clock, seconds) in [("monotonic", flags.monotonic), ("boottime", flags.boottime)] {
        if let Some(secs) = seconds {
            linux.time_offsets.insert(clock.to_owned(), TimeOffset { secs, nanosecs: 0 });
        }
    }
    for text in &flags.sysctl {
        let (name, value) = name_and_value("--sysctl", text)?;
        linux.sysctl.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

fn map_users(linux: &mut Linux, flags: &NamespaceFlags, caller: &Caller) -> Result<()> {
    let maps = is_mapped(flags);
    match &flags.userns {
        Some(Some(_)) if maps => bail!("--userns=FILE: a user namespace that exists has its map already"),
        Some(None) if !maps => {
            bail!(
                "--userns: who is who in there? --map-root-user makes you its root, --map-auto gives it users of its own"
            )
        }
        _ if !maps => return Ok(()),
        _ => {}
    }
    for (target, file, own, ranges) in [
        (&mut linux.uid_mappings, "/etc/subuid", caller.uid, &flags.map_users),
        (&mut linux.gid_mappings, "/etc/subgid", caller.gid, &flags.map_groups),
    ] {
        if flags.map_root_user {
            target.push(IdMapping { container_id: 0, host_id: own, size: 1 });
        }
        if flags.map_auto {
            let container_id = u32::from(flags.map_root_user);
            let (host_id, size) = id_map::set_aside(Path::new(file), caller.uid)?;
            target.push(IdMapping { container_id, host_id, size });
        }
        for range in ranges {
            target.push(id_map::parse_range(range)?);
        }
    }
    Ok(())
}

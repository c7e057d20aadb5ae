//! A container by hand: flags become an OCI configuration, and from there on everything is as for a bundle.
//!
//! Without `--rootfs` the result is what unshare(1) gives: the caller's own root, environment, folder and
//! capabilities in the namespaces that were asked for. With it the rest are docker's defaults, as far as the
//! namespaces go.

use crate::cli::Hand;
use crate::process::capabilities;
use anyhow::{Context, Result, bail};
use layout::oci::defaults;
use layout::oci::runtime::{
    Capabilities, Cpu, IdMapping, Linux, Memory, Mount, Namespace, NamespaceKind, Pids, Process, ProcessUser,
    Resources, Root, Spec, VERSION,
};
use std::path::PathBuf;

/// What the flags are completed with: who calls, from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Environment.
    pub env: Vec<String>,
    /// Current folder.
    pub cwd: PathBuf,
    /// Permitted capabilities.
    pub capabilities: u64,
}

impl Caller {
    /// This process.
    pub fn this() -> Result<Caller> {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Ok(Caller {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            env: std::env::vars_os().filter_map(|(k, v)| Some(format!("{}={}", text(k)?, text(v)?))).collect(),
            cwd: std::env::current_dir().context("ask for the current folder")?,
            capabilities: capabilities::permitted()?,
        })
    }
}

/// The configuration that the flags stand for.
pub fn spec(hand: &Hand, caller: &Caller) -> Result<Spec> {
    let mut spec = match &hand.rootfs {
        Some(rootfs) => {
            Spec { root: Some(Root { path: caller.cwd.join(rootfs), readonly: hand.read_only }), ..defaults::spec() }
        }
        None => bare(hand, caller),
    };
    let mut linux = spec.linux.take().unwrap_or_default();
    linux.namespaces = namespaces(hand);
    linux.resources = resources(hand)?;
    if hand.user {
        linux.uid_mappings = vec![IdMapping { container_id: 0, host_id: caller.uid, size: 1 }];
        linux.gid_mappings = vec![IdMapping { container_id: 0, host_id: caller.gid, size: 1 }];
    }
    spec.mounts = spec.mounts.into_iter().filter_map(|mount| fit(mount, hand)).collect();
    spec.linux = Some(linux);
    spec.hostname = hand.hostname.clone().unwrap_or_default();
    let process = spec.process.get_or_insert_default();
    process.args = hand.command.clone();
    process.terminal = hand.tty;
    process.env.extend(hand.env.iter().cloned());
    if hand.tty && !process.env.iter().any(|variable| variable.starts_with("TERM=")) {
        process.env.push("TERM=xterm".to_owned());
    }
    if let Some(dir) = &hand.workdir {
        process.cwd = if hand.rootfs.is_some() { PathBuf::from("/").join(dir) } else { caller.cwd.join(dir) };
    }
    if let Some(user) = &hand.user_id {
        process.user = parse_user(user)?;
    }
    Ok(spec)
}

/// Reads `UID` or `UID:GID`. Names are for who knows the image; the group is 0 as in docker where none is given.
pub fn parse_user(text: &str) -> Result<ProcessUser> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let number = |part: &str| part.parse::<u32>().ok();
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(ProcessUser { uid, gid, ..ProcessUser::default() }),
        _ => bail!("user {text:?}: it must have the form UID or UID:GID, in numbers"),
    }
}

/// The caller as it is, in the host's root.
fn bare(hand: &Hand, caller: &Caller) -> Spec {
    let (uid, gid, held) = if hand.user { (0, 0, u64::MAX) } else { (caller.uid, caller.gid, caller.capabilities) };
    let names = capabilities::names(held);
    Spec {
        oci_version: VERSION.to_owned(),
        process: Some(Process {
            user: ProcessUser { uid, gid, ..ProcessUser::default() },
            env: caller.env.clone(),
            cwd: caller.cwd.clone(),
            capabilities: Some(Capabilities {
                bounding: names.clone(),
                effective: names.clone(),
                permitted: names,
                ..Capabilities::default()
            }),
            ..Process::default()
        }),
        linux: Some(Linux {
            rootfs_propagation: if hand.mount { "rprivate" } else { "" }.to_owned(),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

fn namespaces(hand: &Hand) -> Vec<Namespace> {
    let wanted = [
        (hand.user, NamespaceKind::User),
        (hand.pid, NamespaceKind::Pid),
        (hand.net, NamespaceKind::Network),
        (hand.ipc, NamespaceKind::Ipc),
        (hand.uts, NamespaceKind::Uts),
        (hand.mount, NamespaceKind::Mount),
        (hand.cgroup, NamespaceKind::Cgroup),
    ];
    wanted.into_iter().filter(|(yes, _)| *yes).map(|(_, kind)| Namespace { kind, path: None }).collect()
}

/// A default mount as these namespaces allow it, or not at all.
fn fit(mut mount: Mount, hand: &Hand) -> Option<Mount> {
    match mount.kind.as_str() {
        // In a user namespace the kernel wants each to be of a namespace that belongs to it.
        "proc" if hand.user && !hand.pid => return None,
        "sysfs" if hand.user && !hand.net => return None,
        "mqueue" if hand.user && !hand.ipc => return None,
        "cgroup" if !hand.cgroup || (hand.user && !hand.net) => return None,
        // Group tty is not mapped.
        "devpts" if hand.user => mount.options.retain(|option| !option.starts_with("gid=")),
        _ => {}
    }
    Some(mount)
}

/// Without limits, no group.
fn resources(hand: &Hand) -> Result<Option<Resources>> {
    const PERIOD: u64 = 100_000;
    if hand.memory.is_none() && hand.cpus.is_none() && hand.pids_limit.is_none() {
        return Ok(None);
    }
    let limit = hand.memory.as_deref().map(layout::units::parse_bytes).transpose().context("--memory")?;
    let cpu = match hand.cpus {
        Some(cpus) if !(cpus > 0.0 && cpus <= 10_000.0) => bail!("--cpus {cpus}: it must be above 0"),
        Some(cpus) => {
            let quota = (cpus * PERIOD as f64).round() as i64;
            Some(Cpu { quota: Some(quota), period: Some(PERIOD), ..Cpu::default() })
        }
        None => None,
    };
    Ok(Some(Resources {
        memory: limit.map(|limit| Memory { limit: Some(limit as i64), ..Memory::default() }),
        cpu,
        pids: hand.pids_limit.map(|limit| Pids { limit }),
        devices: if hand.rootfs.is_some() { defaults::device_rules() } else { Vec::new() },
        ..Resources::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn spec_of(line: &str) -> Spec {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let caller =
            Caller { uid: 1000, gid: 100, env: vec!["A=b".to_owned()], cwd: "/home/me".into(), capabilities: 0b1 };
        let spec = spec(&cli.hand, &caller).unwrap();
        crate::validate::validate(&spec).unwrap();
        spec
    }

    #[test]
    fn without_a_rootfs_only_what_was_asked_for_changes() {
        let spec = spec_of("unshare-run --uts --hostname box -- sh -c x");
        let (process, linux) = (spec.process.unwrap(), spec.linux.unwrap());
        assert!(spec.root.is_none() && spec.mounts.is_empty() && linux.masked_paths.is_empty());
        assert_eq!(linux.namespaces, [Namespace { kind: NamespaceKind::Uts, path: None }]);
        assert_eq!(linux.resources, None);
        assert_eq!((process.user.uid, process.user.gid), (1000, 100));
        assert_eq!((process.args.len(), process.env, process.cwd), (3, vec!["A=b".to_owned()], "/home/me".into()));
        assert_eq!(process.capabilities.unwrap().effective, ["CAP_CHOWN"]);
    }

    #[test]
    fn with_a_rootfs_the_rest_is_dockers() {
        let spec = spec_of("unshare-run --pid --mount --rootfs r --workdir w --env X=y -m 4m --cpus 0.5 -u 7:8 -- sh");
        let (process, linux) = (spec.process.unwrap(), spec.linux.unwrap());
        assert_eq!(spec.root.unwrap().path, PathBuf::from("/home/me/r"));
        assert_eq!(process.env, [defaults::PATH, "X=y"]);
        assert_eq!((process.cwd, process.user.uid, process.user.gid), ("/w".into(), 7, 8));
        let resources = linux.resources.unwrap();
        assert_eq!(resources.memory.unwrap().limit, Some(4 << 20));
        assert_eq!(resources.cpu.unwrap().quota, Some(50_000));
        assert!(!linux.masked_paths.is_empty());
    }

    #[test]
    fn a_plain_user_gets_what_the_kernel_lets_him_mount() {
        let spec = spec_of("unshare-run --user --map-root-user --pid --mount --rootfs r -- sh");
        let kinds: Vec<&str> = spec.mounts.iter().map(|mount| mount.kind.as_str()).collect();
        assert_eq!(kinds, ["proc", "tmpfs", "devpts", "tmpfs"]);
        let linux = spec.linux.unwrap();
        assert_eq!(linux.uid_mappings, [IdMapping { container_id: 0, host_id: 1000, size: 1 }]);
        assert_eq!(linux.gid_mappings[0].host_id, 100);
    }

    #[test]
    fn users_are_numbers() {
        let user = |text: &str| parse_user(text).map(|user| (user.uid, user.gid)).ok();
        assert_eq!((user("7"), user("7:8"), user("me"), user("7:x")), (Some((7, 0)), Some((7, 8)), None, None));
    }
}

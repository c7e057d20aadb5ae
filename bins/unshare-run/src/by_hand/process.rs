//! Who it is, where it starts, with which environment.

use super::{Caller, has, name_and_value};
use crate::cli::Hand;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{IdMapping, Linux, NamespaceKind, Process, ProcessUser, Rlimit};
use layout::rootfs::find_user;
use std::path::PathBuf;

/// Sets all of the process but its power.
pub fn set(process: &mut Process, hand: &Hand, linux: &Linux, caller: &Caller) -> Result<()> {
    let flags = &hand.process;
    process.args.clone_from(&hand.command);
    process.terminal = flags.tty;
    for variable in &flags.env {
        name_and_value("--env", variable)?;
        process.env.push(variable.clone());
    }
    if flags.tty && !process.env.iter().any(|variable| variable.starts_with("TERM=")) {
        process.env.push("TERM=xterm".to_owned());
    }
    let root = hand.files.rootfs.as_ref().map(|rootfs| caller.cwd.join(rootfs));
    if let Some(dir) = &flags.workdir {
        process.cwd = if root.is_some() { PathBuf::from("/").join(dir) } else { caller.cwd.join(dir) };
    }
    let root = root.unwrap_or_else(|| PathBuf::from("/"));
    if let Some(user) = &flags.user {
        let found = find_user(&root, user).with_context(|| format!("--user {user}"))?;
        process.user =
            ProcessUser { uid: found.uid, gid: found.gid, additional_gids: found.additional_gids, umask: None };
    }
    for group in &flags.group_add {
        let found = find_user(&root, &format!("0:{group}")).with_context(|| format!("--group-add {group}"))?;
        process.user.additional_gids.push(found.gid);
    }
    process.rlimits = flags.ulimit.iter().map(|text| parse_ulimit(text)).collect::<Result<_>>()?;
    if has(linux, NamespaceKind::User) && !linux.uid_mappings.is_empty() {
        fit_user(&mut process.user, linux, hand, caller)?;
    }
    Ok(())
}

/// Who the process is when nothing is said: the caller, or the root of a user namespace.
pub fn caller_or_root(caller: &Caller, in_userns: bool) -> ProcessUser {
    match in_userns {
        true => ProcessUser::default(),
        false => ProcessUser { uid: caller.uid, gid: caller.gid, additional_gids: caller.groups.clone(), umask: None },
    }
}

/// Only users that a user namespace has a number for can be in there.
fn fit_user(user: &mut ProcessUser, linux: &Linux, hand: &Hand, caller: &Caller) -> Result<()> {
    let knows = |maps: &[IdMapping], id: u32| maps.iter().any(|m| id >= m.container_id && id - m.container_id < m.size);
    let more = "; --map-auto or --map-users give it more than its root";
    if !knows(&linux.uid_mappings, user.uid) {
        bail!("--user: the user namespace knows no user {}{more}", user.uid);
    }
    if !knows(&linux.gid_mappings, user.gid) {
        bail!("--user: the user namespace knows no group {}{more}", user.gid);
    }
    // With a map that one writes oneself, the kernel lets nobody change his groups (user_namespaces(7)).
    if !caller.is_root() && hand.namespaces.map_root_user && linux.gid_mappings.len() == 1 {
        user.additional_gids.clear();
    }
    Ok(())
}

/// Reads `UID` or `UID:GID`, in numbers, for `exec`: the names are the container's. Without a group it is 0, as in runc.
pub fn parse_user(text: &str) -> Result<ProcessUser> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let number = |part: &str| part.parse::<u32>().ok();
    match (number(uid), number(gid)) {
        (Some(uid), Some(gid)) => Ok(ProcessUser { uid, gid, ..ProcessUser::default() }),
        _ => bail!("user {text:?}: it must have the form UID or UID:GID, in numbers"),
    }
}

/// `nofile=1024` or `nofile=1024:2048`; -1 and `unlimited` are no limit.
fn parse_ulimit(text: &str) -> Result<Rlimit> {
    let form = || format!("--ulimit {text}: it must have the form NAME=SOFT or NAME=SOFT:HARD, in numbers");
    let (name, values) = text.split_once('=').with_context(form)?;
    let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
    if crate::process::limits::resource(&kind).is_none() {
        bail!("--ulimit {text}: there is no such limit as {name} (see getrlimit(2))");
    }
    let number = |value: &str| match value {
        "-1" | "unlimited" => Ok(u64::MAX),
        value => value.parse().with_context(form),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    Ok(Rlimit { kind, soft: number(soft)?, hard: number(hard)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_exec_are_numbers() {
        let user = |text: &str| parse_user(text).map(|user| (user.uid, user.gid)).ok();
        assert_eq!((user("7"), user("7:8"), user("me"), user("7:x")), (Some((7, 0)), Some((7, 8)), None, None));
    }

    #[test]
    fn limits_are_read_as_dockers_are() {
        let limit = |text: &str| parse_ulimit(text).map(|l| (l.kind, l.soft, l.hard)).ok();
        assert_eq!(limit("nofile=1024:2048"), Some(("RLIMIT_NOFILE".to_owned(), 1024, 2048)));
        assert_eq!(limit("core=-1"), Some(("RLIMIT_CORE".to_owned(), u64::MAX, u64::MAX)));
        assert_eq!((limit("nofile"), limit("x=1"), limit("nofile=a")), (None, None, None));
    }
}

//! User namespaces: who root in there is out here (user_namespaces(7)).
//!
//! The id maps are for the parent to write; the process itself has no say in it. Who is not root may map himself, and for
//! the ranges that `/etc/subuid` and `/etc/subgid` grant him there are two setuid programs, newuidmap(1) and newgidmap(1).

use super::{open, refused};
use crate::narrate::narrate;
use crate::protocol::{Channel, Order};
use crate::sys::{self, Cloned};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{IdMapping, Spec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::thread::{Gid, Uid};
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes the id maps of a configuration for the process that is in the new user namespace.
pub fn write_id_maps(pid: Pid, spec: &Spec) -> Result<()> {
    match &spec.linux {
        Some(linux) => write_maps(pid, &linux.uid_mappings, &linux.gid_mappings),
        None => Ok(()),
    }
}

fn write_maps(pid: Pid, uids: &[IdMapping], gids: &[IdMapping]) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        write(pid, "gid_map", &lines(gids))?;
        return write(pid, "uid_map", &lines(uids));
    }
    if is_only(uids, rustix::process::geteuid().as_raw()) && is_only(gids, rustix::process::getegid().as_raw()) {
        // Otherwise one could leave a group, and with it what the group is kept from (CVE-2014-8989).
        write(pid, "setgroups", "deny")?;
        write(pid, "gid_map", &lines(gids))?;
        return write(pid, "uid_map", &lines(uids));
    }
    run_mapper("newgidmap", pid, gids)?;
    run_mapper("newuidmap", pid, uids)
}

fn is_only(mappings: &[IdMapping], own: u32) -> bool {
    matches!(mappings, [one] if one.host_id == own && one.size == 1)
}

fn write(pid: Pid, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{}/{file}", pid.as_raw_pid());
    narrate!("who is who inside", "write({path}, {:?})", text.trim_end());
    std::fs::write(&path, text).with_context(|| format!("write {text:?} to {path}{}", refused::why_powerless()))
}

fn lines(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size)).collect()
}

fn run_mapper(program: &str, pid: Pid, mappings: &[IdMapping]) -> Result<()> {
    let numbers = mappings.iter().flat_map(|m| [m.container_id, m.host_id, m.size]);
    let args: Vec<String> = std::iter::once(pid.as_raw_pid() as u32).chain(numbers).map(|n| n.to_string()).collect();
    narrate!("who is who inside, as /etc/subuid permits", "{program} {}", args.join(" "));
    let output = Command::new(program).args(&args).stdin(Stdio::null()).output().with_context(|| {
        format!("run {program} (who is not root needs it for ids that are not his own; Debian: uidmap)")
    })?;
    if !output.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// Root of the user namespace that we are in: nobody else is known in there.
pub fn become_root_inside() -> Result<()> {
    narrate!("root in our user namespace", "setresgid(0) setresuid(0)");
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)
        .context("become group 0 of the user namespace (is it mapped?)")?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
        .context("become root of the user namespace (is it mapped?)")
}

/// A user namespace with these maps, and nobody in it: what idmapped mounts are mapped by.
pub fn with_maps(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd> {
    let (ours, theirs) = Channel::pair()?;
    match sys::clone3(libc::CLONE_NEWUSER as u64, None).context("clone3 into a user namespace")? {
        Cloned::Child => {
            drop(ours);
            // A namespace is kept by its process until it is open; the end of the channel says that it is.
            let _ = theirs.await_order(Order::Go);
            sys::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let made = write_maps(pid, uids, gids)
                .and_then(|()| open(Path::new(&format!("/proc/{}/ns/user", pid.as_raw_pid()))));
            drop((ours, theirs));
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).context("wait for the process that held it")?;
            made
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id, host_id, size }
    }

    #[test]
    fn id_maps_are_lines_of_three_numbers() {
        assert_eq!(lines(&[map(0, 1000, 1), map(1, 1000, 1)]), "0 1000 1\n1 1000 1\n");
    }

    #[test]
    fn only_oneself_is_mapped_without_help() {
        assert!(is_only(&[map(0, 1000, 1)], 1000) && is_only(&[map(33, 1000, 1)], 1000));
        assert!(!is_only(&[map(0, 1000, 2)], 1000) && !is_only(&[map(0, 1001, 1)], 1000));
        assert!(!is_only(&[map(0, 1000, 1), map(1, 100_000, 1)], 1000) && !is_only(&[], 1000));
    }
}

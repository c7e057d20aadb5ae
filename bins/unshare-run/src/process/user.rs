//! Who it is: user, group and further groups (credentials(7)).

use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{IdMapping, Linux, ProcessUser};
use rustix::io::Errno;
use rustix::thread::{Gid, Uid};

/// Checks that these are ids, and that the user namespace knows them, if the container makes one.
pub fn check(user: &ProcessUser, linux: &Linux) -> Result<()> {
    if [user.uid, user.gid].iter().chain(&user.additional_gids).any(|id| *id == u32::MAX) {
        bail!("process.user: {} is nobody's id (setuid(2))", u32::MAX);
    }
    if linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty() {
        return Ok(());
    }
    let known = |id: u32, mappings: &[IdMapping]| {
        mappings.iter().any(|map| id.checked_sub(map.container_id).is_some_and(|offset| offset < map.size))
    };
    if !known(user.uid, &linux.uid_mappings) {
        bail!("process.user.uid {}: linux.uidMappings does not map it", user.uid);
    }
    match [user.gid].iter().chain(&user.additional_gids).find(|gid| !known(**gid, &linux.gid_mappings)) {
        Some(gid) => bail!("process.user, group {gid}: linux.gidMappings does not map it"),
        None => Ok(()),
    }
}

/// Becomes the user, with the capabilities kept for now.
pub fn set_user(user: &ProcessUser) -> Result<()> {
    narrate!("who it is", "setgroups({:?}) setresgid({}) setresuid({})", user.additional_gids, user.gid, user.uid);
    // Otherwise the kernel takes all capabilities away at the step from root to another user.
    rustix::thread::set_keep_capabilities(true).context("keep the capabilities")?;
    let groups: Vec<Gid> = user.additional_gids.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // In a user namespace made without privilege nobody may change his groups.
        Err(Errno::PERM) if groups.is_empty() && setgroups_denied() => {}
        // Nor may a plain user anywhere; but those that he has, he has.
        Err(Errno::PERM) if rustix::process::getgroups().is_ok_and(|ours| ours == groups) => {}
        other => other.with_context(|| format!("set the groups {:?}", user.additional_gids))?,
    }
    let gid = Gid::from_raw(user.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).with_context(|| format!("become group {}", user.gid))?;
    let uid = Uid::from_raw(user.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).with_context(|| format!("become user {}", user.uid))?;
    rustix::thread::set_keep_capabilities(false).context("let the capabilities go at execve")
}

fn setgroups_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim_end() == "deny")
}

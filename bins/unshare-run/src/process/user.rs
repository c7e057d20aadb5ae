//! Who it is: user, group and further groups (credentials(7)).

use crate::narrate::narrate;
use anyhow::{Context, Result};
use layout::oci::runtime::ProcessUser;
use rustix::io::Errno;
use rustix::thread::{Gid, Uid};

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

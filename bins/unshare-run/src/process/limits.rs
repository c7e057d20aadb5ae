//! Resource limits (getrlimit(2)).

use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::Rlimit;
use rustix::io::Errno;
use rustix::process::{self, Pid, Resource, prlimit};

/// Takes on limits of our own, as far as anybody may: a hard limit that is to be above the present one stays where it is,
/// for the parent to raise.
pub fn take_on(limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        let (resource, Rlimit { soft, hard, kind }) = (named(limit)?, limit);
        let most = process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        set_one(None, resource, *soft.min(&most), *hard.min(&most)).with_context(|| format!("set {kind}"))?;
    }
    Ok(())
}

/// Sets the limits of a process that has taken on what it could. This is its parent's task: in a user namespace nobody may
/// raise a hard limit. Where the host's may not be raised, that stays, with a warning.
pub fn set(pid: Pid, limits: &[Rlimit], warn: &mut dyn FnMut(String)) -> Result<()> {
    for limit in limits {
        let (resource, Rlimit { soft, hard, kind }) = (named(limit)?, limit);
        // Both a raise and any change for another user take CAP_SYS_RESOURCE, which not every host gives away.
        match set_one(Some(pid), resource, *soft, *hard) {
            // The process has begun with what we have: no raise, so it was done.
            Err(Errno::PERM) if *hard <= process::getrlimit(resource).maximum.unwrap_or(u64::MAX) => {}
            Err(Errno::PERM) => {
                warn(format!("set {kind} to {soft}:{hard}: the host's hard limit stays, not permitted to raise it"));
            }
            other => other.with_context(|| format!("set {kind} to {soft}:{hard}"))?,
        }
    }
    Ok(())
}

fn named(limit: &Rlimit) -> Result<Resource> {
    let Some(resource) = resource(&limit.kind) else { bail!("set {}: there is no such limit", limit.kind) };
    Ok(resource)
}

fn set_one(pid: Option<Pid>, resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    // The kernel's RLIM_INFINITY is all ones, as in the configuration.
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    narrate!(
        "how much one process may have",
        "prlimit({}, {resource:?}, {soft}:{hard})",
        pid.map_or(0, Pid::as_raw_pid)
    );
    prlimit(pid, resource, process::Rlimit { current: finite(soft), maximum: finite(hard) }).map(drop)
}

/// The limit of a name (getrlimit(2)).
pub fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_the_kernels_names() {
        assert_eq!(resource("RLIMIT_NOFILE"), Some(Resource::Nofile));
        assert_eq!(resource("NOFILE"), None);
    }
}

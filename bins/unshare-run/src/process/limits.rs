//! Resource limits (getrlimit(2)).

use anyhow::{Context, Result, bail};
use layout::oci::runtime::Rlimit;
use rustix::io::Errno;
use rustix::process::{self, Pid, Resource, prlimit};

/// Sets the limits of a process. This is its parent's task: in a user namespace nobody may raise a hard limit.
pub fn set(pid: Pid, limits: &[Rlimit], warn: &mut dyn FnMut(String)) -> Result<()> {
    limits.iter().try_for_each(|limit| set_one(pid, limit, warn))
}

/// Sets one limit; where the host's may not be raised, that stays, with a warning.
fn set_one(pid: Pid, limit: &Rlimit, warn: &mut dyn FnMut(String)) -> Result<()> {
    let Some(resource) = resource(&limit.kind) else { bail!("set {}: there is no such limit", limit.kind) };
    let Rlimit { soft, hard, kind } = limit;
    // The kernel's RLIM_INFINITY is all ones, as in the configuration.
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let prlimit = |current, maximum| prlimit(Some(pid), resource, process::Rlimit { current, maximum });
    let old = match prlimit(finite(*soft), finite(*hard)) {
        Err(Errno::PERM) => process::getrlimit(resource),
        other => return other.map(drop).with_context(|| format!("set {kind} to {soft}:{hard}")),
    };
    // Raising a hard limit takes CAP_SYS_RESOURCE, which not every host gives away. The child has what we have.
    warn(format!("set {kind} to {soft}:{hard}: the host's hard limit stays, not permitted to raise it"));
    let current = finite(*soft).unwrap_or(u64::MAX).min(old.maximum.unwrap_or(u64::MAX));
    prlimit(finite(current), old.maximum).map(drop).with_context(|| format!("set {kind}"))
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

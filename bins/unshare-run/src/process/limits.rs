//! Resource limits (getrlimit(2)).

use anyhow::{Context, Result, bail};
use layout::oci::runtime::Rlimit;
use rustix::io::Errno;
use rustix::process::Resource;

/// Sets one limit; where the host's may not be raised, that stays, with a warning.
pub fn set_limit(limit: &Rlimit, warn: &mut dyn FnMut(String)) -> Result<()> {
    let Some(resource) = resource(&limit.kind) else { bail!("set {}: there is no such limit", limit.kind) };
    // The kernel's RLIM_INFINITY is all ones, as in the configuration.
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let wanted = rustix::process::Rlimit { current: finite(limit.soft), maximum: finite(limit.hard) };
    match rustix::process::setrlimit(resource, wanted) {
        Err(Errno::PERM) => {}
        other => return other.with_context(|| format!("set {} to {}:{}", limit.kind, limit.soft, limit.hard)),
    }
    // Raising a hard limit takes CAP_SYS_RESOURCE, which not every host gives away.
    let ours = rustix::process::getrlimit(resource).maximum;
    warn(format!(
        "set {} to {}:{}: the host's hard limit stays, not permitted to raise it",
        limit.kind, limit.soft, limit.hard
    ));
    let current = Some(finite(limit.soft).unwrap_or(u64::MAX).min(ours.unwrap_or(u64::MAX)));
    let lowered = rustix::process::Rlimit { current: current.and_then(finite), maximum: ours };
    rustix::process::setrlimit(resource, lowered).with_context(|| format!("set {}", limit.kind))
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

//! What is set in the kernel for the new process and its namespaces: names, sysctl, the OOM score, loopback.
//!
//! Files of procfs are written through the host's `/proc`, before the container's is there, and only if they
//! are on procfs indeed: else an attacker could have us write into a file of his choice (CVE-2025-52881).

use crate::mounts::is_procfs;
use crate::namespaces::Namespaces;
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{NamespaceKind, Spec};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Pid;
use std::path::{Path, PathBuf};

/// Host name, domain name and sysctl values.
pub fn apply(spec: &Spec, namespaces: &Namespaces) -> Result<()> {
    if namespaces.is_new(NamespaceKind::Network) {
        loopback_up()?;
    }
    if !spec.hostname.is_empty() {
        narrate!("the host name, in our UTS namespace", "sethostname({:?})", spec.hostname);
        rustix::system::sethostname(spec.hostname.as_bytes())
            .with_context(|| format!("set the host name {:?}", spec.hostname))?;
    }
    if !spec.domainname.is_empty() {
        narrate!("the NIS domain name, likewise", "setdomainname({:?})", spec.domainname);
        rustix::system::setdomainname(spec.domainname.as_bytes())
            .with_context(|| format!("set the domain name {:?}", spec.domainname))?;
    }
    for (key, value) in spec.linux.iter().flat_map(|linux| &linux.sysctl) {
        let path = sysctl_path(key);
        narrate!("a kernel parameter of our namespaces", "write({}, {value:?})", path.display());
        write_proc(&path, value).with_context(|| format!("set sysctl {key}={value}"))?;
    }
    Ok(())
}

/// How readily the kernel ends a process when memory runs out. This is its parent's task: in a user namespace nobody may
/// lower it.
pub fn set_oom_score_adj(pid: Pid, score: i32) -> Result<()> {
    narrate!(
        "how readily it is ended when memory runs out",
        "write(/proc/{}/oom_score_adj, {score})",
        pid.as_raw_pid()
    );
    write_proc(&Path::new("/proc").join(pid.as_raw_pid().to_string()).join("oom_score_adj"), &score.to_string())
        .with_context(|| format!("set oomScoreAdj {score} (below the caller's takes CAP_SYS_RESOURCE)"))
}

fn loopback_up() -> Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    narrate!("the loopback device of our network", "ioctl(SIOCSIFFLAGS, lo, IFF_UP)");
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    socket.and_then(sys::loopback_up).context("bring the loopback device up")
}

/// Writes a file of procfs.
fn write_proc(path: &Path, text: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file =
        rustix::fs::openat(CWD, path, flags, Mode::empty()).with_context(|| format!("open {}", path.display()))?;
    if !is_procfs(&file)? {
        bail!("write {}: it is not on procfs", path.display());
    }
    rustix::io::write(&file, text.as_bytes()).with_context(|| format!("write {text:?} to {}", path.display()))?;
    Ok(())
}

/// The file of a sysctl: `net.ipv4.ip_forward` and `net/ipv4/ip_forward` are both written; whichever separator comes first
/// separates, and the other stands for itself (`net/ipv4/conf/eth0.100/forwarding`).
fn sysctl_path(key: &str) -> PathBuf {
    let path = match key.find(['.', '/']) {
        Some(first) if key.as_bytes()[first] == b'/' => key.to_owned(),
        _ => key
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    };
    Path::new("/proc/sys").join(path)
}

/// Whether a sysctl belongs to a namespace that the container has of its own; others are the whole machine's.
pub fn check_sysctl(key: &str, namespaces: &Namespaces) -> Result<()> {
    const IPC: [&str; 9] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/shm_next_id",
    ];
    let path = sysctl_path(key);
    let name = path.strip_prefix("/proc/sys").unwrap_or(&path);
    if name.components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
        bail!("linux.sysctl {key}: this is no name of a sysctl");
    }
    let kind = if name.starts_with("net") {
        NamespaceKind::Network
    } else if name.starts_with("fs/mqueue") || IPC.iter().any(|ipc| name == Path::new(ipc)) {
        NamespaceKind::Ipc
    } else if name == Path::new("kernel/domainname") || name == Path::new("kernel/hostname") {
        NamespaceKind::Uts
    } else {
        bail!("linux.sysctl {key}: it is in no namespace, so that it would change the whole machine");
    };
    if !namespaces.has(kind) {
        bail!("linux.sysctl {key}: it needs a {kind:?} namespace of the container's own");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctl_names_are_paths() {
        assert_eq!(sysctl_path("net.ipv4.ip_forward"), Path::new("/proc/sys/net/ipv4/ip_forward"));
        let path = Path::new("/proc/sys/net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(sysctl_path("net/ipv4/conf/eth0.1/forwarding"), path);
        assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), path);
    }

    #[test]
    fn the_machines_own_sysctls_are_refused() {
        let all = Namespaces::of(&layout::oci::defaults::spec());
        for good in ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"] {
            check_sysctl(good, &all).unwrap();
            assert!(check_sysctl(good, &Namespaces::default()).is_err(), "{good}");
        }
        for bad in ["kernel.core_pattern", "vm.swappiness", "net/../kernel/core_pattern", "kernel.shmmaxx"] {
            assert!(check_sysctl(bad, &all).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_is_not_on_procfs_is_not_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(format!("{:#}", write_proc(file.path(), "x").unwrap_err()).contains("not on procfs"));
        assert_eq!(std::fs::read(file.path()).unwrap(), b"");
    }
}

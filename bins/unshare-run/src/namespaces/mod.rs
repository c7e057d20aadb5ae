//! Namespaces: each kind is a part of the machine that a process can have for itself (namespaces(7)).
//!
//! New ones come with the process (clone3), existing ones are joined by a file in `/proc/PID/ns` (setns).
//! Two need care. A pid namespace holds only for processes yet to be made, so it is joined by the
//! parent around clone3. A cgroup namespace takes the group that one is in as its root, so it is made
//! last, when the process is in its group.

pub mod refused;

use crate::narrate::narrate;
use anyhow::{Context, Result};
use layout::oci::runtime::{IdMapping, Namespace, NamespaceKind, Spec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Pid;
use std::path::Path;

/// The flag of a kind, for clone3, unshare and setns.
pub fn flag(kind: NamespaceKind) -> u64 {
    (match kind {
        NamespaceKind::Pid => libc::CLONE_NEWPID,
        NamespaceKind::Network => libc::CLONE_NEWNET,
        NamespaceKind::Mount => libc::CLONE_NEWNS,
        NamespaceKind::Ipc => libc::CLONE_NEWIPC,
        NamespaceKind::Uts => libc::CLONE_NEWUTS,
        NamespaceKind::User => libc::CLONE_NEWUSER,
        NamespaceKind::Cgroup => libc::CLONE_NEWCGROUP,
        NamespaceKind::Time => libc::CLONE_NEWTIME,
    }) as u64
}

/// The name of the flag, for the story.
fn flag_name(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Pid => "CLONE_NEWPID",
        NamespaceKind::Network => "CLONE_NEWNET",
        NamespaceKind::Mount => "CLONE_NEWNS",
        NamespaceKind::Ipc => "CLONE_NEWIPC",
        NamespaceKind::Uts => "CLONE_NEWUTS",
        NamespaceKind::User => "CLONE_NEWUSER",
        NamespaceKind::Cgroup => "CLONE_NEWCGROUP",
        NamespaceKind::Time => "CLONE_NEWTIME",
    }
}

/// Every kind, and its file in `/proc/PID/ns`.
pub const FILES: [(NamespaceKind, &str); 7] = [
    (NamespaceKind::User, "user"),
    (NamespaceKind::Pid, "pid"),
    (NamespaceKind::Mount, "mnt"),
    (NamespaceKind::Network, "net"),
    (NamespaceKind::Uts, "uts"),
    (NamespaceKind::Ipc, "ipc"),
    (NamespaceKind::Cgroup, "cgroup"),
];

/// The namespaces of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(Vec<Namespace>);

impl Namespaces {
    /// Those of a configuration; what is not listed is the caller's own.
    pub fn of(spec: &Spec) -> Namespaces {
        Namespaces(spec.linux.as_ref().map(|linux| linux.namespaces.clone()).unwrap_or_default())
    }

    /// Whether the container has its own of this kind, new or joined.
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.0.iter().any(|namespace| namespace.kind == kind)
    }

    /// Whether a new one of this kind is made.
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        self.0.iter().any(|namespace| namespace.kind == kind && namespace.path.is_none())
    }

    /// The flags for clone3: all new ones but the cgroup namespace.
    pub fn clone_flags(&self) -> u64 {
        self.new_kinds().map(flag).fold(0, |all, flag| all | flag)
    }

    /// The same as they are written in C.
    pub fn clone_flag_names(&self) -> String {
        self.new_kinds().map(flag_name).collect::<Vec<_>>().join("|")
    }

    fn new_kinds(&self) -> impl Iterator<Item = NamespaceKind> + '_ {
        self.0.iter().filter(|n| n.path.is_none() && n.kind != NamespaceKind::Cgroup).map(|n| n.kind)
    }

    /// Joins those that are given by path, in the new process.
    pub fn join(&self) -> Result<()> {
        for namespace in self.0.iter().filter(|namespace| namespace.kind != NamespaceKind::Pid) {
            if let Some(path) = &namespace.path {
                join(path, namespace.kind)?;
            }
        }
        Ok(())
    }

    /// Enters the pid namespace that is given by path, if one is. It holds for the children to come, until the caller goes
    /// back to what this gives: our own.
    pub fn enter_pid_namespace(&self) -> Result<Option<OwnedFd>> {
        let joined = self.0.iter().find(|namespace| namespace.kind == NamespaceKind::Pid);
        let Some(path) = joined.and_then(|namespace| namespace.path.as_deref()) else { return Ok(None) };
        let own = open(Path::new("/proc/self/ns/pid"))?;
        join(path, NamespaceKind::Pid)?;
        Ok(Some(own))
    }
}

fn join(path: &Path, kind: NamespaceKind) -> Result<()> {
    narrate!("a namespace that exists already", "setns({}, {})", path.display(), flag_name(kind));
    let what = || format!("join {}", path.display());
    enter(&open(path)?, flag(kind)).with_context(what)
}

fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open namespace {}", path.display()))
}

/// setns(2): with the descriptor of one namespace and its flag, or with a pidfd and the flags of several.
pub fn enter(fd: impl AsFd, flags: u64) -> Result<()> {
    let bits = nix::sched::CloneFlags::from_bits_retain(flags as i32);
    nix::sched::setns(fd, bits).context("setns")
}

/// Makes a cgroup namespace whose root is the group that we are in now.
pub fn new_cgroup_namespace() -> Result<()> {
    narrate!("our group becomes the root of what we see of the cgroups", "unshare(CLONE_NEWCGROUP)");
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace")
}

/// The flags of the namespaces in which two processes differ: those that the one must enter to be with the
/// other. Entering one's own user namespace would be an error.
pub fn different(proc: &Path, ours: &str, theirs: Pid) -> Result<u64> {
    let mut flags = 0;
    for (kind, file) in FILES {
        let id = |who: &str| {
            let path = proc.join(who).join("ns").join(file);
            rustix::fs::stat(&path).map(|s| (s.st_dev, s.st_ino)).with_context(|| format!("stat {}", path.display()))
        };
        if id(ours)? != id(&theirs.as_raw_pid().to_string())? {
            flags |= flag(kind);
        }
    }
    Ok(flags)
}

/// Names of a set of flags, for the story.
pub fn names(flags: u64) -> String {
    FILES.iter().filter(|(kind, _)| flags & flag(*kind) != 0).map(|(k, _)| flag_name(*k)).collect::<Vec<_>>().join("|")
}

/// Writes the id maps of a new user namespace: who root in there is out here (user_namespaces(7)).
/// This is for the parent to do; the process itself has no say in it.
pub fn write_id_maps(pid: Pid, spec: &Spec) -> Result<()> {
    let Some(linux) = &spec.linux else { return Ok(()) };
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{}/{file}", pid.as_raw_pid());
        narrate!("who is who inside", "write({path}, {:?})", text.trim_end());
        std::fs::write(&path, text).with_context(|| format!("write {text:?} to {path}{}", refused::why_powerless()))
    };
    if !rustix::process::geteuid().is_root() {
        // Otherwise one could leave a group, and with it what the group is kept from (CVE-2014-8989).
        write("setgroups", "deny")?;
    }
    write("gid_map", &id_map(&linux.gid_mappings))?;
    write("uid_map", &id_map(&linux.uid_mappings))
}

fn id_map(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_namespace_is_not_made_by_clone() {
        let namespaces = Namespaces::of(&layout::oci::defaults::spec());
        assert!(namespaces.is_new(NamespaceKind::Cgroup) && !namespaces.has(NamespaceKind::User));
        assert_eq!(namespaces.clone_flags() & flag(NamespaceKind::Cgroup), 0);
        assert_eq!(namespaces.clone_flag_names(), "CLONE_NEWPID|CLONE_NEWNET|CLONE_NEWIPC|CLONE_NEWUTS|CLONE_NEWNS");
    }

    #[test]
    fn only_different_namespaces_are_entered() {
        let proc = tempfile::tempdir().unwrap();
        for who in ["self", "7"] {
            let dir = proc.path().join(who).join("ns");
            std::fs::create_dir_all(&dir).unwrap();
            for (_, file) in FILES {
                let shared = proc.path().join(format!("shared-{file}"));
                std::fs::write(&shared, "").unwrap();
                let own =
                    if matches!(file, "net" | "mnt") { proc.path().join(format!("{who}-{file}")) } else { shared };
                std::fs::write(&own, "").unwrap();
                std::fs::hard_link(&own, dir.join(file)).unwrap();
            }
        }
        let flags = different(proc.path(), "self", Pid::from_raw(7).unwrap()).unwrap();
        assert_eq!(flags, flag(NamespaceKind::Network) | flag(NamespaceKind::Mount));
        assert_eq!(names(flags), "CLONE_NEWNS|CLONE_NEWNET");
    }

    #[test]
    fn id_maps_are_lines_of_three_numbers() {
        let map = IdMapping { container_id: 0, host_id: 1000, size: 1 };
        assert_eq!(id_map(&[map, IdMapping { container_id: 1, ..map }]), "0 1000 1\n1 1000 1\n");
    }
}

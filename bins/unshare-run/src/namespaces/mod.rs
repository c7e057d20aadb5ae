//! Namespaces: each kind is a part of the machine that a process can have for itself (namespaces(7)).
//!
//! New ones come with the process (clone3), existing ones are joined by a file in `/proc/PID/ns` (setns).
//! Four need care. A pid namespace holds only for processes yet to be made, so it is joined by the
//! parent around clone3. A cgroup namespace takes the group that one is in as its root, so it is made
//! last, when the process is in its group. All others belong to a user namespace, which decides who may do what with
//! them: so that comes first. And a time namespace gets its offsets before anybody is in it ([`time`]). Where these
//! orders are more than one clone3 can do, another process goes ahead ([`crate::clone::by_way_of_a_guide`]).

pub mod check;
pub mod network_devices;
pub mod refused;
pub mod time;
pub mod user;

use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Namespace, NamespaceKind, Spec, TimeOffset};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use std::collections::BTreeMap;
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
pub const FILES: [(NamespaceKind, &str); 8] = [
    (NamespaceKind::User, "user"),
    (NamespaceKind::Pid, "pid"),
    (NamespaceKind::Mount, "mnt"),
    (NamespaceKind::Network, "net"),
    (NamespaceKind::Uts, "uts"),
    (NamespaceKind::Ipc, "ipc"),
    (NamespaceKind::Cgroup, "cgroup"),
    (NamespaceKind::Time, "time"),
];

/// The namespaces of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    list: Vec<Namespace>,
    time_offsets: BTreeMap<String, TimeOffset>,
}

impl Namespaces {
    /// Those of a configuration; what is not listed is the caller's own.
    pub fn of(spec: &Spec) -> Namespaces {
        match &spec.linux {
            Some(linux) => Namespaces { list: linux.namespaces.clone(), time_offsets: linux.time_offsets.clone() },
            None => Namespaces::default(),
        }
    }

    /// Whether the container has its own of this kind, new or joined.
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.list.iter().any(|namespace| namespace.kind == kind)
    }

    /// Whether a new one of this kind is made.
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        self.list.iter().any(|namespace| namespace.kind == kind && namespace.path.is_none())
    }

    /// The file of the one of this kind that is joined.
    pub fn path(&self, kind: NamespaceKind) -> Option<&Path> {
        self.list.iter().find(|namespace| namespace.kind == kind).and_then(|namespace| namespace.path.as_deref())
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
        self.list.iter().filter(|n| n.path.is_none() && n.kind != NamespaceKind::Cgroup).map(|n| n.kind)
    }

    /// Whether one clone3 cannot do it: new namespaces that are to belong to a user namespace that exists, existing ones
    /// that do not belong to the new user namespace, and clocks that are to be off.
    pub fn need_a_guide(&self) -> bool {
        let joins_others = self.list.iter().any(|n| n.path.is_some() && n.kind != NamespaceKind::Pid);
        let user = self.path(NamespaceKind::User).is_some() || (self.is_new(NamespaceKind::User) && joins_others);
        user || !self.time_offsets.is_empty()
    }

    /// What the guide does before it makes the process; what remains to be made with the process is given back.
    pub fn go_ahead(&self) -> Result<u64> {
        self.enter_pid_namespace()?;
        self.join()?;
        let mut made = 0;
        if self.is_new(NamespaceKind::User) {
            narrate!("what comes after it belongs to it", "unshare(CLONE_NEWUSER)");
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).context("unshare the user namespace")?;
            made |= flag(NamespaceKind::User);
        }
        if !self.time_offsets.is_empty() {
            time::unshare(&self.time_offsets)?;
            made |= flag(NamespaceKind::Time);
        }
        Ok(self.clone_flags() & !made)
    }

    /// Joins those that are given by path, in the new process, but for the pid namespace.
    ///
    /// Where a user namespace is among them, first those that the caller may join as himself: in the user namespace
    /// he may only join what belongs to it.
    pub fn join(&self) -> Result<()> {
        let mut left = Vec::new();
        // All are opened first: the paths are the caller's, and a joined mount namespace has others.
        for namespace in self.list.iter().filter(|namespace| namespace.kind != NamespaceKind::Pid) {
            if let Some(path) = &namespace.path {
                left.push((namespace.kind, path, open_kind(path, namespace.kind)?));
            }
        }
        if let Some(at) = left.iter().position(|(kind, ..)| *kind == NamespaceKind::User) {
            let (_, path, user) = left.remove(at);
            let mut later = Vec::new();
            for (kind, path, fd) in left {
                if !may_join(path, kind, &fd)? {
                    later.push((kind, path, fd));
                }
            }
            join(path, NamespaceKind::User, &user).context("we may already be in it, or not permitted to")?;
            left = later;
        }
        left.iter().try_for_each(|(kind, path, fd)| join(path, *kind, fd))
    }

    /// Enters the pid namespace that is given by path, if one is. It holds for the children to come, until the caller goes
    /// back to what this gives: our own.
    pub fn enter_pid_namespace(&self) -> Result<Option<OwnedFd>> {
        let Some(path) = self.path(NamespaceKind::Pid) else { return Ok(None) };
        let own = open(Path::new("/proc/self/ns/pid"))?;
        join(path, NamespaceKind::Pid, &open_kind(path, NamespaceKind::Pid)?)?;
        Ok(Some(own))
    }
}

fn join(path: &Path, kind: NamespaceKind, fd: &OwnedFd) -> Result<()> {
    narrate!("a namespace that exists already", "setns({}, {})", path.display(), flag_name(kind));
    enter(fd, flag(kind)).with_context(|| format!("join {}", path.display()))
}

/// Joins unless that is not permitted.
fn may_join(path: &Path, kind: NamespaceKind, fd: &OwnedFd) -> Result<bool> {
    match join(path, kind, fd) {
        Err(error) if error.root_cause().downcast_ref::<nix::errno::Errno>() == Some(&nix::errno::Errno::EPERM) => {
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

/// Opens a namespace that must be of this kind.
fn open_kind(path: &Path, kind: NamespaceKind) -> Result<OwnedFd> {
    let fd = open(path)?;
    match sys::namespace_flag(&fd) {
        Ok(found) if found == flag(kind) => Ok(fd),
        Ok(found) => bail!(
            "join {}: it is a namespace of another kind ({}), not {}",
            path.display(),
            names(found),
            flag_name(kind)
        ),
        Err(_) => bail!("join {}: it is no namespace", path.display()),
    }
}

/// Opens a namespace.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).with_context(|| format!("open namespace {}", path.display()))
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
            match rustix::fs::stat(&path) {
                Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
                // A kernel may be built without a kind.
                Err(Errno::NOENT) if kind == NamespaceKind::Time => Ok(None),
                Err(error) => Err(error).with_context(|| format!("stat {}", path.display())),
            }
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
}

//! The moment at which one process becomes two, and the second one is somewhere else.

use crate::namespaces::{self, Namespaces, refused};
use crate::narrate::narrate;
use crate::sys::{self, Cloned};
use anyhow::{Context, Result};
use layout::oci::runtime::NamespaceKind;
use rustix::fd::BorrowedFd;

/// Makes a process in the new namespaces of the configuration, in its pid namespace if that is an existing one, and in
/// the cgroup that is given. Returns twice, as fork does; an error is the parent's alone.
pub fn into_namespaces(namespaces: &Namespaces, group: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    let flags = namespaces.clone_flags();
    let home = namespaces.enter_pid_namespace()?;
    let names = with_group(namespaces.clone_flag_names(), group);
    narrate!("a process in new namespaces", "clone3({names})");
    let cloned = sys::clone3(flags, group).map_err(|errno| {
        let why = refused::why(errno, namespaces);
        anyhow::Error::new(errno).context(format!("clone3{why}"))
    });
    if let (Some(home), false) = (home, matches!(cloned, Ok(Cloned::Child))) {
        // Our own later children (a cgset that cleans up) are to be in our own pid namespace again.
        namespaces::enter(&home, namespaces::flag(NamespaceKind::Pid)).context("return to our own pid namespace")?;
    }
    cloned
}

/// Makes a sibling of this process, in the pid namespace that it has entered (setns(2) moves only children there).
pub fn sibling() -> Result<Cloned> {
    narrate!("only a new process is in the pid namespace that was entered", "clone3(CLONE_PARENT)");
    sys::clone3(libc::CLONE_PARENT as u64, None).context("clone3 in the container")
}

/// Makes a child, as fork does, in the cgroup that is given.
pub fn child(group: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    if group.is_some() {
        narrate!("a process in the container's group", "clone3({})", with_group(String::new(), group));
    }
    sys::clone3(0, group).with_context(|| match group {
        Some(_) => "clone3 into the container's cgroup",
        None => "clone3",
    })
}

fn with_group(mut flags: String, group: Option<BorrowedFd<'_>>) -> String {
    if group.is_some() {
        let separator = if flags.is_empty() { "" } else { "|" };
        flags += separator;
        flags += "CLONE_INTO_CGROUP";
    }
    flags
}

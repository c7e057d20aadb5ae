//! The moment at which one process becomes two, and the second one is somewhere else.

use crate::cgroup::Entrance;
use crate::namespaces::{self, Namespaces, refused};
use crate::narrate::narrate;
use crate::protocol::{Channel, Report};
use crate::state::Process;
use crate::sys::{self, Cloned};
use anyhow::{Context, Result, bail};
use layout::exit;
use layout::oci::runtime::NamespaceKind;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

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
        narrate!("we ourselves are back where our own children belong", "setns(/proc/self/ns/pid, CLONE_NEWPID)");
        namespaces::enter(&home, namespaces::flag(NamespaceKind::Pid)).context("return to our own pid namespace")?;
    }
    cloned
}

/// Makes a sibling of this process, in the pid namespace that it has entered (setns(2) moves only children there).
pub fn sibling() -> Result<Cloned> {
    narrate!("only a new process is in the pid namespace that was entered", "clone3(CLONE_PARENT)");
    sys::clone3(libc::CLONE_PARENT as u64, None).context("clone3 in the container")
}

/// Makes the process by way of another one, the guide, which goes ahead into the user namespace or changes the clocks
/// and makes it as its sibling there, so that it is our child. `entrance` is for the guide: what it makes is in the
/// group as well. Returns twice, as fork does; each side gets its end of the channel, and only the parent a process.
pub fn by_way_of_a_guide(namespaces: &Namespaces, entrance: Entrance) -> Result<(Channel, Option<Process>)> {
    let (ours, theirs) = Channel::pair()?;
    let guide = match child(entrance.unified())? {
        Cloned::Parent { pid, pidfd } => Process { pid, pidfd },
        Cloned::Child => {
            drop(ours);
            let made = entrance.enter().and_then(|()| namespaces.go_ahead()).and_then(|flags| {
                let names = with(namespaces::names(flags), "CLONE_PARENT");
                narrate!("the process, in what we have entered and made", "clone3({names})");
                sys::clone3(flags | libc::CLONE_PARENT as u64, None).context("clone3")
            });
            let told = match made {
                Ok(Cloned::Child) => return Ok((theirs, None)),
                Ok(Cloned::Parent { pid, .. }) => theirs.report(&Report::Made(pid.as_raw_pid())),
                Err(error) => theirs.report(&Report::failure(&error)),
            };
            sys::exit_now(if told.is_ok() { 0 } else { exit::TOOL })
        }
    };
    drop(theirs);
    let child = receive_child(&ours);
    // It has nothing more to do, and its end tells nothing that the channel does not.
    let _ = waitid(WaitId::PidFd(guide.pidfd.as_fd()), WaitIdOptions::EXITED);
    Ok((ours, Some(child?)))
}

/// The process that another one has made for us.
pub fn receive_child(channel: &Channel) -> Result<Process> {
    match channel.next_report()? {
        Some(Report::Made(number)) => {
            // It is our child and not reaped yet, so the number is its own.
            let pid = Pid::from_raw(number).context("the process that makes it told no number")?;
            let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("open a pidfd of the new process")?;
            Ok(Process { pid, pidfd })
        }
        Some(Report::Failed(code, message)) => Err(exit::coded(code, message)),
        _ => bail!(
            "make a process in namespaces that exist: the one that makes it ended early (has the container ended?)"
        ),
    }
}

/// Whether an error is that a limit of tasks is reached, the group's perhaps.
pub fn is_full(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Errno>() == Some(&Errno::AGAIN)
}

/// Whether an error is that the group has groups inside it, and may therefore have no processes itself (cgroup-v2.rst).
pub fn is_divided(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Errno>() == Some(&Errno::BUSY)
}

/// Makes a child, as fork does, in the cgroup that is given.
pub fn child(group: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    if group.is_some() {
        narrate!("a process in the container's group", "clone3({})", with_group(String::new(), group));
    } else {
        narrate!("a process of our own", "clone3()");
    }
    sys::clone3(0, group).with_context(|| match group {
        Some(_) => "clone3 into the container's cgroup",
        None => "clone3",
    })
}

fn with_group(flags: String, group: Option<BorrowedFd<'_>>) -> String {
    if group.is_some() { with(flags, "CLONE_INTO_CGROUP") } else { flags }
}

fn with(flags: String, another: &str) -> String {
    if flags.is_empty() { another.to_owned() } else { flags + "|" + another }
}

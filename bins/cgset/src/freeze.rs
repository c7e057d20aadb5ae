//! Freezing: the kernel stops every task of the group at its next way out of the kernel.
//!
//! v1 has a controller of its own for it (`freezer.state`), v2 a file in each group (`cgroup.freeze`). Both are
//! asked to freeze and say later that it is done: a task in an uninterruptible wait takes its time.

use crate::group::{Group, read};
use crate::hierarchy::Version;
use crate::processes;
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a group may take to freeze.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a group is frozen.
struct Freezer {
    version: Version,
    folder: PathBuf,
}

impl Freezer {
    fn of(group: &Group) -> Result<Freezer> {
        let v1_tree = group.controller("freezer")?.filter(|found| found.version == Version::V1);
        match (v1_tree, group.unified_folder()) {
            (Some(found), _) => Ok(Freezer { version: Version::V1, folder: found.path }),
            (None, Some(folder)) => Ok(Freezer { version: Version::V2, folder }),
            (None, None) => bail!("freeze {}: no freezer controller is mounted", group.name),
        }
    }

    fn ask(&self, group: &Group, frozen: bool) -> Result<()> {
        match (self.version, frozen) {
            (Version::V1, true) => group.write(&self.folder.join("freezer.state"), "FROZEN"),
            (Version::V1, false) => group.write(&self.folder.join("freezer.state"), "THAWED"),
            (Version::V2, true) => group.write(&self.folder.join("cgroup.freeze"), "1"),
            (Version::V2, false) => group.write(&self.folder.join("cgroup.freeze"), "0"),
        }
    }

    fn is_frozen(&self) -> Result<bool> {
        match self.version {
            Version::V1 => Ok(read(&self.folder.join("freezer.state"))? == "FROZEN"),
            Version::V2 => Ok(read(&self.folder.join("cgroup.events"))?.lines().any(|line| line == "frozen 1")),
        }
    }
}

/// Freezes the group and the groups inside it, and waits until they are.
///
/// # Errors
/// A group that this process is in, and one that will not freeze: that is thawed again.
pub fn freeze(group: &Group) -> Result<()> {
    let own = std::process::id() as i32;
    if processes::in_tree(group)?.contains(&own) {
        bail!("freeze {}: this very process ({own}) is in it, and could never thaw it", group.name);
    }
    let freezer = Freezer::of(group)?;
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    freezer.ask(group, true)?;
    while !freezer.is_frozen()? {
        if Instant::now() >= deadline {
            freezer.ask(group, false)?;
            bail!("freeze {}: a process has not stopped within {} seconds", group.name, PATIENCE.as_secs());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
        // A v1 group that forks while it freezes can get stuck half-way; asking again reaches the new tasks.
        if freezer.version == Version::V1 {
            freezer.ask(group, true)?;
        }
    }
    Ok(())
}

/// Whether the group is frozen, by itself or with a group above it.
pub fn is_frozen(group: &Group) -> Result<bool> {
    Freezer::of(group)?.is_frozen()
}

/// Lets the group go on.
pub fn thaw(group: &Group) -> Result<()> {
    Freezer::of(group)?.ask(group, false)
}

/// Lets the group go on, and those inside it that were frozen by themselves.
pub fn thaw_tree(group: &Group) -> Result<()> {
    let outer = Freezer::of(group)?;
    for folder in processes::folders_inside(&outer.folder)? {
        Freezer { version: outer.version, folder }.ask(group, false)?;
    }
    outer.ask(group, false)
}

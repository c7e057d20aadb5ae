//! The files and descriptors that tell of events, and what they say.

use super::Seen;
use crate::group::{Group, read_optional};
use crate::hierarchy::Version;
use crate::stats::parse::pairs;
use anyhow::{Context, Result};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lines of `memory.events`, and what they are called here.
const MEMORY: [&str; 5] = ["low", "high", "max", "oom", "oom_kill"];

/// Somebody who waits.
pub struct Watch {
    /// Files that change, on v2.
    files: Vec<(PathBuf, File)>,
    /// `memory.oom_control` of v1, and what the kernel tells of it.
    oom: Option<(PathBuf, OwnedFd)>,
    /// How often memory ran out since, on v1, which does not count that.
    ooms: u64,
    pids: Option<PathBuf>,
}

impl Watch {
    /// Begins to watch a group.
    pub fn new(group: &Group) -> Result<Watch> {
        let mut watch = Watch { files: Vec::new(), oom: None, ooms: 0, pids: None };
        match group.controller("memory")? {
            Some(found) if found.version == Version::V2 => watch.open(found.path.join("memory.events"))?,
            Some(found) => watch.oom = oom_notifier(group, &found.path)?,
            None => {}
        }
        if let Some(found) = group.controller("pids")? {
            let file = found.path.join("pids.events");
            watch.open(file.clone())?;
            watch.pids = Some(file);
        }
        if let Some(folder) = group.unified_folder() {
            watch.open(folder.join("cgroup.events"))?;
        }
        Ok(watch)
    }

    fn open(&mut self, path: PathBuf) -> Result<()> {
        match File::open(&path) {
            Ok(file) => self.files.push((path, file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
        }
        Ok(())
    }

    /// What can be seen now; `None`: the group is gone.
    pub fn look(&mut self, group: &Group) -> Result<Option<Seen>> {
        if group.require().is_err() {
            return Ok(None);
        }
        // The kernel wakes for what has changed since it was read by the descriptor that waits. That comes first, so that
        // nothing falls between the two.
        for (_, file) in &self.files {
            let mut buffer = [0; 4096];
            // A file of a group that is gone cannot be read: then the wait is a short one.
            let _ = file.read_at(&mut buffer, 0);
        }
        let mut seen = Seen { frozen: crate::freeze::is_frozen(group).unwrap_or(false), ..Seen::default() };
        for (path, _) in self.files.iter().filter(|(path, _)| path.ends_with("memory.events")) {
            let text = read_optional(path)?.unwrap_or_default();
            for (key, count) in pairs(&text) {
                seen.counts.extend(MEMORY.iter().find(|name| **name == key).map(|name| (*name, count)));
            }
        }
        if let Some((file, _)) = &self.oom {
            let text = read_optional(file)?.unwrap_or_default();
            seen.counts.extend(pairs(&text).find(|(key, _)| *key == "oom_kill").map(|(_, count)| ("oom_kill", count)));
            seen.counts.insert("oom", self.ooms);
        }
        if let Some(file) = &self.pids {
            let text = read_optional(file)?.unwrap_or_default();
            seen.counts.extend(pairs(&text).next().map(|(_, count)| ("pids_max", count)));
        }
        Ok(Some(seen))
    }

    /// Waits until something has happened, or for as long. Tells whether memory ran out on v1.
    pub fn wait(&mut self, patience: Duration) -> Result<bool> {
        let mut waiting: Vec<PollFd<'_>> =
            self.files.iter().map(|(_, file)| PollFd::new(file, PollFlags::PRI)).collect();
        waiting.extend(self.oom.iter().map(|(_, told)| PollFd::new(told, PollFlags::IN)));
        let time = Timespec { tv_sec: patience.as_secs() as _, tv_nsec: patience.subsec_nanos() as _ };
        match poll(&mut waiting, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        let Some((_, told)) = &self.oom else { return Ok(false) };
        let mut count = [0; 8];
        // It does not block: nothing was told.
        if rustix::io::read(told, &mut count).is_err() {
            return Ok(false);
        }
        // The end of the group is told of by the same way.
        if self.oom.as_ref().is_none_or(|(file, _)| !file.exists()) {
            return Ok(false);
        }
        self.ooms += u64::from_ne_bytes(count);
        Ok(true)
    }
}

/// Has the kernel tell an eventfd when memory runs out: a line of the two descriptors in `cgroup.event_control`.
fn oom_notifier(group: &Group, folder: &Path) -> Result<Option<(PathBuf, OwnedFd)>> {
    let file = folder.join("memory.oom_control");
    let control = match File::open(&file) {
        Ok(control) => control,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("open {}", file.display())),
    };
    let told = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).context("make an eventfd")?;
    group.write(&folder.join("cgroup.event_control"), &format!("{} {}", told.as_raw_fd(), control.as_raw_fd()))?;
    Ok(Some((file, told)))
}

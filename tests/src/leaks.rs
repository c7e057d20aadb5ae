//! What is on the machine that a container engine could leave behind: before the tests, after them, and
//! what is there afterwards alone.
//!
//! A snapshot is a text file, one thing a line, so that it can be read and compared by hand as well.

use crate::Sandbox;
use crate::process::Process;
use anyhow::{Context, Result};
use layout::tool::Tool;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Everything found, one line a thing: `mount /tmp/x overlay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at the whole machine.
    pub fn take() -> Result<Snapshot> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context("read the mount table")?;
        let mut found = BTreeSet::new();
        found.extend(parse_mounts(&mounts).map(|m| format!("mount {} ({})", m.target, m.kind)));
        found.extend(cgroups(&mounts).into_iter().map(|dir| format!("cgroup {}", dir.display())));
        found.extend(names_in(Path::new("/sys/class/net")).map(|name| format!("network device {name}")));
        found.extend(nft_rules()?.into_iter().map(|rule| format!("nftables {rule}")));
        found.extend(processes().into_iter().map(|process| format!("process {process}")));
        for dir in watched_folders() {
            found.extend(names_in(&dir).map(|name| format!("file {}/{name}", dir.display())));
        }
        Ok(Snapshot(found))
    }

    /// Reads what [`Snapshot::save`] wrote.
    pub fn load(file: &Path) -> Result<Snapshot> {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        Ok(Snapshot(text.lines().map(str::to_owned).collect()))
    }

    /// Writes it to a file.
    pub fn save(&self, file: &Path) -> Result<()> {
        let text: String = self.0.iter().map(|line| format!("{line}\n")).collect();
        fs::write(file, text).with_context(|| format!("write {}", file.display()))
    }

    /// What is here and was not there `before`.
    pub fn since(&self, before: &Snapshot) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// What was not there `before` and is still here after `patience`: a dying process takes a moment to be gone.
pub fn leftovers(before: &Snapshot, patience: Duration) -> Result<Vec<String>> {
    let deadline = Instant::now() + patience;
    loop {
        let left = Snapshot::take()?.since(before);
        if left.is_empty() || Instant::now() > deadline {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One line of the mount table, proc_pid_mountinfo(5).
pub struct Mount<'a> {
    /// Where it is mounted.
    pub target: &'a str,
    /// The type of the filesystem.
    pub kind: &'a str,
}

/// Reads a mount table.
pub fn parse_mounts(mountinfo: &str) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        Some(Mount { target: before.split(' ').nth(4)?, kind: after.split(' ').next()? })
    })
}

/// The folders of all control groups, whatever the hierarchy. Those below a systemd unit are left out:
/// systemd makes and removes them all the time, and none of our tools works there.
fn cgroups(mountinfo: &str) -> Vec<PathBuf> {
    let roots = parse_mounts(mountinfo).filter(|m| m.kind.starts_with("cgroup")).map(|m| PathBuf::from(m.target));
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = roots.collect();
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if ![".slice", ".scope", ".service", ".mount"].iter().any(|unit| name.ends_with(unit)) {
                found.push(entry.path());
                todo.push(entry.path());
            }
        }
    }
    found
}

fn names_in(dir: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// The rules of all tables, each after its table and chain, without counters.
fn nft_rules() -> Result<Vec<String>> {
    let output = Command::new("nft").args(["--stateless", "list", "ruleset"]).output();
    let output = output.context("run nft (make setup installs it)")?;
    let mut place: Vec<String> = Vec::new();
    let mut rules = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "}" {
            place.pop();
            continue;
        }
        rules.push([&place.join(" "), line.trim_end_matches(" {")].join(" ").trim().to_owned());
        if let Some(block) = line.strip_suffix(" {") {
            place.push(block.to_owned());
        }
    }
    Ok(rules)
}

/// Our tools that run, what runs in a control group of a container, and what a test has left running.
fn processes() -> Vec<String> {
    let own = std::process::id();
    let is_ours = |p: &Process| {
        Tool::ALL.iter().any(|tool| p.is(tool.name(), ""))
            || p.cgroups.contains(":/ctr/")
            || p.ctr_root.as_ref().is_some_and(|root| root.ends_with(Sandbox::ROOT))
    };
    let all = Process::all().into_iter().filter(|p| p.pid != own && is_ours(p));
    all.map(|p| format!("{} {}", p.pid, p.name)).collect()
}

/// Where files could be left: what tests use for their temporary files, and the default places of the engine.
fn watched_folders() -> Vec<PathBuf> {
    let mut dirs = vec!["/run/ctr".into(), "/var/lib/ctr".into(), "/run/netns".into()];
    // `make test` gives the tests a folder of their own; the whole of /tmp belongs to others as well.
    dirs.extend(std::env::var_os("TMPDIR").map(PathBuf::from));
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_table_is_read_by_its_fields() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let mounts: Vec<_> = parse_mounts(line).map(|m| (m.target, m.kind)).collect();
        assert_eq!(mounts, [("/mnt2", "ext3")]);
    }

    #[test]
    fn only_what_is_new_is_left_over() {
        let snapshot = |lines: &[&str]| Snapshot(lines.iter().map(|l| l.to_string()).collect());
        let (before, after) = (snapshot(&["mount /a", "mount /b"]), snapshot(&["mount /b", "mount /c"]));
        assert_eq!(after.since(&before), ["mount /c"]);
    }

    #[test]
    fn a_snapshot_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let taken = Snapshot::take().unwrap();
        taken.save(&dir.path().join("s")).unwrap();
        assert_eq!(Snapshot::load(&dir.path().join("s")).unwrap(), taken);
    }
}

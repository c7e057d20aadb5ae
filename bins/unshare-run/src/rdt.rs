//! Shares of the processor's cache and of the way to memory: `linux.intelRdt` (config-linux.md "IntelRdt").
//!
//! The kernel shows them as a filesystem, resctrl. A folder in it is a group with a file `schemata`, which says what part it may use, and a
//! file `tasks`, which says who is in it. It is mounted by whoever runs the machine; few machines have it.

use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{IntelRdt, Linux};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The groups that a container is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// Where its processes are to be put.
    folders: Vec<PathBuf>,
    /// What was made for it, and goes with it: the inner one first.
    made: Vec<PathBuf>,
}

impl Groups {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self == &Groups::default()
    }

    /// Puts a process, and what it makes from now on, into the groups.
    pub fn enter(&self, pid: Pid) -> Result<()> {
        for folder in &self.folders {
            let file = folder.join("tasks");
            narrate!("its share of cache and memory bandwidth", "write({}, {})", file.display(), pid.as_raw_pid());
            fs::write(&file, pid.as_raw_pid().to_string()).with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }

    /// Removes what was made for the container; none there is fine.
    pub fn remove(&self) -> Result<()> {
        for folder in &self.made {
            match fs::remove_dir(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", folder.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Makes the groups of a configuration, or finds them. What is made is told to `groups` at once, so that it is removed if the rest fails.
pub fn make(linux: &Linux, id: &str, groups: &mut Groups) -> Result<()> {
    let Some(wanted) = &linux.intel_rdt else { return Ok(()) };
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let Some(tree) = mounted(&mounts) else {
        bail!(
            "linux.intelRdt: resctrl is not mounted (mount -t resctrl resctrl /sys/fs/resctrl), or this machine has none"
        );
    };
    make_in(&tree, wanted, id, groups).context("linux.intelRdt")
}

/// Where resctrl is mounted.
fn mounted(mountinfo: &str) -> Option<PathBuf> {
    let line = mountinfo.lines().find(|line| line.contains(" - resctrl "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

fn make_in(tree: &Path, wanted: &IntelRdt, id: &str, groups: &mut Groups) -> Result<()> {
    let name = if wanted.clos_id.is_empty() { id } else { &wanted.clos_id };
    if name.contains('/') || matches!(name, "." | ".." | "info" | "mon_groups" | "mon_data") {
        bail!("closID {name:?}: it must be the name of a folder");
    }
    let folder = tree.join(name);
    let schemata: Vec<&str> = wanted
        .schemata
        .iter()
        .chain([&wanted.l3_cache_schema, &wanted.mem_bw_schema])
        .flat_map(|text| text.lines())
        .filter(|line| !line.trim().is_empty())
        .collect();
    match fs::create_dir(&folder) {
        Ok(()) => {
            // A group with a name of its own may get further containers: it stays.
            if wanted.clos_id.is_empty() {
                groups.made.push(folder.clone());
            }
            write_schemata(&folder, &schemata)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && !wanted.clos_id.is_empty() => {
            compare_schemata(&folder, &schemata)?;
        }
        Err(error) => return Err(error).with_context(|| format!("make {}", folder.display())),
    }
    groups.folders.push(folder.clone());
    if wanted.enable_monitoring {
        let monitored = folder.join("mon_groups").join(id);
        fs::create_dir(&monitored).with_context(|| format!("make {}", monitored.display()))?;
        groups.made.insert(0, monitored.clone());
        groups.folders.push(monitored);
    }
    Ok(())
}

fn write_schemata(folder: &Path, schemata: &[&str]) -> Result<()> {
    if schemata.is_empty() {
        return Ok(());
    }
    let file = folder.join("schemata");
    let text = schemata.join("\n") + "\n";
    narrate!("what part it may use", "write({}, {text:?})", file.display());
    fs::write(&file, &text).with_context(|| format!("write {text:?} to {}", file.display()))
}

/// A group that is there already must be as it is wanted, as others are in it.
fn compare_schemata(folder: &Path, wanted: &[&str]) -> Result<()> {
    let file = folder.join("schemata");
    let present = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    match wanted.iter().find(|line| !present.lines().any(|there| there.trim() == line.trim())) {
        Some(line) => bail!("{line:?}: the group {} exists with other values", folder.display()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resctrl_is_found_in_the_mount_table() {
        let table =
            "24 1 0:22 / /sys rw - sysfs sysfs rw\n31 24 0:26 / /sys/fs/resctrl rw,relatime - resctrl resctrl rw\n";
        assert_eq!(mounted(table), Some("/sys/fs/resctrl".into()));
        assert_eq!(mounted("24 1 0:22 / /sys rw - sysfs sysfs rw\n"), None);
    }

    #[test]
    fn a_group_of_its_own_is_made_and_removed() {
        let tree = tempfile::tempdir().unwrap();
        let wanted = IntelRdt {
            l3_cache_schema: "L3:0=7f0;1=1f".to_owned(),
            mem_bw_schema: "MB:0=20;1=70".to_owned(),
            ..IntelRdt::default()
        };
        let mut groups = Groups::default();
        make_in(tree.path(), &wanted, "web", &mut groups).unwrap();
        let folder = tree.path().join("web");
        assert_eq!(fs::read_to_string(folder.join("schemata")).unwrap(), "L3:0=7f0;1=1f\nMB:0=20;1=70\n");
        groups.enter(Pid::from_raw(7).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("tasks")).unwrap(), "7");
        // In resctrl the files go with the folder.
        fs::remove_file(folder.join("tasks")).unwrap();
        fs::remove_file(folder.join("schemata")).unwrap();
        groups.remove().unwrap();
        groups.remove().unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn a_group_with_a_name_is_shared_if_it_is_as_wanted() {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("gold");
        fs::create_dir_all(folder.join("mon_groups")).unwrap();
        fs::write(folder.join("schemata"), "    MB:0=20\n    L3:0=ff\n").unwrap();
        let mut wanted = IntelRdt { clos_id: "gold".to_owned(), enable_monitoring: true, ..IntelRdt::default() };
        wanted.schemata = vec!["L3:0=ff".to_owned()];
        let mut groups = Groups::default();
        make_in(tree.path(), &wanted, "web", &mut groups).unwrap();
        assert_eq!(groups.made, [folder.join("mon_groups/web")]);
        wanted.schemata = vec!["L3:0=f".to_owned()];
        let error = make_in(tree.path(), &wanted, "db", &mut Groups::default()).unwrap_err();
        assert!(error.to_string().contains("exists with other values"), "{error}");
        wanted.clos_id = "../x".to_owned();
        assert!(make_in(tree.path(), &wanted, "db", &mut Groups::default()).is_err());
    }
}

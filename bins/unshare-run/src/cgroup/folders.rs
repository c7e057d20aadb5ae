//! The folders of a container's cgroup.

use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// Where a group is, as `cgset create --json` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Folders {
    /// Its folder in the v2 tree, where there is one.
    pub unified: Option<PathBuf>,
    /// Its folders in the v1 trees.
    #[serde(rename = "V1")]
    pub v1: Vec<PathBuf>,
}

impl Folders {
    /// Removes the folders, if nobody is in them: nearly always nobody is, and a program to do it would take longer than
    /// all of its calls. Gives whether that did it; anything else is for cgset to find out. As many folders `above` each go
    /// too, as long as they are empty.
    pub fn remove_empty(&self, above: usize) -> bool {
        let all: Vec<&PathBuf> = self.v1.iter().chain(&self.unified).collect();
        let gone = |folder: &Path| {
            narrate!("its group goes, if it is empty", "rmdir({})", folder.display());
            std::fs::remove_dir(folder).map_or_else(|error| error.kind() == ErrorKind::NotFound, |()| true)
        };
        let removed = !all.is_empty() && all.iter().all(|folder| gone(folder));
        if removed {
            // Another container's group in one is no error, and keeps it.
            for folder in &all {
                let _ = folder.ancestors().skip(1).take(above).all(gone);
            }
        }
        removed
    }

    /// Whether what is in the group stands still, or is about to (cgroup-v2.rst "cgroup.freeze", freezer-subsystem.rst).
    pub fn is_frozen(&self) -> bool {
        let says = |file: PathBuf, words: &[&str]| {
            std::fs::read_to_string(file).is_ok_and(|text| words.contains(&text.trim_end()))
        };
        self.unified.iter().any(|folder| says(folder.join("cgroup.freeze"), &["1"]))
            || self.v1.iter().any(|folder| says(folder.join("freezer.state"), &["FROZEN", "FREEZING"]))
    }

    /// The folder that a process of the container is in, in the v2 tree.
    pub fn of_process(&self, pid: Pid) -> Result<Folders> {
        let own = format!("/proc/{}/cgroup", pid.as_raw_pid());
        let text = std::fs::read_to_string(&own).with_context(|| format!("read {own}"))?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
        // The top of the tree is where the container's folder, less its path, is; the process is further down.
        let folder = self.unified.as_deref().zip(path).and_then(|(folder, path)| {
            let found = folder.ancestors().map(|top| top.join(path)).find(|found| found.starts_with(folder));
            found.filter(|found| found.exists())
        });
        let folder = folder
            .with_context(|| format!("find the group of process {} in that of its container", pid.as_raw_pid()))?;
        Ok(Folders { unified: Some(folder), v1: self.v1.clone() })
    }

    /// A group inside this one, which must be there: `PATH`, or `CONTROLLER[,CONTROLLER]:PATH` for single v1 trees.
    pub fn inside(&self, wanted: &[String]) -> Result<Folders> {
        let mut folders = self.clone();
        for text in wanted {
            let (controllers, path) = text.split_once(':').map_or((None, text.as_str()), |(c, path)| (Some(c), path));
            let path = Path::new(path.trim_start_matches('/'));
            if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
                bail!("--cgroup {text}: it is not a group inside of the container's");
            }
            let meant: Vec<&mut PathBuf> = match controllers {
                None => folders.unified.iter_mut().chain(&mut folders.v1).collect(),
                Some(names) => folders.v1.iter_mut().filter(|folder| is_tree_of(folder, names)).collect(),
            };
            if meant.is_empty() {
                bail!("--cgroup {text}: the container is in no such group");
            }
            for folder in meant {
                *folder = folder.join(path);
                if !folder.is_dir() {
                    bail!("--cgroup {text}: there is no {}", folder.display());
                }
            }
        }
        Ok(folders)
    }

    /// The processes in the group and in the groups inside it. A group that is gone has none.
    pub fn processes(&self) -> Result<BTreeSet<i32>> {
        let mut found = BTreeSet::new();
        // In whichever tree, they are the same.
        if let Some(folder) = self.unified.as_ref().or(self.v1.first()) {
            add_processes(folder, &mut found)?;
        }
        Ok(found)
    }
}

/// Whether a folder is in the v1 tree of one of the controllers: trees are mounted at a folder of their names.
fn is_tree_of(folder: &Path, names: &str) -> bool {
    let mut parts = folder.components().filter_map(|part| part.as_os_str().to_str());
    parts.any(|part| part.split(',').any(|controller| names.split(',').any(|name| name == controller)))
}

fn add_processes(folder: &Path, found: &mut BTreeSet<i32>) -> Result<()> {
    let gone = |error: &std::io::Error| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV));
    let what = || format!("list the processes of {}", folder.display());
    let text = match std::fs::read_to_string(folder.join("cgroup.procs")) {
        Err(error) if gone(&error) => return Ok(()),
        other => other.with_context(what)?,
    };
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    let entries = match std::fs::read_dir(folder) {
        Err(error) if gone(&error) => return Ok(()),
        other => other.with_context(what)?,
    };
    for entry in entries {
        let entry = entry.with_context(what)?;
        if entry.file_type().with_context(what)?.is_dir() {
            add_processes(&entry.path(), found)?;
        }
    }
    Ok(())
}

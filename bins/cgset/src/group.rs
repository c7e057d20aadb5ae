//! One cgroup: a name, and the folder with that name in each tree.
//!
//! On v2 that is one folder. On v1 it is one for each mounted tree, those included that set no limit
//! (`name=systemd`, `freezer`, and the empty v2 tree of a hybrid machine): a process then shows the same path
//! in each line of `/proc/PID/cgroup`, and the whole group can be found, frozen and removed by its one name.

use crate::hierarchy::{Hierarchy, Version};
use anyhow::{Context, Result, bail};
use std::cell::OnceCell;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The path of a group from the top of its tree: `/ctr/ID`. Never the top itself, and never a way out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The path with its leading slash, as `/proc/PID/cgroup` shows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder of this group in the tree mounted at `top`.
    fn below(&self, top: &Path) -> PathBuf {
        top.join(&self.0[1..])
    }
}

impl FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Name> {
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.is_empty() {
            bail!("{text:?} names the top of the tree, where every process of the machine is: name a group in it");
        }
        for part in &parts {
            if *part == ".." || part.contains(['\n', '\0']) {
                bail!("{text:?} is no name of a group: {part:?} cannot be a part of it");
            }
            if part.contains(':') {
                bail!("{text:?} is systemd's form of a name (slice:prefix:name): cgset takes a path such as /ctr/ID");
            }
        }
        Ok(Name(format!("/{}", parts.join("/"))))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a controller's files of a group are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerFolder {
    /// Which generation of files it holds.
    pub version: Version,
    /// The folder.
    pub path: PathBuf,
}

/// A cgroup, which need not exist.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// The trees that it has a folder in.
    pub hierarchy: Hierarchy,
    verbose: bool,
    /// The controllers that the v2 folder has, read when first asked for.
    v2_controllers: OnceCell<Vec<String>>,
}

impl Group {
    /// The group `name` in these trees. With `verbose` each change is told on standard error.
    pub fn new(name: Name, hierarchy: Hierarchy, verbose: bool) -> Group {
        Group { name, hierarchy, verbose, v2_controllers: OnceCell::new() }
    }

    /// Its folders in the v1 trees.
    pub fn v1_folders(&self) -> impl Iterator<Item = PathBuf> {
        self.hierarchy.v1.iter().map(|tree| self.name.below(&tree.top))
    }

    /// Its folder in the v2 tree.
    pub fn unified_folder(&self) -> Option<PathBuf> {
        self.hierarchy.unified.as_deref().map(|top| self.name.below(top))
    }

    /// All of its folders.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.v1_folders().chain(self.unified_folder()).collect()
    }

    /// Fails unless the group is there.
    pub fn require(&self) -> Result<()> {
        if self.folders().iter().any(|folder| folder.is_dir()) {
            return Ok(());
        }
        bail!(
            "no such group: {} (make it with: cgset create {})",
            self.name,
            self.name.as_str().trim_start_matches('/')
        );
    }

    /// Where the files of `controller` are, if the machine has that controller: in its v1 tree, else in the v2 tree.
    pub fn controller(&self, controller: &str) -> Result<Option<ControllerFolder>> {
        if let Some(tree) = self.hierarchy.v1_tree(controller) {
            return Ok(Some(ControllerFolder { version: Version::V1, path: self.name.below(&tree.top) }));
        }
        let Some(path) = self.unified_folder() else { return Ok(None) };
        if self.v2_controllers.get().is_none() {
            let list = read_optional(&path.join("cgroup.controllers"))?.unwrap_or_default();
            let _ = self.v2_controllers.set(list.split_whitespace().map(str::to_owned).collect());
        }
        let found = self.v2_controllers.get().is_some_and(|list| list.iter().any(|c| c == controller));
        Ok(found.then_some(ControllerFolder { version: Version::V2, path }))
    }

    /// As [`Group::controller`], for one that cannot be done without.
    pub fn require_controller(&self, controller: &str) -> Result<ControllerFolder> {
        if let Some(found) = self.controller(controller)? {
            return Ok(found);
        }
        match self.unified_folder() {
            Some(folder) if self.hierarchy.v1.is_empty() => bail!(
                "find the {controller} controller: {}/cgroup.controllers does not list it; the kernel lacks it, or the group above does not pass it on",
                folder.display()
            ),
            _ => bail!("find the {controller} controller: no mounted tree has it"),
        }
    }

    /// Makes a folder and those above it. What had to be made is added to `made`, uppermost first.
    ///
    /// Those above may go again before the folder is in them, when somebody deletes the last other one: then they are
    /// made again.
    pub fn make_folder(&self, folder: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
        let mut attempts = 100;
        loop {
            let Err(error) = fs::DirBuilder::new().mode(0o755).create(folder) else {
                self.tell(format_args!("mkdir {}", folder.display()));
                made.push(folder.to_owned());
                return Ok(());
            };
            attempts -= 1;
            match (error.kind(), folder.parent()) {
                (io::ErrorKind::AlreadyExists, _) if folder.is_dir() => return Ok(()),
                (io::ErrorKind::AlreadyExists, _) if attempts > 0 => {}
                (io::ErrorKind::NotFound, Some(above)) if attempts > 0 => self.make_folder(above, made)?,
                // The group above is about to go, but is not out of sight yet.
                _ if error.raw_os_error() == Some(libc::ENODEV) && attempts > 0 => {}
                _ => return Err(error).with_context(|| format!("make group {}", folder.display())),
            }
        }
    }

    /// Removes one folder. `Ok(false)`: it was not there.
    pub fn remove_folder(&self, folder: &Path) -> io::Result<bool> {
        match fs::remove_dir(folder) {
            Ok(()) => {
                self.tell(format_args!("rmdir {}", folder.display()));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a value to a control file. One write(2): the kernel takes each as one command.
    ///
    /// # Errors
    /// The value, the file, what the kernel said, and what to do about it where that is known; [`errno`] tells
    /// the number.
    pub fn write(&self, file: &Path, value: &str) -> Result<()> {
        // Not `fs::write`: that creates missing files, which the kernel answers with EPERM instead of ENOENT.
        fs::OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut open| open.write_all(value.as_bytes()))
            .map_err(|error| Refused { file: file.to_owned(), value: value.to_owned(), error })?;
        self.tell(format_args!("echo {} > {}", layout::tool::quote(value), file.display()));
        Ok(())
    }

    /// Puts a process (0: this one) into the group, in every tree.
    pub fn add(&self, pid: i32) -> Result<()> {
        for folder in self.folders() {
            self.write(&folder.join("cgroup.procs"), &pid.to_string())
                .with_context(|| format!("put process {pid} into {}", self.name))?;
        }
        Ok(())
    }

    /// Says what was done, on standard error, if that is wanted.
    pub fn tell(&self, line: fmt::Arguments<'_>) {
        if self.verbose {
            eprintln!("{line}");
        }
    }
}

/// Reads a control file without the newline at its end.
pub fn read(file: &Path) -> Result<String> {
    read_optional(file)?.with_context(|| format!("read {}: no such file", file.display()))
}

/// Reads a control file; `None` where the kernel (or this group) has no such file.
pub fn read_optional(file: &Path) -> Result<Option<String>> {
    let mut text = String::new();
    match fs::File::open(file).and_then(|mut open| open.read_to_string(&mut text)) {
        Ok(_) => {
            text.truncate(text.trim_end().len());
            Ok(Some(text))
        }
        // ENODEV: the group was removed between the open and the read.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// A value that the kernel did not take.
#[derive(Debug)]
struct Refused {
    file: PathBuf,
    value: String,
    error: io::Error,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {:?} to {}: {}", self.value, self.file.display(), self.error)?;
        match self.advice() {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl Refused {
    /// What the error number means for this file, where the words for the number do not say it.
    fn advice(&self) -> Option<&'static str> {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        Some(match (name.as_ref(), self.error.raw_os_error()?) {
            (_, libc::EACCES | libc::EPERM) if !rustix::process::geteuid().is_root() => "only root may",
            (_, libc::EROFS) => "the tree is mounted read-only",
            ("cgroup.procs", libc::ESRCH) => "it has ended, or is in a pid namespace out of sight",
            ("cgroup.procs", libc::EBUSY | libc::EOPNOTSUPP) => {
                "a v2 group that passes controllers on to groups inside it takes no processes: use one of those"
            }
            ("cgroup.procs", libc::ENOSPC) => "its cpuset.cpus or cpuset.mems is empty",
            ("cgroup.subtree_control", libc::EBUSY) => {
                "processes are in this very group, and a v2 group that passes controllers on may hold none: \
                 move them into a group inside it first (cgset create, cgset add)"
            }
            ("memory.limit_in_bytes" | "memory.memsw.limit_in_bytes", libc::EBUSY) => {
                "the group uses more than that already, and it cannot be taken away"
            }
            ("memory.memsw.limit_in_bytes" | "memory.swap.max", libc::ENOENT) => {
                "this kernel does not account for swap (it may, when booted with swapaccount=1)"
            }
            ("devices.allow", libc::EPERM) => "the group above may not use that device itself",
            (file, libc::EINVAL | libc::ERANGE | libc::ENODEV | libc::EACCES | libc::ENOSPC)
                if file.starts_with("cpuset.") =>
            {
                "the machine, or the group above, has no such processors or memory nodes"
            }
            _ => return None,
        })
    }
}

/// The kernel's error number, of a value that it did not take.
pub fn errno(error: &anyhow::Error) -> Option<i32> {
    error.downcast_ref::<Refused>()?.error.raw_os_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_below_the_top() {
        for (text, name) in [("demo", "/demo"), ("/ctr/ab12", "/ctr/ab12"), ("a//./b/", "/a/b")] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), name);
        }
        for bad in ["", "/", ".", "..", "a/../../b", "a\nb", "system.slice:ctr:ab12"] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        assert_eq!("/a/b".parse::<Name>().unwrap().below(Path::new("/top")), Path::new("/top/a/b"));
    }

    #[test]
    fn a_refused_value_is_named_with_its_file_and_the_cause() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("memory.max");
        let group = Group::new("demo".parse().unwrap(), Hierarchy::default(), false);
        let error = group.write(&file, "12").unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("write \"12\" to ") && said.contains("memory.max: No such file"), "{said}");
        assert_eq!(errno(&error), Some(libc::ENOENT));
        assert!(!file.exists(), "control files are the kernel's to make");
    }
}

//! One cgroup: a name, and the folder with that name in each tree.
//!
//! On v2 that is one folder. On v1 it is one for each mounted tree, those included that set no limit
//! (`name=systemd`, `freezer`, and the empty v2 tree of a hybrid machine): a process then shows the same path
//! in each line of `/proc/PID/cgroup`, and the whole group can be found, frozen and removed by its one name.

use crate::absent;
use crate::hierarchy::{Hierarchy, Version};
use crate::refused::Refused;
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
        // The kernel's limit of paths is 4096, with the place where the tree is mounted before it and a file's name behind.
        if text.len() > 3500 {
            bail!("a name of {} bytes: the name of a group may have 3500", text.len());
        }
        if parts.is_empty() {
            bail!("{text:?} names the top of the tree, where every process of the machine is: name a group in it");
        }
        for part in &parts {
            if *part == ".." || part.contains(['\n', '\0']) {
                bail!("{text:?} is no name of a group: {part:?} cannot be a part of it");
            }
            if part.len() > 255 {
                bail!("a name of {} bytes: a part of the name of a group may have 255", part.len());
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
        bail!(
            "cannot set {controller} limit: no group has the {controller} controller: {}",
            self.why_without(controller)
        );
    }

    /// Why the group does not have a controller.
    pub fn why_without(&self, controller: &str) -> String {
        absent::why(controller, &self.hierarchy, self.unified_folder().as_deref())
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
            .map_err(|error| Refused::new(file, value, error))?;
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

/// The kernel's error number, where it was the kernel that said no.
pub fn errno(error: &anyhow::Error) -> Option<i32> {
    let of_write = error.downcast_ref::<Refused>().map(|refused| &refused.error);
    of_write.or_else(|| error.downcast_ref::<io::Error>())?.raw_os_error()
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
        let (long, deep) = ("x".repeat(256), "x/".repeat(2000));
        assert!(long.parse::<Name>().is_err() && deep.parse::<Name>().is_err() && long[1..].parse::<Name>().is_ok());
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

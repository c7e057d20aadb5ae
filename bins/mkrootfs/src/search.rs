//! Where the loader looks for a library, in its order (ld.so(8)).
//!
//! 1. a name with a slash in it is a path, and nothing is searched;
//! 2. `DT_RPATH` of the file that asks, then of the file that asked for that one, and so on up to the
//!    program, but only if the asking file has no `DT_RUNPATH`;
//! 3. `LD_LIBRARY_PATH`: left out here, it belongs to one shell and not to the program;
//! 4. `DT_RUNPATH` of the file that asks;
//! 5. `/etc/ld.so.cache`;
//! 6. the default folders that are compiled into the loader.
//!
//! A file of the right name for another processor is passed over, as the loader does.

use crate::elf::{self, Elf};
use crate::ld_cache;
use anyhow::{Context, Result};
use layout::rootfs;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Serialize;
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How a file came to be part of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It is the loader itself: `PT_INTERP` is a path.
    Interpreter,
    /// It was named by a path.
    Path,
    /// In a folder of some `DT_RPATH`.
    Rpath,
    /// In a folder of `DT_RUNPATH`.
    Runpath,
    /// By `/etc/ld.so.cache`.
    Cache,
    /// In a default folder.
    Default,
}

/// A program or library that asks for libraries.
#[derive(Debug, Clone)]
pub struct Object {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub elf: Rc<Elf>,
    /// The folder that `$ORIGIN` means in its search paths.
    pub origin: PathBuf,
}

/// The loader of one root filesystem, without running it.
#[derive(Debug)]
pub struct Loader {
    root: PathBuf,
    cache: HashMap<String, Vec<ld_cache::Entry>>,
    known: HashMap<PathBuf, Option<Rc<Elf>>>,
}

impl Loader {
    /// The loader that programs in `root` would have. A cache that is missing or broken counts as empty, as
    /// it does for the loader.
    pub fn new(root: &Path) -> Result<Loader> {
        let mut loader = Loader { root: root.to_owned(), cache: HashMap::new(), known: HashMap::new() };
        if let Some(file) = loader.open(Path::new("/etc/ld.so.cache"))? {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut &file, &mut bytes).context("read /etc/ld.so.cache")?;
            for entry in ld_cache::parse(&bytes).unwrap_or_default().into_iter().filter(|e| e.hwcap == 0) {
                loader.cache.entry(entry.soname.clone()).or_default().push(entry);
            }
        }
        Ok(loader)
    }

    /// Opens a regular file in the root; `None` if there is none.
    pub fn open(&self, path: &Path) -> Result<Option<File>> {
        let file: File = match rootfs::open_in(&self.root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(fd) => fd.into(),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
        };
        Ok(file.metadata().is_ok_and(|m| m.is_file()).then_some(file))
    }

    /// The path with all links followed: what `$ORIGIN` of a program is derived from.
    pub fn real(&self, path: &Path) -> PathBuf {
        let resolve = || {
            let file = rootfs::open_in(&self.root, path, OFlags::PATH).ok()?;
            let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
            let root = std::fs::canonicalize(&self.root).ok()?;
            real.strip_prefix(root).ok().map(|rest| Path::new("/").join(rest))
        };
        resolve().unwrap_or_else(|| path.to_owned())
    }

    /// Reads a program or library; `None` if it is not there or no ELF file.
    pub fn elf(&mut self, path: &Path) -> Result<Option<Rc<Elf>>> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let elf = match self.open(path)? {
            Some(file) => elf::read(&file).with_context(|| format!("read {}", path.display()))?.map(Rc::new),
            None => None,
        };
        self.known.insert(path.to_owned(), elf.clone());
        Ok(elf)
    }

    /// Finds the library `name` for the last object of `askers`, which lists who asked for whom, the program first.
    pub fn find(&mut self, name: &str, askers: &[Object]) -> Option<(PathBuf, How)> {
        let asker = askers.last()?;
        let machine = asker.elf.machine;
        if name.contains('/') {
            return self.matching(&asker.origin.join(name), machine).map(|path| (path, How::Path));
        }
        if asker.elf.runpath.is_none() {
            for object in askers.iter().rev().filter(|o| o.elf.runpath.is_none()) {
                if let Some(path) = self.in_folders(&object.elf.rpath, object, name) {
                    return Some((path, How::Rpath));
                }
            }
        }
        if let Some(path) = asker.elf.runpath.as_ref().and_then(|dirs| self.in_folders(dirs, asker, name)) {
            return Some((path, How::Runpath));
        }
        if let Some(path) = self.in_cache(name, machine) {
            return Some((path, How::Cache));
        }
        let folders = default_folders(machine);
        folders.iter().find_map(|dir| self.matching(&Path::new(dir).join(name), machine)).map(|p| (p, How::Default))
    }

    fn in_folders(&mut self, folders: &[String], object: &Object, name: &str) -> Option<PathBuf> {
        let origin = object.origin.to_string_lossy();
        folders.iter().find_map(|folder| {
            let folder = folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
            // $LIB and $PLATFORM mean something only to the loader that was built with them.
            if folder.contains('$') {
                return None;
            }
            self.matching(&normal(&Path::new(&folder).join(name)), object.elf.machine)
        })
    }

    fn in_cache(&mut self, name: &str, machine: u16) -> Option<PathBuf> {
        let flags = ld_cache::flags_of(machine)?;
        let entries = self.cache.get(name)?;
        let paths: Vec<PathBuf> = entries.iter().filter(|e| e.flags == flags).map(|e| PathBuf::from(&e.path)).collect();
        paths.into_iter().find_map(|path| self.matching(&path, machine))
    }

    /// The path, if there is a file for this processor. What cannot be read is passed over, as the loader does.
    fn matching(&mut self, path: &Path, machine: u16) -> Option<PathBuf> {
        let elf = self.elf(path).ok().flatten()?;
        (elf.machine == machine).then(|| path.to_owned())
    }
}

/// The default folders of the loaders of Debian (by processor), Fedora (`lib64`) and Arch (`lib`).
fn default_folders(machine: u16) -> &'static [&'static str] {
    match machine {
        62 => &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"],
        183 => &["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"],
        243 => &["/lib/riscv64-linux-gnu", "/usr/lib/riscv64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"],
        _ => &["/lib64", "/usr/lib64", "/lib", "/usr/lib"],
    }
}

/// A path without `.` and `..`: `$ORIGIN/../lib` is to be listed and copied by its plain name.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
        normal
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::craft;
    use std::fs;

    const RPATH: u64 = 15;
    const RUNPATH: u64 = 29;

    struct Root(tempfile::TempDir);

    impl Root {
        fn new() -> Root {
            Root(tempfile::tempdir().unwrap())
        }
        fn add(&self, path: &str, content: &[u8]) {
            let file = self.0.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        fn find(&self, name: &str, program: &[(u64, &str)]) -> Option<(String, How)> {
            self.add("/opt/bin/program", &craft(Some("/lib64/ld.so"), program));
            let mut loader = Loader::new(self.0.path()).unwrap();
            let path = PathBuf::from("/opt/bin/program");
            let elf = loader.elf(&path).unwrap().unwrap();
            let object = Object { origin: "/opt/bin".into(), path, elf };
            loader.find(name, &[object]).map(|(path, how)| (path.to_str().unwrap().to_owned(), how))
        }
    }

    #[test]
    fn the_order_is_rpath_cache_default() {
        let root = Root::new();
        let found = |how, path: &str| Some((path.to_owned(), how));
        assert_eq!(root.find("liba.so", &[]), None);
        root.add("/usr/lib/liba.so", &craft(None, &[]));
        assert_eq!(root.find("liba.so", &[]), found(How::Default, "/usr/lib/liba.so"));
        root.add("/srv/liba.so", &craft(None, &[]));
        let entry =
            |path: &str, hwcap| ld_cache::Entry { soname: "liba.so".into(), path: path.into(), flags: 0x0303, hwcap };
        root.add("/etc/ld.so.cache", &ld_cache::write(&[entry("/srv/liba.so", 0), entry("/none", 1)]));
        assert_eq!(root.find("liba.so", &[]), found(How::Cache, "/srv/liba.so"));
        root.add("/opt/lib/liba.so", &craft(None, &[]));
        assert_eq!(root.find("liba.so", &[(RPATH, "$ORIGIN/../lib")]), found(How::Rpath, "/opt/lib/liba.so"));
        assert_eq!(
            root.find("liba.so", &[(RUNPATH, "/none:${ORIGIN}/../lib")]),
            found(How::Runpath, "/opt/lib/liba.so")
        );
        assert_eq!(
            root.find("liba.so", &[(RPATH, "$ORIGIN/../lib"), (RUNPATH, "/x")]),
            found(How::Cache, "/srv/liba.so")
        );
        assert_eq!(root.find("../lib/liba.so", &[]).unwrap().1, How::Path);
    }

    #[test]
    fn a_library_for_another_processor_or_that_is_none_is_passed_over() {
        let root = Root::new();
        let mut other = craft(None, &[]);
        other[18] = 183;
        root.add("/lib64/liba.so", &other);
        root.add("/usr/lib64/liba.so", b"/* GNU ld script */");
        root.add("/lib/liba.so", b"\x7fELF\x01\x01 of 32 bit");
        assert_eq!(root.find("liba.so", &[]), None);
        root.add("/usr/lib/liba.so", &craft(None, &[]));
        assert_eq!(root.find("liba.so", &[]).unwrap().0, "/usr/lib/liba.so");
    }

    #[test]
    fn a_broken_cache_counts_as_empty() {
        let root = Root::new();
        root.add("/etc/ld.so.cache", b"rubbish");
        root.add("/lib/liba.so", &craft(None, &[]));
        assert_eq!(root.find("liba.so", &[]).unwrap().1, How::Default);
    }
}

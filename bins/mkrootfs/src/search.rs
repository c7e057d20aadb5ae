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
//!
//! That is glibc's loader. musl's asks no cache: after the folders of the file that asks and of all who asked for that one (it
//! does not tell `DT_RPATH` from `DT_RUNPATH`), it goes through those that `/etc/ld-musl-ARCH.path` lists, else `/lib`,
//! `/usr/local/lib` and `/usr/lib`. And musl's C library is its loader.

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
    /// In a folder of musl's list.
    List,
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
        if let Some(loader) = musl_loader(askers) {
            return self.find_for_musl(name, askers, &loader);
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

    fn find_for_musl(&mut self, name: &str, askers: &[Object], loader: &str) -> Option<(PathBuf, How)> {
        let machine = askers.last()?.elf.machine;
        for object in askers.iter().rev() {
            let folders = object.elf.runpath.as_ref().unwrap_or(&object.elf.rpath);
            if let Some(path) = self.in_folders(folders, object, name) {
                return Some((path, How::Runpath));
            }
        }
        // /lib/ld-musl-x86_64.so.1 has its list in /etc/ld-musl-x86_64.path.
        let list = format!("/etc/{}.path", loader.rsplit('/').next()?.strip_suffix(".so.1")?);
        let listed = rootfs::read_in(&self.root, &list).ok().flatten();
        let how = if listed.is_some() { How::List } else { How::Default };
        let folders = listed.unwrap_or_else(|| "/lib:/usr/local/lib:/usr/lib".to_owned());
        let mut folders = folders.split([':', '\n']).filter(|folder| !folder.is_empty());
        folders.find_map(|dir| self.matching(&Path::new(dir).join(name), machine)).map(|path| (path, how))
    }

    /// A file of this name that is for another processor, in a default folder, and the number of that processor.
    pub fn for_another_machine(&mut self, name: &str, machine: u16) -> Option<(PathBuf, u16)> {
        let folders = default_folders(machine).iter().chain(default_folders(0));
        let paths: Vec<PathBuf> = folders.map(|folder| Path::new(folder).join(name)).collect();
        paths.into_iter().find_map(|path| {
            let elf = self.elf(&path).ok().flatten()?;
            (elf.machine != machine).then_some((path, elf.machine))
        })
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

/// Whether a library is one of those that musl has in its loader.
pub fn is_musl_itself(name: &str, askers: &[Object]) -> bool {
    let own = ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."];
    own.iter().any(|start| name.starts_with(start)) && musl_loader(askers).is_some()
}

/// The path of the loader that a program names, if that is musl's.
fn musl_loader(askers: &[Object]) -> Option<String> {
    let loader = askers.first()?.elf.interpreter.as_ref()?;
    loader.rsplit('/').next()?.starts_with("ld-musl-").then(|| loader.clone())
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
    fn musl_goes_by_its_list_and_by_all_who_asked() {
        let root = Root::new();
        let find = |program: &[(u64, &str)]| {
            root.add("/bin/program", &craft(Some("/lib/ld-musl-x86_64.so.1"), program));
            let mut loader = Loader::new(root.0.path()).unwrap();
            let mut object = |path: &str, origin: &str| {
                let elf = loader.elf(Path::new(path)).unwrap().unwrap();
                Object { path: path.into(), origin: origin.into(), elf }
            };
            root.add("/srv/libasks.so", &craft(None, &[(RUNPATH, "/none")]));
            let askers = [object("/bin/program", "/bin"), object("/srv/libasks.so", "/srv")];
            loader.find("liba.so", &askers).map(|(path, how)| (path.to_str().unwrap().to_owned(), how))
        };
        let found = |how, path: &str| Some((path.to_owned(), how));
        root.add("/etc/ld.so.cache", b"not for musl");
        root.add("/usr/local/lib/liba.so", &craft(None, &[]));
        assert_eq!(find(&[]), found(How::Default, "/usr/local/lib/liba.so"));
        root.add("/opt/musl/liba.so", &craft(None, &[]));
        root.add("/etc/ld-musl-x86_64.path", b"/none:/lib\n/opt/musl\n");
        assert_eq!(find(&[]), found(How::List, "/opt/musl/liba.so"));
        root.add("/opt/mine/liba.so", &craft(None, &[]));
        // The program's own, though it is a library that asks and has a RUNPATH itself.
        assert_eq!(find(&[(RUNPATH, "$ORIGIN/../opt/mine")]), found(How::Runpath, "/opt/mine/liba.so"));
    }

    #[test]
    fn a_broken_cache_counts_as_empty() {
        let root = Root::new();
        root.add("/etc/ld.so.cache", b"rubbish");
        root.add("/lib/liba.so", &craft(None, &[]));
        assert_eq!(root.find("liba.so", &[]).unwrap().1, How::Default);
    }
}

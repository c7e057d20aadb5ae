//! `mkrootfs host`: a root filesystem out of what this host has.

use crate::cli::{HostArgs, With};
use crate::programs::{self, Kind};
use crate::search::Loader;
use crate::staging::Staging;
use crate::tree::Tree;
use crate::{busybox, closure, etc_files, host_data, ld_cache, perl, python, times};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Libraries that the C library opens by itself when it needs them (dlopen(3)): names in `/etc/hosts` and by DNS,
/// which older versions keep apart, and the unwinder, without which a thread cannot be ended.
const OPENED_LATER: [&str; 3] = ["libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1"];

/// What was made.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The folder.
    pub dir: PathBuf,
    /// Programs, by the path they have in the folder.
    pub programs: Vec<PathBuf>,
    /// Libraries and loaders, likewise.
    pub libraries: Vec<PathBuf>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    /// How many files there are, without folders and links.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
}

/// A root filesystem being put together.
#[derive(Debug)]
pub struct Builder {
    /// What is copied so far.
    pub tree: Tree,
    loader: Loader,
    programs: BTreeSet<PathBuf>,
    /// Programs that are being added: a script, and what reads it.
    pending: Vec<PathBuf>,
    /// Libraries: where each is, and under which names it is asked for.
    libraries: BTreeMap<PathBuf, BTreeSet<String>>,
    left_out: Vec<String>,
}

/// `mkrootfs host`.
pub fn main(args: HostArgs) -> Result<u8> {
    let staging = Staging::beside(&args.dir)?;
    let mut builder = Builder::new(staging.path())?;
    builder.build(&args)?;
    let dir = staging.publish()?;
    let summary = builder.summary(dir);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print(&args.dir);
    }
    Ok(0)
}

impl Builder {
    fn new(dest: &Path) -> Result<Builder> {
        Ok(Builder {
            tree: Tree::new(dest, times::epoch()?),
            loader: Loader::new(Path::new("/"))?,
            programs: BTreeSet::new(),
            pending: Vec::new(),
            libraries: BTreeMap::new(),
            left_out: Vec::new(),
        })
    }

    fn build(&mut self, args: &HostArgs) -> Result<()> {
        etc_files::folders(&mut self.tree)?;
        // First, as it may move a folder whose libraries others use as well.
        for with in &args.with {
            match with {
                With::Python3 => python::add(self)?,
                With::Perl => perl::add(self)?,
                // Last: it has names for what others are missing.
                With::Busybox => {}
                With::Zoneinfo => host_data::zones(&mut self.tree)?,
            }
        }
        if !args.only {
            self.add_defaults()?;
        }
        for program in &args.bins {
            let path = programs::find_asked(program)?;
            self.add_program(&path).with_context(|| format!("add {program}"))?;
        }
        if args.with.contains(&With::Busybox) {
            busybox::add(self)?;
        }
        self.add_opened_later()?;
        host_data::copy(&mut self.tree, args.timezone.as_deref())?;
        etc_files::write(&mut self.tree)?;
        self.write_cache()?;
        self.tree.settle_times()
    }

    fn add_defaults(&mut self) -> Result<()> {
        let mut absent = Vec::new();
        for name in programs::DEFAULT.split_whitespace() {
            match programs::find_default(name) {
                None => absent.push(name),
                Some(path) => {
                    if let Err(error) = self.add_program(&path) {
                        self.left_out.push(format!("{name}: {error:#}"));
                    }
                }
            }
        }
        if !self.tree.has(Path::new("/bin/sh")) {
            bail!("find sh: this host has none that can be copied, and a root filesystem without a shell is of no use");
        }
        self.left_out.extend(absent.into_iter().map(|name| format!("{name}: not on this host")));
        Ok(())
    }

    /// Adds a program of the host with everything that it needs to start.
    ///
    /// One that is where containers look for programs keeps its path; any other goes to `/usr/local/bin`, or is linked from
    /// there. Gives the path that it is called by in the tree.
    pub fn add_program(&mut self, path: &Path) -> Result<PathBuf> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            bail!("{} is no program", path.display());
        };
        // `/bin/sh` and `/usr/bin/sh` may be the same.
        let folder = std::fs::canonicalize(folder).with_context(|| format!("resolve {}", folder.display()))?;
        let here = self.tree.path_of(&folder);
        let stays = programs::PATH.map(Path::new).contains(&here.as_path());
        let to = if stays { here.join(name) } else { Path::new("/usr/local/bin").join(name) };
        if self.programs.contains(&to) {
            return Ok(to);
        }
        if self.pending.contains(&to) {
            bail!("{} is a script that is to be read by itself", path.display());
        }
        self.pending.push(to.clone());
        let needs = self.add_needs(path, &folder);
        self.pending.pop();
        needs?;
        if stays {
            self.tree.place(path)?;
        } else if self.looks_beside_itself(path)? {
            self.tree.place(path)?;
            let real = std::fs::canonicalize(path).with_context(|| format!("resolve {}", path.display()))?;
            self.tree.link(&to, &self.tree.path_of(&real))?;
        } else {
            self.tree.copy_to(path, &to)?;
        }
        self.programs.insert(to.clone());
        Ok(to)
    }

    /// Whether a program finds its libraries from where it is itself. Such a one cannot be moved.
    fn looks_beside_itself(&mut self, path: &Path) -> Result<bool> {
        let Some(elf) = self.loader.elf(path)? else { return Ok(false) };
        let mut folders = elf.rpath.iter().chain(elf.runpath.iter().flatten());
        Ok(folders.any(|folder| folder.contains("$ORIGIN") || folder.contains("${ORIGIN}")))
    }

    /// Adds what a program needs to start. Before it is copied itself: one that cannot run leaves nothing behind.
    fn add_needs(&mut self, path: &Path, folder: &Path) -> Result<()> {
        match programs::kind(path)? {
            Kind::Elf => self.add_libraries(path),
            Kind::Script { interpreter, argument } => self.add_interpreter(&interpreter, argument.as_deref(), folder),
            Kind::Other => bail!("{} is neither a program nor a script", path.display()),
        }
    }

    /// Adds what reads a script. `#!/usr/bin/env NAME` has two: `env`, and the program that it looks for.
    fn add_interpreter(&mut self, interpreter: &Path, argument: Option<&str>, folder: &Path) -> Result<()> {
        self.add_program(&folder.join(interpreter))
            .with_context(|| format!("add its interpreter {}", interpreter.display()))?;
        if interpreter.ends_with("env")
            && let Some(name) = argument.and_then(programs::asked_of_env)
        {
            let program = programs::find_asked(name)?;
            self.add_program(&program).with_context(|| format!("add its interpreter {name}"))?;
        }
        Ok(())
    }

    /// Adds the loader and the libraries of a program or library.
    fn add_libraries(&mut self, file: &Path) -> Result<()> {
        let needs = closure::of(&mut self.loader, file)?;
        if let Some(missing) = needs.iter().find(|needed| needed.path.is_none()) {
            bail!("{} needs {}, which is not on this host", missing.asked_by.display(), missing.name);
        }
        for needed in needs {
            let Some(path) = needed.path else { continue };
            let name = Path::new(&needed.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.add_library(&path, &name)?;
        }
        Ok(())
    }

    /// Adds one library, by the name that others ask for.
    fn add_library(&mut self, path: &Path, name: &str) -> Result<()> {
        self.tree.place(path)?;
        self.trim(path)?;
        // `/lib` and `/usr/lib` may be the same.
        let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
            bail!("{} is no library", path.display());
        };
        let folder = std::fs::canonicalize(folder).with_context(|| format!("resolve {}", folder.display()))?;
        let place = self.tree.path_of(&folder.join(file));
        self.libraries.entry(place).or_default().insert(name.to_owned());
        Ok(())
    }

    fn trim(&mut self, library: &Path) -> Result<()> {
        match self.loader.elf(library)? {
            Some(elf) => self.tree.trim_library(library, elf.end),
            None => Ok(()),
        }
    }

    /// Adds a language's folder of modules, and the libraries of those that are compiled. A compiled module whose
    /// libraries are missing does not work on the host either: it is copied, and listed.
    pub fn add_library_folder(&mut self, folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
        let files = self.tree.copy_dir(folder, wanted)?;
        for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "so")) {
            match self.add_libraries(file) {
                Ok(()) => self.trim(file)?,
                Err(error) => self.left_out.push(format!("libraries for {error:#}")),
            }
        }
        Ok(())
    }

    fn add_opened_later(&mut self) -> Result<()> {
        let libc = self.libraries.keys().find(|path| path.ends_with("libc.so.6")).cloned();
        // Another C library, or none: nothing is known of what it opens.
        let Some(libc) = libc else { return Ok(()) };
        let Some(elf) = self.loader.elf(&libc)? else { return Ok(()) };
        let asker = crate::search::Object { origin: PathBuf::from("/"), path: libc, elf };
        for name in OPENED_LATER {
            if let Some((path, _)) = self.loader.find(name, std::slice::from_ref(&asker)) {
                self.add_libraries(&path)?;
                self.add_library(&path, name)?;
            }
        }
        Ok(())
    }

    /// Writes the loader's cache with the libraries that are here, if the loader is one that reads it.
    fn write_cache(&mut self) -> Result<()> {
        let is_glibc = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ld-linux"));
        let Some(loader) = self.libraries.keys().find(|path| is_glibc(path)).cloned() else { return Ok(()) };
        let Some(flags) = self.loader.elf(&loader)?.and_then(|elf| ld_cache::flags_of(elf.machine)) else {
            return Ok(());
        };
        let mut entries = Vec::new();
        for (path, names) in &self.libraries {
            let entry = |name: &String| ld_cache::Entry {
                soname: name.clone(),
                path: path.to_string_lossy().into_owned(),
                flags,
                hwcap: 0,
            };
            entries.extend(names.iter().map(entry));
        }
        // For who runs ldconfig in there: it would find no more than what is in these folders.
        let folders: BTreeSet<_> = self.libraries.keys().filter_map(|path| path.parent()).collect();
        let folders: String = folders.iter().map(|folder| format!("{}\n", folder.display())).collect();
        self.tree.write("/etc/ld.so.conf", folders.as_bytes())?;
        self.tree.write("/etc/ld.so.cache", &ld_cache::write(&entries))
    }

    fn summary(self, dir: PathBuf) -> Summary {
        Summary {
            dir,
            programs: self.programs.into_iter().collect(),
            libraries: self.libraries.into_keys().collect(),
            left_out: self.left_out,
            files: self.tree.files,
            bytes: self.tree.bytes,
        }
    }
}

impl Summary {
    fn print(&self, dir: &Path) {
        println!(
            "{}: {} programs, {} libraries, {} files, {}",
            dir.display(),
            self.programs.len(),
            self.libraries.len(),
            self.files,
            layout::units::human_size(self.bytes)
        );
        for left_out in &self.left_out {
            println!("left out: {left_out}");
        }
    }
}

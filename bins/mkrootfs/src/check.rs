//! `mkrootfs check`: what would not run in a root filesystem, and why.

use crate::cli::CheckArgs;
use crate::programs::PATH;
use crate::search::Loader;
use crate::{closure, dangling, elf, programs};
use anyhow::{Context, Result};
use layout::rootfs;
use rustix::fs::{Dir, OFlags};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// There is no `/bin/sh`.
    Shell,
    /// The loader that a program names is not there.
    Loader,
    /// A library is not there.
    Library,
    /// The program that reads a script is not there.
    Interpreter,
    /// A link leads nowhere.
    Link,
    /// A program for another processor than this machine's.
    Architecture,
    /// A program that is broken, or of a form that is not read here.
    Unreadable,
}

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Missing {
    /// What would not run, or the link.
    program: PathBuf,
    kind: Kind,
    /// What is missing; for other kinds, what is found in its place.
    needs: String,
    /// Who asks for it: the program itself, or one of its libraries.
    asked_by: PathBuf,
}

#[derive(Debug, Serialize)]
struct Outcome {
    programs: usize,
    missing: Vec<Missing>,
}

/// `mkrootfs check`: exit code 1 if anything is missing.
pub fn main(args: CheckArgs) -> Result<u8> {
    let outcome = check(&args.dir)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        outcome.missing.iter().for_each(|missing| println!("{missing}"));
        let is_program = |missing: &&Missing| !matches!(missing.kind, Kind::Link | Kind::Shell);
        let broken: BTreeSet<_> = outcome.missing.iter().filter(is_program).map(|missing| &missing.program).collect();
        let (complete, all) = (outcome.programs - broken.len(), outcome.programs);
        println!("{}: {complete} of {all} programs are complete", args.dir.display());
    }
    Ok(if outcome.missing.is_empty() { 0 } else { 1 })
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Missing { program, needs, .. } = self;
        let program = program.display();
        match self.kind {
            Kind::Shell => write!(f, "{program}: there is no shell"),
            Kind::Loader => write!(f, "{program}: its loader {needs} is not there"),
            Kind::Library => write!(f, "{program}: {needs} is not there"),
            Kind::Interpreter => write!(f, "{program}: its interpreter {needs} is not there"),
            Kind::Link => write!(f, "{program}: leads to {needs}, which is not there"),
            Kind::Architecture => {
                let own = elf::machine_name(elf::own_machine());
                write!(f, "{program}: is for {needs}, and this machine is {own}")
            }
            Kind::Unreadable => write!(f, "{program}: {needs}"),
        }?;
        if self.asked_by != self.program { write!(f, " (for {})", self.asked_by.display()) } else { Ok(()) }
    }
}

fn check(root: &Path) -> Result<Outcome> {
    let mut checking = Checking { loader: Loader::new(root)?, missing: BTreeSet::new() };
    let found = dangling::walk(root)?;
    for (link, target) in found.dangling {
        checking.lack(&link, Kind::Link, &target.to_string_lossy(), &link);
    }
    let shell = Path::new("/bin/sh");
    if checking.loader.open(shell)?.is_none() {
        checking.lack(shell, Kind::Shell, "/bin/sh", shell);
    }
    let mut called = BTreeSet::new();
    for folder in PATH {
        for name in names_in(root, Path::new(folder))? {
            let path = Path::new(folder).join(name);
            // `/bin` may be `/usr/bin` by another name.
            called.insert(checking.loader.real(&path));
        }
    }
    let mut programs = 0;
    for program in &called {
        programs += usize::from(checking.program(program)?);
    }
    // What programs call that is not in PATH: their helpers. Scripts elsewhere may be examples, or for another system.
    for program in found.executables.iter().filter(|path| !called.contains(*path)) {
        programs += usize::from(checking.is_elf_program(program) && checking.program(program)?);
    }
    Ok(Outcome { programs, missing: checking.missing.into_iter().collect() })
}

struct Checking {
    loader: Loader,
    missing: BTreeSet<Missing>,
}

impl Checking {
    fn lack(&mut self, program: &Path, kind: Kind, needs: &str, asked_by: &Path) {
        let (program, asked_by) = (program.to_owned(), asked_by.to_owned());
        self.missing.insert(Missing { program, kind, needs: needs.to_owned(), asked_by });
    }

    /// Whether the kernel would start it by itself: a library has no loader of its own, as a rule.
    fn is_elf_program(&mut self, path: &Path) -> bool {
        self.loader.elf(path).is_ok_and(|elf| elf.is_some_and(|elf| elf.interpreter.is_some()))
    }

    /// Notes what a program lacks. Says whether it is one at all.
    fn program(&mut self, program: &Path) -> Result<bool> {
        let Some(file) = self.loader.open(program)? else { return Ok(false) };
        match programs::kind_of(&file).with_context(|| format!("read {}", program.display()))? {
            programs::Kind::Elf => {
                if let Err(error) = self.elf(program) {
                    self.lack(program, Kind::Unreadable, &format!("{:#}", error.root_cause()), program);
                }
            }
            programs::Kind::Script { interpreter, argument } => {
                self.script(program, &interpreter, argument.as_deref())?;
            }
            programs::Kind::Other => return Ok(false),
        }
        Ok(true)
    }

    fn elf(&mut self, program: &Path) -> Result<()> {
        let Some(elf) = self.loader.elf(program)? else { return Ok(()) };
        if elf.machine != elf::own_machine() {
            self.lack(program, Kind::Architecture, &elf::machine_name(elf.machine), program);
        }
        for needed in closure::of(&mut self.loader, program)?.into_iter().filter(|needed| needed.path.is_none()) {
            if elf.interpreter.as_ref() == Some(&needed.name) {
                self.lack(program, Kind::Loader, &needed.name, program);
                continue;
            }
            let needs = match self.loader.for_another_machine(&needed.name, elf.machine) {
                Some((path, machine)) => {
                    let (own, other) = (elf::machine_name(elf.machine), elf::machine_name(machine));
                    format!("{} for {own} ({} is for {other})", needed.name, path.display())
                }
                None => needed.name,
            };
            self.lack(program, Kind::Library, &needs, &needed.asked_by);
        }
        Ok(())
    }

    /// The program that a first line names, and the one that `env` then looks for.
    fn script(&mut self, program: &Path, interpreter: &Path, argument: Option<&str>) -> Result<()> {
        if self.loader.open(interpreter)?.is_none() {
            self.lack(program, Kind::Interpreter, &interpreter.to_string_lossy(), program);
        } else if interpreter.ends_with("env")
            && let Some(name) = argument.and_then(programs::asked_of_env)
        {
            let mut found = false;
            for folder in PATH {
                found |= self.loader.open(&Path::new(folder).join(name))?.is_some();
            }
            if !found {
                self.lack(program, Kind::Interpreter, name, program);
            }
        }
        Ok(())
    }
}

/// The names in a folder of the root; none if there is no such folder.
fn names_in(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    use rustix::io::Errno;
    let fd = match rootfs::open_in(root, folder, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("open {} in {}", folder.display(), root.display())),
    };
    let entries = Dir::read_from(fd).with_context(|| format!("read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        use std::os::unix::ffi::OsStrExt;
        let entry = entry.with_context(|| format!("read {}", folder.display()))?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(PathBuf::from(name));
        }
    }
    Ok(names)
}

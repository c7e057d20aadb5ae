//! `mkrootfs check`: does every program in a root filesystem find what it needs there?

use crate::cli::CheckArgs;
use crate::programs::PATH;
use crate::search::Loader;
use crate::{closure, programs};
use anyhow::{Context, Result};
use layout::rootfs;
use rustix::fs::{Dir, OFlags};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A library or interpreter that is not there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Missing {
    program: PathBuf,
    needs: String,
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
        for missing in &outcome.missing {
            let by = if missing.asked_by == missing.program {
                String::new()
            } else {
                format!(" (for {})", missing.asked_by.display())
            };
            println!("{}: {} is not there{by}", missing.program.display(), missing.needs);
        }
        let complete = outcome.programs - outcome.missing.iter().map(|m| &m.program).collect::<BTreeSet<_>>().len();
        println!("{}: {complete} of {} programs are complete", args.dir.display(), outcome.programs);
    }
    Ok(if outcome.missing.is_empty() { 0 } else { 1 })
}

fn check(root: &Path) -> Result<Outcome> {
    let mut loader = Loader::new(root)?;
    let mut programs = BTreeSet::new();
    for folder in PATH {
        for name in names_in(root, Path::new(folder))? {
            let path = Path::new(folder).join(name);
            // `/bin` may be `/usr/bin` by another name.
            programs.insert(loader.real(&path));
        }
    }
    let (mut count, mut missing) = (0, BTreeSet::new());
    for program in programs {
        let Some(file) = loader.open(&program)? else { continue };
        let mut lack = |needs: &str, asked_by: &Path| {
            missing.insert(Missing {
                program: program.clone(),
                needs: needs.to_owned(),
                asked_by: asked_by.to_owned(),
            });
        };
        match programs::kind_of(&file).with_context(|| format!("read {}", program.display()))? {
            programs::Kind::Elf => {
                for needed in closure::of(&mut loader, &program)?.iter().filter(|n| n.path.is_none()) {
                    lack(&needed.name, &needed.asked_by);
                }
            }
            programs::Kind::Script { interpreter, .. } => {
                if loader.open(&interpreter)?.is_none() {
                    lack(&interpreter.to_string_lossy(), &program);
                }
            }
            programs::Kind::Other => continue,
        }
        count += 1;
    }
    Ok(Outcome { programs: count, missing: missing.into_iter().collect() })
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

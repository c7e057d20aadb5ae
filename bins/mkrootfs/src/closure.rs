//! A program's closure: the files without which it does not start.
//!
//! The program names libraries, each of those names more. Following the names until none is new gives the
//! whole list; ldd(1) gets it from the loader, we get it by reading.

use crate::cli::ClosureArgs;
use crate::programs;
use crate::search::{self, How, Loader, Object};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

/// One file that is needed.
#[derive(Debug, Clone, Serialize)]
pub struct Needed {
    /// As it is asked for: a library's name, or the loader's path.
    pub name: String,
    /// Where it is; `None` if it is nowhere.
    pub path: Option<PathBuf>,
    /// How it was found.
    pub how: Option<How>,
    /// Who asks for it first.
    pub asked_by: PathBuf,
}

/// Everything that `file` needs, in the order in which the loader would open it. Empty for a static program.
///
/// # Errors
/// `file` cannot be read or is no ELF file. A library that is missing is no error here: its `path` is `None`.
pub fn of(loader: &mut Loader, file: &Path) -> Result<Vec<Needed>> {
    let elf = loader.elf(file)?.with_context(|| format!("{} is no ELF program or library", file.display()))?;
    let mut needed = Vec::new();
    let mut seen = HashSet::new();
    if let Some(interpreter) = &elf.interpreter {
        let path = PathBuf::from(interpreter);
        let there = loader.elf(&path)?.is_some();
        // Libraries name the loader too, without its path: the one that runs already is meant.
        seen.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        needed.push(Needed {
            name: interpreter.clone(),
            path: there.then_some(path),
            how: there.then_some(How::Interpreter),
            asked_by: file.to_owned(),
        });
    }
    let program = Object { path: file.to_owned(), origin: parent(&loader.real(file)), elf };
    let mut queue = VecDeque::from([vec![program]]);
    while let Some(askers) = queue.pop_front() {
        let Some(asker) = askers.last() else { continue };
        for name in &asker.elf.needed {
            if !seen.insert(name.clone()) || search::is_musl_itself(name, &askers) {
                continue;
            }
            let found = loader.find(name, &askers);
            if let Some((path, _)) = &found
                && let Some(elf) = loader.elf(path)?
            {
                seen.extend(elf.soname.clone());
                let library = Object { path: path.clone(), origin: parent(path), elf };
                queue.push_back([askers.clone(), vec![library]].concat());
            }
            let (path, how) = found.unzip();
            needed.push(Needed { name: name.clone(), path, how, asked_by: asker.path.clone() });
        }
    }
    Ok(needed)
}

fn parent(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

#[derive(Serialize)]
struct Listing {
    program: PathBuf,
    needs: Vec<Needed>,
}

/// `mkrootfs closure`.
///
/// # Errors
/// A program that is not there or cannot be read. What is missing is listed, and the exit code is 1.
pub fn main(args: ClosureArgs) -> Result<u8> {
    let mut loader = Loader::new(&args.root)?;
    let mut listings = Vec::new();
    for program in &args.programs {
        let path = programs::locate(&args.root, program)?;
        let needs = of(&mut loader, &path)?;
        listings.push(Listing { program: path, needs });
    }
    let complete = listings.iter().flat_map(|l| &l.needs).all(|n| n.path.is_some());
    if args.json {
        println!("{}", serde_json::to_string_pretty(&listings)?);
    } else {
        for listing in &listings {
            println!("{}", listing.program.display());
            for needed in &listing.needs {
                println!("    {}", line(needed));
            }
        }
    }
    Ok(if complete { 0 } else { 1 })
}

fn line(needed: &Needed) -> String {
    match (&needed.path, needed.how) {
        (Some(path), Some(How::Interpreter)) => format!("{} (the loader)", path.display()),
        (Some(path), Some(how)) => {
            let by = match how {
                How::Interpreter | How::Path => "by its path",
                How::Rpath => "by rpath",
                How::Runpath => "by runpath",
                How::Cache => "by the loader's cache",
                How::List => "by the loader's list",
                How::Default => "in a default folder",
            };
            format!("{} => {} ({by})", needed.name, path.display())
        }
        _ => format!("{} => not found (asked for by {})", needed.name, needed.asked_by.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::craft;
    use std::fs;

    const NEEDED: u64 = 1;
    const RPATH: u64 = 15;

    #[test]
    fn libraries_of_libraries_are_followed_and_rings_end() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["bin", "lib", "opt"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let add = |path: &str, bytes: Vec<u8>| fs::write(root.path().join(path), bytes).unwrap();
        add("bin/p", craft(Some("/lib/ld.so"), &[(NEEDED, "liba.so"), (NEEDED, "libgone.so"), (RPATH, "/opt")]));
        add("lib/ld.so", craft(None, &[]));
        add("opt/liba.so", craft(None, &[(NEEDED, "libb.so"), (NEEDED, "ld.so")]));
        // Found through the program's own RPATH, two steps up.
        add("opt/libb.so", craft(None, &[(NEEDED, "liba.so")]));
        let mut loader = Loader::new(root.path()).unwrap();
        let needs = of(&mut loader, Path::new("/bin/p")).unwrap();
        let names: Vec<_> = needs.iter().map(|n| (n.name.as_str(), n.how)).collect();
        let expected = [
            ("/lib/ld.so", Some(How::Interpreter)),
            ("liba.so", Some(How::Rpath)),
            ("libgone.so", None),
            ("libb.so", Some(How::Rpath)),
        ];
        assert_eq!(names, expected);
    }
}

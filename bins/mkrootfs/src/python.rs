//! Python: an interpreter is nothing without the folder of modules that comes with it.
//!
//! Where that folder is, only the interpreter knows, so it is asked. It may be Debian's under `/usr`, or one that was
//! built into some home folder (pyenv, uv, conda). Python looks for its modules from where its program is, so
//! such a one can move: it goes to `/usr/local`, as in the images that people know.

use crate::host::Builder;
use crate::programs;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the interpreter is asked. In a virtual environment the answers are those of the Python beneath it.
const QUESTION: &str = r#"
import json, sys, sysconfig
base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix,
        "installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
print(json.dumps({
    "program": getattr(sys, "_base_executable", None) or sys.executable,
    "prefix": sys.base_prefix,
    "libraries": [sysconfig.get_path("stdlib", vars=base), sysconfig.get_path("platstdlib", vars=base)],
}))
"#;

#[derive(Debug, Deserialize)]
struct Answer {
    program: PathBuf,
    prefix: PathBuf,
    libraries: Vec<PathBuf>,
}

/// Folders of the library that a container has no use for: tests, graphical programs, what is needed to build
/// Python itself, and packages that somebody installed.
const UNWANTED_FOLDERS: [&str; 9] =
    ["test", "tests", "idlelib", "idle_test", "tkinter", "turtledemo", "ensurepip", "site-packages", "dist-packages"];

/// Adds the `python3` of PATH with its library.
///
/// # Errors
/// There is none, or it does not answer.
pub fn add(builder: &mut Builder) -> Result<()> {
    let python = programs::find_in_path("python3").context("find python3: it is not in PATH")?;
    let answer = ask(&python)?;
    let prefix = std::fs::canonicalize(&answer.prefix)
        .with_context(|| format!("resolve python's prefix {}", answer.prefix.display()))?;
    let real = std::fs::canonicalize(&answer.program)
        .with_context(|| format!("resolve python's program {}", answer.program.display()))?;
    let in_place = ["/usr", "/usr/local", "/"].map(Path::new).contains(&prefix.as_path());
    if !in_place && real.starts_with(&prefix) {
        builder.tree.relocate(&prefix, Path::new("/usr/local"));
    }
    builder.add_program(&real)?;
    let mut libraries = answer.libraries;
    libraries.dedup();
    for library in &libraries {
        let library = std::fs::canonicalize(library)
            .with_context(|| format!("resolve python's library {}", library.display()))?;
        builder.add_library_folder(&library, &is_wanted)?;
        let packages = builder.tree.path_of(&library).join("site-packages");
        builder.tree.dir(&packages, 0o755)?;
    }
    // However somebody calls it.
    let place = builder.tree.path_of(&real);
    for name in ["/usr/bin/python3", "/usr/local/bin/python3", "/usr/local/bin/python"] {
        builder.tree.link(Path::new(name), &place)?;
    }
    Ok(())
}

fn ask(python: &Path) -> Result<Answer> {
    // -I: without the user's own modules and variables.
    let output = Command::new(python)
        .args(["-I", "-c", QUESTION])
        .output()
        .with_context(|| format!("run {}", python.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        bail!("ask {} where its library is: {} {said}", python.display(), output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("ask {} where its library is: read its answer", python.display()))
}

/// Whether a file or folder of the standard library is taken.
fn is_wanted(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return false };
    let is_unwanted_folder = UNWANTED_FOLDERS.contains(&name) || name.starts_with("config-");
    // Modules for Python's own tests, and what draws windows (tkinter would bring all of X11).
    let is_unwanted_module = ["_test", "_ctypes_test", "_xxtestfuzz", "xxlimited", "_tkinter", "turtle."]
        .iter()
        .any(|start| name.starts_with(start));
    // Compiled modules are kept, they make each start faster; but not those for `python -O`.
    let is_unwanted_cache = name.ends_with(".opt-1.pyc") || name.ends_with(".opt-2.pyc");
    !(is_unwanted_folder || is_unwanted_module || is_unwanted_cache)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_windows_stay_behind() {
        for wanted in
            ["os.py", "http", "__pycache__", "os.cpython-311.pyc", "_ssl.cpython-311.so", "contextlib.py", "unittest"]
        {
            assert!(is_wanted(&Path::new("/usr/lib/python3.11").join(wanted)), "{wanted}");
        }
        for unwanted in [
            "test",
            "config-3.11-x86_64-linux-gnu",
            "_testcapi.cpython-311.so",
            "os.cpython-311.opt-1.pyc",
            "_tkinter.so",
            "turtle.py",
        ] {
            assert!(!is_wanted(&Path::new("/usr/lib/python3.11").join(unwanted)), "{unwanted}");
        }
    }
}

//! Proof that `ctr` is docker to its users: cases, each a few command lines, with what docker answered to them.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`case`] | the files in `tests/compat/cases`: command lines, docker's answers, and where `ctr` answers otherwise |
//! | [`engine`] | docker or `ctr` in a [cell](crate::cell) of its own, and playing a case on it |
//! | [`normal`] | what of an answer is compared: not ids, times and addresses, which differ each time |
//!
//! `make compat` plays all cases on both; the test program `compat` plays them on `ctr` alone and compares with the files, so it
//! needs no docker.

pub mod case;
pub mod engine;
pub mod normal;

pub use case::{Answer, Case, File, Step};
pub use engine::{Engine, Kind};

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Where the cases are.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/compat/cases"))
}

/// All files of cases in a folder, by their names.
pub fn files(folder: &Path) -> Result<Vec<(PathBuf, File)>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    let read = |path: PathBuf| {
        let about = || format!("read {}", path.display());
        let file = File::parse(&std::fs::read_to_string(&path).with_context(about)?).with_context(about)?;
        Ok((path, file))
    };
    paths.into_iter().map(read).collect()
}

/// Where the answers to a case are not those in its file: an entry a step, to be read.
pub fn differences(kind: Kind, case: &Case, answers: &[Answer]) -> Vec<String> {
    let wanted = |step: &Step| if kind == Kind::Docker { step.docker.clone() } else { step.expected().clone() };
    let steps = case.steps.iter().zip(answers).filter(|(step, answer)| wanted(step) != **answer);
    let who = if kind == Kind::Docker { "docker" } else { "ctr" };
    steps
        .map(|(step, answer)| {
            format!("== {}\n$ {}\n{}--- {who} says now:\n{answer}", case.title, step.command, wanted(step))
        })
        .collect()
}

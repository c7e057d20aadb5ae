//! `compat`: plays the cases on docker and on `ctr`, and prints where they answer otherwise than the files of cases say.
//!
//! After docker has been upgraded, or a case been written, `--record` has docker write its answers.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a developer's tool

use anyhow::{Context, Result};
use clap::Parser;
use ctr_tests::compat::{Answer, Case, Engine, Kind, differences, files, folder};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Play cases on docker and on ctr, and print where they answer otherwise than the files say
#[derive(Debug, Parser)]
struct Args {
    /// Only these files (`life` is one), or cases with one of these words in their titles
    words: Vec<String>,
    /// Write docker's answers into the files; and ctr's, where it is decided that they differ
    #[arg(long)]
    record: bool,
    /// Play on ctr alone
    #[arg(long)]
    ctr: bool,
    /// The folder of the files
    #[arg(long, default_value_os_t = folder())]
    cases: PathBuf,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let mut files = files(&args.cases)?;
    let names: Vec<String> = files.iter().map(|(path, _)| name(path)).collect();
    let is_wanted = |path: &PathBuf, case: &Case| {
        let name = &name(path);
        let titled = |word: &String| !names.contains(word) && case.title.contains(word);
        args.words.is_empty() || args.words.iter().any(|word| name == word || titled(word))
    };
    // By the numbers of their files, and their numbers in these: what was answered is written into them.
    let mut wanted: Vec<(usize, usize)> = Vec::new();
    for (file, (path, cases)) in files.iter().enumerate() {
        let numbers = (0..cases.cases.len()).filter(|case| is_wanted(path, &cases.cases[*case]));
        wanted.extend(numbers.map(|case| (file, case)));
    }

    let kinds = if args.ctr { vec![Kind::Ctr] } else { vec![Kind::Docker, Kind::Ctr] };
    let engines: Vec<(Kind, Engine)> = kinds.into_iter().map(|kind| (kind, Engine::start(kind))).collect();
    let mut found = 0;
    for &(file, case) in &wanted {
        let (path, file) = &mut files[file];
        for (kind, engine) in &engines {
            let case = &mut file.cases[case];
            // What is ours is written only where it is decided that it differs.
            let decided = case.steps.iter().any(|step| step.differs.is_some());
            if args.record && *kind == Kind::Ctr && !decided {
                continue;
            }
            let answers = engine.play(case);
            let differences = differences(*kind, case, &answers);
            found += differences.len();
            differences.iter().for_each(|difference| println!("{difference}"));
            if args.record {
                record(*kind, case, answers);
            }
        }
        if args.record {
            std::fs::write(&path, file.to_string()).with_context(|| format!("write {}", path.display()))?;
        }
    }
    println!("{} cases, {found} answers differ", wanted.len());
    Ok(ExitCode::from(u8::from(found > 0 && !args.record)))
}

/// What a file is called on the command line.
fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn record(kind: Kind, case: &mut Case, answers: Vec<Answer>) {
    for (step, answer) in case.steps.iter_mut().zip(answers) {
        match (kind, &mut step.differs) {
            (Kind::Docker, _) => step.docker = answer,
            (Kind::Ctr, Some((_, ours))) => *ours = answer,
            (Kind::Ctr, None) => {}
        }
    }
}

//! `leaks snapshot FILE` writes down what is on the machine; `leaks compare FILE` prints what has been
//! added since, and fails if there is anything.

use anyhow::{Result, bail};
use ctr_tests::leaks::{self, Snapshot};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("leaks: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[&str]) -> Result<ExitCode> {
    match words {
        ["snapshot", file] => {
            Snapshot::take()?.save(Path::new(file))?;
            Ok(ExitCode::SUCCESS)
        }
        ["compare", file] => {
            let left = leaks::leftovers(&Snapshot::load(Path::new(file))?, Duration::from_secs(30))?;
            for thing in &left {
                println!("left behind: {thing}");
            }
            Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => bail!("usage: leaks snapshot FILE | leaks compare FILE"),
    }
}

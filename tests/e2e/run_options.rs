//! The options of `ctr run`: each has its effect, and a row in the lessons.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

mod options;

use ctr_tests::Sandbox;
use std::collections::BTreeSet;

#[test]
fn what_the_tests_cover_are_options_and_none_is_covered_twice() {
    let options = options_of_run();
    let mut seen = BTreeSet::new();
    for name in options::covered() {
        assert!(options.contains(name), "--{name} is no option of ctr run");
        assert!(seen.insert(name), "--{name} is covered twice");
    }
}

/// The long names of all options that `ctr run --help` lists.
fn options_of_run() -> BTreeSet<String> {
    let sandbox = Sandbox::new();
    let help = sandbox.ctr(["run", "--help"]).ok();
    let names = help.stdout.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.get(4..).filter(|_| line.starts_with('-') && line.get(2..4) == Some(", ")).unwrap_or(line);
        let name = line.strip_prefix("--")?;
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(name.len());
        Some(name[..end].to_owned())
    });
    names.collect()
}

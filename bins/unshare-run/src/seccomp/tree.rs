//! The whole program: which architecture, then which range the number is in, then the decision.

use super::architecture::Architecture;
use super::bpf::{EQUAL, GREATER_OR_EQUAL, Label, Program};
use super::conditions;
use super::numbers::{Range, Ranges};
use super::rules::{Case, Decision, KILL_THREAD, Rules};

/// Where `seccomp_data` has the number of the call, and the architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// Writes the program. Who comes with calls of an architecture that is not listed is killed; the machine's own always is.
pub fn emit(program: &mut Program, rules: &Rules<'_>, native: Architecture, listed: &[Architecture]) {
    let relatives = native.relatives().iter().filter(|relative| listed.contains(relative));
    let with_x32 = listed.contains(&Architecture::X32);
    let mut otherwise = program.verdict(KILL_THREAD);
    // What is written last is asked first: the machine's own.
    for architecture in relatives.chain([&native]) {
        let ranges = Ranges::of(rules, *architecture, with_x32);
        let default = rules.default;
        let mut tree = Tree { program: &mut *program, default, wide: architecture.is_wide(), written: Vec::new() };
        let search = tree.search(&ranges);
        let numbers = program.load(NUMBER, search);
        otherwise = program.compare(EQUAL, architecture.audit(), numbers, otherwise);
    }
    program.load(ARCHITECTURE, otherwise);
}

/// The part of the program that is about one architecture.
struct Tree<'a> {
    program: &'a mut Program,
    default: u32,
    /// Whether arguments have 64 bits.
    wide: bool,
    /// What has been written already: calls that depend on the same conditions share the code.
    written: Vec<(&'a [Case], Label)>,
}

impl<'a> Tree<'a> {
    /// A binary search for the range that the number is in.
    fn search(&mut self, ranges: &'a [Range]) -> Label {
        if let [range] = ranges {
            return self.decide(&range.decision);
        }
        let (below, above) = ranges.split_at(ranges.len() / 2);
        let first_above = above[0].first;
        let above = self.search(above);
        let below = self.search(below);
        self.program.compare(GREATER_OR_EQUAL, first_above, above, below)
    }

    fn decide(&mut self, decision: &'a Decision) -> Label {
        match decision {
            Decision::Always(verdict) => self.program.verdict(*verdict),
            Decision::Depends(cases) => match self.written.iter().find(|(same, _)| same == cases) {
                Some((_, label)) => *label,
                None => {
                    let label = self.ask(cases);
                    self.written.push((cases, label));
                    label
                }
            },
        }
    }

    fn ask(&mut self, cases: &[Case]) -> Label {
        let default = self.program.verdict(self.default);
        cases.iter().rev().fold(default, |otherwise, case| {
            let verdict = self.program.verdict(case.verdict);
            conditions::all(self.program, &case.conditions, self.wide, verdict, otherwise)
        })
    }
}

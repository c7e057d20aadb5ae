//! The whole program: which architecture, then which range the number is in, then the decision.

use super::architecture::Architecture;
use super::bpf::{EQUAL, GREATER_OR_EQUAL, Label, Program};
use super::conditions;
use super::numbers::{Range, Ranges};
use super::rules::{Decision, KILL_THREAD, Rules};

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
        let search = search(program, rules, &ranges, architecture.is_wide());
        let numbers = program.load(NUMBER, search);
        otherwise = program.compare(EQUAL, architecture.audit(), numbers, otherwise);
    }
    program.load(ARCHITECTURE, otherwise);
}

/// A binary search for the range that the number is in.
fn search(program: &mut Program, rules: &Rules<'_>, ranges: &[Range], wide: bool) -> Label {
    if let [range] = ranges {
        return decide(program, rules, &range.decision, wide);
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let first_above = above[0].first;
    let above = search(program, rules, above, wide);
    let below = search(program, rules, below, wide);
    program.compare(GREATER_OR_EQUAL, first_above, above, below)
}

fn decide(program: &mut Program, rules: &Rules<'_>, decision: &Decision, wide: bool) -> Label {
    match decision {
        Decision::Always(verdict) => program.verdict(*verdict),
        Decision::Depends(cases) => {
            let mut otherwise = program.verdict(rules.default);
            for case in cases.iter().rev() {
                let verdict = program.verdict(case.verdict);
                otherwise = conditions::all(program, &case.conditions, wide, verdict, otherwise);
            }
            otherwise
        }
    }
}

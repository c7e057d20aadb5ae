//! The numbers of an architecture's calls, as ranges in which all calls are decided alike.

use super::architecture::{Architecture, X32_BIT};
use super::multiplexed;
use super::rules::{Decision, KILL_THREAD, Rules};

/// All numbers from `first` up to the next range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub first: u32,
    pub decision: Decision,
}

/// The ranges, by rising number.
#[derive(Debug, Default)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// Those of the calls that the kernel tells by one audit number; there, x86-64 and x32 share the numbers.
    pub fn of(rules: &Rules<'_>, architecture: Architecture, with_x32: bool) -> Vec<Range> {
        let mut ranges = Ranges::default();
        ranges.add(rules, architecture, 0);
        if architecture == Architecture::X86_64 {
            match with_x32 {
                true => ranges.add(rules, Architecture::X32, X32_BIT),
                false => ranges.from(X32_BIT, Decision::Always(KILL_THREAD)),
            }
            // A tracer has the kernel skip a call by giving it the number -1, which is no x32 call.
            ranges.from(u32::MAX, Decision::Always(rules.default));
        }
        ranges.0
    }

    /// Adds the calls of an architecture, whose numbers start at `base`. All that are above those that the profile
    /// knows are younger than the profile.
    fn add(&mut self, rules: &Rules<'_>, architecture: Architecture, base: u32) {
        let default = Decision::Always(rules.default);
        let mut next = base;
        for (number, name) in architecture.calls() {
            let Some(decision) = multiplexed::decision(rules, architecture, name) else { continue };
            if number > next {
                self.from(next, default.clone());
            }
            self.from(number, decision);
            next = number + 1;
        }
        // A profile that knows no call at all tells nothing of its age.
        let known = next > base;
        self.from(next, Decision::Always(if known { rules.unknown } else { rules.default }));
    }

    fn from(&mut self, first: u32, decision: Decision) {
        if self.0.last().is_none_or(|last| last.decision != decision) {
            self.0.push(Range { first, decision });
        }
    }
}

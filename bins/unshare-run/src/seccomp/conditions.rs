//! Conditions on arguments: numbers of 64 bits, for a machine whose registers have 32.
//!
//! The high words are compared first; only if they are equal do the low ones decide.

use super::bpf::{EQUAL, GREATER, GREATER_OR_EQUAL, Label, Program};
use layout::oci::runtime::{SeccompArg, SeccompOp};

/// Where the arguments start in `seccomp_data`: after number, architecture and instruction pointer.
const ARGUMENTS: u32 = 16;

/// Writes "if all conditions hold go on at `yes`, else at `no`". With `wide` arguments have 64 bits; those of 32-bit
/// architectures have no high words, and so the conditions neither.
pub fn all(program: &mut Program, conditions: &[SeccompArg], wide: bool, yes: Label, no: Label) -> Label {
    // The last one first, as everything here.
    conditions.iter().rev().fold(yes, |yes, condition| one(program, condition, wide, yes, no))
}

fn one(program: &mut Program, condition: &SeccompArg, wide: bool, yes: Label, no: Label) -> Label {
    let SeccompArg { index, value, value_two, op } = *condition;
    let argument = Argument { offset: ARGUMENTS + 8 * index, wide };
    match op {
        SeccompOp::Equal => argument.equal(program, value, yes, no),
        SeccompOp::NotEqual => argument.equal(program, value, no, yes),
        SeccompOp::Greater => argument.ordered(program, GREATER, value, yes, no),
        SeccompOp::GreaterOrEqual => argument.ordered(program, GREATER_OR_EQUAL, value, yes, no),
        SeccompOp::LessOrEqual => argument.ordered(program, GREATER, value, no, yes),
        SeccompOp::Less => argument.ordered(program, GREATER_OR_EQUAL, value, no, yes),
        SeccompOp::MaskedEqual => argument.masked_equal(program, value, value_two, yes, no),
    }
}

struct Argument {
    offset: u32,
    wide: bool,
}

impl Argument {
    #[cfg(target_endian = "little")]
    const HIGH_FIRST: bool = false;
    #[cfg(target_endian = "big")]
    const HIGH_FIRST: bool = true;

    fn low(&self) -> u32 {
        self.offset + if Self::HIGH_FIRST { 4 } else { 0 }
    }

    fn high(&self) -> u32 {
        self.offset + if Self::HIGH_FIRST { 0 } else { 4 }
    }

    fn equal(&self, program: &mut Program, value: u64, yes: Label, no: Label) -> Label {
        let compare = program.compare(EQUAL, low(value), yes, no);
        let low_words = program.load(self.low(), compare);
        if !self.wide {
            return low_words;
        }
        let compare = program.compare(EQUAL, high(value), low_words, no);
        program.load(self.high(), compare)
    }

    /// `code` is GREATER or GREATER_OR_EQUAL, and matters where the high words are equal.
    fn ordered(&self, program: &mut Program, code: u16, value: u64, yes: Label, no: Label) -> Label {
        let compare = program.compare(code, low(value), yes, no);
        let low_words = program.load(self.low(), compare);
        if !self.wide {
            return low_words;
        }
        let equal = program.compare(EQUAL, high(value), low_words, no);
        let compare = program.compare(GREATER, high(value), yes, equal);
        program.load(self.high(), compare)
    }

    fn masked_equal(&self, program: &mut Program, mask: u64, value: u64, yes: Label, no: Label) -> Label {
        let compare = program.compare(EQUAL, low(value), yes, no);
        let and = program.and(low(mask), compare);
        let low_words = program.load(self.low(), and);
        // Most masks are of flags, which are all in the low word.
        if !self.wide || (high(mask), high(value)) == (0, 0) {
            return low_words;
        }
        let compare = program.compare(EQUAL, high(value), low_words, no);
        let and = program.and(high(mask), compare);
        program.load(self.high(), and)
    }
}

fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

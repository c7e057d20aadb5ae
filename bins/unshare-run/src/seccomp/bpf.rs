//! Writing a program of the kernel's packet filter machine (BPF, in its first form): linux/filter.h.
//!
//! It has one accumulator, and jumps that only go forward: so each program ends. A conditional jump
//! tells in a byte each how many instructions to skip if it holds and if not. This writer starts with the **end** of the program:
//! thus the place that a jump leads to is there already when the jump is written, and its distance is known.

use std::collections::HashMap;

/// One instruction, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What to do; the constants below.
    pub code: u16,
    /// How many instructions to skip if a comparison holds,
    pub yes: u8,
    /// and if not.
    pub no: u8,
    /// The operand.
    pub k: u32,
}

/// accumulator = the word of `seccomp_data` at offset k
pub const LOAD: u16 = 0x20;
/// accumulator &= k
pub const AND: u16 = 0x54;
/// skip k instructions
pub const JUMP: u16 = 0x05;
/// accumulator == k?
pub const EQUAL: u16 = 0x15;
/// accumulator > k?
pub const GREATER: u16 = 0x25;
/// accumulator >= k?
pub const GREATER_OR_EQUAL: u16 = 0x35;
/// the verdict is k
pub const RETURN: u16 = 0x06;

/// An instruction of the program that is being written, counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// A program that grows at its front.
#[derive(Debug, Default)]
pub struct Program {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    /// Where each verdict was written last.
    verdicts: HashMap<u32, Label>,
}

impl Program {
    /// "The verdict is `value`". One instruction serves all that can reach it.
    pub fn verdict(&mut self, value: u32) -> Label {
        match self.verdicts.get(&value) {
            Some(label) if self.is_near(*label) => *label,
            _ => {
                let label = self.push(Instruction { code: RETURN, yes: 0, no: 0, k: value });
                self.verdicts.insert(value, label);
                label
            }
        }
    }

    /// "Load the word at `offset`, then go on at `next`".
    pub fn load(&mut self, offset: u32, next: Label) -> Label {
        self.before(next);
        self.push(Instruction { code: LOAD, yes: 0, no: 0, k: offset })
    }

    /// "Mask the accumulator, then go on at `next`".
    pub fn and(&mut self, mask: u32, next: Label) -> Label {
        self.before(next);
        self.push(Instruction { code: AND, yes: 0, no: 0, k: mask })
    }

    /// "Compare the accumulator with `k`; go on at `yes` if that holds, else at `no`".
    pub fn compare(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let distance = |label: Label| (self.reversed.len() - 1 - label.0) as u8;
        let instruction = Instruction { code, yes: distance(yes), no: distance(no), k };
        self.push(instruction)
    }

    /// The program, in the order in which it runs.
    pub fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    /// Whether a byte can tell the distance, also after one more jump has been written.
    fn is_near(&self, label: Label) -> bool {
        self.reversed.len() - 1 - label.0 < usize::from(u8::MAX)
    }

    /// The label, or a jump to it that is close enough.
    fn near(&mut self, label: Label) -> Label {
        if self.is_near(label) { label } else { self.jump(label) }
    }

    fn jump(&mut self, label: Label) -> Label {
        let distance = self.reversed.len() - 1 - label.0;
        self.push(Instruction { code: JUMP, yes: 0, no: 0, k: distance as u32 })
    }

    /// Makes `next` the instruction that comes after the one that is written now.
    fn before(&mut self, next: Label) {
        if next.0 + 1 != self.reversed.len() {
            self.jump(next);
        }
    }
}

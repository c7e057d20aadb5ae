//! The device list on v2: a small eBPF program that the kernel asks at each open(2) and mknod(2) of a device.
//!
//! v2 has no file for devices. Instead a program of type `BPF_PROG_TYPE_CGROUP_DEVICE` is attached to the group
//! (bpf(2); kernel: cgroup-v2.rst, "Device controller"). It is called with a pointer to three numbers, and answers
//! 1 (allowed) or 0 (open fails with EPERM):
//!
//! ```c
//! struct bpf_cgroup_dev_ctx { __u32 access_type; /* access << 16 | kind */  __u32 major, minor; };
//! ```
//!
//! The program made here goes through the rules from the last to the first, since later ones win. It keeps the
//! accesses that are still to be answered in a register: an allowing rule takes its own out and answers 1 when none
//! are left, a denying rule answers 0 when it meets one. For `[deny all, allow c 1:3 rw]` it reads:
//!
//! ```text
//!  0  r2 = *(u32 *)(r1 + 0)     access_type
//!  1  r3 = r2
//!  2  r3 >>= 16                 r3: accesses still to be answered
//!  3  r2 &= 0xffff              r2: kind
//!  4  r4 = *(u32 *)(r1 + 4)     r4: major
//!  5  r5 = *(u32 *)(r1 + 8)     r5: minor
//!  6  if r2 != 2 goto 13        c
//!  7  if r4 != 1 goto 13        1:
//!  8  if r5 != 3 goto 13        3
//!  9  r3 &= ~6                  rw
//! 10  if r3 != 0 goto 13
//! 11  r0 = 1                    allow
//! 12  return r0
//! 13  r0 = 0                    deny all
//! 14  return r0
//! ```
//!
//! A group can have several programs, and those of the groups above are asked too: all must answer 1.

use crate::devices::{ALL, Kind, Rule};
use crate::group::Group;
use crate::sys;
use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// One eBPF instruction, in the kernel's layout (`struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    code: u8,
    /// Destination register in the low four bits, source register in the high four.
    registers: u8,
    /// For jumps: how many instructions to skip. For loads: offset from the source register.
    offset: i16,
    immediate: i32,
}

// The codes that are used, out of linux/bpf_common.h and linux/bpf.h: class | operation | operand.
const LOAD_U32: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W     dst = *(u32 *)(src + offset)
const MOVE_REG: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X   dst = src
const MOVE: u8 = 0xb7; //     BPF_ALU64 | BPF_MOV | BPF_K   dst = immediate
const AND: u8 = 0x57; //      BPF_ALU64 | BPF_AND | BPF_K   dst &= immediate
const SHIFT_RIGHT: u8 = 0x77; // BPF_ALU64 | BPF_RSH | BPF_K
const JUMP_NE: u8 = 0x55; //  BPF_JMP | BPF_JNE | BPF_K     if dst != immediate
const JUMP_SET: u8 = 0x45; // BPF_JMP | BPF_JSET | BPF_K    if dst & immediate
const JUMP: u8 = 0x05; //     BPF_JMP | BPF_JA
const EXIT: u8 = 0x95; //     BPF_JMP | BPF_EXIT            return r0

// The registers, by what the program keeps in them. r0 is the answer, r1 comes with the pointer.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`.
fn kind_number(kind: Kind) -> i32 {
    match kind {
        Kind::Block => 1,
        Kind::Char => 2,
    }
}

fn insn(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
    Insn { code, registers: src << 4 | dst, offset, immediate }
}

fn answer(allow: bool) -> [Insn; 2] {
    [insn(MOVE, ANSWER, 0, 0, i32::from(allow)), insn(EXIT, 0, 0, 0, 0)]
}

/// The program for a list of rules.
pub fn program(rules: &[Rule]) -> Vec<Insn> {
    let mut program = vec![
        insn(LOAD_U32, KIND, CONTEXT, 0, 0),
        insn(MOVE_REG, ACCESS, KIND, 0, 0),
        insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(LOAD_U32, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_U32, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        program.extend(one_rule(rule));
        if rule.is_total() {
            // Nothing gets past it, and the verifier refuses programs with instructions that are never reached.
            return program;
        }
    }
    program.extend(answer(true));
    program
}

/// The instructions of one rule. Whatever does not match jumps to the end of them, where the next rule begins.
fn one_rule(rule: &Rule) -> Vec<Insn> {
    let verdict = answer(rule.allow);
    let decide = match (rule.is_total(), rule.allow, rule.access) {
        (true, ..) | (_, false, ALL) => verdict.to_vec(),
        (_, true, access) => {
            // ~access is negative, and the kernel extends its sign: the upper bits of the register are kept.
            let [set, exit] = verdict;
            vec![insn(AND, ACCESS, 0, 0, !i32::from(access)), insn(JUMP_NE, ACCESS, 0, 2, 0), set, exit]
        }
        (_, false, access) => {
            let [set, exit] = verdict;
            vec![insn(JUMP_SET, ACCESS, 0, 1, i32::from(access)), insn(JUMP, 0, 0, 2, 0), set, exit]
        }
    };
    let tests = [
        rule.kind.map(|kind| (KIND, kind_number(kind))),
        // Numbers are compared as 64 bits with the sign of the immediate extended; the kernel's have 20 bits at most.
        rule.major.map(|major| (MAJOR, major as i32)),
        rule.minor.map(|minor| (MINOR, minor as i32)),
    ];
    let tests: Vec<(u8, i32)> = tests.into_iter().flatten().collect();
    let mut instructions = Vec::with_capacity(tests.len() + decide.len());
    for (done, (register, wanted)) in tests.iter().enumerate() {
        let to_end = (tests.len() - done - 1 + decide.len()) as i16;
        instructions.push(insn(JUMP_NE, *register, 0, to_end, *wanted));
    }
    instructions.extend(decide);
    instructions
}

/// Loads the program for `rules` and attaches it to the group at `folder`, in place of those attached before.
pub fn attach(group: &Group, folder: &Path, rules: &[Rule]) -> Result<()> {
    let open = File::open(folder).with_context(|| format!("open {}", folder.display()))?;
    // Kernels before 5.11 count programs as locked memory, of which a shell may have 64 kB. Without the right to
    // raise the limit the load may still succeed, so its own error is the one to report.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    let instructions = program(rules);
    let loaded = sys::load_device_program(&instructions).context("load the eBPF program of the device list")?;
    let before = sys::attached_device_programs(open.as_fd())
        .with_context(|| format!("list the eBPF programs of {}", folder.display()))?;
    sys::attach_device_program(open.as_fd(), loaded.as_fd())
        .with_context(|| format!("attach the eBPF program of the device list to {}", folder.display()))?;
    let length = instructions.len();
    group.tell(format_args!("# an eBPF program of {length} instructions, attached to {}", folder.display()));
    // The old ones go last: at no moment is the group without a filter.
    for id in before {
        sys::detach_device_program(open.as_fd(), id)
            .with_context(|| format!("detach eBPF program {id} from {}", folder.display()))?;
    }
    Ok(())
}

/// The ids of the programs that are attached to the group at `folder`: `bpftool prog dump xlated id N` shows one.
pub fn attached(folder: &Path) -> Vec<u32> {
    // Who may not ask (only root may) is told of none.
    File::open(folder).and_then(|open| sys::attached_device_programs(open.as_fd())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{MAKE, READ, WRITE, parse_rules};

    /// Runs a program as the kernel would: the few instructions that are emitted, and no others.
    fn run(program: &[Insn], access: u8, kind: Kind, major: u32, minor: u32) -> bool {
        let context = [u32::from(access) << 16 | kind_number(kind) as u32, major, minor];
        let mut registers = [0i64; 11];
        let mut at = 0usize;
        loop {
            let i = program[at];
            let (dst, src) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let mut jump = false;
            match i.code {
                LOAD_U32 => registers[dst] = i64::from(context[i.offset as usize / 4]),
                MOVE_REG => registers[dst] = registers[src],
                MOVE => registers[dst] = i64::from(i.immediate),
                AND => registers[dst] &= i64::from(i.immediate),
                SHIFT_RIGHT => registers[dst] >>= i.immediate,
                JUMP_NE => jump = registers[dst] != i64::from(i.immediate),
                JUMP_SET => jump = registers[dst] & i64::from(i.immediate) != 0,
                JUMP => jump = true,
                EXIT => return registers[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
            at += 1 + if jump { i.offset as usize } else { 0 };
        }
    }

    /// What the rules say, said another way: each access by itself, the last rule about it wins.
    fn expected(rules: &[Rule], access: u8, kind: Kind, major: u32, minor: u32) -> bool {
        [MAKE, READ, WRITE].into_iter().filter(|bit| access & bit != 0).all(|bit| {
            let about = |rule: &&Rule| {
                rule.access & bit != 0
                    && rule.kind.is_none_or(|k| k == kind)
                    && rule.major.is_none_or(|m| m == major)
                    && rule.minor.is_none_or(|m| m == minor)
            };
            rules.iter().rev().find(about).is_none_or(|rule| rule.allow)
        })
    }

    #[test]
    fn the_program_says_what_the_rules_say() {
        let rule = |allow, kind, major, minor, access| Rule { allow, kind, major, minor, access };
        let deny_all = rule(false, None, None, None, ALL);
        let lists = [
            vec![],
            vec![deny_all],
            vec![rule(false, Some(Kind::Char), Some(1), Some(3), WRITE)],
            vec![deny_all, rule(true, Some(Kind::Char), Some(1), None, READ), rule(true, None, None, Some(3), WRITE)],
            vec![
                deny_all,
                rule(true, Some(Kind::Char), None, None, ALL),
                rule(false, None, Some(1), None, MAKE | WRITE),
            ],
            parse_rules(&layout::oci::defaults::device_rules()).unwrap(),
        ];
        for rules in &lists {
            let program = program(rules);
            for access in 1..=ALL {
                for kind in [Kind::Block, Kind::Char] {
                    for (major, minor) in [(1, 3), (1, 5), (5, 3), (8, 0), (136, 7)] {
                        let said = run(&program, access, kind, major, minor);
                        let wanted = expected(rules, access, kind, major, minor);
                        assert_eq!(said, wanted, "{rules:?}: {access} {kind:?} {major}:{minor}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_instruction_is_out_of_reach_and_each_is_eight_bytes() {
        assert_eq!(size_of::<Insn>(), 8);
        let rules = parse_rules(&layout::oci::defaults::device_rules()).unwrap();
        let program = program(&rules);
        assert_eq!(program.last().unwrap().code, EXIT);
        assert_eq!(program.iter().filter(|i| i.code == EXIT).count(), rules.len());
    }
}

//! The program is run here as the kernel runs it, and has to decide as the profile says.

use super::architecture::{Architecture, X32_BIT};
use super::bpf::{AND, EQUAL, GREATER, GREATER_OR_EQUAL, Instruction, JUMP, LOAD, RETURN};
use super::rules::{ALLOW, ERRNO, KILL_THREAD};
use super::*;
use layout::oci::runtime::{SeccompArg, SeccompOp, SeccompRule};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const ENOSYS: u32 = ERRNO | 38;
const EPERM: u32 = ERRNO | 1;

/// A call as the program sees it.
#[derive(Debug, Clone, Copy)]
struct Call {
    architecture: u32,
    number: u32,
    arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16.. => (self.arguments[(offset as usize - 16) / 8] >> (8 * (offset % 8))) as u32,
            _ => panic!("there is no word at {offset}"),
        }
    }
}

/// The machine: what the program returns, and after how many instructions.
fn run(program: &[Instruction], call: Call) -> (u32, usize) {
    let (mut accumulator, mut at, mut steps) = (0u32, 0, 0);
    loop {
        let Instruction { code, yes, no, k } = program[at];
        let branch = |holds: bool| usize::from(if holds { yes } else { no });
        steps += 1;
        at += 1;
        match code {
            LOAD => accumulator = call.word(k),
            AND => accumulator &= k,
            JUMP => at += k as usize,
            EQUAL => at += branch(accumulator == k),
            GREATER => at += branch(accumulator > k),
            GREATER_OR_EQUAL => at += branch(accumulator >= k),
            RETURN => return (k, steps),
            unknown => panic!("instruction {unknown:#x}"),
        }
    }
}

fn profile(json: Value) -> Seccomp {
    serde_json::from_value(json).unwrap()
}

const ALL: [Architecture; 3] = [Architecture::X86_64, Architecture::X86, Architecture::X32];

/// The filter of a profile on x86-64.
fn filter(profile: &Seccomp, listed: &[Architecture]) -> Vec<Instruction> {
    Filter::compile_for(profile, Architecture::X86_64, listed).unwrap().program
}

fn verdict(program: &[Instruction], architecture: u32, number: u32, arguments: &[u64]) -> u32 {
    let mut call = Call { architecture, number, arguments: [0; 6] };
    call.arguments[..arguments.len()].copy_from_slice(arguments);
    run(program, call).0
}

#[test]
fn names_have_the_numbers_of_their_architecture() {
    let number = |architecture: Architecture, name: &str| architecture.calls().find(|call| call.1 == name).map(|c| c.0);
    for (architecture, name, wanted) in [
        (Architecture::X86_64, "read", Some(0)),
        (Architecture::X86_64, "file_setattr", Some(469)),
        (Architecture::X86, "read", Some(3)),
        (Architecture::X86, "break", Some(17)),
        (Architecture::X86, "socketcall", Some(102)),
        (Architecture::X32, "read", Some(X32_BIT)),
        (Architecture::X32, "execve", Some(X32_BIT | 520)),
        (Architecture::X32, "pwritev2", Some(X32_BIT | 547)),
        (Architecture::X32, "uselib", None),
        (Architecture::Aarch64, "newfstatat", Some(79)),
        (Architecture::Aarch64, "open", None),
        (Architecture::Arm, "open", Some(5)),
        (Architecture::Arm, "set_tls", Some(0xf_0005)),
    ] {
        assert_eq!(number(architecture, name), wanted, "{name} on {architecture:?}");
    }
    for architecture in [Architecture::X86_64, Architecture::X86, Architecture::X32, Architecture::Arm] {
        let numbers: Vec<u32> = architecture.calls().map(|call| call.0).collect();
        assert!(numbers.len() > 300 && numbers.is_sorted(), "{architecture:?}");
    }
}

#[test]
fn a_call_is_decided_on_each_architecture_by_its_own_number() {
    let profile = profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getpid", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7},
        {"names": ["execve"], "action": "SCMP_ACT_KILL_PROCESS"},
    ]}));
    let program = filter(&profile, &ALL);
    let on = |architecture, number| verdict(&program, architecture, number, &[]);
    assert_eq!((on(X86_64, 39), on(X86, 20), on(X86_64, X32_BIT | 39)), (ERRNO | 7, ERRNO | 7, ERRNO | 7));
    assert_eq!((on(X86_64, 59), on(X86, 11), on(X86_64, X32_BIT | 520)), (0x8000_0000, 0x8000_0000, 0x8000_0000));
    assert_eq!((on(X86_64, 20), on(X86, 39), on(X86_64, X32_BIT | 59)), (ALLOW, ALLOW, ALLOW));
    assert_eq!((on(X86_64, 9999), on(X86_64, u32::MAX)), (ALLOW, ALLOW));
}

#[test]
fn calls_of_an_architecture_that_is_not_listed_kill() {
    let profile = profile(json!({"defaultAction": "SCMP_ACT_ALLOW"}));
    let program = filter(&profile, &[]);
    assert_eq!(verdict(&program, X86_64, 39, &[]), ALLOW, "the machine's own is always listed");
    assert_eq!(verdict(&program, X86_64, u32::MAX, &[]), ALLOW, "a call that a tracer skips");
    assert_eq!(verdict(&program, X86, 20, &[]), KILL_THREAD);
    assert_eq!(verdict(&program, X86_64, X32_BIT | 39, &[]), KILL_THREAD);
    assert_eq!(verdict(&program, Architecture::Aarch64.audit(), 39, &[]), KILL_THREAD);
}

#[test]
fn calls_that_are_younger_than_the_profile_are_told_not_to_exist() {
    let rules = json!([{"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW"}]);
    for (default, known, young) in [
        ("SCMP_ACT_ERRNO", EPERM, ENOSYS),
        ("SCMP_ACT_KILL", KILL_THREAD, ENOSYS),
        ("SCMP_ACT_LOG", 0x7ffc_0000, 0x7ffc_0000),
    ] {
        let program = filter(&profile(json!({"defaultAction": default, "syscalls": rules})), &ALL);
        for (architecture, base) in [(X86_64, 0), (X86, 0), (X86_64, X32_BIT)] {
            let on = |number| verdict(&program, architecture, base + number, &[]);
            assert_eq!((on(436), on(437), on(438)), (known, ALLOW, young), "{default} {architecture:#x}");
        }
    }
}

#[test]
fn rules_without_conditions_go_before_those_with_and_the_first_before_the_second() {
    let when = |value: u64| json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": value}]);
    let program = filter(
        &profile(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["getpid", "getuid"], "action": "SCMP_ACT_LOG", "args": when(1)},
            {"names": ["getpid"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["getpid"], "action": "SCMP_ACT_TRAP"},
            {"names": ["getuid"], "action": "SCMP_ACT_ALLOW", "args": when(2)},
            {"names": ["getuid"], "action": "SCMP_ACT_TRAP", "args": when(2)},
            {"names": ["getgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": when(1)},
            {"names": ["getgid"], "action": "SCMP_ACT_ALLOW"},
        ]})),
        &ALL,
    );
    let on = |number, argument| verdict(&program, X86_64, number, &[argument]);
    assert_eq!((on(39, 1), on(39, 2)), (ALLOW, ALLOW));
    assert_eq!((on(102, 1), on(102, 2), on(102, 3)), (0x7ffc_0000, ALLOW, EPERM));
    assert_eq!((on(104, 1), on(104, 2)), (ALLOW, ALLOW), "a rule that says what the default says is none");
}

#[test]
fn two_conditions_on_one_argument_are_alternatives() {
    let program = filter(
        &profile(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["getpid"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "op": "SCMP_CMP_EQ", "value": 1}, {"index": 0, "op": "SCMP_CMP_EQ", "value": 2},
                {"index": 1, "op": "SCMP_CMP_GT", "value": 5}]},
            {"names": ["getuid"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "op": "SCMP_CMP_EQ", "value": 1}, {"index": 1, "op": "SCMP_CMP_GT", "value": 5}]},
        ]})),
        &ALL,
    );
    let on = |number, arguments: &[u64]| verdict(&program, X86_64, number, arguments) == ALLOW;
    assert!(on(39, &[1, 0]) && on(39, &[2, 0]) && on(39, &[3, 6]) && !on(39, &[3, 5]));
    assert!(on(102, &[1, 6]) && !on(102, &[1, 5]) && !on(102, &[2, 6]));
}

#[test]
fn a_rule_on_a_call_holds_where_that_is_part_of_another() {
    let program = filter(
        &profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["socket", "shmget"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["connect"], "action": "SCMP_ACT_TRAP", "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 9}]},
        ]})),
        &ALL,
    );
    let on = |number, argument| verdict(&program, X86, number, &[argument]);
    assert_eq!((on(359, 0), on(102, 1), on(102, 2), on(102, 3)), (EPERM, EPERM, ALLOW, 0x3_0000));
    assert_eq!((on(395, 0), on(117, 23), on(117, 24)), (EPERM, EPERM, ALLOW));
    assert_eq!(verdict(&program, X86_64, 102, &[1]), ALLOW, "which is getuid there");
    let both = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["socket"], "action": "SCMP_ACT_TRAP"}, {"names": ["socketcall"], "action": "SCMP_ACT_ALLOW"}]});
    assert_eq!(verdict(&filter(&profile(both), &ALL), X86, 102, &[1]), ALLOW, "who names it means all of it");
}

#[test]
fn dockers_profile_is_small_and_quick_to_decide() {
    let profile = layout::oci::default_seccomp::profile(&layout::oci::defaults::CAPABILITIES);
    let program = filter(&profile, &Architecture::listed(&profile.architectures).unwrap());
    assert!(program.len() < 600, "{} instructions", program.len());
    let on = |architecture, number, argument| verdict(&program, architecture, number, &[argument]);
    // read, mount, clone3, keyctl, io_uring_setup, and one that is yet to be invented
    let verdicts = [0, 165, 435, 250, 425, 600].map(|number| on(X86_64, number, 0));
    assert_eq!(verdicts, [ALLOW, EPERM, ENOSYS, EPERM, EPERM, ENOSYS]);
    let sockets = [1, 2, 11, 12, 16, 17, 38, 39, 40, 45, 46].map(|family| on(X86_64, 41, family) == ALLOW);
    assert_eq!(sockets, [true, true, true, false, true, true, false, true, false, true, false]);
    assert_eq!([0, 8, 0x2_0000, 4].map(|p| on(X86, 136, p)), [ALLOW, ALLOW, ALLOW, EPERM]);
    // A new thread, and a new user namespace.
    assert_eq!([0x3d_0f00, 0x1000_0011].map(|flags| on(X86_64, 56, flags)), [ALLOW, EPERM]);
    for (number, _) in Architecture::X86_64.calls() {
        let call = Call { architecture: X86_64, number, arguments: [16, 0, 0, 0, 0, 0] };
        let steps = run(&program, call).1;
        assert!(steps <= 20 || matches!(number, 41 | 135), "call {number} takes {steps} instructions");
    }
}

#[test]
fn what_a_profile_may_not_say_is_told() {
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    for (words, json) in [
        ("SCMP_ARCH_Z80", json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]})),
        ("FLAG_X", json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["FLAG_X"]})),
        ("defaultErrnoRet", json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1})),
        ("takes no number", rule(json!({"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1}))),
        ("above 4095", rule(json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}))),
        (
            "arguments 0 to 5",
            rule(json!({"names": ["read"], "action": "SCMP_ACT_KILL",
            "args": [{"index": 6, "op": "SCMP_CMP_EQ", "value": 0}]})),
        ),
    ] {
        let error = format!("{:#}", Filter::compile(&profile(json)).unwrap_err());
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// An architecture's calls by number, and the highest number that a profile names.
fn known(profile: &Seccomp, architecture: Architecture) -> (HashMap<u32, &'static str>, Option<u32>) {
    let names: HashSet<&String> = profile.syscalls.iter().flat_map(|rule| &rule.names).collect();
    let calls: HashMap<u32, &str> = architecture.calls().collect();
    let youngest = calls.iter().filter(|(_, name)| names.contains(&(**name).to_owned())).map(|call| *call.0).max();
    (calls, youngest)
}

/// What the profile says, step by step.
fn expected(
    profile: &Seccomp,
    architecture: Architecture,
    (calls, youngest): &(HashMap<u32, &str>, Option<u32>),
    call: Call,
) -> u32 {
    let verdict_of = |action, number: Option<u32>| match action {
        SeccompAction::Allow => ALLOW,
        SeccompAction::Errno => ERRNO | number.unwrap_or(1),
        SeccompAction::Trap => 0x3_0000,
        _ => KILL_THREAD,
    };
    let default = verdict_of(profile.default_action, profile.default_errno_ret);
    if youngest.is_some_and(|youngest| call.number > youngest) && default != ALLOW {
        return ENOSYS;
    }
    let Some(name) = calls.get(&call.number) else { return default };
    let rules = profile.syscalls.iter().filter(|rule| rule.names.iter().any(|known| known == name));
    let rules: Vec<&SeccompRule> = rules.filter(|rule| verdict_of(rule.action, rule.errno_ret) != default).collect();
    let holds = |condition: &SeccompArg| {
        let cut = if architecture.is_wide() { u64::MAX } else { u64::from(u32::MAX) };
        let (argument, value) = (call.arguments[condition.index as usize] & cut, condition.value & cut);
        match condition.op {
            SeccompOp::Equal => argument == value,
            SeccompOp::NotEqual => argument != value,
            SeccompOp::Less => argument < value,
            SeccompOp::LessOrEqual => argument <= value,
            SeccompOp::Greater => argument > value,
            SeccompOp::GreaterOrEqual => argument >= value,
            SeccompOp::MaskedEqual => argument & value == condition.value_two & cut,
        }
    };
    let fits = |rule: &&&SeccompRule| {
        let mut indices: Vec<u32> = rule.args.iter().map(|condition| condition.index).collect();
        indices.sort_unstable();
        match indices.windows(2).any(|pair| pair[0] == pair[1]) {
            true => rule.args.iter().any(holds),
            false => rule.args.iter().all(holds),
        }
    };
    let unconditional = rules.iter().find(|rule| rule.args.is_empty());
    let decided = unconditional.or_else(|| rules.iter().find(fits));
    decided.map_or(default, |rule| verdict_of(rule.action, rule.errno_ret))
}

/// Numbers that are near each other, in either word.
fn number() -> impl Strategy<Value = u64> {
    let word = prop_oneof![0u64..4, Just(0x7e02_0000u64), Just(0xffff_ffffu64)];
    (word.clone(), prop_oneof![3 => Just(0u64), 1 => word]).prop_map(|(low, high)| high << 32 | low)
}

fn rule() -> impl Strategy<Value = SeccompRule> {
    let call = Architecture::X86_64.calls().map(|call| call.1.to_owned()).collect::<Vec<_>>();
    let names = prop_oneof![
        Just(vec!["clone".to_owned(), "socket".to_owned()]),
        prop::collection::vec(prop::sample::select(call), 0..30)
    ];
    let op = prop::sample::select(vec![
        SeccompOp::Equal,
        SeccompOp::NotEqual,
        SeccompOp::Less,
        SeccompOp::LessOrEqual,
        SeccompOp::Greater,
        SeccompOp::GreaterOrEqual,
        SeccompOp::MaskedEqual,
    ]);
    let condition = (0u32..3, number(), number(), op).prop_map(|(index, value, value_two, op)| SeccompArg {
        index,
        value,
        value_two,
        op,
    });
    let action = prop::sample::select(vec![
        (SeccompAction::Allow, None),
        (SeccompAction::Errno, None),
        (SeccompAction::Errno, Some(38)),
        (SeccompAction::Trap, None),
    ]);
    (names, prop::collection::vec(condition, 0..3), action).prop_map(|(names, args, (action, errno_ret))| SeccompRule {
        names,
        action,
        errno_ret,
        args,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_profile_is_decided_as_it_says(
        rules in prop::collection::vec(rule(), 0..12),
        allow in any::<bool>(),
        arguments in prop::collection::vec(prop::array::uniform3(number()), 4),
    ) {
        let mut profile = profile(json!({"defaultAction": if allow { "SCMP_ACT_ALLOW" } else { "SCMP_ACT_ERRNO" }}));
        profile.syscalls = rules;
        let program = filter(&profile, &ALL);
        for architecture in ALL {
            let known = known(&profile, architecture);
            for [a, b, c] in &arguments {
                let base = if architecture == Architecture::X32 { X32_BIT } else { 0 };
                for number in (base..base + 560).step_by(if *a == 0 { 1 } else { 7 }).chain([base + 41, base + 56, base + 120]) {
                    if architecture == Architecture::X86 && matches!(number, 102 | 117) {
                        continue; // many calls in one; they have a test of their own
                    }
                    let cut = if architecture.is_wide() { u64::MAX } else { u64::from(u32::MAX) };
                    let arguments = [a & cut, b & cut, c & cut, 0, 0, 0];
                    let call = Call { architecture: architecture.audit(), number, arguments };
                    prop_assert_eq!(run(&program, call).0, expected(&profile, architecture, &known, call), "{:?}", call);
                }
            }
        }
    }
}

//! `socketcall` and `ipc`: two calls of i386 that are many. The first argument says which one, and the arguments of that are in memory, where
//! a filter cannot look.
//!
//! A rule on `socket` that left `socketcall` alone could be walked around by any 32-bit program. So it is one on
//! `socketcall` with the number of `socket` as well, as libseccomp has it.

use super::architecture::Architecture;
use super::rules::{Case, Decision, Rules};
use layout::oci::runtime::{SeccompArg, SeccompOp};

/// The calls in `socketcall`, each at its number (linux/net.h).
const SOCKETCALL: [&str; 21] = [
    "",
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// Those in `ipc` (linux/ipc.h).
const IPC: [&str; 25] = [
    "",
    "semop",
    "semget",
    "semctl",
    "semtimedop",
    "",
    "",
    "",
    "",
    "",
    "",
    "msgsnd",
    "msgrcv",
    "msgget",
    "msgctl",
    "",
    "",
    "",
    "",
    "",
    "",
    "shmat",
    "shmdt",
    "shmget",
    "shmctl",
];

/// What becomes of a call on an architecture; nothing if the profile knows neither it nor a part of it.
pub fn decision(rules: &Rules<'_>, architecture: Architecture, name: &str) -> Option<Decision> {
    let own = rules.decision(name);
    let parts = match (architecture, name) {
        (Architecture::X86, "socketcall") => &SOCKETCALL[..],
        (Architecture::X86, "ipc") => &IPC[..],
        _ => return own.cloned(),
    };
    let mut cases = match own {
        // Whoever names the call itself means all of it.
        Some(Decision::Always(verdict)) if *verdict != rules.default => return own.cloned(),
        Some(Decision::Depends(cases)) => cases.clone(),
        _ => Vec::new(),
    };
    let mut known = own.is_some();
    for (number, part) in (0..).zip(parts) {
        let Some(decision) = rules.decision(part) else { continue };
        known = true;
        match decision {
            Decision::Always(verdict) if *verdict == rules.default => {}
            Decision::Always(verdict) => cases.push(case(number, &[], *verdict)),
            Decision::Depends(its) => cases.extend(its.iter().map(|one| case(number, &one.conditions, one.verdict))),
        }
    }
    let decided = if cases.is_empty() { Decision::Always(rules.default) } else { Decision::Depends(cases) };
    known.then_some(decided)
}

/// A part's rule as one on the whole; the first argument is the part's number now.
fn case(number: u64, conditions: &[SeccompArg], verdict: u32) -> Case {
    let which = SeccompArg { index: 0, op: SeccompOp::Equal, value: number, value_two: 0 };
    let others = conditions.iter().filter(|condition| condition.index != 0).cloned();
    Case { conditions: [which].into_iter().chain(others).collect(), verdict }
}

//! The rules of a profile, by the name of the call.
//!
//! Which rule decides is as with runc and libseccomp: one without conditions goes before those with conditions, the first
//! before a later one, and a rule that says what the default says anyway is none.

use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Seccomp, SeccompAction, SeccompArg, SeccompRule};
use std::collections::HashMap;

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Always the same.
    Always(u32),
    /// That of the first of these whose conditions all hold, else the default.
    Depends(Vec<Case>),
}

/// One rule's conditions, and its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub conditions: Vec<SeccompArg>,
    pub verdict: u32,
}

/// The rules of a profile.
#[derive(Debug)]
pub struct Rules<'a> {
    /// What becomes of a call that no rule is about.
    pub default: u32,
    /// What becomes of a call that is younger than the profile.
    pub unknown: u32,
    by_name: HashMap<&'a str, Decision>,
    actions: Vec<SeccompAction>,
}

/// What the kernel does for a verdict (linux/seccomp.h); the lower half is an error number, or a message.
const KILL_PROCESS: u32 = 0x8000_0000;
pub const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
pub const ERRNO: u32 = 0x0005_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
pub const ALLOW: u32 = 0x7fff_0000;

impl<'a> Rules<'a> {
    /// Reads the rules.
    pub fn of(profile: &'a Seccomp) -> Result<Rules<'a>> {
        // Before anybody listens the new process has to tell its parent what he is to listen to.
        if profile.default_action == SeccompAction::Notify {
            bail!("defaultAction: nobody could listen to all calls, as the first one tells who listens");
        }
        let default = verdict(profile.default_action, profile.default_errno_ret).context("defaultErrnoRet")?;
        // A program tries a young call and does without on ENOSYS. On EPERM it gives up; so with a profile that is older than
        // the call, programs that are younger would not run.
        let unknown = match profile.default_action {
            SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace => default,
            _ => ERRNO | libc::ENOSYS as u32,
        };
        let actions = profile.syscalls.iter().map(|rule| rule.action).chain([profile.default_action]).collect();
        let mut rules = Rules { default, unknown, by_name: HashMap::new(), actions };
        for rule in &profile.syscalls {
            rules.add(rule).with_context(|| format!("syscalls {}", rule.names.join(", ")))?;
        }
        Ok(rules)
    }

    /// Whether an action occurs.
    pub fn uses(&self, action: SeccompAction) -> bool {
        self.actions.contains(&action)
    }

    /// What becomes of a call; nothing if the profile does not know it.
    pub fn decision(&self, name: &str) -> Option<&Decision> {
        self.by_name.get(name)
    }

    fn add(&mut self, rule: &'a SeccompRule) -> Result<()> {
        if let Some(condition) = rule.args.iter().find(|condition| condition.index > 5) {
            bail!("args.index {}: a call has arguments 0 to 5", condition.index);
        }
        if rule.action == SeccompAction::Notify && rule.names.iter().any(|name| name == "write") {
            bail!("nobody could listen to `write`, as it tells who listens");
        }
        let verdict = verdict(rule.action, rule.errno_ret)?;
        for name in &rule.names {
            let default = self.default;
            let decision = self.by_name.entry(name).or_insert(Decision::Always(default));
            if verdict == default {
                continue;
            }
            match decision {
                Decision::Always(earlier) if *earlier != default => {}
                decision if rule.args.is_empty() => *decision = Decision::Always(verdict),
                Decision::Always(_) => *decision = Decision::Depends(cases(rule, verdict)),
                Decision::Depends(earlier) => earlier.extend(cases(rule, verdict)),
            }
        }
        Ok(())
    }
}

/// The cases of a rule: all its conditions together. But two on the same argument would hardly ever hold together; they are
/// taken for alternatives, and then all of the rule's are, as runc has it.
fn cases(rule: &SeccompRule, verdict: u32) -> Vec<Case> {
    let conditions = &rule.args;
    let twice = conditions.iter().enumerate().any(|(at, one)| conditions[..at].iter().any(|c| c.index == one.index));
    match twice {
        true => conditions.iter().map(|one| Case { conditions: vec![one.clone()], verdict }).collect(),
        false => vec![Case { conditions: conditions.clone(), verdict }],
    }
}

/// What the program returns for an action.
fn verdict(action: SeccompAction, number: Option<u32>) -> Result<u32> {
    let most = match action {
        SeccompAction::Errno => 4095, // the kernel's MAX_ERRNO
        SeccompAction::Trace => 0xffff,
        _ if number.is_some() => bail!("errnoRet: {action:?} takes no number, only errors and traces do"),
        _ => 0,
    };
    let number = number.unwrap_or(libc::EPERM as u32);
    Ok(match action {
        SeccompAction::Errno | SeccompAction::Trace if number > most => bail!("errnoRet {number}: it is above {most}"),
        SeccompAction::Errno => ERRNO | number,
        SeccompAction::Trace => TRACE | number,
        SeccompAction::KillThread => KILL_THREAD,
        SeccompAction::KillProcess => KILL_PROCESS,
        SeccompAction::Trap => TRAP,
        SeccompAction::Allow => ALLOW,
        SeccompAction::Log => LOG,
        SeccompAction::Notify => NOTIFY,
    })
}

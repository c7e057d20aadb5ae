//! `linux.seccomp`: which system calls the program may make (seccomp(2), config-linux.md "Seccomp").
//!
//! The kernel asks a small program of ours at each system call, and does what that returns: let it pass, fail it, kill
//! the caller. The program sees a `seccomp_data`: the call's number, the architecture whose numbers these
//! are, and the six arguments as numbers (what they point to it cannot see). It is made of a profile in four steps:
//!
//! ```text
//!   profile          rules             decisions          tree            conditions, bpf
//!   names,     ->    a name's    ->    ranges of    ->    a binary   ->   instructions of
//!   actions          decision          numbers            search          the kernel's BPF
//! ```
//!
//! Numbers of a kind lie together, so docker's 400 names are some 40 ranges, and a call costs six comparisons.

pub mod architecture;
mod bpf;
mod conditions;
pub mod listener;
pub mod load;
mod multiplexed;
mod numbers;
mod rules;
#[cfg(test)]
mod tests;
mod tree;

pub use bpf::Instruction;

use anyhow::{Context, Result, bail};
use architecture::Architecture;
use bpf::Program;
use layout::oci::runtime::{Seccomp, SeccompAction, Spec};
use rules::Rules;

/// The kernel takes no longer programs (BPF_MAXINSNS).
const LONGEST: usize = 4096;

/// A profile, ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    program: Vec<Instruction>,
    flags: u32,
    /// Whether somebody else decides about some calls.
    notifies: bool,
}

impl Filter {
    /// Makes the filter of a profile. Calls and architectures that do not exist on this machine are left out: nobody can make them.
    ///
    /// # Errors
    /// The profile says what it may not say, by name.
    pub fn compile(profile: &Seccomp) -> Result<Filter> {
        let listed = Architecture::listed(&profile.architectures)?;
        Filter::compile_for(profile, Architecture::NATIVE, &listed)
    }

    /// The same for a machine of another architecture.
    fn compile_for(profile: &Seccomp, native: Architecture, listed: &[Architecture]) -> Result<Filter> {
        let rules = Rules::of(profile)?;
        let notifies = rules.uses(SeccompAction::Notify);
        if profile.listener_path.is_empty() && (notifies || !profile.listener_metadata.is_empty()) {
            bail!("listenerPath: it is missing, so that nobody would decide about the calls");
        }
        let mut program = Program::default();
        tree::emit(&mut program, &rules, native, listed);
        let program = program.finish();
        if program.len() > LONGEST {
            bail!("the rules make {} instructions, and the kernel takes {LONGEST}", program.len());
        }
        Ok(Filter { program, flags: load::flags(&profile.flags, notifies)?, notifies })
    }

    /// Whether somebody else decides about some calls (`SCMP_ACT_NOTIFY`).
    pub fn notifies(&self) -> bool {
        self.notifies
    }
}

/// The filter of a configuration, if it has one.
pub fn of(spec: &Spec) -> Result<Option<Filter>> {
    let profile = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    profile.map(|profile| Filter::compile(profile).context("linux.seccomp")).transpose()
}

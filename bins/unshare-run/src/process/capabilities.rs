//! Capabilities: root's power in pieces (capabilities(7)).
//!
//! A process has five sets of them. What it may do now is *effective*, what it may take up *permitted*; what
//! execve(2) keeps of that is ruled by *inheritable*, *ambient* and, as the upper bound of everything that
//! could ever come back, *bounding*.

use crate::narrate::narrate;
use anyhow::{Context, Result};
use layout::oci::capabilities::{bit, names};
use layout::oci::runtime::Capabilities;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// The five sets as bits, cut down to what we can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl Sets {
    /// Reads a configuration; without one there are no capabilities at all, as runc has it.
    /// Nobody can give what he has not got: what is not `ours` is left out, with a warning, like names that are unknown.
    pub fn new(wanted: Option<&Capabilities>, ours: u64, warn: &mut dyn FnMut(String)) -> Sets {
        let none = Capabilities::default();
        let wanted = wanted.unwrap_or(&none);
        let mut missing = std::collections::BTreeSet::new();
        let mut read = |names: &[String]| {
            names.iter().fold(0, |bits, name| match bit(name) {
                Some(bit) if ours & bit != 0 => bits | bit,
                _ => {
                    missing.insert(name.clone());
                    bits
                }
            })
        };
        let sets = Sets {
            bounding: read(&wanted.bounding),
            effective: read(&wanted.effective),
            permitted: read(&wanted.permitted),
            inheritable: read(&wanted.inheritable),
            ambient: read(&wanted.ambient),
        };
        if !missing.is_empty() {
            let list = missing.into_iter().collect::<Vec<_>>().join(", ");
            warn(format!("give capabilities: the container goes without {list}, which this host does not have"));
        }
        sets
    }

    /// The same with `CAP_SYS_ADMIN`, for a while: until [`Sets::drop_the_rest`].
    pub fn with_sys_admin(self) -> Sets {
        let sys_admin = CapabilitySet::SYS_ADMIN.bits();
        Sets { effective: self.effective | sys_admin, permitted: self.permitted | sys_admin, ..self }
    }

    /// Gives up what is in none of the sets: capset(2) and no other system call.
    pub fn drop_the_rest(&self) -> Result<()> {
        rustix::thread::set_capabilities(None, self.three()).context("set the capabilities")
    }

    fn three(&self) -> CapabilitySets {
        let bits = CapabilitySet::from_bits_retain;
        CapabilitySets {
            effective: bits(self.effective),
            permitted: bits(self.permitted),
            inheritable: bits(self.inheritable),
        }
    }

    /// Gives up for ever what is not in the bounding set. This needs `CAP_SETPCAP`, so it comes before [`Sets::apply`].
    pub fn bound(&self) -> Result<()> {
        narrate!(
            "what can never come back, whatever is executed",
            "prctl(PR_CAPBSET_DROP, all but {:#x})",
            self.bounding
        );
        for number in 0..64 {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            // The kernel tells by EINVAL where its list ends.
            match rustix::thread::capability_is_in_bounding_set(capability) {
                Err(_) => break,
                Ok(true) if self.bounding & (1 << number) == 0 => {
                    rustix::thread::remove_capability_from_bounding_set(capability)
                        .with_context(|| format!("drop capability {number} from the bounding set"))?;
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Takes on the other four sets: the last thing that needs privilege. A capability that cannot become ambient, as
    /// it is not inheritable, is left out with a warning: runc's own default configuration has such.
    pub fn apply(&self, warn: &mut dyn FnMut(String)) -> Result<()> {
        let Sets { permitted, inheritable, .. } = *self;
        narrate!("what it may do now", "{self}");
        let bits = CapabilitySet::from_bits_retain;
        rustix::thread::set_capabilities(None, self.three()).context("set the capabilities")?;
        rustix::thread::clear_ambient_capability_set().context("clear the ambient capabilities")?;
        let possible = self.ambient & permitted & inheritable;
        if possible != 0 {
            narrate!("what it hands on, even if it is not root", "prctl(PR_CAP_AMBIENT, RAISE, {possible:#x})");
        }
        for number in (0..64).filter(|number| possible & (1 << number) != 0) {
            rustix::thread::configure_capability_in_ambient_set(bits(1 << number), true)
                .with_context(|| format!("make {} ambient", names(1 << number).concat()))?;
        }
        if possible != self.ambient {
            let list = names(self.ambient & !possible).join(", ");
            warn(format!("make {list} ambient: only what is permitted and inheritable can be"));
        }
        Ok(())
    }
}

impl std::fmt::Display for Sets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "capset({:#x}, {:#x}, {:#x})", self.effective, self.permitted, self.inheritable)
    }
}

/// What this process may do at most.
pub fn permitted() -> Result<u64> {
    Ok(rustix::thread::capabilities(None).context("read our own capabilities")?.permitted.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_have_not_got_is_left_out_with_a_warning() {
        let list = vec!["CAP_CHOWN".to_owned(), "CAP_KILL".to_owned(), "CAP_WHAT".to_owned()];
        let wanted = Capabilities { bounding: list.clone(), effective: list, ..Capabilities::default() };
        let mut warnings = Vec::new();
        let sets = Sets::new(Some(&wanted), 0b1, &mut |w| warnings.push(w));
        assert_eq!((sets.bounding, sets.effective, sets.permitted), (1, 1, 0));
        assert!(warnings.len() == 1 && warnings[0].contains("CAP_KILL, CAP_WHAT"), "{warnings:?}");
        assert_eq!(Sets::new(None, u64::MAX, &mut |_| panic!()).bounding, 0);
    }
}

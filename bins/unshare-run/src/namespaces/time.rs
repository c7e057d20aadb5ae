//! Offsets of a time namespace (time_namespaces(7)).
//!
//! `unshare` does not move the caller into the new time namespace, only its children. In between is the one moment at
//! which the offsets can be set: the first process that is in it freezes them.

use crate::narrate::narrate;
use anyhow::{Context, Result};
use layout::oci::runtime::TimeOffset;
use std::collections::BTreeMap;

/// Makes a time namespace for our children, with clocks that are off.
pub fn unshare(offsets: &BTreeMap<String, TimeOffset>) -> Result<()> {
    narrate!("other clocks, for the processes that we make", "unshare(CLONE_NEWTIME)");
    nix::sched::unshare(nix::sched::CloneFlags::from_bits_retain(libc::CLONE_NEWTIME))
        .context("unshare the time namespace")?;
    let text = text(offsets);
    let path = "/proc/self/timens_offsets";
    narrate!("how far they are off", "write({path}, {:?})", text.trim_end());
    std::fs::write(path, &text).with_context(|| format!("write {text:?} to {path}"))
}

fn text(offsets: &BTreeMap<String, TimeOffset>) -> String {
    offsets.iter().map(|(clock, offset)| format!("{clock} {} {}\n", offset.secs, offset.nanosecs)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_lines_of_clock_seconds_and_nanoseconds() {
        let offsets = [("boottime", -7, 0), ("monotonic", 172_800, 5)]
            .map(|(clock, secs, nanosecs)| (clock.to_owned(), TimeOffset { secs, nanosecs }));
        assert_eq!(text(&BTreeMap::from(offsets)), "boottime -7 0\nmonotonic 172800 5\n");
    }
}

//! What it may do: capabilities, and which system calls.

use super::seccomp_profile;
use crate::cli::PowerFlags;
use crate::process::capabilities::{bit, names};
use anyhow::{Result, bail};
use layout::oci::default_seccomp;
use layout::oci::runtime::{Capabilities, Linux, Process};
use std::path::Path;

/// Sets the capabilities, the filter, and whether power can be gained. `most` is what we have to give.
pub fn set(process: &mut Process, linux: &mut Linux, flags: &PowerFlags, most: u64) -> Result<()> {
    let base = process.capabilities.as_ref().map_or(0, |sets| bits_of(&sets.bounding));
    let held = add_and_drop(base, most, &flags.cap_add, &flags.cap_drop)?;
    process.capabilities = Some(capabilities(held));
    process.no_new_privileges = flags.no_new_privs;
    match flags.seccomp.as_deref() {
        // The filter goes with the capabilities.
        None => linux.seccomp = linux.seccomp.take().map(|_| default_seccomp::profile(&names(held))),
        Some(file) if file == Path::new("unconfined") => linux.seccomp = None,
        Some(file) => linux.seccomp = Some(seccomp_profile::read(file, held)?),
    }
    Ok(())
}

/// The sets of a process that has these capabilities, can keep them when it executes a program as root, and hands none
/// on to programs of other users.
pub fn capabilities(held: u64) -> Capabilities {
    let names = names(held);
    Capabilities { bounding: names.clone(), effective: names.clone(), permitted: names, ..Capabilities::default() }
}

fn bits_of(names: &[String]) -> u64 {
    names.iter().filter_map(|name| bit(name)).fold(0, |bits, bit| bits | bit)
}

/// As docker has it: `all` on one side is all but what the other side names; `all` on both sides is what is added.
fn add_and_drop(base: u64, most: u64, add: &[String], drop: &[String]) -> Result<u64> {
    let read = |flag: &str, list: &[String]| -> Result<(bool, u64)> {
        let (mut all, mut bits) = (false, 0);
        for name in list {
            match bit(name) {
                _ if name.eq_ignore_ascii_case("all") => all = true,
                Some(bit) => bits |= bit,
                None => bail!("{flag} {name}: there is no such capability (see capabilities(7))"),
            }
        }
        Ok((all, bits))
    };
    let (add_all, added) = read("--cap-add", add)?;
    let (drop_all, dropped) = read("--cap-drop", drop)?;
    Ok(match (add_all, drop_all) {
        (true, _) => most & !dropped,
        (false, true) => added,
        (false, false) => (base | added) & !(dropped & !added),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_added_and_dropped_as_dockers_are() {
        let of = |add: &[&str], drop: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            add_and_drop(0b11, 0b1111, &list(add), &list(drop)).unwrap()
        };
        let kill = 1 << 5;
        assert_eq!(of(&["kill"], &[]), 0b11 | kill);
        assert_eq!(of(&[], &["CAP_CHOWN"]), 0b10);
        assert_eq!(of(&["chown"], &["all"]), 0b01);
        assert_eq!(of(&["ALL"], &["dac_override"]), 0b1101);
        assert_eq!(of(&[], &["all"]), 0);
        assert!(add_and_drop(0, 0, &["fly".to_owned()], &[]).is_err());
    }
}

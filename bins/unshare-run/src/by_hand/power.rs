//! What it may do: capabilities, and which system calls.

use crate::cli::PowerFlags;
use anyhow::{Context, Result};
use layout::oci::capabilities::{add_and_drop, bits_of, names, sets};
use layout::oci::runtime::{Linux, Process, Seccomp};
use layout::oci::{default_seccomp, seccomp_profile};
use std::path::Path;

/// Sets the capabilities, the filter, and whether power can be gained. `most` is what we have to give.
pub fn set(process: &mut Process, linux: &mut Linux, flags: &PowerFlags, most: u64) -> Result<()> {
    let base = process.capabilities.as_ref().map_or(0, |sets| bits_of(&sets.bounding));
    let held = add_and_drop(base, most, &flags.cap_add, &flags.cap_drop)?;
    process.capabilities = Some(sets(held));
    process.no_new_privileges = flags.no_new_privs;
    match flags.seccomp.as_deref() {
        // The filter goes with the capabilities.
        None => linux.seccomp = linux.seccomp.take().map(|_| default_seccomp::profile(&names(held))),
        Some(file) if file == Path::new("unconfined") => linux.seccomp = None,
        Some(file) => linux.seccomp = Some(read_filter(file, held)?),
    }
    Ok(())
}

fn read_filter(file: &Path, held: u64) -> Result<Seccomp> {
    let json = layout::publish::read_json(file).context("--seccomp")?;
    seccomp_profile::parse(json, held).with_context(|| format!("--seccomp {}", file.display()))
}

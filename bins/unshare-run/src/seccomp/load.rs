//! Handing the filter to the kernel: seccomp(2). From then on nobody takes it off again, and all children have it.

use super::Filter;
use crate::sys;
use anyhow::{Context, Result, bail};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// linux/seccomp.h.
const LOG: u32 = 1 << 1;
const SPEC_ALLOW: u32 = 1 << 2;
const NEW_LISTENER: u32 = 1 << 3;
const WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// The kernel's flags for those of a profile.
pub fn flags(names: &[String], notifies: bool) -> Result<u32> {
    let mut flags = if notifies { NEW_LISTENER } else { 0 };
    for name in names {
        flags |= match name.as_str() {
            // "All threads": there is one.
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            "SECCOMP_FILTER_FLAG_LOG" => LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => SPEC_ALLOW,
            // It is about those who wait for a listener, and the kernel refuses it without one.
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if !notifies => 0,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => WAIT_KILLABLE_RECV,
            unknown => bail!("flags: {unknown:?} is not known"),
        };
    }
    Ok(flags)
}

impl Filter {
    /// Loads the filter. This takes `no_new_privs` or `CAP_SYS_ADMIN`: else a set-user-id program could be had to
    /// run with calls failing that it does not expect to fail.
    ///
    /// Gives the descriptor by which somebody else decides, if one does (seccomp_unotify(2)).
    pub fn load(&self) -> Result<Option<OwnedFd>> {
        let loaded = sys::seccomp_set_mode_filter(self.flags, &self.program);
        let loaded = loaded.map_err(|errno| anyhow::Error::new(errno).context(hint(errno)));
        loaded.context("load the system call filter")
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seccomp(SECCOMP_SET_MODE_FILTER, {:#x}, {} instructions)", self.flags, self.program.len())
    }
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ACCESS => "it takes process.noNewPrivileges or CAP_SYS_ADMIN",
        Errno::BUSY => "its calls are watched already by another filter's listener",
        Errno::INVAL => "this kernel does not know one of its actions or flags",
        _ => "the kernel refuses it",
    }
}

//! The one place with `unsafe`: what libc offers and no safe crate does.

use anyhow::{Context, Result};
use nix::unistd::{ForkResult, fork};

/// Which side of a fork this is.
pub enum Side {
    /// The one that was there before.
    Parent,
    /// The new one.
    Child,
}

/// Doubles this process (fork(2)).
pub fn fork_process() -> Result<Side> {
    // SAFETY: fork is dangerous with more than one thread, because locks held by the others stay locked in
    // the child for ever. This program starts no thread before it forks: only `ctr shim create`
    // and `ctr exec` do so, which have started none.
    match unsafe { fork() }.context("fork")? {
        ForkResult::Parent { .. } => Ok(Side::Parent),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// Closes every file from `first` on (close_range(2)).
pub fn close_from(first: u32) -> std::io::Result<()> {
    // SAFETY: closing a file takes it away from whoever in this process still owns it. The caller does this
    // when nothing but the three streams is open: before it opens a file that it keeps.
    match unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Gives the memory of this program's code and constants back (madvise(2), MADV_DONTNEED). What starting a container has
/// used of them, watching over one does not need; what is needed comes back from the file, which all shims share.
pub fn give_back_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in unwritten(&maps) {
        // SAFETY: the mapping is of a file, nobody can write to it, and no page of it is private to this process (`unwritten`):
        // each page that is given back is read again as it was, when it is next needed. The file is a program that runs, which
        // the kernel lets nobody write to.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The mappings of files that cannot be written to and never were: proc_pid_smaps(5) counts no anonymous page in them. What the
/// linker has relocated, and then made read-only, has some.
fn unwritten(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut mapping = None;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [range, modes, _, _, inode, file] if range.contains('-') => {
                let is_of_file =
                    *inode != "0" && file.starts_with('/') && modes.starts_with('r') && !modes.contains('w');
                mapping = is_of_file.then(|| address_range(range)).flatten();
            }
            ["Anonymous:", "0", "kB"] => found.extend(mapping.take()),
            ["Anonymous:", ..] => mapping = None,
            _ => {}
        }
    }
    found
}

fn address_range(text: &str) -> Option<(usize, usize)> {
    let (start, end) = text.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_nobody_wrote_are_given_back() {
        let smaps = "1000-3000 r-xp 00024000 fe:00 53 /bin/ctr\nSize: 8 kB\nAnonymous:             0 kB\n\
                     3000-4000 r--p 00026000 fe:00 53 /bin/ctr\nAnonymous:             4 kB\n\
                     4000-5000 rw-p 00027000 fe:00 53 /bin/ctr\nAnonymous:             0 kB\n\
                     5000-6000 r-xp 00000000 00:00 0 [vdso]\nAnonymous:             0 kB\n\
                     6000-7000 rw-p 00000000 00:00 0\nAnonymous:             0 kB\n";
        assert_eq!(unwritten(smaps), [(0x1000, 0x3000)]);
        give_back_code();
        assert!(std::fs::read_to_string("/proc/self/smaps").is_ok_and(|maps| !unwritten(&maps).is_empty()));
    }
}

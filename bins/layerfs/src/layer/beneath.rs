//! Walking a tree that somebody else filled, without being led out of it.
//!
//! A path is resolved by the kernel with the tree's root as `/`: `openat2(2)` with `RESOLVE_IN_ROOT`. Absolute links and
//! `..` lead to where they would lead a process inside, and no further. What comes last is then named relative to
//! the open folder, and never followed.

use crate::layer::whiteout;
use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, statat, unlinkat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Opens the root of a tree.
pub fn open_root(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, DIR | OFlags::RDONLY, Mode::empty()).with_context(|| format!("open {}", path.display()))
}

/// Opens what is at `path` in the tree, following links within it.
pub fn open_in(root: impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    loop {
        // EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether the walk stayed inside.
        match openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::AGAIN) => continue,
            result => return result,
        }
    }
}

/// Opens what is at `path` in the tree, where no component of the path is a link.
pub fn open_no_links(root: impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => continue,
            result => return result,
        }
    }
}

/// Splits a path of an archive into its components: no `.`, no empty ones. An absolute path counts from the tree's root,
/// as for docker.
///
/// # Errors
/// `..`: whatever it was meant to be, it is not needed to name a file of the archive.
pub fn components(path: &[u8]) -> Result<Vec<&[u8]>> {
    let mut parts = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => bail!("its path holds .."),
            _ => parts.push(part),
        }
    }
    Ok(parts)
}

/// Opens the folder at `path` in the tree. If it is not there, makes it as `name` in `parent`, the folder that it should be in:
/// mode 0755, owner root.
///
/// # Errors
/// What is there is no folder, and no link to one within the tree.
pub fn open_or_make(root: impl AsFd, path: &[u8], parent: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    match open_in(&root, path, DIR | OFlags::RDONLY) {
        Ok(dir) => Ok(dir),
        Err(Errno::NOENT | Errno::NOTDIR) => make_one(parent.as_fd(), name).with_context(|| failed(path)),
        Err(error) => Err(error).with_context(|| failed(path)),
    }
}

/// The words for a folder that cannot be opened.
pub fn failed(path: &[u8]) -> String {
    format!("open the folder {}", path.escape_ascii())
}

fn make_one(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let mut opaque = false;
    match whiteout::stat(parent, name)? {
        None => {}
        // Deleted and made anew: what the layers below have there must not show.
        Some(stat) if whiteout::is_whiteout(&stat) => {
            unlinkat(parent, name, AtFlags::empty())?;
            opaque = true;
        }
        Some(stat) if FileType::from_raw_mode(stat.st_mode).is_symlink() => {
            bail!("it is a symbolic link that leads to no folder of this layer");
        }
        Some(_) => bail!("it is not a folder"),
    }
    mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    if opaque {
        whiteout::set_opaque(parent, name)?;
    }
    Ok(openat(parent, name, DIR | OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Removes whatever is called `name` in a folder, with all that is in it, following no link.
pub fn remove_all(dir: impl AsFd, name: &[u8]) -> Result<()> {
    match unlinkat(&dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(error).with_context(|| format!("remove {}", name.escape_ascii())),
    }
    // A tree may be deeper than there are descriptors or stack: empty folders are moved up until none is left.
    loop {
        match unlinkat(&dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => empty_one(&dir, name)?,
            Err(error) => return Err(error).with_context(|| format!("remove the folder {}", name.escape_ascii())),
        }
    }
}

/// Removes the files of a folder, and lifts what its folders hold into it, one level at a time.
fn empty_one(parent: impl AsFd, name: &[u8]) -> Result<()> {
    let failed = || format!("empty the folder {}", name.escape_ascii());
    let dir = openat(&parent, name, DIR | OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()).with_context(failed)?;
    for (index, child) in names(&dir).with_context(failed)?.into_iter().enumerate() {
        match unlinkat(&dir, &child, AtFlags::empty()) {
            Ok(()) => continue,
            Err(Errno::ISDIR) => {}
            Err(error) => return Err(error).with_context(failed),
        }
        if unlinkat(&dir, &child, AtFlags::REMOVEDIR).is_ok() {
            continue;
        }
        let inner =
            openat(&dir, &child, DIR | OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()).with_context(failed)?;
        for (number, grandchild) in names(&inner).with_context(failed)?.into_iter().enumerate() {
            if unlinkat(&inner, &grandchild, AtFlags::empty()).is_ok() {
                continue;
            }
            // A name that nothing else in the folder has.
            let lifted = (0u64..)
                .map(|n| format!(".lifted-{index}-{number}-{n}"))
                .find(|lifted| statat(&dir, lifted, AtFlags::SYMLINK_NOFOLLOW).is_err());
            let Some(lifted) = lifted else { bail!("find a free name") };
            rustix::fs::renameat(&inner, &grandchild, &dir, lifted).with_context(failed)?;
        }
        unlinkat(&dir, &child, AtFlags::REMOVEDIR).with_context(failed)?;
    }
    Ok(())
}

/// The names in a folder, sorted by their bytes.
pub fn names(dir: impl AsFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_path_is_split_and_cannot_go_up() {
        assert_eq!(components(b"./a//b/./c/").unwrap(), [b"a", b"b", b"c"]);
        assert_eq!(components(b"/etc/x").unwrap(), [&b"etc"[..], b"x"]);
        assert!(components(b"./").unwrap().is_empty());
        for bad in [&b".."[..], b"a/../b", b"../x", b"a/.."] {
            assert!(components(bad).is_err());
        }
    }

    #[test]
    fn a_tree_deeper_than_any_stack_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_root(dir.path()).unwrap();
        let mut at = open_or_make(&root, b"top", &root, b"top").unwrap();
        for depth in 0..3000 {
            mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
            if depth % 100 == 0 {
                rustix::fs::symlinkat("/etc", &at, "link").unwrap();
            }
            at = openat(&at, "d", DIR | OFlags::PATH, Mode::empty()).unwrap();
        }
        remove_all(&root, b"top").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        remove_all(&root, b"top").unwrap();
    }
}

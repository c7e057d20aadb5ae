//! The layers that a layer lies on.
//!
//! A layer is extracted by itself, and shared by all images that have it. But a hard link in it may name a file that only a
//! layer below has (docker's and podman's own layers never do; other archivers' may). What such a layer holds depends on
//! what it lies on, so it is extracted for the stack that it is in: the file is copied from below, as overlayfs does when a
//! file of a lower layer gets another name.

use crate::layer::{beneath, whiteout};
use anyhow::{Context, Result, bail};
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What is known of the layers below one that is being extracted.
#[derive(Debug, Default)]
pub enum Below {
    /// Nothing: they are not here yet. A link into them is passed over, and the layer's files are not to be used.
    #[default]
    Unknown,
    /// All of them: the folders of their files, the highest first.
    Known(Vec<PathBuf>),
}

/// Where a path leads.
pub enum Found {
    /// To something in the layer that is being extracted, at this path.
    Own(Vec<Vec<u8>>),
    /// To something in a layer below: its root, and the path there. No component is a link.
    Lower(OwnedFd, Vec<Vec<u8>>),
}

/// What one layer says of a path.
enum Said {
    /// Here it is.
    Here,
    /// It is in a layer below, or nowhere.
    Nothing,
    /// It is nowhere: this layer hides what is below.
    Hidden,
    /// The component of this number is a link, to this target.
    Link(usize, Vec<u8>),
}

/// Looks a path up in a stack of layers as overlayfs would: `own` on top, `below` under it. What comes last is not followed.
pub fn find(own: BorrowedFd<'_>, below: &[PathBuf], path: &[&[u8]]) -> Result<Option<Found>> {
    let mut path: Vec<Vec<u8>> = path.iter().map(|part| part.to_vec()).collect();
    'again: for _ in 0..=MAX_LINKS {
        let lower = below.iter().map(|layer| beneath::open_root(layer).map(Some));
        for root in std::iter::once(Ok(None)).chain(lower) {
            let root: Option<OwnedFd> = root?;
            match look(root.as_ref().map_or(own, |root| root.as_fd()), &path)? {
                Said::Nothing => {}
                Said::Hidden => return Ok(None),
                Said::Here => return Ok(Some(root.map_or(Found::Own(path.clone()), |root| Found::Lower(root, path)))),
                Said::Link(at, target) => {
                    path = followed(&path, at, &target);
                    continue 'again;
                }
            }
        }
        return Ok(None);
    }
    bail!("too many links on the way to {}", path.join(&b'/').escape_ascii())
}

fn look(root: BorrowedFd<'_>, path: &[Vec<u8>]) -> Result<Said> {
    let mut dir = root.try_clone_to_owned().context("open a layer")?;
    let mut opaque = false;
    for (at, name) in path.iter().enumerate() {
        opaque |= is_opaque(&dir)?;
        let stat = match whiteout::stat(&dir, name)? {
            None if opaque => return Ok(Said::Hidden),
            None => return Ok(Said::Nothing),
            Some(stat) if whiteout::is_whiteout(&stat) => return Ok(Said::Hidden),
            Some(stat) => stat,
        };
        if at + 1 == path.len() {
            return Ok(Said::Here);
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => dir = beneath::open_no_links(&dir, name, OFlags::RDONLY | OFlags::DIRECTORY)?,
            FileType::Symlink => {
                return Ok(Said::Link(at, rustix::fs::readlinkat(&dir, name.as_slice(), Vec::new())?.into_bytes()));
            }
            _ => return Ok(Said::Hidden),
        }
    }
    Ok(Said::Hidden)
}

fn is_opaque(dir: &OwnedFd) -> Result<bool> {
    // The descriptor may be one that only names a folder (O_PATH), and those have no attributes.
    let readable = rustix::fs::openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    whiteout::is_opaque(readable)
}

/// The path with the link at one of its components followed; `..` stays within the root.
fn followed(path: &[Vec<u8>], at: usize, target: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = if target.starts_with(b"/") { Vec::new() } else { path[..at].to_vec() };
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part.to_vec()),
        }
    }
    parts.extend_from_slice(&path[at + 1..]);
    parts
}

/// Whether a layer, by the folder of its files, hides all that is below it: its root is opaque.
pub fn hides_all_below(layer: &Path) -> Result<bool> {
    whiteout::is_opaque(beneath::open_root(layer)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_found_through_layers_as_overlayfs_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str| dir.path().join(name);
        for path in ["own/a", "top/usr/bin", "bottom/usr/lib", "bottom/a"] {
            fs::create_dir_all(layer(path)).unwrap();
        }
        symlink("usr/lib", layer("top/lib")).unwrap();
        symlink("/a/../lib/./", layer("own/up")).unwrap();
        symlink("loop", layer("own/loop")).unwrap();
        fs::write(layer("bottom/usr/lib/x"), "").unwrap();
        fs::write(layer("bottom/file"), "").unwrap();
        let own = beneath::open_root(&layer("own")).unwrap();
        let below = [layer("top"), layer("bottom")];
        let at = |path: &str| {
            let parts: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            find(own.as_fd(), &below, &parts).map(|found| {
                found.map(|found| match found {
                    Found::Own(path) => ("own", String::from_utf8(path.join(&b'/')).unwrap()),
                    Found::Lower(_, path) => ("lower", String::from_utf8(path.join(&b'/')).unwrap()),
                })
            })
        };
        for path in ["usr/lib/x", "lib/x", "up/x"] {
            assert_eq!(at(path).unwrap(), Some(("lower", "usr/lib/x".to_owned())), "{path}");
        }
        assert_eq!(at("a").unwrap(), Some(("own", "a".to_owned())));
        for path in ["nothing", "file/x", "a/missing", ""] {
            assert_eq!(at(path).unwrap(), None, "{path}");
        }
        assert!(at("loop/x").is_err());
    }
}

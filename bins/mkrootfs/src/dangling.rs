//! Walking through a root filesystem: its programs wherever they are, and its links that lead nowhere.

use anyhow::{Context, Result};
use layout::rootfs;
use rustix::fs::OFlags;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What is mounted, or made when the machine starts: nothing of it is in a root filesystem.
const MADE_LATER: [&str; 6] = ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/run"];

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// What a walk finds.
#[derive(Debug, Default)]
pub struct Found {
    /// Files that may be executed, by their paths in the root.
    pub executables: Vec<PathBuf>,
    /// Links that lead nowhere, each with what it says.
    pub dangling: Vec<(PathBuf, PathBuf)>,
}

/// Walks through the whole tree, without following a link.
///
/// # Errors
/// A folder that cannot be read.
pub fn walk(root: &Path) -> Result<Found> {
    let mut found = Found::default();
    let mut folders = vec![PathBuf::from("/")];
    while let Some(folder) = folders.pop() {
        let outside = inside(root, &folder);
        let context = || format!("read folder {}", outside.display());
        for entry in fs::read_dir(&outside).with_context(context)? {
            let entry = entry.with_context(context)?;
            let path = folder.join(entry.file_name());
            let about = entry.metadata().with_context(|| format!("look at {}", entry.path().display()))?;
            if about.is_dir() && !is_made_later(&path) {
                folders.push(path);
            } else if about.is_symlink() {
                if let Some(target) = dangles(root, &path) {
                    found.dangling.push((path, target));
                }
            } else if about.is_file() && about.mode() & 0o111 != 0 {
                found.executables.push(path);
            }
        }
    }
    found.executables.sort();
    found.dangling.sort();
    Ok(found)
}

/// What a link says, if it leads nowhere, neither now nor when the root is in use.
fn dangles(root: &Path, link: &Path) -> Option<PathBuf> {
    if rootfs::open_in(root, link, OFlags::PATH).is_ok() {
        return None;
    }
    let target = fs::read_link(inside(root, link)).ok()?;
    let mut at = link.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(inside(root, &at)) {
            Ok(next) => at = plain(&at.parent().unwrap_or(Path::new("/")).join(next)),
            Err(_) => break,
        }
        if is_made_later(&at) {
            return None;
        }
    }
    Some(target)
}

fn is_made_later(path: &Path) -> bool {
    MADE_LATER.iter().any(|folder| path.starts_with(folder))
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path without `.` and `..`, which never leave the root.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::from("/"), |mut plain, component| {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_that_lead_nowhere_are_found_but_for_those_that_will_lead_somewhere() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("usr/bin")).unwrap();
        fs::create_dir_all(at("etc/alternatives")).unwrap();
        fs::create_dir_all(at("proc")).unwrap();
        fs::write(at("usr/bin/vim"), "").unwrap();
        for (target, link) in [
            ("/usr/bin/vim", "etc/alternatives/vi"),
            ("/etc/alternatives/vi", "usr/bin/vi"),
            ("/etc/alternatives/nano", "usr/bin/editor"),
            ("../proc/self/mounts", "etc/mtab"),
            ("/run/resolv.conf", "etc/resolv.conf"),
            ("resolv.conf", "etc/chain"),
            ("ring", "etc/ring"),
            // Out of the root is `/` itself: nothing of the host is meant.
            ("../../../../etc/hostname", "etc/out"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        let found = walk(root.path()).unwrap();
        let links: Vec<_> = found.dangling.iter().map(|(link, _)| link.to_str().unwrap()).collect();
        assert_eq!(links, ["/etc/out", "/etc/ring", "/usr/bin/editor"]);
        assert_eq!(found.dangling[2].1, Path::new("/etc/alternatives/nano"));
    }
}

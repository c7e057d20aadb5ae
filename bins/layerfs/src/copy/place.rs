//! What a path of `cp` means: which folder, which name in it, and what is there.

use crate::layer::{beneath, whiteout};
use anyhow::{Result, bail};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// A tree that paths are looked up in: the machine's, or a container's.
pub struct Tree {
    /// Its root.
    pub root: OwnedFd,
    /// What comes before a path in a message; `None` on this machine.
    pub name: Option<String>,
}

/// What was found at a path.
pub struct Place {
    /// The path of the folder that it is in, and that folder.
    pub parent: (Vec<u8>, OwnedFd),
    /// Its name there; empty for the root.
    pub name: Vec<u8>,
    /// What it is; `None` if it is not there.
    pub kind: Option<FileType>,
}

impl Place {
    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        self.kind.is_some_and(FileType::is_dir)
    }

    /// Its own path.
    pub fn path(&self) -> Vec<u8> {
        [self.parent.0.as_slice(), b"/", &self.name].concat()
    }
}

/// Whether a path says that what it names is a folder: `x/`, `x/.`.
pub fn asserts_folder(path: &[u8]) -> bool {
    path.ends_with(b"/") || names_contents(path)
}

/// Whether a path names what is in a folder, not the folder: `x/.`.
pub fn names_contents(path: &[u8]) -> bool {
    path == b"." || path.ends_with(b"/.")
}

/// The last component of a path as it was given: `.` for what is in a folder, nothing for the root.
pub fn base(path: &[u8]) -> Vec<u8> {
    if names_contents(path) {
        return b".".to_vec();
    }
    split(path).1
}

impl Tree {
    /// Finds what a path names. With `follow`, and where the path asserts a folder, a link at its end is followed.
    pub fn find(&self, path: &[u8], follow: bool) -> Result<Place> {
        let follow = follow || asserts_folder(path);
        let mut path = path.to_vec();
        for _ in 0..MAX_LINKS {
            let (parent, name) = split(&path);
            let dir = match beneath::open_in(&self.root, &parent, OFlags::DIRECTORY | OFlags::RDONLY) {
                Ok(dir) => dir,
                Err(error) => bail!(self.missing(&parent, error)),
            };
            let stat = whiteout::stat(&dir, if name.is_empty() { b"." } else { &name });
            let kind = match stat {
                Ok(stat) => stat.map(|stat| FileType::from_raw_mode(stat.st_mode)),
                Err(error) => bail!(self.missing(&path, error)),
            };
            if !(follow && kind == Some(FileType::Symlink)) {
                return Ok(Place { parent: (parent, dir), name, kind });
            }
            let target = rustix::fs::readlinkat(&dir, name.as_slice(), Vec::new())?.into_bytes();
            path = if target.starts_with(b"/") { target } else { [parent.as_slice(), b"/", &target].concat() };
        }
        bail!("too many symbolic links in {}", path.escape_ascii())
    }

    /// Docker's words for a path that leads nowhere.
    pub fn missing(&self, path: &[u8], error: Errno) -> String {
        let path = path.escape_ascii();
        match &self.name {
            Some(name) if error == Errno::NOENT => format!("No such container:path: {name}:{path}"),
            Some(name) => format!("{name}:{path}: {}", std::io::Error::from(error)),
            None if error == Errno::NOENT => format!("lstat {path}: no such file or directory"),
            None if error == Errno::NOTDIR => "not a directory".to_owned(),
            None => format!("{path}: {}", std::io::Error::from(error)),
        }
    }
}

/// A path as that of a folder, and a name in it. A path that ends in `..` is all folder.
fn split(path: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    let name = match parts.last() {
        Some(&b"..") | None => Vec::new(),
        Some(last) => last.to_vec(),
    };
    if !name.is_empty() {
        parts.pop();
    }
    ([b"/", parts.join(&b'/').as_slice()].concat(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_folder_and_a_name_in_it() {
        let parts = |path: &[u8]| {
            let (parent, name) = split(path);
            (String::from_utf8(parent).unwrap(), String::from_utf8(name).unwrap())
        };
        assert_eq!(parts(b"/a/b"), ("/a".into(), "b".into()));
        assert_eq!(parts(b"a/./b//"), ("/a".into(), "b".into()));
        assert_eq!(parts(b"/a/.."), ("/a/..".into(), "".into()));
        assert_eq!(parts(b"/"), ("/".into(), "".into()));
        assert_eq!((base(b"/a/."), base(b"/a/"), base(b"/")), (b".".to_vec(), b"a".to_vec(), Vec::new()));
        assert!(asserts_folder(b"/a/.") && asserts_folder(b"/a/") && !asserts_folder(b"/a/.b"));
    }

    #[test]
    fn links_are_followed_within_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("/../../real/x", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let tree = Tree { root: beneath::open_root(dir.path()).unwrap(), name: Some("box".into()) };
        let link = tree.find(b"/link", false).unwrap();
        assert_eq!((link.path(), link.kind), (b"//link".to_vec(), Some(FileType::Symlink)));
        let target = tree.find(b"/link", true).unwrap();
        assert!(target.name == b"x" && target.kind.is_none());
        assert!(tree.find(b"/loop", true).is_err());
        let error = tree.find(b"/no/such", false).err().unwrap().to_string();
        assert_eq!(error, "No such container:path: box:/no");
    }
}

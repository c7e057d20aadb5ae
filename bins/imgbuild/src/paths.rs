//! Paths as texts and as places inside of a folder that is somebody else's root.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// The shortest form of a path, by its text alone (Go's `path.Clean`): no `.`, no `//`, `..` taken back, never above `/`.
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
            ".." if absolute => {}
            name => names.push(name),
        }
    }
    match (absolute, names.is_empty()) {
        (true, _) => format!("/{}", names.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => names.join("/"),
    }
}

/// `path` as seen from the folder `base`.
pub fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("/{base}/{path}")) }
}

/// The symbolic links that are followed before it counts as a loop (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where a path leads inside of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The names from the root down; none of them is a link.
    pub names: Vec<OsString>,
    /// How many of the names exist, from the first.
    pub existing: usize,
    /// Whether what exists is a folder; what does not exist yet counts as none.
    pub is_dir: bool,
}

impl Place {
    /// Whether the whole path exists.
    pub fn exists(&self) -> bool {
        self.existing == self.names.len()
    }

    /// The path, relative to the root.
    pub fn path(&self) -> PathBuf {
        self.names.iter().collect()
    }
}

/// Follows `path` as a process would whose root is the folder `root`: links, absolute ones and `..` as well, never
/// lead out of it. The end of the path need not exist.
///
/// This is for roots that nobody changes meanwhile; where somebody may, the file must be opened with `openat2`
/// ([`layout::rootfs::open_in`]).
///
/// # Errors
/// A file where a folder should be, too many links, a folder that cannot be read.
pub fn resolve(root: &Path, path: &Path) -> Result<Place> {
    let mut place = Place { names: Vec::new(), existing: 0, is_dir: true };
    let mut links = 0;
    let mut ahead: Vec<OsString> = names_reversed(path);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            place.names.pop();
            place.existing = place.existing.min(place.names.len());
            place.is_dir = place.exists();
            continue;
        }
        if place.exists() && !place.is_dir {
            bail!("/{} is not a directory", place.path().display());
        }
        place.names.push(name);
        if place.existing + 1 < place.names.len() {
            continue;
        }
        let here = root.join(place.path());
        let found = match here.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                place.is_dir = false;
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("look at {}", here.display())),
        };
        if !found.is_symlink() {
            place.existing += 1;
            place.is_dir = found.is_dir();
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            bail!("{}: too many levels of symbolic links", path.display());
        }
        let target = here.read_link().with_context(|| format!("read link {}", here.display()))?;
        place.names.pop();
        if target.is_absolute() {
            place = Place { names: Vec::new(), existing: 0, is_dir: true };
        }
        ahead.extend(names_reversed(&target));
    }
    Ok(place)
}

fn names_reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from_vec(b"..".to_vec())),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_are_cleaned_as_in_go() {
        for (path, cleaned) in [
            ("", "."),
            ("a/b/../c", "a/c"),
            ("./a//b/", "a/b"),
            ("../a", "../a"),
            ("a/../..", ".."),
            ("/../a", "/a"),
            ("/", "/"),
            ("//a/.", "/a"),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        assert_eq!(join("/app", "x/../y"), "/app/y");
        assert_eq!(join("", "y"), "/y");
        assert_eq!(join("/app", "/x"), "/x");
    }

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/file"), "").unwrap();
        symlink("/a", root.path().join("absolute")).unwrap();
        symlink("../../../a/b", root.path().join("a/up")).unwrap();
        symlink("nowhere/at/all", root.path().join("dangling")).unwrap();
        symlink("loop", root.path().join("loop")).unwrap();
        symlink("/etc", root.path().join("etc")).unwrap();
        root
    }

    #[test]
    fn links_are_followed_and_never_lead_out() {
        let root = root();
        for (path, expected, existing, is_dir) in [
            ("/", "", 0, true),
            ("/a/b", "a/b", 2, true),
            ("absolute/b", "a/b", 2, true),
            ("a/up", "a/b", 2, true),
            ("../../a/file", "a/file", 2, false),
            ("a/new/er", "a/new/er", 1, false),
            ("a/b/../file", "a/file", 2, false),
            ("a/new/../b", "a/b", 2, true),
            ("dangling", "nowhere/at/all", 0, false),
        ] {
            let place = resolve(root.path(), Path::new(path)).unwrap();
            assert_eq!((place.path(), place.existing, place.is_dir), (expected.into(), existing, is_dir), "{path}");
        }
    }

    #[test]
    fn loops_and_files_in_the_way_are_errors() {
        let root = root();
        let error = |path: &str| resolve(root.path(), Path::new(path)).unwrap_err().to_string();
        assert_eq!(error("a/file/x"), "/a/file is not a directory");
        assert!(error("loop/x").contains("too many levels"));
        // `etc -> /etc` is a link to itself in there: nothing of the host's is found.
        assert!(error("etc/passwd").contains("too many levels"));
    }
}

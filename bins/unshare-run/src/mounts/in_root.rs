//! Paths inside of the container's root, resolved by the kernel so that no link leads out of it.
//!
//! The files belong to whoever made the image, and with shared volumes somebody may be changing them at this
//! moment. A path that is checked first and used later is a race (CVE-2021-30465). `openat2` with
//! `RESOLVE_IN_ROOT` resolves each link as if the root were `/` and gives a descriptor: from then on nobody
//! can exchange what we have in hand, and mounts are made on descriptors, never on paths.

use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// The container's root folder.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Takes a descriptor of the folder (O_PATH will do).
    pub fn new(dir: OwnedFd) -> Root {
        Root(dir)
    }

    /// Opens a path as a process with this root would.
    pub fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        self.open_with(path, flags, Mode::empty(), ResolveFlags::empty())
    }

    /// Opens a path that must not go through any link.
    pub fn open_plain(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        self.open_with(path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
    }

    fn open_with(&self, path: &Path, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        loop {
            let resolve = resolve | ResolveFlags::IN_ROOT;
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, mode, resolve) {
                // A rename or mount raced with a `..` in the path; nothing was wrong, nothing was opened.
                Err(Errno::AGAIN | Errno::INTR) => continue,
                other => return other,
            }
        }
    }

    /// A folder, made with its parents (mode 0755) where they are missing, also where a link points to nothing yet.
    pub fn make_dir(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.open(path, flags) {
            Err(Errno::NOENT) => {}
            other => return other.with_context(|| format!("open folder {} in the root", path.display())),
        }
        let mut todo = components(path)?;
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            let next = done.join(&name);
            match self.open(&next, flags) {
                Ok(_) => done = next,
                Err(Errno::NOENT) => {
                    let parent = self.open(&done, flags).with_context(|| format!("open {}", done.display()))?;
                    match rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => done = next,
                        // A link whose target is missing: make the target.
                        Err(Errno::EXIST) if links < MAX_LINKS => {
                            links += 1;
                            let target = rustix::fs::readlinkat(&parent, &name, Vec::new())
                                .with_context(|| format!("read link {}", next.display()))?;
                            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                            if target.is_absolute() {
                                done = PathBuf::from("/");
                            }
                            for name in components(&target)?.into_iter().rev() {
                                todo.push_front(name);
                            }
                        }
                        Err(error) => {
                            return Err(error).with_context(|| format!("make folder {} in the root", next.display()));
                        }
                    }
                }
                Err(error) => return Err(error).with_context(|| format!("open {} in the root", next.display())),
            }
        }
        self.open(&done, flags).with_context(|| format!("open {} in the root", done.display()))
    }

    /// A file to mount over, made empty (with its parents) where it is missing.
    pub fn make_file(&self, path: &Path) -> Result<OwnedFd> {
        match self.open(path, OFlags::PATH) {
            Err(Errno::NOENT) => {}
            other => return other.with_context(|| format!("open {} in the root", path.display())),
        }
        let path = &self.past_links(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOCTTY | OFlags::NONBLOCK;
        self.open_with(path, flags, Mode::from_raw_mode(0o644), ResolveFlags::empty())
            .with_context(|| format!("make file {} in the root", path.display()))?;
        self.open(path, OFlags::PATH).with_context(|| format!("open {} in the root", path.display()))
    }

    /// Where a link leads whose target is missing, with the folders that the target is in. Links in between are the
    /// kernel's: a target that is relative starts at the folder of its link.
    fn past_links(&self, path: &Path) -> Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let (parent, name) = self.parent(&path)?;
            let Ok(target) = rustix::fs::readlinkat(&parent, name, Vec::new()) else { return Ok(path) };
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        bail!("make file {} in the root: too many links", path.display())
    }

    /// The folder that a path is in (made where it is missing), and its last name.
    pub fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a OsStr)> {
        let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
        Ok((self.make_dir(path.parent().unwrap_or(Path::new("/")))?, name))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The names in a path, `..` included: the kernel resolves them, it alone knows what is a link.
fn components(path: &Path) -> Result<VecDeque<OsString>> {
    let mut names = VecDeque::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push_back(name.to_owned()),
            Component::ParentDir => names.push_back("..".into()),
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) => bail!("{} is no path", path.display()),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root(dir: &Path) -> Root {
        Root::new(rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap())
    }

    fn place_of(fd: &OwnedFd) -> PathBuf {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
    }

    #[test]
    fn folders_and_files_are_made_inside() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let root = root(&top);
        assert_eq!(place_of(&root.make_dir(Path::new("/a/b/c")).unwrap()), top.join("a/b/c"));
        assert_eq!(place_of(&root.make_file(Path::new("/a/x/file")).unwrap()), top.join("a/x/file"));
        assert_eq!(place_of(&root.make_dir(Path::new("/")).unwrap()), top);
        assert!(root.make_dir(Path::new("/a/x/file")).is_err());
    }

    #[test]
    fn no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap().join("root");
        std::fs::create_dir(&top).unwrap();
        let root = root(&top);
        symlink("../../../../../../tmp", top.join("up")).unwrap();
        symlink("/nowhere/deep", top.join("absolute")).unwrap();
        symlink("absolute/more", top.join("relative")).unwrap();
        symlink("/far/off/file", top.join("absolute-file")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        assert_eq!(place_of(&root.make_dir(Path::new("/up/x")).unwrap()), top.join("tmp/x"));
        assert_eq!(place_of(&root.make_dir(Path::new("/absolute/y")).unwrap()), top.join("nowhere/deep/y"));
        assert_eq!(place_of(&root.make_dir(Path::new("/relative/z")).unwrap()), top.join("nowhere/deep/more/z"));
        assert_eq!(place_of(&root.make_file(Path::new("/up/../../f")).unwrap()), top.join("f"));
        assert_eq!(place_of(&root.make_file(Path::new("/absolute-file")).unwrap()), top.join("far/off/file"));
        assert!(root.make_dir(Path::new("/loop/x")).is_err());
        assert!(root.make_file(Path::new("/loop")).is_err());
        assert!(root.open_plain(Path::new("/up"), OFlags::PATH | OFlags::DIRECTORY).is_err());
    }
}

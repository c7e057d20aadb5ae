//! Copying so that every path leads where it led on the host.
//!
//! `/bin/sh` may be three files: a link `/bin -> usr/bin`, a link `sh -> dash`, and the program. Who copies the
//! program alone breaks the path; who copies it to each name loses what the links say. So [`Tree::place`] walks
//! a path as the kernel does, makes each symbolic link that it meets, and copies the file at the end.

use crate::interrupt;
use crate::times::{self, Time};
use anyhow::{Context, Result, bail};
use rustix::fs::OFlags;
use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// Below this many bytes a library is left as it is.
const WORTH_TRIMMING: u64 = 256 << 10;

/// A root filesystem that is being made.
#[derive(Debug)]
pub struct Tree {
    /// The folder that will be `/`.
    dest: PathBuf,
    /// A folder of the host that goes elsewhere here.
    moved: Option<(PathBuf, PathBuf)>,
    /// Host paths that are here already.
    placed: HashSet<PathBuf>,
    /// Files that were written, not copied.
    written: Vec<PathBuf>,
    /// The newest time of a copied file.
    newest: Time,
    /// No time is later: `$SOURCE_DATE_EPOCH`.
    epoch: Option<i64>,
    /// How many files were copied or written.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
}

impl Tree {
    /// A tree in `dest`, an empty folder of our own.
    pub fn new(dest: &Path, epoch: Option<i64>) -> Tree {
        Tree {
            dest: dest.to_owned(),
            moved: None,
            placed: HashSet::new(),
            written: Vec::new(),
            newest: (0, 0),
            epoch,
            files: 0,
            bytes: 0,
        }
    }

    /// Whatever is below `from` on the host goes below `to` here. `from` must be a path without links.
    pub fn relocate(&mut self, from: &Path, to: &Path) {
        self.moved = Some((from.to_owned(), to.to_owned()));
    }

    /// The path that a host's path has here.
    pub fn path_of(&self, host: &Path) -> PathBuf {
        match &self.moved {
            Some((from, to)) => host.strip_prefix(from).map_or_else(|_| host.to_owned(), |rest| to.join(rest)),
            None => host.to_owned(),
        }
    }

    /// Copies the file at an absolute path of the host, with the links that lead to it. A folder is made, empty.
    ///
    /// # Errors
    /// Nothing is there, or it cannot be read.
    pub fn place(&mut self, host: &Path) -> Result<()> {
        self.walk(host).with_context(|| format!("copy {}", host.display()))
    }

    fn walk(&mut self, host: &Path) -> Result<()> {
        let mut rest: VecDeque<OsString> = names(host);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let about = fs::symlink_metadata(&next).with_context(|| format!("look at {}", next.display()))?;
            if !about.is_symlink() {
                at = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                bail!("more than {MOST_LINKS} symbolic links on the way");
            }
            let target = fs::read_link(&next).with_context(|| format!("read link {}", next.display()))?;
            self.place_link(&next, &target)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for name in names(&target).into_iter().rev() {
                rest.push_front(name);
            }
        }
        let about = fs::symlink_metadata(&at).with_context(|| format!("look at {}", at.display()))?;
        if about.is_dir() {
            return self.dir(&self.path_of(&at), 0o755);
        }
        self.copy(&at, &self.path_of(&at), &about)
    }

    fn place_link(&mut self, host: &Path, target: &Path) -> Result<()> {
        if !self.placed.insert(host.to_owned()) {
            return Ok(());
        }
        let target = if target.is_absolute() { self.path_of(target) } else { target.to_owned() };
        self.link(&self.path_of(host), &target)
    }

    /// Copies a file of the host to a path of our choice.
    pub fn copy_to(&mut self, host: &Path, path: &Path) -> Result<()> {
        let about = fs::metadata(host).with_context(|| format!("look at {}", host.display()))?;
        self.copy(host, path, &about)
    }

    fn copy(&mut self, host: &Path, path: &Path, about: &Metadata) -> Result<()> {
        interrupt::check()?;
        if !about.is_file() {
            bail!("{} is neither a file nor a folder", host.display());
        }
        if !self.placed.insert(host.to_owned()) {
            return Ok(());
        }
        let to = self.inside(path);
        self.make_parents(path)?;
        let size = fs::copy(host, &to).with_context(|| format!("copy {} to {}", host.display(), to.display()))?;
        // No set-user-id: it would be one of our files, not of the host's careful choice.
        fs::set_permissions(&to, fs::Permissions::from_mode(about.mode() & 0o777))
            .with_context(|| format!("set mode of {}", to.display()))?;
        let time = times::at_most((about.mtime(), about.mtime_nsec()), self.epoch);
        times::set(&to, time)?;
        if let Some(epoch) = self.epoch.filter(|_| path.extension().is_some_and(|e| e == "pyc")) {
            times::settle_compiled(&to, (epoch, 0))?;
        }
        self.newest = self.newest.max(time);
        self.files += 1;
        self.bytes += size;
        Ok(())
    }

    /// Cuts the copy of a library down to what is loaded, if much would be saved: debug information can be four
    /// fifths of it. Programs stay whole, as some carry data of their own behind their end.
    pub fn trim_library(&mut self, host: &Path, end: u64) -> Result<()> {
        let real = fs::canonicalize(host).with_context(|| format!("resolve {}", host.display()))?;
        let copy = self.inside(&self.path_of(&real));
        let about = fs::metadata(&copy).with_context(|| format!("look at {}", copy.display()))?;
        if about.len() < end.saturating_add(WORTH_TRIMMING) {
            return Ok(());
        }
        // The mode may not let its owner write.
        let context = || format!("trim {}", copy.display());
        let mode = about.permissions();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).with_context(context)?;
        let file = fs::File::options().write(true).open(&copy).with_context(context)?;
        crate::elf::trim(&file, end).with_context(context)?;
        fs::set_permissions(&copy, mode).with_context(context)?;
        times::set(&copy, (about.mtime(), about.mtime_nsec()))?;
        self.bytes -= about.len() - end;
        Ok(())
    }

    /// Copies a folder of the host and all in it that `wanted` says yes to, and gives the paths of its files on the host.
    pub fn copy_dir(&mut self, host: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
        self.place(host)?;
        let real = fs::canonicalize(host).with_context(|| format!("resolve {}", host.display()))?;
        let mut files = Vec::new();
        let mut folders = vec![real];
        while let Some(folder) = folders.pop() {
            let read = || format!("read folder {}", folder.display());
            let mut entries: Vec<PathBuf> = fs::read_dir(&folder)
                .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
                .with_context(read)?;
            entries.sort();
            for path in entries.into_iter().filter(|path| wanted(path)) {
                let about = fs::symlink_metadata(&path).with_context(|| format!("look at {}", path.display()))?;
                if about.is_dir() {
                    self.dir(&self.path_of(&path), 0o755)?;
                    folders.push(path);
                } else if about.is_file() || about.is_symlink() && path.exists() {
                    // A link that leads nowhere on the host is no loss; a socket or device has no place here.
                    self.place(&path)?;
                    files.push(path);
                }
            }
        }
        Ok(files)
    }

    /// Writes a file, mode 0644.
    pub fn write(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let to = self.inside(Path::new(path));
        self.make_parents(Path::new(path))?;
        fs::write(&to, content).with_context(|| format!("write {}", to.display()))?;
        self.written.push(to);
        self.files += 1;
        self.bytes += content.len() as u64;
        Ok(())
    }

    /// Makes a symbolic link, unless something is there already. A target from `/` is written as one from the link's
    /// folder: so it leads into this tree too for who looks at it from outside, wherever the tree is.
    pub fn link(&self, path: &Path, target: &Path) -> Result<()> {
        let at = self.inside(path);
        if fs::symlink_metadata(&at).is_ok() {
            return Ok(());
        }
        self.make_parents(path)?;
        let target = if target.is_absolute() { self.relative(path, target)? } else { target.to_owned() };
        symlink(&target, &at).with_context(|| format!("make link {} -> {}", at.display(), target.display()))
    }

    /// Makes a folder with this mode, whatever the umask; its parents get 0755.
    pub fn dir(&self, path: &Path, mode: u32) -> Result<()> {
        let at = self.inside(path);
        make_dirs(&at)?;
        if mode != 0o755 {
            fs::set_permissions(&at, fs::Permissions::from_mode(mode))
                .with_context(|| format!("set mode of {}", at.display()))?;
        }
        Ok(())
    }

    /// Whether something is at this path.
    pub fn has(&self, path: &Path) -> bool {
        // In here `/bin` may be a link with an absolute target, which must not lead out.
        layout::rootfs::open_in(&self.dest, path, OFlags::PATH | OFlags::NOFOLLOW).is_ok()
    }

    /// Gives everything that has no time of its own (folders, links, written files) the epoch's time, or that of the
    /// newest copied file.
    pub fn settle_times(&self) -> Result<()> {
        let time = self.epoch.map_or(self.newest, |seconds| (seconds, 0));
        self.written.iter().try_for_each(|file| times::set(file, time))?;
        times::change_all(&self.dest, &|about| (!about.is_file()).then_some(time))
    }

    /// The way to `target` from the folder that `link` is in.
    fn relative(&self, link: &Path, target: &Path) -> Result<PathBuf> {
        // The folder's own path counts: `..` of `/bin/x` is `/usr` if `/bin` is `/usr/bin`.
        let parent = self.inside(link).parent().map(Path::to_owned).unwrap_or_default();
        let folder = layout::rootfs::open_in(&self.dest, link.parent().unwrap_or(Path::new("/")), OFlags::PATH)
            .and_then(|fd| rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new()))
            .with_context(|| format!("resolve {}", parent.display()))?;
        let folder = PathBuf::from(OsString::from_vec(folder.into_bytes()));
        let root = fs::canonicalize(&self.dest).with_context(|| format!("resolve {}", self.dest.display()))?;
        let from = names(folder.strip_prefix(&root).unwrap_or(Path::new("")));
        let to = names(target);
        let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let way: PathBuf =
            from.iter().skip(same).map(|_| OsString::from("..")).chain(to.into_iter().skip(same)).collect();
        Ok(if way.as_os_str().is_empty() { ".".into() } else { way })
    }

    fn make_parents(&self, path: &Path) -> Result<()> {
        self.inside(path).parent().map_or(Ok(()), make_dirs)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.dest.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Makes a folder and its parents, mode 0755 whatever the umask.
fn make_dirs(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent)?;
    }
    let context = || format!("make folder {}", dir.display());
    DirBuilder::new().mode(0o755).create(dir).with_context(context)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).with_context(context)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Both {
        host: tempfile::TempDir,
        dest: tempfile::TempDir,
    }

    fn both() -> Both {
        Both { host: tempfile::tempdir().unwrap(), dest: tempfile::tempdir().unwrap() }
    }

    impl Both {
        /// The path that something of the host folder has in the tree.
        fn copied(&self, name: &str) -> PathBuf {
            self.dest.path().join(self.host.path().strip_prefix("/").unwrap()).join(name)
        }
    }

    #[test]
    fn links_on_the_way_are_made_and_followed() {
        let both = both();
        let host = both.host.path();
        fs::create_dir_all(host.join("usr/bin")).unwrap();
        fs::write(host.join("usr/bin/dash"), "program").unwrap();
        symlink("dash", host.join("usr/bin/sh")).unwrap();
        symlink("usr/bin", host.join("bin")).unwrap();
        symlink(host.join("bin/../bin/sh"), host.join("absolute")).unwrap();
        let mut tree = Tree::new(both.dest.path(), None);
        tree.place(&host.join("absolute")).unwrap();
        tree.place(&host.join("bin/sh")).unwrap();
        assert_eq!(fs::read_link(both.copied("bin")).unwrap(), Path::new("usr/bin"));
        assert_eq!(fs::read_link(both.copied("usr/bin/sh")).unwrap(), Path::new("dash"));
        assert_eq!(fs::read_link(both.copied("absolute")).unwrap(), Path::new("bin/../bin/sh"));
        // Also for who looks from outside.
        assert_eq!(fs::read_to_string(both.copied("absolute")).unwrap(), "program");
        assert_eq!(fs::read_to_string(both.copied("bin/sh")).unwrap(), "program");
        assert_eq!((tree.files, tree.bytes), (1, 7));
    }

    #[test]
    fn links_in_a_ring_are_an_error() {
        let both = both();
        symlink("b", both.host.path().join("a")).unwrap();
        symlink("a", both.host.path().join("b")).unwrap();
        let error = Tree::new(both.dest.path(), None).place(&both.host.path().join("a")).unwrap_err();
        assert!(format!("{error:#}").contains("more than 40 symbolic links"), "{error:#}");
    }

    #[test]
    fn a_moved_folder_takes_its_links_along() {
        let both = both();
        let prefix = both.host.path().join("home/me/python");
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::write(prefix.join("bin/python3.11"), "").unwrap();
        symlink(prefix.join("bin/python3.11"), prefix.join("bin/python3")).unwrap();
        let mut tree = Tree::new(both.dest.path(), None);
        tree.relocate(&prefix, Path::new("/usr/local"));
        tree.place(&prefix.join("bin/python3")).unwrap();
        let bin = both.dest.path().join("usr/local/bin");
        assert_eq!(fs::read_link(bin.join("python3")).unwrap(), Path::new("python3.11"));
        assert!(bin.join("python3.11").is_file());
        assert_eq!(fs::read_dir(both.dest.path()).unwrap().count(), 1, "nothing but usr");
    }

    #[test]
    fn set_user_id_is_not_copied_and_times_are() {
        let both = both();
        let file = both.host.path().join("mount");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
        times::set(&file, (1_000_000, 5)).unwrap();
        let mut tree = Tree::new(both.dest.path(), None);
        tree.place(&file).unwrap();
        tree.settle_times().unwrap();
        let about = fs::metadata(both.copied("mount")).unwrap();
        assert_eq!((about.mode() & 0o7777, about.mtime()), (0o755, 1_000_000));
        assert_eq!(fs::metadata(both.dest.path()).unwrap().mtime(), 1_000_000);
    }
}

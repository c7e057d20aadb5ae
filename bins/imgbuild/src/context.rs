//! The build context: the folder whose files COPY may take.
//!
//! It is walked once. Docker's client packs it into a tar and sends that to a daemon; here nothing is sent, and
//! the size that is shown is the size that the tar would have.

use crate::dockerignore::Ignore;
use crate::paths;
use anyhow::{Context as _, Result, bail};
use layout::rootfs;
use rustix::fs::OFlags;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A tar is made of blocks of this many bytes: each file has one for its header, and its content is filled up.
const BLOCK: u64 = 512;

/// The files that COPY can see.
#[derive(Debug)]
pub struct BuildContext {
    /// The folder, absolute and without links.
    root: PathBuf,
    /// What is in it, `.dockerignore` applied; keys are relative to it. A folder sorts before what it holds.
    entries: BTreeMap<PathBuf, Entry>,
    /// The bytes of a tar of it.
    pub tar_size: u64,
}

/// One file of the context, as it was when the context was walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// When it was changed, in seconds since 1970.
    pub mtime: i64,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file of so many bytes.
    File(u64),
    /// A symbolic link and where it points.
    Link(PathBuf),
    /// A FIFO.
    Fifo,
    /// A device: it can be in the context, and cannot be copied.
    Device,
}

impl BuildContext {
    /// Walks the folder. `dockerfile`, when it lies in the folder, is always seen by the walk's size, as docker
    /// sends it always, but by COPY only when it is not ignored.
    pub fn walk(folder: &Path, dockerfile: &Path) -> Result<BuildContext> {
        let root =
            fs::canonicalize(folder).with_context(|| format!("path {:?} not found", folder.display().to_string()))?;
        if !root.is_dir() {
            bail!("{} is no folder: give the folder that holds the files to copy", folder.display());
        }
        let ignore = read_ignore(&root, dockerfile)?;
        let mut context = BuildContext { root, entries: BTreeMap::new(), tar_size: 2 * BLOCK };
        context.walk_into(Path::new(""), &ignore, false, dockerfile)?;
        Ok(context)
    }

    /// Walks one folder; `excluded` when a rule leaves it out and another may take something of it back in.
    fn walk_into(&mut self, dir: &Path, ignore: &Ignore, excluded: bool, dockerfile: &Path) -> Result<()> {
        let here = self.root.join(dir);
        let listed = fs::read_dir(&here).with_context(|| format!("list {}", here.display()))?;
        for item in listed {
            let item = item.with_context(|| format!("list {}", here.display()))?;
            let path = dir.join(item.file_name());
            let text = path.to_string_lossy();
            let metadata = item.metadata().with_context(|| format!("look at {}", item.path().display()))?;
            let Some(entry) = entry(&item.path(), &metadata)? else { continue };
            let out = ignore.excludes(&text);
            if !out || path == Path::new(".dockerignore") || item.path() == dockerfile {
                self.tar_size += tar_size(&entry);
            }
            if !out {
                self.insert(&path, entry, excluded)?;
            }
            if metadata.is_dir() && (!out || ignore.may_include_below(&text)) {
                self.walk_into(&path, ignore, out, dockerfile)?;
            }
        }
        Ok(())
    }

    /// Adds an entry, and the folders above it when they themselves are excluded.
    fn insert(&mut self, path: &Path, entry: Entry, below_excluded: bool) -> Result<()> {
        if below_excluded {
            for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
                if !self.entries.contains_key(folder) {
                    let full = self.root.join(folder);
                    let metadata = full.symlink_metadata().with_context(|| format!("look at {}", full.display()))?;
                    self.entries.extend(self::entry(&full, &metadata)?.map(|e| (folder.to_owned(), e)));
                }
            }
        }
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    /// All files, in order of their paths.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// Finds what COPY names: links are followed, and never lead out of the context.
    pub fn find(&self, source: &str) -> Option<PathBuf> {
        let path = paths::resolve(&self.root, Path::new(source)).ok()?.path();
        (path.as_os_str().is_empty() || self.entries.contains_key(&path)).then_some(path)
    }

    /// The entry at a path; the context's own folder has none.
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// What lies below a folder, with paths relative to the context.
    pub fn below(&self, folder: &Path) -> impl Iterator<Item = (&Path, &Entry)> {
        let folder = folder.to_owned();
        let first = folder.clone();
        self.entries
            .range(first..)
            .map(|(path, entry)| (path.as_path(), entry))
            .take_while({
                let folder = folder.clone();
                move |(path, _)| path.starts_with(&folder)
            })
            .filter(move |(path, _)| *path != folder)
    }

    /// Opens a file. The kernel resolves the path inside of the context and follows no link at its end, so that
    /// nobody who changes the folder meanwhile can have another file copied.
    pub fn open(&self, path: &Path) -> Result<File> {
        let failed = || format!("open {}", self.root.join(path).display());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(rootfs::open_in(&self.root, path, flags).with_context(failed)?);
        if !file.metadata().with_context(failed)?.is_file() {
            bail!("{} was a regular file when the build began, and is none now", path.display());
        }
        Ok(file)
    }
}

/// Reads `.dockerignore`; one that is named after the Dockerfile comes first, as docker has it.
fn read_ignore(root: &Path, dockerfile: &Path) -> Result<Ignore> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for file in [PathBuf::from(own), root.join(".dockerignore")] {
        match fs::read(&file) {
            Ok(bytes) => return Ignore::read(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        }
    }
    Ok(Ignore::default())
}

/// What a file is; `None` for a socket, which lives with the process that listens on it.
fn entry(path: &Path, metadata: &fs::Metadata) -> Result<Option<Entry>> {
    use std::os::unix::fs::FileTypeExt;
    let kind = match metadata.file_type() {
        t if t.is_dir() => Kind::Dir,
        t if t.is_file() => Kind::File(metadata.len()),
        t if t.is_symlink() => {
            Kind::Link(fs::read_link(path).with_context(|| format!("read link {}", path.display()))?)
        }
        t if t.is_fifo() => Kind::Fifo,
        t if t.is_socket() => return Ok(None),
        _ => Kind::Device,
    };
    Ok(Some(Entry { kind, mode: metadata.mode() & 0o7777, mtime: metadata.mtime() }))
}

fn tar_size(entry: &Entry) -> u64 {
    match entry.kind {
        Kind::File(size) => BLOCK + size.next_multiple_of(BLOCK),
        _ => BLOCK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn context(ignore: &str) -> (tempfile::TempDir, BuildContext) {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        fs::create_dir_all(dir.path().join("d/sub")).unwrap();
        file("a.txt", "a");
        file("d-x", "");
        file("d/one", "1");
        file("d/sub/two", "2");
        file("Dockerfile", "FROM x");
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        symlink("d/one", dir.path().join("in")).unwrap();
        if !ignore.is_empty() {
            file(".dockerignore", ignore);
        }
        let context = BuildContext::walk(dir.path(), &dir.path().canonicalize().unwrap().join("Dockerfile")).unwrap();
        (dir, context)
    }

    fn names(context: &BuildContext) -> Vec<String> {
        context.entries().map(|(path, _)| path.display().to_string()).collect()
    }

    #[test]
    fn the_folder_is_walked_and_its_tar_measured() {
        let (_dir, context) = context("");
        assert_eq!(names(&context), ["Dockerfile", "a.txt", "d", "d/one", "d/sub", "d/sub/two", "d-x", "in", "out"]);
        // 9 headers, 4 contents of less than a block, and the two empty blocks at the end.
        assert_eq!(context.tar_size, (9 + 4 + 2) * 512);
        let below: Vec<_> = context.below(Path::new("d")).map(|(path, _)| path.to_owned()).collect();
        assert_eq!(below, [Path::new("d/one"), Path::new("d/sub"), Path::new("d/sub/two")]);
        assert_eq!(context.below(Path::new("")).count(), 9);
    }

    #[test]
    fn ignored_files_are_not_there() {
        let (_dir, context) = context("*\n!d/sub\n");
        assert_eq!(names(&context), ["d", "d/sub", "d/sub/two"]);
        assert!(context.find("a.txt").is_none() && context.find("d/one").is_none());
        // Docker sends Dockerfile and .dockerignore even so.
        assert_eq!(context.tar_size, (4 + 3 + 2) * 512);
    }

    #[test]
    fn links_stay_inside_of_the_context() {
        let (_dir, context) = context("");
        assert_eq!(context.find("in"), Some("d/one".into()));
        assert_eq!(context.find("../../a.txt"), Some("a.txt".into()));
        assert_eq!(context.find("."), Some("".into()));
        assert_eq!(context.find("out"), None);
        assert!(context.open(Path::new("out")).is_err());
    }
}

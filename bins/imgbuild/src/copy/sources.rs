//! Which files a COPY names, and the digest that stands for them in the cache's key.
//!
//! The digest covers names, kinds, permissions, contents and link targets, and not the times: a fresh clone of
//! the same files finds the same layer.

use crate::context::{BuildContext, Entry, Kind};
use crate::dockerfile::Transfer;
use crate::glob::{Glob, is_pattern};
use crate::paths::clean;
use anyhow::{Context as _, Result, bail};
use layout::Digest;
use layout::digest::Hasher;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// All that one COPY takes from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The sources in order, patterns replaced by what they match.
    pub sources: Vec<Source>,
    /// `file:HEX`, `dir:HEX` or `multi:HEX`, as docker writes it into the history.
    pub digest: String,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The last part of its name as it was written: what a file is called below the destination.
    pub name: OsString,
    /// Whether it is a folder: then its contents are copied, and not itself.
    pub is_dir: bool,
    /// The files: one with an empty `below`, or the contents of the folder, parents first.
    pub files: Vec<Picked>,
    digest: Digest,
}

/// One file to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Its path below the source.
    pub below: PathBuf,
    /// Its path in the context.
    pub path: PathBuf,
    /// What it is.
    pub entry: Entry,
    /// The digest of a regular file's content.
    pub content: Option<Digest>,
}

/// Finds and digests the sources of a COPY (`keyword` is `COPY` or `ADD`).
///
/// # Errors
/// Docker's words for a source that is not in the context.
pub fn select(context: &BuildContext, transfer: &Transfer, keyword: &str) -> Result<Selection> {
    let mut sources = Vec::new();
    for written in &transfer.sources {
        if keyword == "ADD" && is_remote(written) {
            bail!("ADD failed: {written} is a URL: fetching is not there yet (use RUN with curl or wget)");
        }
        for (name, path) in matching(context, written, keyword)? {
            sources.push(Source::read(context, name, &path)?);
        }
    }
    if sources.is_empty() {
        bail!("{keyword} failed: no source files were specified");
    }
    if sources.len() > 1 && !transfer.destination.ends_with('/') {
        bail!(
            "When using {keyword} with more than one source file, the destination must be a directory and end with a /"
        );
    }
    if keyword == "ADD" {
        refuse_archives(context, &sources)?;
    }
    let digest = match sources.as_slice() {
        [one] => format!("{}:{}", if one.is_dir { "dir" } else { "file" }, one.digest.hex()),
        several => {
            let digests: Vec<&str> = several.iter().map(|source| source.digest.as_str()).collect();
            format!("multi:{}", Digest::of(digests.join(",").as_bytes()).hex())
        }
    };
    Ok(Selection { sources, digest })
}

/// The paths that a source stands for: name as written, and place in the context.
fn matching(context: &BuildContext, written: &str, keyword: &str) -> Result<Vec<(OsString, PathBuf)>> {
    // The context is the root of its files: a leading `/` or `..` leads nowhere else.
    let wanted = clean(&format!("/{written}"))[1..].to_owned();
    if !is_pattern(&wanted) {
        let Some(path) = context.find(&wanted) else {
            bail!(
                "{keyword} failed: file not found in build context or excluded by .dockerignore: stat {wanted}: file does not exist"
            );
        };
        let name = Path::new(&wanted).file_name().unwrap_or_default().to_owned();
        return Ok(vec![(name, path)]);
    }
    let glob = Glob::new(&wanted).with_context(|| format!("{keyword} failed"))?;
    let names = context.entries().map(|(path, _)| path).filter(|path| glob.matches(&path.to_string_lossy()));
    // A link that leads nowhere in the context is no file that could be copied; a pattern passes it over.
    let found = names.filter_map(|path| {
        let target = context.find(path.to_str()?)?;
        Some((path.file_name()?.to_owned(), target))
    });
    Ok(found.collect())
}

impl Source {
    fn read(context: &BuildContext, name: OsString, path: &Path) -> Result<Source> {
        let is_dir = context.entry(path).is_none_or(|entry| entry.kind == Kind::Dir);
        let mut files = Vec::new();
        if is_dir {
            for (inside, entry) in context.below(path) {
                let below = inside.strip_prefix(path).unwrap_or(inside).to_owned();
                files.push(Picked::read(context, below, inside, entry)?);
            }
        } else if let Some(entry) = context.entry(path) {
            files.push(Picked::read(context, PathBuf::new(), path, entry)?);
        }
        let mut hasher = Hasher::default();
        if !is_dir {
            digest_field(&mut hasher, name.as_bytes());
        }
        for file in &files {
            file.digest_into(&mut hasher);
        }
        Ok(Source { name, is_dir, files, digest: hasher.finish() })
    }
}

impl Picked {
    fn read(context: &BuildContext, below: PathBuf, path: &Path, entry: &Entry) -> Result<Picked> {
        let content = match entry.kind {
            Kind::File(_) => Some(digest_file(context, path)?),
            Kind::Device => bail!("{} is a device, which cannot be copied", path.display()),
            _ => None,
        };
        Ok(Picked { below, path: path.to_owned(), entry: entry.clone(), content })
    }

    fn digest_into(&self, hasher: &mut Hasher) {
        let (kind, content) = match (&self.entry.kind, &self.content) {
            (Kind::Link(target), _) => ("link", target.as_os_str().as_bytes()),
            (Kind::File(_), Some(digest)) => ("file", digest.as_str().as_bytes()),
            (Kind::Dir, _) => ("dir", "".as_bytes()),
            _ => ("fifo", "".as_bytes()),
        };
        // A link's permissions mean nothing.
        let mode = if kind == "link" { 0o777 } else { self.entry.mode };
        for field in [kind.as_bytes(), format!("{mode:o}").as_bytes(), self.below.as_os_str().as_bytes(), content] {
            digest_field(hasher, field);
        }
    }
}

/// Takes a field into a digest with its length before it, so that two fields never read as other two.
fn digest_field(hasher: &mut Hasher, field: &[u8]) {
    hasher.update(format!("{}:", field.len()).as_bytes());
    hasher.update(field);
}

fn digest_file(context: &BuildContext, path: &Path) -> Result<Digest> {
    let mut file = context.open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer).with_context(|| format!("read {}", path.display()))? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "git@"].iter().any(|scheme| source.starts_with(scheme))
}

/// ADD unpacks archives, and this one does not yet: copying one as it is would make another image than docker's.
fn refuse_archives(context: &BuildContext, sources: &[Source]) -> Result<()> {
    for source in sources.iter().filter(|source| !source.is_dir) {
        for file in source.files.iter().filter(|file| file.content.is_some()) {
            let mut start = Vec::new();
            let opened = context.open(&file.path)?;
            opened.take(512).read_to_end(&mut start).with_context(|| format!("read {}", file.path.display()))?;
            if is_archive(&start) {
                bail!(
                    "ADD failed: {} is an archive: unpacking is not there yet (use COPY, and tar in a RUN)",
                    file.path.display()
                );
            }
        }
    }
    Ok(())
}

/// Whether a file starts as a tar does, or as something that a tar is compressed with: gzip, bzip2, xz, zstd.
fn is_archive(start: &[u8]) -> bool {
    let magics: [&[u8]; 4] = [&[0x1f, 0x8b, 0x08], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z'], &[0x28, 0xb5, 0x2f, 0xfd]];
    start.get(257..262) == Some(b"ustar".as_slice()) || magics.iter().any(|magic| start.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("d/sub")).unwrap();
        for (name, text) in [("a.txt", "a"), ("b.txt", "b"), ("d/sub/s.txt", "s")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        symlink("d", dir.path().join("dl")).unwrap();
        dir
    }

    fn picked(dir: &Path, keyword: &str, sources: &[&str], destination: &str) -> Result<Selection> {
        let context = BuildContext::walk(dir, Path::new("/none"))?;
        let sources = sources.iter().map(|s| (*s).to_owned()).collect();
        select(&context, &Transfer { sources, destination: destination.to_owned(), chown: None }, keyword)
    }

    fn digest(dir: &Path, source: &str) -> String {
        picked(dir, "COPY", &[source], "/x/").unwrap().digest
    }

    #[test]
    fn times_do_not_count_and_everything_else_does() {
        let dir = folder();
        let before = digest(dir.path(), ".");
        let file = fs::File::options().append(true).open(dir.path().join("a.txt")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(digest(dir.path(), "."), before);

        let mut seen = std::collections::BTreeSet::from([before]);
        let changes: [&dyn Fn(&Path); 5] = [
            &|dir| fs::write(dir.join("a.txt"), "A").unwrap(),
            &|dir| fs::set_permissions(dir.join("a.txt"), fs::Permissions::from_mode(0o755)).unwrap(),
            &|dir| fs::rename(dir.join("a.txt"), dir.join("c.txt")).unwrap(),
            &|dir| {
                fs::remove_file(dir.join("dl")).unwrap();
                symlink("d/sub", dir.join("dl")).unwrap();
            },
            &|dir| fs::create_dir(dir.join("empty")).unwrap(),
        ];
        for change in changes {
            change(dir.path());
            assert!(seen.insert(digest(dir.path(), ".")));
        }
    }

    #[test]
    fn sources_are_files_contents_of_folders_or_patterns() {
        let dir = folder();
        let names = |source: &str| -> Vec<String> {
            let selection = picked(dir.path(), "COPY", &[source], "/x/").unwrap();
            let files =
                selection.sources.iter().flat_map(|s| s.files.iter().map(move |f| Path::new(&s.name).join(&f.below)));
            files.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names("a.txt"), ["a.txt/"]);
        assert_eq!(names("d"), ["d/sub", "d/sub/s.txt"]);
        assert_eq!(names("dl"), ["dl/sub", "dl/sub/s.txt"]);
        assert_eq!(names("*.txt"), ["a.txt/", "b.txt/"]);
        assert_eq!(names("*t"), ["a.txt/", "b.txt/"], "a link out of the context is no match");
        assert_eq!(names("../../a.txt"), ["a.txt/"]);
        assert!(digest(dir.path(), "a.txt").starts_with("file:"));
        assert!(digest(dir.path(), "d").starts_with("dir:"));
        assert!(digest(dir.path(), "*.txt").starts_with("multi:"));
        assert_ne!(digest(dir.path(), "a.txt"), digest(dir.path(), "b.txt"));
    }

    #[test]
    fn what_cannot_be_copied_is_said_in_dockers_words() {
        let dir = folder();
        let error =
            |keyword, sources: &[&str], to| format!("{:#}", picked(dir.path(), keyword, sources, to).unwrap_err());
        for gone in ["nothere", "out", "d/../../nothere"] {
            let message = error("COPY", &[gone], "/x");
            assert!(message.starts_with("COPY failed: file not found in build context"), "{message}");
        }
        assert_eq!(error("COPY", &["nothere*"], "/x"), "COPY failed: no source files were specified");
        assert!(error("COPY", &["a.txt", "b.txt"], "/x").starts_with("When using COPY with more than one source"));
        assert!(error("COPY", &["["], "/x").contains("syntax error in pattern"));
        assert!(error("ADD", &["https://example.com/x"], "/x").contains("not there yet"));
        fs::write(dir.path().join("z.tgz"), [0x1f, 0x8b, 8, 0]).unwrap();
        assert!(error("ADD", &["z.tgz"], "/x").contains("unpacking is not there yet"));
        assert!(picked(dir.path(), "COPY", &["z.tgz"], "/x").is_ok());
    }
}

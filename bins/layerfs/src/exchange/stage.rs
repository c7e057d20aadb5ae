//! An archive of images, set down in `tmp/`: nothing that it says is believed yet.
//!
//! Its members come in any order, and what says how to read them may be the last of them. So each file is written to `tmp/`
//! and digested on the way, whatever its size, in one pass over the input. A member's name is never a path of ours: it
//! is the key under which the file is found again, and a link is one key that stands for another.

use crate::archive::member::{Kind, Member};
use crate::archive::read::TarReader;
use crate::image::store;
use anyhow::{Context, Result, bail};
use layout::digest::HashingWriter;
use layout::{Digest, Layout, publish};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use tempfile::{NamedTempFile, TempPath};

/// The largest document (a manifest, an index, a configuration) that is read, as with registries.
const MAX_DOCUMENT: u64 = 4 << 20;
/// More members than an archive of images has, and longer names: they are kept in memory.
const MAX_MEMBERS: usize = 100_000;
const MAX_NAME: usize = 4096;
/// How many links may lead from one to the next.
const MAX_LINKS: usize = 8;

/// The number of a file in a [`Stage`].
pub type FileId = usize;

/// One file of the archive; dropped, it is gone.
#[derive(Debug)]
struct Staged {
    path: TempPath,
    digest: Digest,
    size: u64,
}

#[derive(Debug)]
enum Entry {
    File(FileId),
    /// The key that it stands for; none if it leads out of the archive.
    Link(Option<Vec<u8>>),
}

/// All of an archive.
#[derive(Debug, Default)]
pub struct Stage {
    files: Vec<Staged>,
    entries: BTreeMap<Vec<u8>, Entry>,
}

impl Stage {
    /// Reads a tar to its end.
    pub fn read(layout: &Layout, input: impl Read) -> Result<Stage> {
        let mut tar = TarReader::new(input);
        let mut stage = Stage::default();
        while let Some(member) = tar.next()? {
            let shown = member.path.escape_ascii().to_string();
            stage.take(layout, &member, &mut tar).with_context(|| format!("read {shown} in the archive"))?;
        }
        tar.finish()?;
        Ok(stage)
    }

    fn take(&mut self, layout: &Layout, member: &Member, data: &mut impl Read) -> Result<()> {
        if self.entries.len() >= MAX_MEMBERS {
            bail!("it has more than {MAX_MEMBERS} members");
        }
        let key = key(b"", &member.path)?;
        let entry = match member.kind {
            Kind::Dir => return Ok(()),
            Kind::File => Entry::File(self.write(layout, data)?),
            Kind::Symlink => Entry::Link(key_of_link(&key, &member.link).ok()),
            Kind::Hardlink => Entry::Link(self::key(b"", &member.link).ok()),
            Kind::CharDevice(..) | Kind::BlockDevice(..) | Kind::Fifo => {
                bail!("an archive of images holds files, folders and links, and this is a device or a pipe")
            }
        };
        // Some writers name the same blob twice. Which of two different ones is meant, nobody can know.
        match (self.entries.get(&key), &entry) {
            (Some(Entry::File(a)), Entry::File(b)) if self.files[*a].digest == self.files[*b].digest => {}
            (Some(Entry::Link(a)), Entry::Link(b)) if a == b => {}
            (Some(_), _) => bail!("there are two of this name, with different content"),
            (None, _) => drop(self.entries.insert(key, entry)),
        }
        Ok(())
    }

    fn write(&mut self, layout: &Layout, data: &mut impl Read) -> Result<FileId> {
        let (file, path) = store::temp_file(layout)?.into_parts();
        let mut out = HashingWriter::new(BufWriter::with_capacity(256 << 10, file));
        io::copy(data, &mut out).context("write it to tmp/")?;
        let (mut out, digest, size) = out.finish();
        out.flush().context("write it to tmp/")?;
        self.files.push(Staged { path, digest, size });
        Ok(self.files.len() - 1)
    }

    /// Whether the archive has a member of this name.
    pub fn has(&self, name: &str) -> bool {
        key(b"", name.as_bytes()).is_ok_and(|key| self.entries.contains_key(&key))
    }

    /// Whether there is anything in the archive.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a member lies in this folder, at any depth.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.entries.keys().any(|key| key.starts_with(format!("{folder}/").as_bytes()))
    }

    /// The file of this name, links followed.
    pub fn find(&self, name: &str) -> Result<FileId> {
        let mut key = key(b"", name.as_bytes()).with_context(|| format!("look for {name:?} in the archive"))?;
        for _ in 0..=MAX_LINKS {
            match self.entries.get(&key) {
                Some(Entry::File(id)) => return Ok(*id),
                Some(Entry::Link(Some(target))) => key = target.clone(),
                Some(Entry::Link(None)) => bail!("{name} in the archive is a link that leads out of it"),
                None => bail!("the archive has no {}", key.escape_ascii()),
            }
        }
        bail!("{name} in the archive: too many links, or a circle of them")
    }

    /// Digest of a file's content.
    pub fn digest(&self, file: FileId) -> &Digest {
        &self.files[file].digest
    }

    /// Number of a file's bytes.
    pub fn size(&self, file: FileId) -> u64 {
        self.files[file].size
    }

    /// Opens a file to be read from its beginning.
    pub fn open(&self, file: FileId) -> Result<File> {
        let path = &self.files[file].path;
        File::open(path).with_context(|| format!("open {}", path.display()))
    }

    /// Reads a document.
    pub fn json<T: DeserializeOwned>(&self, file: FileId) -> Result<T> {
        let size = self.size(file);
        if size > MAX_DOCUMENT {
            bail!("it has {size} bytes, and no document of an image has more than {MAX_DOCUMENT}");
        }
        let mut bytes = Vec::with_capacity(size as usize);
        self.open(file)?.take(MAX_DOCUMENT).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Puts files into the store, as blobs under their digests, so that they survive a power cut.
    pub fn publish(mut self, layout: &Layout, files: impl IntoIterator<Item = FileId>) -> Result<()> {
        let mut staged: Vec<Option<Staged>> = self.files.drain(..).map(Some).collect();
        for file in files {
            let Some(Staged { path, digest, size }) = staged[file].take() else { continue };
            let target = layout.blob(&digest);
            if target.symlink_metadata().is_ok_and(|there| there.is_file() && there.len() == size) {
                continue;
            }
            let opened = File::open(&path).with_context(|| format!("open {}", path.display()))?;
            publish::persist_durable(NamedTempFile::from_parts(opened, path), &target)?;
        }
        Ok(())
    }
}

/// The key of a path within the folder `base`, itself a key: without empty parts, `.` and `..`.
fn key(base: &[u8], path: &[u8]) -> Result<Vec<u8>> {
    if path.len() > MAX_NAME {
        bail!("its name has {} bytes", path.len());
    }
    if path.starts_with(b"/") {
        bail!("the name {} is absolute: it leads out of the archive", path.escape_ascii());
    }
    let mut parts: Vec<&[u8]> = base.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_none() => bail!("the name {} leads out of the archive", path.escape_ascii()),
            b".." => {}
            name => parts.push(name),
        }
    }
    Ok(parts.join(&b'/'))
}

/// What a symbolic link stands for: its target is sought from the folder that it is in.
fn key_of_link(link: &[u8], target: &[u8]) -> Result<Vec<u8>> {
    let folder = link.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |slash| &link[..slash]);
    key(folder, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys_and_lead_nowhere() {
        for (path, expected) in
            [("./a//b/./c", "a/b/c"), ("a/../b", "b"), ("", ""), ("...", "..."), ("a/b/../../c", "c")]
        {
            assert_eq!(key(b"", path.as_bytes()).unwrap(), expected.as_bytes(), "{path}");
        }
        for bad in ["/a", "..", "a/../..", "../a"] {
            assert!(key(b"", bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(key_of_link(b"one/layer.tar", b"../two/layer.tar").unwrap(), b"two/layer.tar");
        assert!(key_of_link(b"one/layer.tar", b"../../two").is_err());
    }
}

//! The part of a blob that is here: `tmp/blob-HEX`, locked by who writes it, and its digest so far.

use anyhow::{Context, Result, bail};
use layout::digest::Hasher;
use layout::lock::Lock;
use layout::{Digest, Layout, publish};
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const BUFFER: usize = 128 << 10;

/// The part of a blob that is here, under a lock as long as its file is open.
pub struct Part {
    /// What is here of it. The lock is on this open file, and its copies.
    pub file: File,
    /// So many bytes.
    pub held: u64,
    /// So many it will have.
    pub size: u64,
    path: PathBuf,
    hasher: Hasher,
}

impl Part {
    /// Takes the file, which is made where it is missing; `None` when somebody else has it at this moment, or had it and gave it
    /// another name.
    pub fn lock(path: &Path, size: u64) -> Result<Option<Part>> {
        let Some(lock) = Lock::try_exclusive(path)? else { return Ok(None) };
        let file = lock.as_fd().try_clone_to_owned().with_context(|| format!("open {}", path.display()))?;
        let part = Part { file: file.into(), held: 0, size, path: path.to_owned(), hasher: Hasher::default() };
        Ok(part.has_its_name()?.then_some(part))
    }

    fn has_its_name(&self) -> Result<bool> {
        let failed = || format!("look at {}", self.path.display());
        let ours = self.file.metadata().with_context(failed)?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(failed),
        }
    }

    /// Takes in what an earlier pull has left; whether that was anything.
    pub fn resume(&mut self) -> Result<bool> {
        let failed = || format!("read {}", self.path.display());
        let length = self.file.metadata().with_context(failed)?.len();
        if length > self.size {
            self.clear()?;
            return Ok(false);
        }
        let mut buffer = vec![0; BUFFER];
        while let n @ 1.. = self.file.read(&mut buffer).with_context(failed)? {
            self.hasher.update(&buffer[..n]);
            self.held += n as u64;
        }
        Ok(self.held > 0)
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// That is more than it may have; it cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.held + bytes.len() as u64 > self.size {
            bail!("the registry sends more than the {} bytes that the image says: it was refused", self.size);
        }
        self.file.write_all(bytes).with_context(|| format!("write {}", self.path.display()))?;
        self.hasher.update(bytes);
        self.held += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all of it.
    pub fn clear(&mut self) -> Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared.with_context(|| format!("empty {}", self.path.display()))?;
        (self.hasher, self.held) = (Hasher::default(), 0);
        Ok(())
    }

    /// Removes the file.
    pub fn remove(&self) -> Result<()> {
        std::fs::remove_file(&self.path).with_context(|| format!("remove {}", self.path.display()))
    }

    /// The digest of what is here.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Gives it its name in the store. First the bytes to the disk, then the name.
    pub fn publish(self, layout: &Layout, digest: &Digest) -> Result<()> {
        let target = layout.blob(digest);
        let failed = || format!("publish {}", target.display());
        self.file.set_permissions(Permissions::from_mode(0o644)).with_context(failed)?;
        self.file.sync_all().with_context(failed)?;
        std::fs::rename(&self.path, &target).with_context(failed)?;
        publish::sync_dir(&layout.blobs())
    }
}

//! The files of a log: the one that is written to, and the older ones with numbers, which a rotation renames at any moment.

use super::Printer;
use super::entries::Reader;
use crate::shim::log::rotate::{compressed, lock, numbered, oldest};
use anyhow::{Context, Result};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a log is, and in which format.
pub struct Files {
    pub path: PathBuf,
    pub is_json: bool,
}

/// Open files, the oldest first.
pub struct Open(Vec<Reader>);

impl Files {
    /// Opens all files, or so many of the newest as the last `tail` entries are in.
    pub fn open(&self, tail: Option<u64>) -> Result<Open> {
        if !self.path.exists() {
            return Ok(Open(Vec::new()));
        }
        let mut missing = tail;
        let mut readers = Vec::new();
        for mut reader in self.open_all()? {
            if let Some(count) = missing {
                missing = Some(count - reader.go_to_last(count)?);
            }
            readers.push(reader);
            if missing == Some(0) {
                break;
            }
        }
        readers.reverse();
        Ok(Open(readers))
    }

    /// The file that was begun after one that is not written to any more; none as long as it is.
    pub fn after(&self, before: &Reader) -> Result<Option<Reader>> {
        if self.path.metadata().is_ok_and(|newest| newest.ino() == before.inode) || !self.path.exists() {
            return Ok(None);
        }
        let mut next = None;
        for reader in self.open_all()? {
            if reader.is_same(before) {
                break;
            }
            // If it is not there any more, the oldest that is left follows it.
            next = Some(reader);
        }
        Ok(next)
    }

    /// All files, the newest first. They are opened under the lock on their numbers, so each is there once.
    fn open_all(&self) -> Result<Vec<Reader>> {
        let _numbers = lock(&self.path, FlockOperation::LockShared)?;
        let mut readers = Vec::new();
        for number in 0..=oldest(&self.path) {
            // Who was killed between making the one and removing the other leaves both.
            if let Some(file) = open_one(&numbered(&self.path, number))? {
                readers.push(Reader::new(file, self.is_json)?);
            } else if let Some(file) = open_one(&compressed(&self.path, number))? {
                readers.push(Reader::compressed(file, self.is_json)?);
            }
        }
        Ok(readers)
    }
}

fn open_one(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("open the log {}", path.display())),
    }
}

impl Open {
    /// Prints them; gives the newest, for what comes next.
    pub fn print(self, printer: &mut Printer) -> Result<Option<Reader>> {
        let mut newest = None;
        for mut reader in self.0 {
            printer.print_all(&mut reader)?;
            newest = Some(reader);
        }
        Ok(newest)
    }
}

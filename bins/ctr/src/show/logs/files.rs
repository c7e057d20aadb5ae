//! The files of a log: the one that is written to, and the older ones with numbers, which a rotation renames at any moment.

use super::Printer;
use super::entries::Reader;
use crate::shim::log::file::numbered;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

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
        loop {
            let mut readers = Vec::new();
            let mut missing = tail;
            for number in 0.. {
                let Some(mut reader) = self.open_one(number)? else { break };
                if let Some(count) = missing {
                    missing = Some(count - reader.go_to_last(count)?);
                }
                readers.push(reader);
                if missing == Some(0) {
                    break;
                }
            }
            // Renamed meanwhile? Then a file may be there twice, or not at all.
            let first = readers.first().map(Reader::inode).transpose()?;
            if first == self.inode(0) {
                readers.reverse();
                return Ok(Open(readers));
            }
        }
    }

    /// The file that was begun after one that is not written to any more; none as long as it is.
    pub fn after(&self, inode: u64) -> Result<Option<Reader>> {
        if self.inode(0).is_none_or(|newest| newest == inode) {
            return Ok(None);
        }
        let mut newer = 0;
        for number in 1.. {
            match self.inode(number) {
                Some(this) if this == inode => break,
                Some(_) => newer = number,
                // It is removed by now: the oldest that is left follows it.
                None => break,
            }
        }
        self.open_one(newer)
    }

    fn inode(&self, number: u32) -> Option<u64> {
        Some(numbered(&self.path, number).metadata().ok()?.ino())
    }

    fn open_one(&self, number: u32) -> Result<Option<Reader>> {
        let path = numbered(&self.path, number);
        match File::open(&path) {
            Ok(file) => Ok(Some(Reader::new(file, self.is_json))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("open the log {}", path.display())),
        }
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

//! What a client that is behind has still to get: a file that nobody else sees, and that is gone with us.

use anyhow::{Context, Result};
use layout::{Layout, publish};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes that wait, in order.
pub struct Spool {
    file: File,
    taken: u64,
    end: u64,
}

impl Spool {
    /// An empty one, on the disk that the logs are on.
    pub fn new(layout: &Layout) -> Result<Spool> {
        Ok(Spool { file: publish::temp_file(layout)?.into_file(), taken: 0, end: 0 })
    }

    /// Adds bytes, all or nothing.
    pub fn append(&mut self, parts: [&[u8]; 2]) -> Result<()> {
        let mut end = self.end;
        for part in parts {
            self.file.write_all_at(part, end).context("write what waits for a client")?;
            end += part.len() as u64;
        }
        self.end = end;
        Ok(())
    }

    /// Moves the next bytes, at most `most`, into `into`; `false` when there are none.
    pub fn take(&mut self, most: usize, into: &mut Vec<u8>) -> Result<bool> {
        let length = (self.end - self.taken).min(most as u64) as usize;
        into.resize(length, 0);
        self.file.read_exact_at(into, self.taken).context("read what waits for a client")?;
        self.taken += length as u64;
        Ok(length > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(&dir.path().join("root"), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let mut spool = Spool::new(&layout).unwrap();
        assert_eq!(std::fs::read_dir(layout.tmp()).unwrap().count(), 0, "nobody sees it");
        spool.append([b"abc", b"def"]).unwrap();
        let mut got = Vec::new();
        assert!(spool.take(4, &mut got).unwrap());
        assert_eq!(got, b"abcd");
        spool.append([b"", b"g"]).unwrap();
        assert!(spool.take(9, &mut got).unwrap());
        assert_eq!(got, b"efg");
        assert!(!spool.take(9, &mut got).unwrap());
    }
}

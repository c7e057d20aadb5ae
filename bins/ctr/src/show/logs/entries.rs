//! Reading entries from a log file that somebody may still be writing, or that is compressed.

use crate::shim::log::rotate::plain_inode;
use crate::shim::log::{json, local};
use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};

/// How much is read at once when a file is read from its end.
const BLOCK: u64 = 64 << 10;

/// No entry is longer: a line has 16 KiB at most, and its attributes are short.
const MAX_ENTRY: usize = 1 << 20;

/// An entry of the log.
pub struct Entry {
    pub is_error: bool,
    pub time: Timestamp,
    pub text: Vec<u8>,
    pub attrs: BTreeMap<String, String>,
}

/// A log file that is being read.
pub struct Reader {
    file: BufReader<Source>,
    /// The number of its file, which stays the same when it is renamed.
    pub inode: u64,
    is_json: bool,
    /// The begin of an entry whose end is not written yet.
    begun: Vec<u8>,
}

impl Reader {
    pub fn new(file: File, is_json: bool) -> Result<Reader> {
        Reader::of(Source::Plain(file), is_json)
    }

    /// A file with that name's `.gz` behind it.
    pub fn compressed(file: File, is_json: bool) -> Result<Reader> {
        Reader::of(Source::Compressed(Box::new(GzDecoder::new(file))), is_json)
    }

    fn of(source: Source, is_json: bool) -> Result<Reader> {
        let inode = source.file().metadata().context("look at the log")?.ino();
        Ok(Reader { file: BufReader::with_capacity(BLOCK as usize, source), inode, is_json, begun: Vec::new() })
    }

    /// Whether this is the same part of the log as the other one, which may have been opened before it was compressed.
    pub fn is_same(&self, before: &Reader) -> bool {
        let was = match (self.file.get_ref(), before.file.get_ref()) {
            (Source::Compressed(gz), Source::Plain(_)) => gz.header().and_then(|head| plain_inode(head.extra()?)),
            _ => None,
        };
        // A number stays taken as long as the file is open: so it is no other file's.
        self.inode == before.inode || was == Some(before.inode)
    }

    /// The next whole entry; none when there is no more now.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if !self.read_one()? {
                return Ok(None);
            }
            let entry = if self.is_json { from_line(&self.begun) } else { from_record(&self.begun) };
            self.begun.clear();
            match entry {
                Some(entry) => return Ok(Some(entry)),
                None => eprintln!("ctr: read the log: something in it is no entry, and passed over"),
            }
        }
    }

    fn read_one(&mut self) -> Result<bool> {
        if self.is_json { self.read_line() } else { self.read_record() }
    }

    fn read_line(&mut self) -> Result<bool> {
        self.file.read_until(b'\n', &mut self.begun).context("read the log")?;
        Ok(self.begun.ends_with(b"\n"))
    }

    fn read_record(&mut self) -> Result<bool> {
        if !self.read_up_to(local::LENGTH)? {
            return Ok(false);
        }
        let length = length_at(&self.begun, 0);
        anyhow::ensure!(length <= MAX_ENTRY, "read the log: an entry of {length} bytes: this is no log");
        self.read_up_to(length + 2 * local::LENGTH)
    }

    fn read_up_to(&mut self, wanted: usize) -> Result<bool> {
        let missing = wanted.saturating_sub(self.begun.len());
        (&mut self.file).take(missing as u64).read_to_end(&mut self.begun).context("read the log")?;
        Ok(self.begun.len() >= wanted)
    }

    /// Goes to where the last `count` entries begin; gives how many there are from there on, which is less where the
    /// file has less.
    pub fn go_to_last(&mut self, count: u64) -> Result<u64> {
        let Source::Plain(file) = self.file.get_ref() else { return self.go_through_to_last(count) };
        let (found, position) = if self.is_json { last_lines(file, count)? } else { last_records(file, count)? };
        let mut file = file;
        file.seek(SeekFrom::Start(position)).context("read the log")?;
        self.forget();
        Ok(found)
    }

    /// The same for what can only be read from its begin: first it is counted, then read up to there.
    fn go_through_to_last(&mut self, count: u64) -> Result<u64> {
        let mut all = 0;
        while self.read_one()? {
            self.begun.clear();
            all += 1;
        }
        if let Source::Compressed(gz) = self.file.get_mut() {
            let mut file = gz.get_ref().try_clone().context("read the log")?;
            file.rewind().context("read the log")?;
            **gz = GzDecoder::new(file);
        }
        self.forget();
        for _ in count..all {
            self.read_one()?;
            self.begun.clear();
        }
        Ok(count.min(all))
    }

    /// Drops what was read ahead.
    fn forget(&mut self) {
        let read = self.file.buffer().len();
        self.file.consume(read);
        self.begun.clear();
    }
}

/// What entries are read from.
enum Source {
    Plain(File),
    Compressed(Box<GzDecoder<File>>),
}

impl Source {
    fn file(&self) -> &File {
        match self {
            Source::Plain(file) => file,
            Source::Compressed(gz) => gz.get_ref(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Source::Plain(file) => file.read(buffer),
            Source::Compressed(gz) => gz.read(buffer),
        }
    }
}

/// Looks for newlines from the end on. What follows the last newline is no entry yet.
fn last_lines(file: &File, count: u64) -> Result<(u64, u64)> {
    let mut begin = file.metadata().context("look at the log")?.len();
    let (mut newlines, mut block) = (0, Vec::new());
    let mut end = begin;
    while begin > 0 {
        begin = end.saturating_sub(BLOCK);
        block.resize((end - begin) as usize, 0);
        file.read_exact_at(&mut block, begin).context("read the log")?;
        for at in memchr::memrchr_iter(b'\n', &block) {
            // The newline before the first entry that is wanted.
            if newlines == count {
                return Ok((count, begin + at as u64 + 1));
            }
            newlines += 1;
        }
        end = begin;
    }
    Ok((newlines, 0))
}

/// Goes from length to length: each record has its own at its end as well.
fn last_records(file: &File, count: u64) -> Result<(u64, u64)> {
    let mut position = file.metadata().context("look at the log")?.len();
    let mut found = 0;
    while found < count && position > 0 {
        let mut bytes = [0; local::LENGTH];
        let Some(at) = position.checked_sub(local::LENGTH as u64) else { break };
        file.read_exact_at(&mut bytes, at).context("read the log")?;
        let Some(begin) = at.checked_sub((length_at(&bytes, 0) + local::LENGTH) as u64) else { break };
        (position, found) = (begin, found + 1);
    }
    Ok((found, position))
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    bytes[at..].first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize)
}

fn from_line(line: &[u8]) -> Option<Entry> {
    let entry: json::Entry = serde_json::from_slice(line).ok()?;
    let time = layout::time::parse(&entry.time).unwrap_or_default();
    Some(Entry { is_error: entry.stream == "stderr", time, text: entry.log.into_bytes(), attrs: entry.attrs })
}

fn from_record(record: &[u8]) -> Option<Entry> {
    let entry = local::decode(record.get(local::LENGTH..record.len().checked_sub(local::LENGTH)?)?)?;
    let time = Timestamp::from_nanosecond(entry.time.into()).unwrap_or_default();
    Some(Entry { is_error: entry.stream == "stderr", time, text: entry.text, attrs: BTreeMap::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::log::lines::Line;
    use std::io::Write;

    fn texts(reader: &mut Reader) -> String {
        let mut all = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            all.extend(entry.text);
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn entries_are_read_as_they_come_and_the_last_ones_are_found() {
        for is_json in [true, false] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            let mut bytes = Vec::new();
            for i in 0..3000 {
                let text = format!("line {i}");
                let line = Line { stream: "stdout", time: &layout::time::now(), text: text.as_bytes(), part: None };
                if is_json { json::encode(&mut bytes, &line, "") } else { local::encode(&mut bytes, &line) }
            }
            let (whole, rest) = bytes.split_at(bytes.len() - 5);
            file.write_all(whole).unwrap();
            let mut reader = Reader::new(File::open(file.path()).unwrap(), is_json).unwrap();
            let read = texts(&mut reader);
            assert!(read.starts_with("line 0\nline 1\n") && read.ends_with("line 2998\n"), "{is_json}");
            file.write_all(rest).unwrap();
            assert_eq!(texts(&mut reader), "line 2999\n");
            for (count, found, first) in [(2, 2, "line 2998\n"), (3000, 3000, "line 0\n"), (9999, 3000, "line 0\n")] {
                assert_eq!(reader.go_to_last(count).unwrap(), found);
                assert!(texts(&mut reader).starts_with(first), "{is_json} {count}");
            }
            reader.go_to_last(0).unwrap();
            assert_eq!(texts(&mut reader), "");
        }
    }
}

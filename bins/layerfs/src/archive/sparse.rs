//! Sparse files: those of which an archive holds only the parts that are not holes.
//!
//! GNU tar has written them in four ways (its manual, "Storing Sparse Files"), and all are met:
//!
//! | format | the map of the parts |
//! | --- | --- |
//! | old GNU, type `S` | four entries in the header, 21 in each block that follows it |
//! | PAX 0.0 | a pair of records `GNU.sparse.offset`, `GNU.sparse.numbytes` a part |
//! | PAX 0.1 | one record, `GNU.sparse.map`: numbers with commas between |
//! | PAX 1.0 | decimal lines before the file's data, padded to a block |

use crate::archive::member::Member;
use crate::archive::pax;
use anyhow::{Context, Result, bail};
use std::io::{self, Read};
use tar::{GnuHeader, GnuSparseHeader};

const BLOCK: usize = 512;
/// The most parts that a file may have: their map is kept in memory.
const MAX_PARTS: usize = 1 << 19;

/// A part of a file that is not a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where in the file it starts.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// What the PAX records of a member say about its holes.
#[derive(Debug, Default)]
pub struct Records {
    major: Option<u64>,
    /// The file's size with its holes.
    pub size: Option<u64>,
    /// The file's path; the header's has the archiver's process id in it.
    pub name: Option<Vec<u8>>,
    parts: Vec<Part>,
    /// The offset of a part whose length comes next.
    offset: Option<u64>,
    any: bool,
}

impl Records {
    /// Takes a record whose key starts with `GNU.sparse.`, and of which `key` is the rest.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.any = true;
        let number = || pax::parse_number::<u64>(value).context("it is no number");
        match key {
            b"major" => self.major = Some(number()?),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"name" => self.name = Some(value.to_vec()),
            b"offset" if self.offset.is_none() => self.offset = Some(number()?),
            b"numbytes" => {
                let offset = self.offset.take().context("it has no offset before it")?;
                push(&mut self.parts, Part { offset, length: number()? })?;
            }
            b"map" => self.parts = list(value)?,
            b"minor" | b"numblocks" => drop(number()?),
            _ => bail!("it is not known"),
        }
        Ok(())
    }

    /// The file's size and its parts, `None` if it is not sparse. A map that comes with the data is read from there.
    pub fn map(self, data: &mut impl Read) -> Result<Option<(u64, Vec<Part>)>> {
        if !self.any {
            return Ok(None);
        }
        let size = self.size.context("a sparse file without its size")?;
        if self.offset.is_some() {
            bail!("the map of a sparse file ends in the middle");
        }
        match self.major {
            None | Some(0) => Ok(Some((size, self.parts))),
            Some(1) => Ok(Some((size, lines(data)?))),
            Some(other) => bail!("a sparse file of the format {other}, which is not known"),
        }
    }
}

/// Reads the map of the old format: the header's entries, and the blocks that follow it.
pub fn old_gnu(header: &GnuHeader, input: &mut impl Read) -> Result<(u64, Vec<Part>)> {
    let size = header.real_size().context("read the size of a sparse file")?;
    let mut parts = Vec::new();
    entries(&header.sparse, &mut parts)?;
    let mut more = header.isextended[0] != 0;
    while more {
        let mut block = tar::GnuExtSparseHeader::new();
        input.read_exact(block.as_mut_bytes()).context("the archive is cut short: it ends inside of a map")?;
        entries(block.sparse(), &mut parts)?;
        more = block.isextended[0] != 0;
    }
    Ok((size, parts))
}

fn entries(entries: &[GnuSparseHeader], parts: &mut Vec<Part>) -> Result<()> {
    for entry in entries.iter().take_while(|entry| !entry.is_empty()) {
        let failed = "read the map of a sparse file";
        push(parts, Part { offset: entry.offset().context(failed)?, length: entry.length().context(failed)? })?;
    }
    Ok(())
}

fn push(parts: &mut Vec<Part>, part: Part) -> Result<()> {
    if parts.len() == MAX_PARTS {
        bail!("a sparse file of more than {MAX_PARTS} parts");
    }
    parts.push(part);
    Ok(())
}

/// Numbers with commas between: offset, length, offset, length.
fn list(text: &[u8]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let numbers: Vec<&[u8]> = if text.is_empty() { Vec::new() } else { text.split(|b| *b == b',').collect() };
    for pair in numbers.chunks(2) {
        let number = |at: usize| pair.get(at).and_then(|digits| pax::parse_number(digits));
        match (number(0), number(1)) {
            (Some(offset), Some(length)) => push(&mut parts, Part { offset, length })?,
            _ => bail!("the map of a sparse file is no list of pairs"),
        }
    }
    Ok(parts)
}

/// The map of format 1.0: how many parts there are, then offset and length of each, a line a number; padded to a block.
fn lines(data: &mut impl Read) -> Result<Vec<Part>> {
    let mut blocks = Lines { data, block: [0; BLOCK], at: BLOCK };
    let count = blocks.number()?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let (offset, length) = (blocks.number()?, blocks.number()?);
        push(&mut parts, Part { offset, length })?;
    }
    Ok(parts)
}

struct Lines<'a, R> {
    data: &'a mut R,
    block: [u8; BLOCK],
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK {
                self.data.read_exact(&mut self.block).context("read the map of a sparse file")?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => break,
                _ if digits.len() < 20 => digits.push(byte),
                _ => bail!("the map of a sparse file has a number of more than 20 digits"),
            }
        }
        pax::parse_number(&digits).context("the map of a sparse file is no list of numbers")
    }
}

/// Checks that a map is in order, within the file, and of as many bytes as the archive holds.
pub fn check(parts: &[Part], size: u64, stored: u64) -> Result<()> {
    if size > i64::MAX as u64 {
        bail!("a sparse file says that it has {size} bytes");
    }
    let (mut end, mut sum) = (0u64, 0u64);
    for part in parts {
        let next = part.offset.checked_add(part.length).filter(|next| *next <= size);
        match next {
            Some(next) if part.offset >= end => end = next,
            Some(_) => bail!("the map of a sparse file is out of order: a part starts at {} before {end}", part.offset),
            None => bail!("the map of a sparse file goes beyond its end, {size}"),
        }
        sum += part.length;
    }
    if sum != stored {
        bail!("the map of a sparse file speaks of {sum} bytes, and the archive holds {stored}");
    }
    Ok(())
}

/// The whole content of a file, with zeros where its holes are, out of the data that an archive holds of it.
pub struct Filled<'a, R> {
    data: R,
    /// What is left of the member: parts, and the file's size.
    parts: &'a [Part],
    size: u64,
    /// How far the content was given.
    at: u64,
}

impl<'a, R: Read> Filled<'a, R> {
    /// The content of the member whose data comes next from `data`.
    pub fn new(data: R, member: &'a Member) -> Self {
        Filled { data, parts: member.parts.as_deref().unwrap_or(WHOLE), size: member.size, at: 0 }
    }
}

/// A file without holes: one part, which ends where the file does.
const WHOLE: &[Part] = &[Part { offset: 0, length: u64::MAX }];

impl<R: Read> Read for Filled<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let [part, rest @ ..] = self.parts
            && part.offset + part.length <= self.at
        {
            self.parts = rest;
        }
        let next = self.parts.first().map_or(self.size, |part| part.offset.min(self.size));
        let is_hole = self.at < next;
        let end = match self.parts.first() {
            _ if is_hole => next,
            Some(part) => (part.offset + part.length).min(self.size),
            None => self.size,
        };
        let want = buf.len().min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
        let n = if is_hole {
            buf[..want].fill(0);
            want
        } else {
            self.data.read(&mut buf[..want])?
        };
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64, length: u64) -> Part {
        Part { offset, length }
    }

    #[test]
    fn maps_of_all_formats_are_read() {
        let expected = [part(0, 5), part(1024, 0), part(4096, 7)];
        assert_eq!(list(b"0,5,1024,0,4096,7").unwrap(), expected);
        assert_eq!(list(b"").unwrap(), []);
        let mut text = b"3\n0\n5\n1024\n0\n4096\n7\n".to_vec();
        text.resize(BLOCK, 0);
        text.extend_from_slice(b"data");
        let mut data = text.as_slice();
        assert_eq!(lines(&mut data).unwrap(), expected);
        assert_eq!(data, b"data", "the padding was read, and no more");
        let mut records = Records::default();
        for (key, value) in [
            ("size", "5000"),
            ("numblocks", "2"),
            ("offset", "0"),
            ("numbytes", "5"),
            ("offset", "9"),
            ("numbytes", "1"),
        ] {
            records.take(key.as_bytes(), value.as_bytes()).unwrap();
        }
        assert_eq!(records.map(&mut &b""[..]).unwrap(), Some((5000, vec![part(0, 5), part(9, 1)])));
        assert_eq!(Records::default().map(&mut &b""[..]).unwrap(), None);
    }

    #[test]
    fn a_map_that_lies_is_refused() {
        check(&[part(0, 5), part(5, 0), part(5, 5)], 10, 10).unwrap();
        for (parts, size, stored) in [
            (vec![part(0, 5), part(4, 1)], 10, 6),
            (vec![part(8, 5)], 10, 5),
            (vec![part(5, 5), part(0, 5)], 10, 10),
            (vec![part(0, 5)], 10, 6),
            (vec![part(u64::MAX, 5)], 10, 5),
            (vec![part(0, u64::MAX)], u64::MAX, u64::MAX),
        ] {
            assert!(check(&parts, size, stored).is_err(), "{parts:?}");
        }
        for bad in [&b"1"[..], b"1,", b"1,2,3", b"a,b", b"1,-2", b","] {
            assert!(list(bad).is_err(), "{}", bad.escape_ascii());
        }
        for bad in [&b"2\n1\n2\n"[..], b"x", b"99999999999999999999999999\n", b"1000000\n"] {
            assert!(lines(&mut &bad[..]).is_err(), "{}", bad.escape_ascii());
        }
        let mut records = Records::default();
        assert!(records.take(b"numbytes", b"1").is_err() && records.take(b"what", b"1").is_err());
    }
}

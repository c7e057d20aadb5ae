//! Reading a tar stream member by member.
//!
//! A member is a header block of 512 bytes and its data, padded to whole blocks. Names and numbers that do not fit are
//! sent ahead, in members of their own: GNU's long names (types `L` and `K`), or PAX records (type `x`). Two blocks of
//! zeros end the archive. The header's fields are read by the `tar` crate; what comes ahead is read here, because
//! the crate splits PAX records at newlines, which binary values hold, and reads them whole whatever their size.

use crate::archive::member::{Kind, Member};
use crate::archive::{header, sparse};
use anyhow::{Context, Result, bail};
use std::io::{self, Read};
use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// The most that may be sent ahead of a member: room for 64 KiB of each attribute, and not for filling the memory.
const MAX_AHEAD: u64 = 1 << 20;

/// What was sent ahead of a member.
#[derive(Default)]
struct Ahead {
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
}

impl Ahead {
    fn is_empty(&self) -> bool {
        self.long_path.is_none() && self.long_link.is_none() && self.pax.is_none()
    }
}

/// A tar stream. Reading from it reads the data of the member that [`TarReader::next`] gave last.
pub struct TarReader<R> {
    input: R,
    /// Data of the current member that was not read yet.
    left: u64,
    /// Zeros between it and the next header.
    padding: u64,
    /// Whether the stream may end without the zeros that mark the end.
    end_mark_optional: bool,
}

impl<R: Read> TarReader<R> {
    /// A reader of the archive that starts here.
    pub fn new(input: R) -> Self {
        TarReader { input, left: 0, padding: 0, end_mark_optional: false }
    }

    /// The same for a stream whose digest is known: if it lacks the end mark, then it never had one.
    pub fn of_known_digest(input: R) -> Self {
        TarReader { end_mark_optional: true, ..Self::new(input) }
    }

    /// The next member, or `None` at the end mark.
    ///
    /// # Errors
    /// A stream that ends without an end mark was cut short, even if it ends between two members.
    pub fn next(&mut self) -> Result<Option<Member>> {
        let mut ahead = Ahead::default();
        loop {
            let Some(header) = self.header()? else {
                if !ahead.is_empty() {
                    bail!("the archive ends where a member should follow its long name or PAX header");
                }
                return Ok(None);
            };
            let size = header.entry_size().context("read the size of a member")?;
            match header.entry_type() {
                EntryType::GNULongName => set_once(&mut ahead.long_path, self.text(size)?)?,
                EntryType::GNULongLink => set_once(&mut ahead.long_link, self.text(size)?)?,
                EntryType::XHeader => set_once(&mut ahead.pax, self.whole(size)?)?,
                EntryType::XGlobalHeader => header::check_global(&self.whole(size)?)?,
                _ => return self.member(&header, size, ahead).map(Some),
            }
        }
    }

    /// The next header block; `None` for a block of zeros.
    fn header(&mut self) -> Result<Option<Header>> {
        self.skip()?;
        let mut header = Header::new_old();
        match read_full(&mut self.input, header.as_mut_bytes()).context("read the archive")? {
            BLOCK => {}
            0 if self.end_mark_optional => return Ok(None),
            _ => bail!("the archive is cut short: it ends without the zeros that mark its end"),
        }
        let bytes = header.as_bytes();
        if is_zero(bytes) {
            return self.end_mark().map(|()| None);
        }
        // The sum of all bytes, those of the sum itself taken as spaces.
        let sum: u32 = bytes[..148].iter().chain(&bytes[156..]).map(|b| u32::from(*b)).sum::<u32>() + 8 * 32;
        if header.cksum().ok() != Some(sum) {
            bail!("this is no tar archive, or it is damaged: the checksum of a header is wrong");
        }
        Ok(Some(header))
    }

    /// The second half of the end mark. Some write none; but what is neither it nor the end would be read by some and not by
    /// others.
    fn end_mark(&mut self) -> Result<()> {
        let mut block = [0; BLOCK];
        let n = read_full(&mut self.input, &mut block).context("read the archive")?;
        if !is_zero(&block[..n]) {
            bail!("the archive is damaged: a block of zeros, which is half of an end mark, stands between two members");
        }
        Ok(())
    }

    /// Passes over what is left of the current member.
    fn skip(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.left);
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink()).context("read the archive")?;
        let padding = std::mem::take(&mut self.padding);
        let padded = io::copy(&mut (&mut self.input).take(padding), &mut io::sink()).context("read the archive")?;
        // Who writes no end mark (umoci) may not pad the last member either.
        if skipped < rest || (padded < padding && !self.end_mark_optional) {
            bail!("the archive is cut short: it ends inside of a member");
        }
        Ok(())
    }

    /// Starts a member's data.
    fn start(&mut self, size: u64) -> Result<()> {
        // A size beyond what a file can have would overflow the sums below.
        if size > i64::MAX as u64 {
            bail!("a member says that it has {size} bytes");
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    /// The whole data of something that was sent ahead.
    fn whole(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_AHEAD {
            bail!("a long name or PAX header of {size} bytes: more than {MAX_AHEAD} are not accepted");
        }
        self.start(size)?;
        let mut bytes = Vec::with_capacity(size as usize);
        self.read_to_end(&mut bytes).context("read the archive")?;
        Ok(bytes)
    }

    /// The same, up to the first NUL.
    fn text(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut bytes = self.whole(size)?;
        bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
        Ok(bytes)
    }

    fn member(&mut self, header: &Header, stored: u64, ahead: Ahead) -> Result<Member> {
        let mut member = header::read(header, stored)?;
        let mut records = sparse::Records::default();
        if let Some(path) = ahead.long_path {
            member.path = path;
        }
        if let Some(link) = ahead.long_link {
            member.link = link;
        }
        if let Some(pax) = ahead.pax {
            let failed = || format!("read {}", header.path_bytes().escape_ascii());
            header::apply_pax(&mut member, &pax, &mut records).with_context(failed)?;
        }
        if let Some(name) = records.name.take() {
            member.path = name;
        }
        if member.path.contains(&0) || member.link.contains(&0) {
            bail!("read {}: its name holds a NUL", member.path.escape_ascii());
        }
        // Before there was a type for folders, a slash at the end said it.
        if member.kind == Kind::File && member.path.ends_with(b"/") {
            member.kind = Kind::Dir;
        }
        // Only files have data. Some archivers give a hard link its file's size, and no data after it.
        if member.kind != Kind::File {
            member.size = 0;
        }
        self.data(header, &mut member, records).with_context(|| format!("read {}", member.path.escape_ascii()))?;
        Ok(member)
    }

    /// Starts the data of a member. Of a sparse file it is the parts that are not holes, one after the other.
    fn data(&mut self, header: &Header, member: &mut Member, records: sparse::Records) -> Result<()> {
        let is_file = member.kind == Kind::File;
        let old = match header.entry_type() {
            EntryType::GNUSparse => {
                let gnu = header.as_gnu().context("a sparse file that is none of GNU tar's")?;
                Some(sparse::old_gnu(gnu, &mut self.input)?)
            }
            _ => None,
        };
        self.start(member.size)?;
        let map = records.map(self)?;
        if let Some((size, parts)) = old.or(map).filter(|_| is_file) {
            sparse::check(&parts, size, self.left)?;
            (member.size, member.parts) = (size, Some(parts));
        }
        Ok(())
    }

    /// Reads what follows the end mark (padding, as a rule) and gives the input back.
    pub fn finish(mut self) -> Result<R> {
        self.skip()?;
        io::copy(&mut self.input, &mut io::sink()).context("read the archive")?;
        Ok(self.input)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buf[..want])?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive is cut short: it ends inside of a member",
            ));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Fills the buffer as far as the input goes.
pub fn read_full(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match input.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

fn set_once(slot: &mut Option<Vec<u8>>, value: Vec<u8>) -> Result<()> {
    if slot.replace(value).is_some() {
        bail!("two headers of the same kind are sent ahead of one member");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::pax;

    fn header(path: &str, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o640);
        header.set_cksum();
        header
    }

    fn archive(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<Member>> {
        let mut reader = TarReader::new(bytes);
        let mut members = Vec::new();
        while let Some(member) = reader.next()? {
            members.push(member);
        }
        reader.finish()?;
        Ok(members)
    }

    const END: &[u8] = &[0; 1024];

    #[test]
    fn what_is_sent_ahead_replaces_what_the_header_says() {
        let mut records = Vec::new();
        pax::push(&mut records, b"path", b"long/\xff");
        pax::push(&mut records, b"uid", b"4000000000");
        pax::push(&mut records, b"mtime", b"1.5");
        pax::push(&mut records, b"SCHILY.xattr.security.capability", b"\x01\n\0=");
        let ahead = header("PaxHeader", EntryType::XHeader, records.len() as u64);
        let file = header("short", EntryType::Regular, 3);
        let members = read_all(&archive(&[ahead.as_bytes(), &records, file.as_bytes(), b"abc", END])).unwrap();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].path, b"long/\xff");
        assert_eq!((members[0].uid, members[0].mtime, members[0].size), (4_000_000_000, (1, 500_000_000), 3));
        assert_eq!(members[0].xattrs, [(b"security.capability".to_vec(), b"\x01\n\0=".to_vec())]);
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_refused() {
        let file = header("a", EntryType::Regular, 3);
        let whole = archive(&[file.as_bytes(), b"abc", END]);
        assert_eq!(read_all(&whole).unwrap().len(), 1);
        for length in 0..=1024 {
            assert!(read_all(&whole[..length]).is_err(), "cut to {length} bytes");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let long = header("././@LongLink", EntryType::GNULongName, 2);
        let big = header("x", EntryType::XHeader, MAX_AHEAD + 1);
        let link = header("x", EntryType::Link, 3);
        for parts in [
            vec![long.as_bytes().as_slice(), b"a\0", long.as_bytes(), b"b\0", END],
            vec![long.as_bytes(), b"a\0", END],
            vec![big.as_bytes(), END],
            vec![link.as_bytes(), b"abc", END],
        ] {
            assert!(read_all(&archive(&parts)).is_err());
        }
        let mut damaged = archive(&[header("a", EntryType::Regular, 0).as_bytes(), END]);
        damaged[0] = b'b';
        assert!(read_all(&damaged).is_err());
    }
}

//! Writing a tar stream: a ustar header for what fits into one, PAX records ahead of it for what does not.
//!
//! The same members give the same bytes: no time of writing, no user names, records in a fixed order.

use crate::archive::member::{Kind, Member};
use crate::archive::pax;
use anyhow::{Context, Result, bail};
use std::io::{self, Read, Write};
use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// The largest number in seven and in eleven octal digits.
const MAX_ID: u32 = 0o7_777_777;
const MAX_SIZE: u64 = 0o77_777_777_777;

/// A tar stream that is being written.
pub struct TarWriter<W> {
    out: W,
}

impl<W: Write> TarWriter<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        TarWriter { out }
    }

    /// Writes a member. Of `data` exactly [`Member::size`] bytes are taken; if it ends before, zeros are written in their
    /// place, as GNU tar does: a file may shrink while it is read.
    pub fn append(&mut self, member: &Member, data: &mut impl Read) -> Result<()> {
        let (header, records) = encode(member).with_context(|| format!("write {}", member.path.escape_ascii()))?;
        if !records.is_empty() {
            let mut ahead = Header::new_ustar();
            ahead.as_old_mut().name[..9].copy_from_slice(b"PaxHeader");
            ahead.set_entry_type(EntryType::XHeader);
            ahead.set_mode(0o644);
            ahead.set_uid(0);
            ahead.set_gid(0);
            ahead.set_mtime(0);
            ahead.set_size(records.len() as u64);
            ahead.set_cksum();
            self.out.write_all(ahead.as_bytes()).context("write the archive")?;
            self.padded(records.len() as u64, &mut records.as_slice())?;
        }
        self.out.write_all(header.as_bytes()).context("write the archive")?;
        self.padded(member.size, data)
    }

    fn padded(&mut self, size: u64, data: &mut impl Read) -> Result<()> {
        let copied = io::copy(&mut data.take(size), &mut self.out).context("write the archive")?;
        let zeros = size.next_multiple_of(BLOCK) - copied;
        io::copy(&mut io::repeat(0).take(zeros), &mut self.out).context("write the archive")?;
        Ok(())
    }

    /// Writes the end mark and gives the output back.
    pub fn finish(mut self) -> Result<W> {
        self.out.write_all(&[0; 2 * BLOCK as usize]).context("write the archive")?;
        Ok(self.out)
    }
}

fn encode(member: &Member) -> Result<(Header, Vec<u8>)> {
    let mut records = Vec::new();
    let mut header = Header::new_ustar();
    if !put_path(&mut header, &member.path) {
        pax::push(&mut records, b"path", &member.path);
    }
    if member.link.len() <= 100 {
        header.as_old_mut().linkname[..member.link.len()].copy_from_slice(&member.link);
    } else {
        pax::push(&mut records, b"linkpath", &member.link);
    }
    if member.size > MAX_SIZE {
        pax::push(&mut records, b"size", member.size.to_string().as_bytes());
    }
    for (key, id) in [("uid", member.uid), ("gid", member.gid)] {
        if id > MAX_ID {
            pax::push(&mut records, key.as_bytes(), id.to_string().as_bytes());
        }
    }
    let (seconds, _) = member.mtime;
    if !(0..=MAX_SIZE as i64).contains(&seconds) {
        pax::push(&mut records, b"mtime", seconds.to_string().as_bytes());
    }
    for (name, value) in &member.xattrs {
        if name.contains(&b'=') {
            bail!("its attribute {} cannot be written into a tar", name.escape_ascii());
        }
        pax::push(&mut records, &[pax::XATTR, name].concat(), value);
    }
    let (kind, device) = match member.kind {
        Kind::File => (EntryType::Regular, None),
        Kind::Dir => (EntryType::Directory, None),
        Kind::Symlink => (EntryType::Symlink, None),
        Kind::Hardlink => (EntryType::Link, None),
        Kind::Fifo => (EntryType::Fifo, None),
        Kind::CharDevice(major, minor) => (EntryType::Char, Some((major, minor))),
        Kind::BlockDevice(major, minor) => (EntryType::Block, Some((major, minor))),
    };
    header.set_entry_type(kind);
    if let Some((major, minor)) = device {
        header.set_device_major(major).context("write its device number")?;
        header.set_device_minor(minor).context("write its device number")?;
    }
    header.set_mode(member.mode);
    header.set_uid(u64::from(member.uid.min(MAX_ID)));
    header.set_gid(u64::from(member.gid.min(MAX_ID)));
    header.set_size(member.size.min(MAX_SIZE));
    header.set_mtime(seconds.clamp(0, MAX_SIZE as i64) as u64);
    header.set_cksum();
    Ok((header, records))
}

/// Puts a path into the header's two fields, 155 bytes and 100 with a slash between; says whether it fits.
fn put_path(header: &mut Header, path: &[u8]) -> bool {
    let split = match path.len() {
        0..=100 => 0,
        // A name of one byte at least, and not the slash at the end of a folder's.
        length => match (length.saturating_sub(101)..=155.min(length - 2)).find(|at| path[*at] == b'/') {
            Some(at) => at + 1,
            None => {
                header.as_old_mut().name.copy_from_slice(&path[..100]);
                return false;
            }
        },
    };
    let Some(ustar) = header.as_ustar_mut() else { return false };
    let prefix = &path[..split.saturating_sub(1)];
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);
    let name = &path[split..];
    ustar.name[..name.len()].copy_from_slice(name);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::read::TarReader;

    fn member(path: &[u8]) -> Member {
        Member {
            path: path.to_vec(),
            kind: Kind::File,
            link: Vec::new(),
            mode: 0o4755,
            uid: 1,
            gid: 2,
            size: 0,
            parts: None,
            mtime: (1_700_000_000, 0),
            xattrs: Vec::new(),
        }
    }

    fn round_trip(member: &Member, data: &[u8]) -> (Member, Vec<u8>) {
        let mut writer = TarWriter::new(Vec::new());
        writer.append(member, &mut &*data).unwrap();
        let bytes = writer.finish().unwrap();
        let mut reader = TarReader::new(&bytes[..]);
        let read = reader.next().unwrap().unwrap();
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert_eq!(reader.next().unwrap(), None);
        (read, content)
    }

    #[test]
    fn paths_of_every_length_read_back() {
        for length in 1..400 {
            for separator in [0, 7, 50, 99, 100, 101, 154, 155, 156, 254] {
                let mut path = vec![b'\xfe'; length];
                if separator > 0 && separator < length {
                    path[separator] = b'/';
                }
                assert_eq!(round_trip(&member(&path), b"").0.path, path, "{length} {separator}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_a_header_reads_back() {
        let mut big = member(b"x");
        (big.uid, big.gid, big.mtime) = (4_000_000_000, 2_097_152, (-5, 0));
        big.xattrs = vec![(b"security.capability".to_vec(), vec![0, 10, 61, 255]), (b"user.e".to_vec(), vec![])];
        assert_eq!(round_trip(&big, b"").0, big);
        let mut link = member(b"l");
        (link.kind, link.link) = (Kind::Symlink, vec![b'x'; 300]);
        assert_eq!(round_trip(&link, b"").0, link);
        for kind in [Kind::CharDevice(5, 300), Kind::BlockDevice(259, 70000), Kind::Fifo, Kind::Dir, Kind::Hardlink] {
            let device = Member { kind, ..member(b"dev") };
            assert_eq!(round_trip(&device, b"").0, device);
        }
    }

    #[test]
    fn a_file_that_shrank_is_filled_up() {
        let file = Member { size: 700, ..member(b"f") };
        let (read, content) = round_trip(&file, b"abc");
        assert_eq!((read.size, content.len(), &content[..4]), (700, 700, &b"abc\0"[..]));
    }
}

//! What a header says: the fields of its 512 bytes, and the PAX records that take their place.

use crate::archive::member::{Kind, Member};
use crate::archive::{pax, sparse};
use anyhow::{Context, Result, bail};
use std::io;
use tar::{EntryType, Header};

/// The member that a header describes, whose data has `size` bytes in the archive.
pub fn read(header: &Header, size: u64) -> Result<Member> {
    let path = header.path_bytes().into_owned();
    let failed = |what: &str| format!("read the {what} of {}", path.escape_ascii());
    let device = || -> Result<(u32, u32)> {
        let number = |field: io::Result<Option<u32>>| Ok(field?.unwrap_or(0));
        number(header.device_major()).and_then(|major| Ok((major, number(header.device_minor())?)))
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::Hardlink,
        EntryType::Char => device().map(|(a, b)| Kind::CharDevice(a, b)).with_context(|| failed("device number"))?,
        EntryType::Block => device().map(|(a, b)| Kind::BlockDevice(a, b)).with_context(|| failed("device number"))?,
        EntryType::Fifo => Kind::Fifo,
        other => bail!("read {}: unknown type of member {:?}", path.escape_ascii(), other.as_byte() as char),
    };
    let old = header.as_old();
    let id = |field: &[u8], value: io::Result<u64>, what: &str| -> Result<u32> {
        let value = number(field, value).with_context(|| failed(what))?;
        check_id(value).with_context(|| failed(what))
    };
    Ok(Member {
        kind,
        link: header.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default(),
        mode: (number(&old.mode, header.mode().map(u64::from)).with_context(|| failed("mode"))? & 0o7777) as u32,
        uid: id(&old.uid, header.uid(), "owner")?,
        gid: id(&old.gid, header.gid(), "group")?,
        size,
        // Times before 1970 are written as two's complement, so the cast is what is meant.
        mtime: (number(&old.mtime, header.mtime()).with_context(|| failed("time"))? as i64, 0),
        xattrs: Vec::new(),
        parts: None,
        path,
    })
}

/// A number field; one of blanks is zero.
fn number(field: &[u8], value: io::Result<u64>) -> Result<u64> {
    if field.iter().all(|b| matches!(b, 0 | b' ')) {
        return Ok(0);
    }
    Ok(value?)
}

/// -1 means "leave it as it is" to chown(2), so it can own nothing.
fn check_id(id: u64) -> Result<u32> {
    match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => bail!("{id} is more than the kernel can store"),
    }
}

/// Applies the PAX records that were sent ahead of a member; what they say of its holes goes to `sparse`.
pub fn apply_pax(member: &mut Member, records: &[u8], sparse: &mut sparse::Records) -> Result<()> {
    for pax::Record { key, value } in pax::parse(records)? {
        let failed = || format!("read the PAX record {}", key.escape_ascii());
        match key {
            // POSIX: as if the record were not there.
            _ if value.is_empty() && !key.starts_with(pax::XATTR) => {}
            b"path" => member.path = value.to_vec(),
            b"linkpath" => member.link = value.to_vec(),
            b"size" => member.size = pax::parse_number(value).with_context(failed)?,
            b"uid" => member.uid = check_id(pax::parse_number(value).with_context(failed)?).with_context(failed)?,
            b"gid" => member.gid = check_id(pax::parse_number(value).with_context(failed)?).with_context(failed)?,
            b"mtime" => member.mtime = pax::parse_time(value).with_context(failed)?,
            b"SCHILY.realsize" => bail!("a sparse file in star's own format, which is not supported"),
            _ => {
                if let Some(rest) = key.strip_prefix(b"GNU.sparse.") {
                    sparse.take(rest, value).with_context(failed)?;
                }
                if let Some(name) = key.strip_prefix(pax::XATTR) {
                    member.xattrs.push((name.to_vec(), value.to_vec()));
                }
                // POSIX: keys that are not known are passed over (atime, uname, comment, ...).
            }
        }
    }
    Ok(())
}

/// A global PAX header speaks of all members that follow. `git archive` writes its commit there, as a comment; anything
/// that changes what members are is refused, because other readers of layers pass over it.
pub fn check_global(records: &[u8]) -> Result<()> {
    for record in pax::parse(records)? {
        if !matches!(record.key, b"comment" | b"hdrcharset" | b"charset") {
            bail!("a global PAX header sets {} for all members, which is not supported", record.key.escape_ascii());
        }
    }
    Ok(())
}

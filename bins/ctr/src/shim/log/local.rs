//! The format of docker's local driver: a record is a length, a protocol buffer, and the length again, so that a
//! file can be read from its end as well. Lengths are four bytes, big endian.
//!
//! The message (docker's `LogEntry`) has five fields, of which we write what docker does: 1 the stream, 2 the time in
//! nanoseconds, 3 the line, 4 whether it is a part of a long line, and 5 of which one, and whether it ends with it.

use super::lines::Line;

/// The bytes of one length.
pub const LENGTH: usize = 4;

/// Writes one line.
pub fn encode(out: &mut Vec<u8>, line: &Line) {
    let begin = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    bytes(out, 1, line.stream.as_bytes());
    let time = layout::time::parse(line.time).map_or(0, |time| time.as_nanosecond());
    number(out, 2, time as u64);
    bytes(out, 3, line.text);
    if let Some(part) = line.part {
        number(out, 4, 1);
        let mut about = Vec::new();
        if part.last {
            number(&mut about, 1, 1);
        }
        bytes(&mut about, 2, format!("{:016x}", part.line).as_bytes());
        number(&mut about, 3, part.ordinal.into());
        bytes(out, 5, &about);
    }
    let length = ((out.len() - begin - LENGTH) as u32).to_be_bytes();
    out[begin..begin + LENGTH].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

/// A field that holds a number.
fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint(out, value);
}

/// A field that holds bytes.
fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Seven bits a byte, the lowest first; all bytes but the last have the eighth bit set.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An entry as it is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// On which stream.
    pub stream: String,
    /// When: nanoseconds since 1970.
    pub time: i64,
    /// What was written, its newline with it.
    pub text: Vec<u8>,
}

/// Reads a message, without its lengths; `None` when it is none.
pub fn decode(message: &[u8]) -> Option<Entry> {
    let (mut entry, mut rest) = (Entry::default(), message);
    let (mut partial, mut last) = (false, false);
    while !rest.is_empty() {
        match field(&mut rest)? {
            (1, Value::Bytes(stream)) => entry.stream = String::from_utf8_lossy(stream).into_owned(),
            (2, Value::Number(time)) => entry.time = time as i64,
            (3, Value::Bytes(text)) => entry.text = text.to_vec(),
            (4, Value::Number(value)) => partial = value != 0,
            (5, Value::Bytes(mut about)) => {
                while !about.is_empty() {
                    if let (1, Value::Number(value)) = field(&mut about)? {
                        last = value != 0;
                    }
                }
            }
            _ => {}
        }
    }
    if !partial || last {
        entry.text.push(b'\n');
    }
    Some(entry)
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = read_varint(rest)?;
    let value = match key & 7 {
        0 => Value::Number(read_varint(rest)?),
        2 => {
            let length = usize::try_from(read_varint(rest)?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::lines::Part;
    use super::*;

    fn encoded(part: Option<Part>) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, &Line { stream: "stdout", time: "2001-09-09T01:46:40.000000001Z", text: b"hi", part });
        out
    }

    #[test]
    fn a_record_is_dockers_byte_for_byte() {
        let message = b"\x0a\x06stdout\x10\x81\x80\x90\xbb\xba\xd6\xad\xf0\x0d\x1a\x02hi";
        let length = (message.len() as u32).to_be_bytes();
        assert_eq!(encoded(None), [&length, &message[..], &length].concat());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let read = |part| {
            let record = encoded(part);
            decode(&record[LENGTH..record.len() - LENGTH]).unwrap()
        };
        let entry = Entry { stream: "stdout".into(), time: 1_000_000_000_000_000_001, text: b"hi\n".to_vec() };
        assert_eq!(read(None), entry);
        assert_eq!(read(Some(Part { line: 3, ordinal: 2, last: true })), entry);
        assert_eq!(read(Some(Part { line: 3, ordinal: 1, last: false })).text, b"hi");
        for bad in [&b"\x0a\x09st"[..], b"\x80", b"\x0d"] {
            assert_eq!(decode(bad), None);
        }
    }
}

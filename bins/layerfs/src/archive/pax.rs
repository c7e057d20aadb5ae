//! PAX records: `LENGTH KEY=VALUE\n`, how a tar says what does not fit into its header of 512 bytes.
//!
//! The length counts the whole record, its own digits included, so a value may hold any byte, newlines too:
//! `security.capability` is such a value. (POSIX, pax, "pax Extended Header".)

use anyhow::{Context, Result, bail};

/// The key of an extended attribute, less its name, as star, GNU tar and docker write it.
pub const XATTR: &[u8] = b"SCHILY.xattr.";

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is about: `path`, `mtime`, `SCHILY.xattr.user.x`.
    pub key: &'a [u8],
    /// Any bytes.
    pub value: &'a [u8],
}

/// Reads all records of an extended header.
pub fn parse(mut bytes: &[u8]) -> Result<Vec<Record<'_>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = parse_one(bytes).context("read a PAX record")?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

fn parse_one(bytes: &[u8]) -> Result<(Record<'_>, &[u8])> {
    let space = bytes.iter().take(20).position(|b| *b == b' ').context("it has no length")?;
    let length: usize = parse_number(&bytes[..space]).context("its length is no number")?;
    if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        bail!("its length {length} is wrong");
    }
    let body = &bytes[space + 1..length - 1];
    let equals = body.iter().position(|b| *b == b'=').context("it has no =")?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    if key.is_empty() {
        bail!("it has no key");
    }
    Ok((Record { key, value }, &bytes[length..]))
}

/// Reads a number in decimal digits and nothing else.
pub fn parse_number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads a time, `-?SECONDS[.FRACTION]`, as seconds rounded down and nanoseconds.
pub fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let mut parts = text.splitn(2, |b| *b == b'.');
    let seconds: i64 = parse_number(parts.next()?)?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = (0..9).fold(0, |n, i| n * 10 + u32::from(fraction.get(i).map_or(0, |b| b - b'0')));
    match (negative, nanoseconds) {
        (false, n) => Some((seconds, n)),
        (true, 0) => Some((-seconds, 0)),
        (true, n) => Some((-seconds - 1, 1_000_000_000 - n)),
    }
}

/// Appends one record.
pub fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    // The length counts its own digits: the number of digits that makes this true.
    let digits = (1..20).find(|digits| (rest + digits).to_string().len() == *digits).unwrap_or(20);
    out.extend_from_slice((rest + digits).to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_length_read_back_as_they_were_written() {
        for length in 0..1200 {
            let value = vec![b'\n'; length];
            let mut bytes = Vec::new();
            push(&mut bytes, b"SCHILY.xattr.user.x", &value);
            push(&mut bytes, b"path", b"\xff=\0 ");
            let records = parse(&bytes).unwrap();
            assert_eq!(records.len(), 2);
            assert_eq!((records[0].key, records[0].value), (&b"SCHILY.xattr.user.x"[..], &value[..]));
            assert_eq!(records[1].value, b"\xff=\0 ");
        }
    }

    #[test]
    fn broken_records_are_refused() {
        for bad in [
            &b"x"[..],
            b"9 a=b\n",
            b"5 a=b\n",
            b"-6 a=b\n",
            b"6 a=b ",
            b"5 =b\n",
            b"5 ab\n",
            b"99999999999999999999999 a=b\n",
        ] {
            assert!(parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn times_are_read_to_the_nanosecond_and_before_1970() {
        assert_eq!(parse_time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(parse_time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(parse_time(b"-3"), Some((-3, 0)));
        assert_eq!(parse_time(b"7.1234567899"), Some((7, 123_456_789)));
        for bad in [&b""[..], b"1.x", b"x", b"1e3", b"--1"] {
            assert_eq!(parse_time(bad), None);
        }
    }
}

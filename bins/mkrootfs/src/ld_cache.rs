//! `/etc/ld.so.cache`: the loader's list of libraries, as ldconfig(8) writes it.
//!
//! Looking through every folder for each library would be slow, so the loader asks one sorted file. Its form
//! (glibc's `dl-cache.h`; all numbers little-endian here):
//!
//! ```text
//! 0   "glibc-ld.so.cache1.1"        20 bytes
//! 20  number of entries, size of the strings, flags (2: little-endian), extensions, unused
//! 48  entries of 24 bytes: flags, offset of the name, offset of the path, osversion, hwcap
//!     the strings, each ended by NUL; offsets count from the start of the file
//! ```
//!
//! An older form of the file may come first (`ld.so-1.7.0`); the newer one then follows it.
//!
//! The root filesystem gets a cache of its own, with exactly the libraries that are in it: so the loader
//! finds those that are not in one of its default folders.

use anyhow::{Context, Result, bail};
use std::cmp::Ordering;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const LITTLE_ENDIAN: u8 = 2;

/// One library in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name that programs ask for.
    pub soname: String,
    /// The file.
    pub path: String,
    /// For which kind of program it is: see [`flags_of`].
    pub flags: u32,
    /// Not 0: only for processors with certain abilities. A root filesystem should run on any, so such
    /// entries are not used.
    pub hwcap: u64,
}

/// The flags of a library for the processor that `e_machine` numbers, in glibc's `ldconfig.h`.
pub fn flags_of(machine: u16) -> Option<u32> {
    match machine {
        62 => Some(0x0303),  // x86-64
        183 => Some(0x0a03), // arm64
        243 => Some(0x1003), // riscv64, double float
        _ => None,
    }
}

/// Reads a cache.
///
/// # Errors
/// A file of another form, or one whose offsets lead out of it.
pub fn parse(file: &[u8]) -> Result<Vec<Entry>> {
    let start = if file.starts_with(OLD_MAGIC) {
        file.windows(MAGIC.len()).position(|w| w == MAGIC).context("holds only the old form of the cache")?
    } else {
        0
    };
    let file = &file[start..];
    if !file.starts_with(MAGIC) {
        bail!("is not a loader cache of the form {}", String::from_utf8_lossy(MAGIC));
    }
    let count = number(file, 20)? as usize;
    let end = count.checked_mul(ENTRY).and_then(|size| size.checked_add(HEADER)).context("count its entries")?;
    let entries = file.get(HEADER..end).with_context(|| format!("claims {count} entries and ends before them"))?;
    entries
        .chunks_exact(ENTRY)
        .map(|entry| {
            let hwcap = u64::from(number(entry, 16)?) | u64::from(number(entry, 20)?) << 32;
            let (soname, path) = (string(file, number(entry, 4)?)?, string(file, number(entry, 8)?)?);
            Ok(Entry { soname, path, flags: number(entry, 0)?, hwcap })
        })
        .collect()
}

/// Writes a cache with these entries.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    // The loader searches by halves, in a list that goes down.
    sorted.sort_by(|a, b| compare(&b.soname, &a.soname).then_with(|| a.path.cmp(&b.path)));

    let start_of_strings = HEADER + sorted.len() * ENTRY;
    let (mut table, mut strings) = (Vec::new(), Vec::new());
    for entry in &sorted {
        let mut add = |text: &str| {
            let at = (start_of_strings + strings.len()) as u32;
            strings.extend([text.as_bytes(), b"\0"].concat());
            at
        };
        let (soname, path) = (add(&entry.soname), add(&entry.path));
        table.extend([entry.flags, soname, path, 0].map(u32::to_le_bytes).concat());
        table.extend(entry.hwcap.to_le_bytes());
    }
    let mut file = MAGIC.to_vec();
    file.extend([sorted.len() as u32, strings.len() as u32].map(u32::to_le_bytes).concat());
    file.push(LITTLE_ENDIAN);
    file.resize(HEADER, 0);
    [file, table, strings].concat()
}

/// The order of the cache: as text, but runs of digits as numbers, so that `libx.so.10` follows `libx.so.9`.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let order = match (a.first(), b.first()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                take_number(&mut a).cmp(&take_number(&mut b))
            }
            // The loader ranks digits above everything else.
            (Some(x), _) if x.is_ascii_digit() => Ordering::Greater,
            (_, Some(y)) if y.is_ascii_digit() => Ordering::Less,
            (Some(x), Some(y)) => {
                (a, b) = (&a[1..], &b[1..]);
                x.cmp(y)
            }
            (x, y) => return x.cmp(&y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn take_number(text: &mut &[u8]) -> u128 {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    number.iter().fold(0, |sum: u128, digit| sum.saturating_mul(10).saturating_add(u128::from(digit - b'0')))
}

fn number(bytes: &[u8], at: usize) -> Result<u32> {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk()).context("the cache ends too early")?;
    Ok(u32::from_le_bytes(*four))
}

fn string(file: &[u8], offset: u32) -> Result<String> {
    let rest = file.get(offset as usize..).with_context(|| format!("offset {offset} leads out of the cache"))?;
    let end = rest.iter().position(|b| *b == 0).context("a name in the cache does not end")?;
    Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(soname: &str) -> Entry {
        Entry { soname: soname.into(), path: format!("/usr/lib/{soname}"), flags: 0x0303, hwcap: 0 }
    }

    #[test]
    fn what_is_written_is_read_back_in_the_loaders_order() {
        let names = ["libc.so.6", "libx.so.9", "libx.so.10", "liba.so", "libxy.so.1"];
        let file = write(&names.map(entry));
        let found: Vec<String> = parse(&file).unwrap().into_iter().map(|e| e.soname).collect();
        assert_eq!(found, ["libxy.so.1", "libx.so.10", "libx.so.9", "libc.so.6", "liba.so"]);
        assert_eq!(parse(&file).unwrap()[3], entry("libc.so.6"));
    }

    #[test]
    fn the_newer_form_is_found_behind_the_older() {
        let file = [&b"ld.so-1.7.0\0....."[..], &write(&[entry("libc.so.6")])].concat();
        assert_eq!(parse(&file).unwrap(), [entry("libc.so.6")]);
    }

    #[test]
    fn broken_caches_are_errors_and_never_panics() {
        let good = write(&[entry("libc.so.6"), entry("libm.so.6")]);
        assert!(parse(b"").is_err() && parse(b"ld.so-1.7.0").is_err() && parse(b"text").is_err());
        for length in 0..good.len() {
            assert!(parse(&good[..length]).is_err(), "{length}");
        }
        for at in 0..good.len() {
            let mut broken = good.clone();
            broken[at] = 0xff;
            let _ = parse(&broken);
        }
    }
}

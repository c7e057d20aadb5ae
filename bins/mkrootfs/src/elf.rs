//! A small ELF reader: which loader and which libraries a file asks for.
//!
//! An ELF file (elf(5)) starts with a header, which says where the *program headers* are: one line for each
//! part of the file that matters when it is run. Three kinds of them concern us:
//!
//! - `PT_INTERP`: the path of the loader, the program that the kernel really starts;
//! - `PT_DYNAMIC`: a table of (tag, value) for that loader. `DT_NEEDED` names a library, `DT_RPATH` and
//!   `DT_RUNPATH` folders to look for it, `DT_SONAME` is what the file itself is called as a library;
//! - `PT_LOAD`: which bytes of the file go where in memory. The table speaks of memory addresses, so
//!   these are needed to find the names (in the string table, `DT_STRTAB`) in the file.
//!
//! The file may be anything: every offset is checked, every size is bounded, and whatever does not fit is an
//! error, never a panic. Read are 64-bit little-endian files: x86-64, arm64, riscv64.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::fs::FileExt;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// Sizes of the fixed structures of a 64-bit file.
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const DYNAMIC_ENTRY: usize = 16;

/// Larger tables than these have never been seen; a file that claims one is broken.
const MOST_PROGRAM_HEADERS: usize = 1024;
const MOST_DYNAMIC: u64 = 1 << 20;
const MOST_STRINGS: u64 = 64 << 20;
const LONGEST_PATH: u64 = 4096;

/// What a file asks for when it is run or loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elf {
    /// The processor it is for, as `e_machine` numbers them: 62 is x86-64, 183 arm64, 243 riscv64.
    pub machine: u16,
    /// The loader (`PT_INTERP`). Libraries and static programs have none.
    pub interpreter: Option<String>,
    /// Its name as a library (`DT_SONAME`).
    pub soname: Option<String>,
    /// The libraries it names (`DT_NEEDED`), in order.
    pub needed: Vec<String>,
    /// Folders from the older `DT_RPATH`: searched for its libraries and for theirs.
    pub rpath: Vec<String>,
    /// Folders from `DT_RUNPATH`: searched for its own libraries only. `None` if there is no such tag.
    pub runpath: Option<Vec<String>>,
    /// The end of the last byte in the file that is ever loaded or read to load it. Behind it are the tables for
    /// linkers and debuggers.
    pub end: u64,
}

/// Reads a file; `None` if it is no ELF file at all.
///
/// # Errors
/// A file that starts like ELF and is broken, or of a class that is not read here (32-bit, big-endian).
pub fn read(file: &File) -> Result<Option<Elf>> {
    let image = Image { file, size: file.metadata().context("stat")?.len() };
    if image.size < 4 || image.bytes(0, 4)? != *b"\x7fELF" {
        return Ok(None);
    }
    let header = image.bytes(0, HEADER as u64).context("read the ELF header")?;
    if (header[4], header[5]) != (2, 1) {
        bail!("is an ELF file of another class: only 64-bit little-endian ones are read");
    }
    let segments = image.segments(&header)?;
    let interpreter = match segments.iter().find(|s| s.kind == PT_INTERP) {
        Some(segment) if segment.file_size > LONGEST_PATH => bail!("the path of its loader is too long"),
        Some(segment) => Some(text(&image.bytes(segment.offset, segment.file_size).context("read PT_INTERP")?)?),
        None => None,
    };
    let headers_end = u64_at(&header, 32)?.saturating_add((segments.len() * PROGRAM_HEADER) as u64);
    let end = segments.iter().map(|s| s.offset.saturating_add(s.file_size)).fold(headers_end, u64::max);
    let mut elf = Elf { machine: u16_at(&header, 18)?, interpreter, end, ..Elf::default() };
    if let Some(dynamic) = segments.iter().find(|s| s.kind == PT_DYNAMIC) {
        image.dynamic(dynamic, &segments, &mut elf)?;
    }
    Ok(Some(elf))
}

/// The name of a processor, of its `e_machine`.
pub fn machine_name(machine: u16) -> String {
    match machine {
        3 => "i386".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86-64".to_owned(),
        183 => "arm64".to_owned(),
        243 => "riscv64".to_owned(),
        other => format!("processor {other}"),
    }
}

/// The `e_machine` of the processor that this program was built for.
pub fn own_machine() -> u16 {
    match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        "riscv64" => 243,
        _ => 0,
    }
}

/// One program header.
struct Segment {
    kind: u32,
    /// Where its bytes are in the file, and how many.
    offset: u64,
    file_size: u64,
    /// Where they are put in memory.
    address: u64,
}

/// A file with bounds.
struct Image<'a> {
    file: &'a File,
    size: u64,
}

impl Image<'_> {
    /// `length` bytes at `offset`; an error if the file does not have them.
    fn bytes(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => {}
            _ => bail!("bytes {offset}+{length} are past the end of the file ({} bytes)", self.size),
        }
        let mut bytes = vec![0; usize::try_from(length).context("length")?];
        self.file.read_exact_at(&mut bytes, offset).with_context(|| format!("read at {offset}"))?;
        Ok(bytes)
    }

    fn segments(&self, header: &[u8]) -> Result<Vec<Segment>> {
        let (offset, size, count) = (u64_at(header, 32)?, u16_at(header, 54)?, u16_at(header, 56)? as usize);
        if count == 0 {
            return Ok(Vec::new());
        }
        if size as usize != PROGRAM_HEADER || count > MOST_PROGRAM_HEADERS {
            bail!("has {count} program headers of {size} bytes each");
        }
        let table = self.bytes(offset, (count * PROGRAM_HEADER) as u64).context("read the program headers")?;
        table
            .chunks_exact(PROGRAM_HEADER)
            .map(|h| {
                Ok(Segment {
                    kind: u32_at(h, 0)?,
                    offset: u64_at(h, 8)?,
                    address: u64_at(h, 16)?,
                    file_size: u64_at(h, 32)?,
                })
            })
            .collect()
    }

    fn dynamic(&self, dynamic: &Segment, segments: &[Segment], elf: &mut Elf) -> Result<()> {
        if dynamic.file_size > MOST_DYNAMIC {
            bail!("its dynamic section claims {} bytes", dynamic.file_size);
        }
        let table = self.bytes(dynamic.offset, dynamic.file_size).context("read PT_DYNAMIC")?;
        let mut entries = Vec::new();
        for entry in table.chunks_exact(DYNAMIC_ENTRY) {
            match (u64_at(entry, 0)?, u64_at(entry, 8)?) {
                (DT_NULL, _) => break,
                pair => entries.push(pair),
            }
        }
        let value_of = |tag| entries.iter().find(|(t, _)| *t == tag).map(|(_, value)| *value);
        let strings = match (value_of(DT_STRTAB), value_of(DT_STRSZ)) {
            (Some(address), Some(size)) => self.strings(address, size, segments)?,
            _ => Vec::new(),
        };
        for (tag, value) in entries {
            match tag {
                DT_NEEDED => elf.needed.push(string_at(&strings, value)?),
                DT_SONAME => elf.soname = Some(string_at(&strings, value)?),
                DT_RPATH => elf.rpath = folders(&string_at(&strings, value)?),
                DT_RUNPATH => elf.runpath = Some(folders(&string_at(&strings, value)?)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The string table, which is given by its address in memory: the PT_LOAD that covers it says where in the file.
    fn strings(&self, address: u64, size: u64, segments: &[Segment]) -> Result<Vec<u8>> {
        let offset = segments
            .iter()
            .filter(|s| s.kind == PT_LOAD)
            .find_map(|s| {
                let into = address.checked_sub(s.address)?;
                (into < s.file_size).then(|| s.offset.checked_add(into)).flatten()
            })
            .with_context(|| format!("no part of the file is loaded at {address:#x}, where its names should be"))?;
        if size > MOST_STRINGS {
            bail!("its string table claims {size} bytes");
        }
        self.bytes(offset, size).context("read the string table")
    }
}

/// Cuts off what is behind [`Elf::end`]: sections, which no loader reads. The header then says that there are none.
pub fn trim(file: &File, end: u64) -> std::io::Result<()> {
    const E_SHOFF: u64 = 40;
    const E_SHENTSIZE: u64 = 58;
    file.set_len(end)?;
    file.write_all_at(&[0; 8], E_SHOFF)?;
    // With it e_shnum and e_shstrndx, two bytes each.
    file.write_all_at(&[0; 6], E_SHENTSIZE)
}

/// The folders of a search path.
fn folders(path: &str) -> Vec<String> {
    path.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
}

/// The string that starts at `offset` of the string table.
fn string_at(strings: &[u8], offset: u64) -> Result<String> {
    let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
    text(rest.with_context(|| format!("name {offset} is outside of the string table"))?)
}

/// Bytes up to the first NUL as text.
fn text(bytes: &[u8]) -> Result<String> {
    let end = bytes.iter().position(|b| *b == 0).context("a name does not end")?;
    let name = std::str::from_utf8(&bytes[..end]).context("a name is not text")?;
    if name.is_empty() {
        bail!("a name is empty");
    }
    Ok(name.to_owned())
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().context("a table ends too early")
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Write;

    /// A well-formed file with the given dynamic entries, for the tests here and elsewhere.
    pub fn craft(interpreter: Option<&str>, entries: &[(u64, &str)]) -> Vec<u8> {
        let (mut strings, mut dynamic) = (vec![0u8], Vec::new());
        for (tag, value) in entries {
            dynamic.extend([*tag, strings.len() as u64].map(u64::to_le_bytes).concat());
            strings.extend(value.as_bytes());
            strings.push(0);
        }
        let interp = interpreter.map(|i| [i.as_bytes(), b"\0"].concat()).unwrap_or_default();
        let at_interp = (HEADER + 3 * PROGRAM_HEADER) as u64;
        let at_strings = at_interp + interp.len() as u64;
        let at_dynamic = at_strings + strings.len() as u64;
        const BASE: u64 = 0x10000;
        for pair in [[DT_STRTAB, BASE + at_strings], [DT_STRSZ, strings.len() as u64], [DT_NULL, 0]] {
            dynamic.extend(pair.map(u64::to_le_bytes).concat());
        }
        let end = at_dynamic + dynamic.len() as u64;

        let mut file = vec![0u8; HEADER];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&62u16.to_le_bytes());
        file[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
        file[54..56].copy_from_slice(&(PROGRAM_HEADER as u16).to_le_bytes());
        file[56..58].copy_from_slice(&3u16.to_le_bytes());
        let kind_of_interp = if interpreter.is_some() { PT_INTERP } else { 0 };
        for (kind, offset, size) in [
            (PT_LOAD, 0, end),
            (kind_of_interp, at_interp, interp.len() as u64),
            (PT_DYNAMIC, at_dynamic, dynamic.len() as u64),
        ] {
            let mut header = vec![0u8; PROGRAM_HEADER];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&u64::to_le_bytes(offset));
            header[16..24].copy_from_slice(&(BASE + offset).to_le_bytes());
            header[32..40].copy_from_slice(&size.to_le_bytes());
            file.extend(header);
        }
        [file, interp, strings, dynamic].concat()
    }

    fn parse(bytes: &[u8]) -> Result<Option<Elf>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read(&file)
    }

    #[test]
    fn what_a_program_asks_for_is_read() {
        let entries = [(DT_NEEDED, "libc.so.6"), (DT_NEEDED, "libm.so.6"), (DT_RUNPATH, "$ORIGIN/../lib:/opt/lib")];
        let elf = parse(&craft(Some("/lib64/ld.so"), &entries)).unwrap().unwrap();
        assert_eq!(elf.interpreter.as_deref(), Some("/lib64/ld.so"));
        assert_eq!(elf.needed, ["libc.so.6", "libm.so.6"]);
        assert_eq!(elf.runpath.unwrap(), ["$ORIGIN/../lib", "/opt/lib"]);
        assert_eq!((elf.machine, elf.soname), (62, None));
    }

    #[test]
    fn a_trimmed_file_says_the_same() {
        let mut file = tempfile::tempfile().unwrap();
        let whole = craft(None, &[(DT_NEEDED, "libc.so.6")]);
        file.write_all(&[&whole[..], &[7; 5000]].concat()).unwrap();
        let before = read(&file).unwrap().unwrap();
        trim(&file, before.end).unwrap();
        assert_eq!(file.metadata().unwrap().len(), whole.len() as u64);
        assert_eq!(read(&file).unwrap().unwrap(), before);
    }

    #[test]
    fn this_very_test_program_is_read() {
        let own = File::open(std::env::current_exe().unwrap()).unwrap();
        assert!(read(&own).unwrap().is_some());
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fEL", b"\x7fELG....."] {
            assert_eq!(parse(bytes).unwrap(), None);
        }
    }

    #[test]
    fn other_classes_are_an_error() {
        for (class, order) in [(1, 1), (2, 2)] {
            let mut bytes = craft(None, &[]);
            (bytes[4], bytes[5]) = (class, order);
            assert!(parse(&bytes).unwrap_err().to_string().contains("64-bit little-endian"));
        }
    }

    #[test]
    fn a_file_cut_short_anywhere_is_an_error_and_never_a_panic() {
        let bytes = craft(Some("/lib64/ld.so"), &[(DT_NEEDED, "libc.so.6"), (DT_SONAME, "liba.so")]);
        for length in 4..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
        }
    }

    #[test]
    fn a_file_with_any_byte_changed_never_panics() {
        let bytes = craft(Some("/lib64/ld.so"), &[(DT_NEEDED, "libc.so.6"), (DT_RPATH, "/a:/b")]);
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = bytes.clone();
                broken[at] = value;
                let _ = parse(&broken);
            }
        }
    }

    #[test]
    fn sizes_that_only_a_broken_file_claims_are_refused_before_memory_is_taken() {
        let mut bytes = craft(None, &[(DT_NEEDED, "libc.so.6")]);
        let at_dynamic_size = HEADER + 2 * PROGRAM_HEADER + 32;
        bytes[at_dynamic_size..at_dynamic_size + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(parse(&bytes).unwrap_err().to_string().contains("claims"));
    }
}

//! The log, in the format of docker's json-file driver: a JSON object a line, each with what was written,
//! on which stream and when. Log shippers read these files in place.

use crate::protocol::Kind;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// A longer line is cut into several entries; all but the last lack the newline.
const MAX_LINE: usize = 16 << 10;

/// The log of a container, open for appending.
pub struct JsonLog {
    file: File,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl JsonLog {
    /// Opens the log, and makes it where it is missing.
    pub fn open(path: &Path) -> Result<JsonLog> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().append(true).create(true).mode(0o640).open(path);
        let file = file.with_context(|| format!("open the log {}", path.display()))?;
        Ok(JsonLog { file, stdout: Vec::new(), stderr: Vec::new() })
    }

    /// Takes what came on a stream; whole lines go to the file, the rest waits for its end.
    pub fn write(&mut self, stream: Kind, bytes: &[u8]) -> Result<()> {
        let (pending, name) = match stream {
            Kind::Stderr => (&mut self.stderr, "stderr"),
            _ => (&mut self.stdout, "stdout"),
        };
        pending.extend_from_slice(bytes);
        let time = layout::time::now();
        let mut entries = Vec::new();
        let mut done = 0;
        loop {
            let rest = &pending[done..];
            let length = match rest.iter().take(MAX_LINE).position(|b| *b == b'\n') {
                Some(newline) => newline + 1,
                None if rest.len() >= MAX_LINE => MAX_LINE,
                None => break,
            };
            entry(&mut entries, &rest[..length], name, &time);
            done += length;
        }
        pending.drain(..done);
        self.append(&entries)
    }

    /// Writes the last lines that had no newline.
    pub fn finish(&mut self) -> Result<()> {
        let time = layout::time::now();
        let mut entries = Vec::new();
        for (pending, name) in
            [(std::mem::take(&mut self.stdout), "stdout"), (std::mem::take(&mut self.stderr), "stderr")]
        {
            if !pending.is_empty() {
                entry(&mut entries, &pending, name, &time);
            }
        }
        self.append(&entries)
    }

    fn append(&mut self, entries: &[u8]) -> Result<()> {
        if entries.is_empty() { Ok(()) } else { self.file.write_all(entries).context("write the log") }
    }
}

fn entry(out: &mut Vec<u8>, line: &[u8], stream: &str, time: &str) {
    out.extend_from_slice(b"{\"log\":\"");
    escape(out, line);
    out.extend_from_slice(format!("\",\"stream\":\"{stream}\",\"time\":\"{}\"}}\n", trim_zeros(time)).as_bytes());
}

/// Go writes no trailing zeros of the fraction.
fn trim_zeros(time: &str) -> String {
    let digits = time.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{digits}Z")
}

/// Docker's escapes: what is not UTF-8 becomes U+FFFD, and what HTML or JavaScript could trip over is spelled out.
fn escape(out: &mut Vec<u8>, line: &[u8]) {
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '<' | '>' | '&' | '\0'..'\x20' => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
                '\u{2028}' | '\u{2029}' => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(chunks: &[(Kind, &[u8])]) -> Vec<serde_json::Value> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = JsonLog::open(&path).unwrap();
        for (stream, bytes) in chunks {
            log.write(*stream, bytes).unwrap();
        }
        log.finish().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_an_entry_however_it_comes() {
        let entries = written(&[(Kind::Stdout, b"a\nb"), (Kind::Stderr, b"oops\n"), (Kind::Stdout, b"c\nlast")]);
        let lines: Vec<_> =
            entries.iter().map(|e| (e["log"].as_str().unwrap(), e["stream"].as_str().unwrap())).collect();
        assert_eq!(lines, [("a\n", "stdout"), ("oops\n", "stderr"), ("bc\n", "stdout"), ("last", "stdout")]);
    }

    #[test]
    fn escapes_are_dockers_byte_for_byte() {
        let mut out = Vec::new();
        entry(&mut out, b"<a>&\t\"\\\x1b[0m\xff\xc3\xa9\r\n", "stdout", "2026-01-02T03:04:05.120000000Z");
        let line = String::from_utf8(out).unwrap();
        let log = r#"\u003ca\u003e\u0026\u0009\"\\\u001b[0m\ufffdé\r\n"#;
        assert_eq!(line, format!("{{\"log\":\"{log}\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.12Z\"}}\n"));
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = vec![b'x'; MAX_LINE + 5];
        let entries = written(&[(Kind::Stdout, &long), (Kind::Stdout, b"\n")]);
        let lengths: Vec<_> = entries.iter().map(|e| e["log"].as_str().unwrap().len()).collect();
        assert_eq!(lengths, [MAX_LINE, 6]);
    }
}

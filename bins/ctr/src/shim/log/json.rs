//! The format of docker's json-file driver: a JSON object a line, each with what was written, on which stream and
//! when. Log shippers read these files in place.

use super::lines::Line;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Writes one line. `attributes` is JSON that follows the stream's name, as in `"attrs":{"tag":"web"},`, or nothing.
pub fn encode(out: &mut Vec<u8>, line: &Line, attributes: &str) {
    out.extend_from_slice(b"{\"log\":\"");
    escape(out, line.text);
    if line.ends() {
        out.extend_from_slice(b"\\n");
    }
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(line.stream.as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(attributes.as_bytes());
    out.extend_from_slice(b"\"time\":\"");
    // Go writes no trailing zeros of the fraction.
    out.extend_from_slice(line.time.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').as_bytes());
    out.extend_from_slice(b"Z\"}\n");
}

/// Docker's escapes: what is not UTF-8 becomes U+FFFD, and what HTML or JavaScript could trip over is spelled out.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        let mut done = 0;
        for (i, &byte) in valid.iter().enumerate() {
            if !IS_SPECIAL[usize::from(byte)] {
                continue;
            }
            let length = match byte {
                // U+2028 and U+2029; all else that begins so is plain.
                0xe2 if matches!(valid[i..], [_, 0x80, 0xa8 | 0xa9, ..]) => 3,
                0xe2 => continue,
                _ => 1,
            };
            out.extend_from_slice(&valid[done..i]);
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                0xe2 if valid[i + 2] == 0xa8 => out.extend_from_slice(b"\\u2028"),
                0xe2 => out.extend_from_slice(b"\\u2029"),
                other => {
                    let digits = b"0123456789abcdef";
                    let (high, low) = (digits[usize::from(other >> 4)], digits[usize::from(other & 15)]);
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                }
            }
            done = i + length;
        }
        out.extend_from_slice(&valid[done..]);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// The bytes that may not stand as they are.
const IS_SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        special[byte] = byte < 0x20 || matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2);
        byte += 1;
    }
    special
};

/// An entry as it is read.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// What was written.
    pub log: String,
    /// On which stream.
    pub stream: String,
    /// When.
    pub time: String,
    /// What its container is.
    #[serde(default)]
    pub attrs: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::super::lines::Part;
    use super::*;

    fn encoded(text: &[u8], part: Option<Part>, attributes: &str) -> String {
        let mut out = Vec::new();
        let line = Line { stream: "stdout", time: "2026-01-02T03:04:05.120000000Z", text, part };
        encode(&mut out, &line, attributes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_dockers_byte_for_byte() {
        let log = r#"\u003ca\u003e\u0026\u0009\"\\\u001b[0m\ufffdé–\u2028\r\n"#;
        let wanted = format!("{{\"log\":\"{log}\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.12Z\"}}\n");
        let text = b"<a>&\t\"\\\x1b[0m\xff\xc3\xa9\xe2\x80\x93\xe2\x80\xa8\r";
        assert_eq!(encoded(text, None, ""), wanted);
        let entry: Entry = serde_json::from_str(&wanted).unwrap();
        assert_eq!(entry.log, "<a>&\t\"\\\x1b[0m\u{fffd}é–\u{2028}\r\n");
    }

    #[test]
    fn a_part_has_no_newline_and_attributes_come_before_the_time() {
        let part = Some(Part { line: 1, ordinal: 1, last: false });
        let wanted = r#"{"log":"x","stream":"stdout","attrs":{"tag":"web"},"time":"2026-01-02T03:04:05.12Z"}"#;
        assert_eq!(encoded(b"x", part, r#""attrs":{"tag":"web"},"#), format!("{wanted}\n"));
    }
}

//! Systemd's journal: a datagram a line, in its native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use super::connection::Connection;
use super::lines::{Line, Part};
use super::options::Options;
use super::tag;
use anyhow::{Context, Result};
use layout::container::Container;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// What its messages say.
pub struct Journald {
    /// The fields that each line has.
    fields: Vec<u8>,
    /// What the ids of long lines begin with: drawn at random.
    run: String,
}

impl Journald {
    /// Reads the options that are about the container.
    pub fn new(container: &Container, options: &Options) -> Result<Journald> {
        let template = options.given.get("tag").map_or("{{.ID}}", String::as_str);
        let tag = tag::tag(container, template)?;
        let mut fields = Vec::new();
        for (name, value) in [
            ("CONTAINER_ID", container.id.short()),
            ("CONTAINER_ID_FULL", container.id.as_str()),
            ("CONTAINER_NAME", &container.name),
            ("CONTAINER_TAG", &tag),
            ("IMAGE_NAME", &container.config.image),
            ("SYSLOG_IDENTIFIER", &tag),
        ] {
            field(&mut fields, name, value.as_bytes());
        }
        for (name, value) in tag::attributes(container, options)? {
            field(&mut fields, &field_name(&name), value.as_bytes());
        }
        Ok(Journald { fields, run: layout::id::random_hex(24)? })
    }

    /// The message of a line.
    pub fn encode(&self, line: &Line) -> Vec<u8> {
        let mut datagram = self.fields.clone();
        field(&mut datagram, "PRIORITY", if line.stream == "stderr" { b"3" } else { b"6" });
        if let Some(part) = line.part {
            self.add_part(&mut datagram, line.stream, part);
        }
        field(&mut datagram, "MESSAGE", line.text);
        datagram
    }

    /// With these, who reads the journal can put a long line together again.
    fn add_part(&self, out: &mut Vec<u8>, stream: &str, part: Part) {
        if !part.last {
            field(out, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        // The streams count their lines for themselves, and each run begins anew.
        let id = format!("{}{:x}{:015x}", self.run, u8::from(stream == "stderr"), part.line);
        field(out, "CONTAINER_PARTIAL_ID", id.as_bytes());
        field(out, "CONTAINER_PARTIAL_ORDINAL", part.ordinal.to_string().as_bytes());
        field(out, "CONTAINER_PARTIAL_LAST", if part.last { b"true" } else { b"false" });
    }
}

/// Finds the journal.
///
/// # Errors
/// Docker's words where there is none.
pub fn connect() -> Result<Connection> {
    Connection::datagram(SOCKET).ok().context("journald is not enabled on this host")
}

/// The journal's names have capitals, digits and underscores, and do not begin with one.
fn field_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).chars().map(letter).collect()
}

/// A field: `NAME=VALUE`, or, where the value has newlines, its name, its length (little endian) and itself.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_with_newlines_is_counted() {
        let mut out = Vec::new();
        super::field(&mut out, "A", b"x");
        super::field(&mut out, "B", b"x\ny");
        assert_eq!(out, b"A=x\nB\n\x03\0\0\0\0\0\0\0x\ny\n");
    }
}

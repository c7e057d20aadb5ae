//! A syslog daemon, on this machine or another: RFC 3164, RFC 5424, and the shorter form that local daemons take.

use super::connection::Connection;
use super::lines::Line;
use super::options::Options;
use super::tag;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use layout::container::Container;
use std::collections::BTreeMap;

/// Where the machine's own daemon listens, on one system or another.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// The facilities, by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Where to send, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// `unix`, `unixgram`, `udp`, `tcp`; empty is the machine's own daemon.
    protocol: String,
    /// A path, or a host and its port.
    place: String,
    facility: usize,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Format {
    #[default]
    Local,
    Rfc3164,
    Rfc5424,
    Rfc5424Micro,
}

impl Address {
    /// Reads the options.
    ///
    /// # Errors
    /// In docker's words.
    pub fn read(given: &BTreeMap<String, String>) -> Result<Address> {
        let value = |key: &str| given.get(key).map_or("", String::as_str);
        let (protocol, place) = read_address(value("syslog-address"))?;
        let facility = match value("syslog-facility") {
            "" => 3,
            name => match (FACILITIES.iter().position(|known| *known == name), name.parse::<usize>()) {
                (Some(number), _) => number,
                (None, Ok(number)) if number < FACILITIES.len() => number,
                _ => bail!("invalid syslog facility"),
            },
        };
        let format = match value("syslog-format") {
            "" => Format::Local,
            "rfc3164" => Format::Rfc3164,
            "rfc5424" => Format::Rfc5424,
            "rfc5424micro" => Format::Rfc5424Micro,
            _ => bail!("Invalid syslog format"),
        };
        Ok(Address { protocol, place, facility, format })
    }
}

fn read_address(text: &str) -> Result<(String, String)> {
    if text.is_empty() {
        return Ok(Default::default());
    }
    let Some((protocol, place)) = text.split_once("://") else {
        bail!("syslog-address should be in form proto://address, got {text}")
    };
    let place = match protocol {
        "unix" | "unixgram" => match std::fs::metadata(place) {
            Ok(_) => place.to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("stat {place}: no such file or directory")
            }
            Err(error) => return Err(error).with_context(|| format!("stat {place}")),
        },
        "tcp" | "udp" => {
            let has_port =
                place.rsplit_once(':').is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
            if has_port { place.to_owned() } else { format!("{place}:514") }
        }
        "tcp+tls" => bail!(
            "syslog-address {text}: tcp+tls is not supported: let a syslog daemon of this machine send it on, \
             and give this one's address (unixgram:///dev/log)"
        ),
        _ => bail!("syslog-address should be in form proto://address, got {text}"),
    };
    Ok((protocol.to_owned(), place))
}

/// What its messages say.
pub struct Syslog {
    address: Address,
    host: String,
    tag: String,
}

impl Syslog {
    /// Reads the options that are about the container.
    pub fn new(container: &Container, options: &Options, address: &Address) -> Result<Syslog> {
        let template = options.given.get("tag").map_or("{{.ID}}", String::as_str);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Syslog { address: address.clone(), host, tag: tag::tag(container, template)? })
    }

    /// The message of a line.
    pub fn encode(&self, line: &Line) -> Vec<u8> {
        self.message(line, Timestamp::now())
    }

    fn message(&self, line: &Line, now: Timestamp) -> Vec<u8> {
        let severity = if line.stream == "stderr" { 3 } else { 6 };
        let (priority, host, tag, pid) =
            (self.address.facility * 8 + severity, &self.host, &self.tag, std::process::id());
        let stamp = || now.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string();
        let mut message = match self.address.format {
            Format::Local => format!("<{priority}>{} {tag}[{pid}]: ", stamp()),
            Format::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: ", stamp()),
            Format::Rfc5424 => format!("<{priority}>1 {now:.0} {host} {tag} {pid} {tag} - "),
            Format::Rfc5424Micro => format!("<{priority}>1 {now:.6} {host} {tag} {pid} {tag} - "),
        }
        .into_bytes();
        message.extend_from_slice(line.text);
        message.push(b'\n');
        message
    }
}

/// Connects to it.
pub fn connect(to: &Address) -> Result<Connection> {
    let place = to.place.as_str();
    let connected = match to.protocol.as_str() {
        "" => {
            let found = LOCAL.iter().find_map(|path| Connection::local(path).ok());
            return found.context("Unix syslog delivery error");
        }
        "unixgram" => Connection::datagram(place),
        "unix" => Connection::local(place),
        "udp" => Connection::udp(place),
        _ => Connection::tcp(place),
    };
    connected.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("dial {} {place}: {why}", to.protocol)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_form_that_was_asked_for() {
        let address = Address { facility: 3, ..Address::default() };
        let mut syslog = Syslog { address, host: "box".into(), tag: "web".into() };
        let line = Line { stream: "stderr", time: "", text: b"hello", part: None };
        let mut message = |format| {
            syslog.address.format = format;
            let now: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
            String::from_utf8(syslog.message(&line, now)).unwrap()
        };
        let pid = std::process::id();
        assert_eq!(message(Format::Rfc5424), format!("<27>1 2026-01-02T03:04:05Z box web {pid} web - hello\n"));
        let micro = format!("<27>1 2026-01-02T03:04:05.123456Z box web {pid} web - hello\n");
        assert_eq!(message(Format::Rfc5424Micro), micro);
        let old = message(Format::Rfc3164);
        assert!(old.starts_with("<27>Jan  2 ") && old.ends_with(&format!(" box web[{pid}]: hello\n")), "{old}");
        assert!(message(Format::Local).ends_with(&format!(" web[{pid}]: hello\n")));
    }
}

//! What is to be published, and the sockets on the host that hold it.

use anyhow::{Context, Result, bail};
use layout::container::PublishedPort;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::str::FromStr;

/// How many connections may wait to be accepted (the kernel caps it at net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// How often another free port is tried when one is free for IPv4 and not for IPv6.
const ATTEMPTS: usize = 32;

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Streams: connections are forwarded.
    Tcp,
    /// Datagrams: each client gets a socket of its own, for its answers.
    Udp,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// One `--publish`: `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, as docker's `-p`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The host's address; `None` is all of them, IPv6 too.
    pub ip: Option<IpAddr>,
    /// The host's port; 0 is any free one.
    pub host: u16,
    /// The last one that will do, of a range of which any one is wanted; else the same.
    pub last: u16,
    /// The container's port.
    pub container: u16,
    /// What is spoken.
    pub protocol: Protocol,
}

impl FromStr for Spec {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Spec> {
        let (ports, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((ports, "tcp")) => (ports, Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some((_, other)) => bail!("publish {text}: protocol {other:?} is not forwarded, tcp and udp are"),
        };
        let port = |part: &str| part.parse::<u16>().with_context(|| format!("publish {text}: {part:?} is no port"));
        let (rest, container) = ports.rsplit_once(':').unwrap_or(("", ports));
        let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
        let (first, last) = match host.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None if host.is_empty() => (0, 0),
            None => (port(host)?, port(host)?),
        };
        let spec = Spec {
            ip: parse_ip(ip).with_context(|| format!("publish {text}: {ip:?} is no address"))?,
            host: first,
            last,
            container: port(container)?,
            protocol,
        };
        if spec.last < spec.host {
            bail!("publish {text}: the range of the host's ports ends before it starts");
        }
        if spec.container == 0 {
            bail!("publish {text}: 0 is no port of a container");
        }
        Ok(spec)
    }
}

/// An address, an IPv6 one in brackets; `None` when it is left out.
fn parse_ip(text: &str) -> Result<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse()?),
        None => IpAddr::V4(text.parse()?),
    }))
}

/// A held port.
#[derive(Debug)]
pub struct Listener {
    /// The socket, which never blocks.
    pub socket: OwnedFd,
    /// What it holds.
    pub port: PublishedPort,
    /// What is spoken.
    pub protocol: Protocol,
}

/// Holds what a spec asks for: one socket, or two where it means IPv4 and IPv6.
///
/// # Errors
/// Docker's `Bind for 0.0.0.0:4000 failed: port is already allocated` at the end when somebody has the port.
pub fn hold(spec: &Spec) -> Result<Vec<Listener>> {
    let mut held = hold_at(spec);
    for host in spec.host..spec.last {
        if held.is_ok() {
            break;
        }
        held = hold_at(&Spec { host: host + 1, last: host + 1, ..spec.clone() });
    }
    held
}

fn hold_at(spec: &Spec) -> Result<Vec<Listener>> {
    if let Some(ip) = spec.ip {
        return Ok(vec![hold_one(spec, SocketAddr::new(ip, spec.host)).map_err(|error| refused(spec, ip, error))?]);
    }
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    for _ in 0..ATTEMPTS {
        let first = hold_one(spec, SocketAddr::new(v4, spec.host)).map_err(|error| refused(spec, v4, error))?;
        return match hold_one(spec, SocketAddr::new(v6, first.port.host_port)) {
            Ok(second) => Ok(vec![first, second]),
            // This host has no IPv6, or has switched it off.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => Ok(vec![first]),
            Err(Errno::ADDRINUSE) if spec.host == 0 => continue,
            Err(error) => Err(refused(spec, v6, error)),
        };
    }
    bail!("publish {}/{}: no port is free for both IPv4 and IPv6", spec.container, spec.protocol.name())
}

fn hold_one(spec: &Spec, at: SocketAddr) -> rustix::io::Result<Listener> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = match spec.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if at.is_ipv6() {
        // Each family has a socket of its own, so that one may be held without the other.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if spec.protocol == Protocol::Tcp {
        // Connections that ended a moment ago linger (TIME_WAIT) and are no reason to refuse the port; a listener is.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &at)?;
    if spec.protocol == Protocol::Tcp {
        listen(&socket, BACKLOG)?;
    }
    let bound: SocketAddr = getsockname(&socket)?.try_into()?;
    let port = PublishedPort {
        host_ip: bound.ip(),
        host_port: bound.port(),
        container_port: spec.container,
        protocol: spec.protocol.name().to_owned(),
    };
    Ok(Listener { socket, port, protocol: spec.protocol })
}

fn refused(spec: &Spec, ip: IpAddr, error: Errno) -> anyhow::Error {
    let cause = match error {
        Errno::ADDRINUSE => "port is already allocated".to_owned(),
        other => other.to_string(),
    };
    let (container, protocol) = (spec.container, spec.protocol.name());
    anyhow::anyhow!("publish {container}/{protocol}: Bind for {} failed: {cause}", SocketAddr::new(ip, spec.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read_as_docker_reads_them() {
        let spec =
            |ip: &str, host, container, protocol| Spec { ip: ip.parse().ok(), host, last: host, container, protocol };
        for (text, expected) in [
            ("80", spec("", 0, 80, Protocol::Tcp)),
            ("4000:80", spec("", 4000, 80, Protocol::Tcp)),
            (":80", spec("", 0, 80, Protocol::Tcp)),
            ("0.0.0.0:4000:80/tcp", spec("0.0.0.0", 4000, 80, Protocol::Tcp)),
            ("127.0.0.1::53/udp", spec("127.0.0.1", 0, 53, Protocol::Udp)),
            ("[::1]:8080:80", spec("::1", 8080, 80, Protocol::Tcp)),
        ] {
            assert_eq!(text.parse::<Spec>().unwrap(), expected, "{text}");
        }
        let range: Spec = "8000-8009:80".parse().unwrap();
        assert_eq!((range.host, range.last), (8000, 8009));
        for bad in ["", "x", "0", "65536", "80/sctp", "1:2:3", "::1:80:80", "[1.2.3.4]:80:80", "-1:80", "80:", "9-8:80"]
        {
            assert!(bad.parse::<Spec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_taken_port_is_refused_in_dockers_words() {
        let mut spec: Spec = "127.0.0.1:0:80".parse().unwrap();
        let held = hold(&spec).unwrap();
        spec.host = held[0].port.host_port;
        let error = format!("{:#}", hold(&spec).unwrap_err());
        let expected = format!("Bind for 127.0.0.1:{} failed: port is already allocated", spec.host);
        assert!(error.ends_with(&expected), "{error}");
    }

    #[test]
    fn without_an_address_both_families_get_the_same_port() {
        let held = hold(&"80".parse().unwrap()).unwrap();
        assert!(held.iter().all(|listener| listener.port.host_port == held[0].port.host_port));
        assert!(held[0].port.host_port > 0 && held[0].port.host_ip.is_ipv4());
    }
}

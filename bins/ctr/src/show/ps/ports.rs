//! The PORTS column: what is published, and what is merely exposed. Neighbours are one range, as docker writes them:
//! `0.0.0.0:5000-5003->5000-5003/udp`.

use layout::container::{Container, PublishedPort};
use layout::{Layout, publish};
use std::borrow::Cow;
use std::net::IpAddr;

/// One port of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The container's port.
    pub private: u16,
    /// The host's address, if it is published.
    pub ip: Option<String>,
    /// The host's port.
    pub public: u16,
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
}

/// The ports of a container that runs.
pub fn of(layout: &Layout, container: &Container) -> Vec<Port> {
    let held: Vec<PublishedPort> = publish::read_json(&layout.ports_file(&container.id)).unwrap_or_default();
    let mut ports: Vec<Port> = held
        .into_iter()
        .map(|port| Port {
            private: port.container_port,
            ip: Some(match port.host_ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => ip.to_string(),
            }),
            public: port.host_port,
            protocol: port.protocol,
        })
        .collect();
    for exposed in container.config.run.exposed_ports.iter().flatten().map(|(port, _)| port) {
        let (number, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
        let private = number.parse().unwrap_or(0);
        if !ports.iter().any(|port| port.private == private && port.protocol == protocol) {
            ports.push(Port { private, ip: None, public: 0, protocol: protocol.to_owned() });
        }
    }
    ports
}

/// A run of neighbouring ports.
struct Range {
    ip: Option<String>,
    protocol: String,
    first: u16,
    last: u16,
}

impl Range {
    fn text(&self) -> String {
        let ports = match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        };
        match &self.ip {
            Some(ip) => format!("{}:{ports}->{ports}/{}", host(ip), self.protocol),
            None => format!("{ports}/{}", self.protocol),
        }
    }
}

/// An address before a port: that of version 6 has colons itself.
fn host(ip: &str) -> Cow<'_, str> {
    if ip.contains(':') { format!("[{ip}]").into() } else { ip.into() }
}

/// The ports in one cell. Those of the same number inside and outside come first, as ranges.
pub fn cell(mut ports: Vec<Port>) -> String {
    ports.sort();
    let (mut ranges, mut done, mut others): (Vec<Range>, Vec<String>, Vec<String>) = Default::default();
    for port in ports {
        if let Some(ip) = &port.ip
            && port.public != port.private
        {
            others.push(format!("{}:{}->{}/{}", host(ip), port.public, port.private, port.protocol));
            continue;
        }
        match ranges.iter_mut().find(|range| range.ip == port.ip && range.protocol == port.protocol) {
            Some(range) if u32::from(port.private) == u32::from(range.last) + 1 => range.last = port.private,
            Some(range) => {
                done.push(range.text());
                (range.first, range.last) = (port.private, port.private);
            }
            None => {
                let (first, last) = (port.private, port.private);
                ranges.push(Range { ip: port.ip, protocol: port.protocol, first, last });
            }
        }
    }
    done.extend(ranges.iter().map(Range::text));
    done.extend(others);
    done.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, public: u16, private: u16, protocol: &str) -> Port {
        let ip = Some(ip.to_owned()).filter(|ip| !ip.is_empty());
        Port { private, ip, public, protocol: protocol.to_owned() }
    }

    #[test]
    fn ports_are_written_as_docker_writes_them() {
        let mut web = vec![port("0.0.0.0", 4000, 80, "tcp"), port("::", 4000, 80, "tcp"), port("", 0, 99, "tcp")];
        for number in 5000..5004 {
            web.extend([port("0.0.0.0", number, number, "udp"), port("::", number, number, "udp")]);
        }
        assert_eq!(
            cell(web),
            "99/tcp, 0.0.0.0:5000-5003->5000-5003/udp, [::]:5000-5003->5000-5003/udp, 0.0.0.0:4000->80/tcp, [::]:4000->80/tcp"
        );
        let gap = [1, 2, 4, 5, 7].map(|number| port("", 0, number, "tcp")).to_vec();
        assert_eq!(cell(gap), "1-2/tcp, 4-5/tcp, 7/tcp");
        assert_eq!(cell(Vec::new()), "");
    }
}

//! `-p`: which port of the host leads to which port of the container.

use anyhow::{Result, bail};
use layout::container::{Container, PortBinding};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Published ports by the container's port, in docker's form: `80/tcp` → where on the host.
pub type Bindings = BTreeMap<String, Vec<PortBinding>>;

/// Reads one `-p`: `[[IP:]HOST:]CONTAINER[/tcp|udp]`, where HOST and CONTAINER may be ranges of one length. Mistakes are told in
/// docker's words.
pub fn parse(spec: &str, bindings: &mut Bindings) -> Result<()> {
    let parts: Vec<&str> = spec.split(':').collect();
    let (ip, host, container) = match parts.as_slice() {
        [container] => (String::new(), "", *container),
        [host, container] => (String::new(), *host, *container),
        [ip @ .., host, container] => (ip.join(":"), *host, *container),
        [] => bail!("No port specified: {spec}<empty>"),
    };
    let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    let ip = address(&ip)?;
    if container.is_empty() {
        bail!("No port specified: {spec}<empty>");
    }
    let Some(ports) = range(container) else { bail!("Invalid containerPort: {container}") };
    let hosts = match host {
        // Any free one.
        "" | "0" => None,
        host => Some(range(host).map_or_else(|| bail!("Invalid hostPort: {host}"), Ok)?),
    };
    let protocol = protocol.to_lowercase();
    match (&hosts, protocol.as_str()) {
        (Some(hosts), _) if hosts.len() != ports.len() && ports.len() > 1 => {
            bail!("Invalid ranges specified for container and host Ports: {container} and {host}")
        }
        (_, "tcp" | "udp") => {}
        (_, "sctp") => bail!("{spec}: sctp is not forwarded, tcp and udp are"),
        _ => bail!("Invalid proto: {protocol}"),
    }
    for (i, port) in ports.clone().enumerate() {
        let host_port = match &hosts {
            // Any one of them.
            Some(hosts) if ports.len() == 1 && hosts.len() > 1 => format!("{}-{}", hosts.start(), hosts.end()),
            Some(hosts) => (hosts.start() + i as u16).to_string(),
            None => String::new(),
        };
        bindings.entry(format!("{port}/{protocol}")).or_default().push(PortBinding { host_ip: ip.clone(), host_port });
    }
    Ok(())
}

fn address(text: &str) -> Result<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match (text.contains(':'), bare) {
        (true, None) => bail!("Invalid ip address {text}: address {text}:: too many colons in address"),
        _ if text.is_empty() => Ok(String::new()),
        _ => {
            let ip = bare.unwrap_or(text);
            if ip.parse::<IpAddr>().is_err() {
                bail!("Invalid ip address: {ip}");
            }
            Ok(ip.to_owned())
        }
    }
}

/// Reads a port of `--expose` or of an image: `80`, `80/udp`, `8000-8010`. Gives docker's form of each.
pub fn parse_exposed(spec: &str) -> Result<Vec<String>> {
    if spec.contains(':') {
        bail!("invalid port format for --expose: {spec}");
    }
    let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let Some(ports) = range(ports) else {
        let wrong = ports.split('-').find(|port| port.parse::<u16>().is_err()).unwrap_or(ports);
        bail!("invalid range format for --expose: {spec}, error: strconv.ParseUint: parsing {wrong:?}: invalid syntax");
    };
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

/// What a container publishes: what was asked for, and with `-P` all that it exposes, at any free port.
pub fn published(container: &Container) -> Bindings {
    let mut bindings = container.host_config.port_bindings.clone();
    if container.host_config.publish_all_ports {
        let any = || vec![PortBinding { host_ip: String::new(), host_port: String::new() }];
        let exposed = container.config.run.exposed_ports.iter().flatten().map(|(port, _)| port);
        for port in exposed.filter(|port| port.ends_with("/tcp") || port.ends_with("/udp")) {
            bindings.entry(port.clone()).or_insert_with(any);
        }
    }
    bindings
}

/// The arguments of `portfwd publish`: `IP:HOST:CONTAINER/PROTOCOL`.
pub fn publish_args(bindings: &Bindings) -> Vec<String> {
    let one = |container: &str, b: &PortBinding| {
        let ip = if b.host_ip.contains(':') { format!("[{}]", b.host_ip) } else { b.host_ip.clone() };
        format!("{ip}:{}:{container}", b.host_port)
    };
    bindings.iter().flat_map(|(container, list)| list.iter().map(move |b| one(container, b))).collect()
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        for (spec, args) in [
            ("80", "::80/tcp".to_owned()),
            ("4000:80", ":4000:80/tcp".into()),
            ("127.0.0.1:4000:80/udp", "127.0.0.1:4000:80/udp".into()),
            ("127.0.0.1::80", "127.0.0.1::80/tcp".into()),
            ("127.0.0.1:0:80", "127.0.0.1::80/tcp".into()),
            ("[::1]:4000:80", "[::1]:4000:80/tcp".into()),
            ("8000-8001:80-81", ":8000:80/tcp,:8001:81/tcp".into()),
            ("8000-8009:80", ":8000-8009:80/tcp".into()),
        ] {
            let mut bindings = Bindings::new();
            parse(spec, &mut bindings).unwrap();
            assert_eq!(publish_args(&bindings).join(","), args, "{spec}");
        }
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        for (spec, why) in [
            ("", "No port specified: <empty>"),
            ("80:x", "Invalid containerPort: x"),
            ("x:80", "Invalid hostPort: x"),
            ("70000:80", "Invalid hostPort: 70000"),
            ("1.2.3:1:2", "Invalid ip address: 1.2.3"),
            ("2-1:2-1", "Invalid containerPort: 2-1"),
            ("80/foo", "Invalid proto: foo"),
            ("a:b:c:d", "Invalid ip address a:b: address a:b:: too many colons in address"),
            ("1-3:80-81", "Invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ] {
            assert_eq!(parse(spec, &mut Bindings::new()).unwrap_err().to_string(), why, "{spec}");
        }
        assert_eq!(parse_exposed("80:80").unwrap_err().to_string(), "invalid port format for --expose: 80:80");
        assert!(
            parse_exposed("x").unwrap_err().to_string().starts_with("invalid range format for --expose: x, error: ")
        );
        assert_eq!(parse_exposed("90-91/udp").unwrap(), ["90/udp", "91/udp"]);
    }
}

//! `-p`: which port of the host leads to which port of the container.

use anyhow::{Context, Result, bail};
use layout::container::PortBinding;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Published ports by the container's port, in docker's form: `80/tcp` → where on the host.
pub type Bindings = BTreeMap<String, Vec<PortBinding>>;

/// Reads one `-p`: `[[IP:]HOST:]CONTAINER[/tcp|udp]`, where HOST and CONTAINER may be ranges of one length.
pub fn parse(spec: &str, bindings: &mut Bindings) -> Result<()> {
    let invalid = |why: &str| anyhow::anyhow!("invalid port specification {spec:?}: {why}");
    let (ports, protocol) = match spec.rsplit_once('/') {
        Some((ports, protocol)) => (ports, protocol.to_ascii_lowercase()),
        None => (spec, "tcp".to_owned()),
    };
    if !matches!(protocol.as_str(), "tcp" | "udp") {
        bail!(invalid("the protocol is tcp or udp"));
    }
    let (rest, container) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (ip, host) = match rest.rsplit_once(':') {
        Some((ip, host)) => (ip.trim_start_matches('[').trim_end_matches(']'), host),
        None => ("", rest),
    };
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        bail!(invalid("what is before the first colon is no address"));
    }
    let container = range(container).with_context(|| invalid("the container's port").to_string())?;
    let host = match host {
        "" => None,
        host => Some(range(host).with_context(|| invalid("the host's port").to_string())?),
    };
    if let Some(host) = &host
        && host.len() != container.len()
    {
        bail!(invalid("the ranges are of different lengths"));
    }
    for (i, port) in container.enumerate() {
        let host_port = host.as_ref().map_or(String::new(), |host| (host.start() + i as u16).to_string());
        let list = bindings.entry(format!("{port}/{protocol}")).or_default();
        list.push(PortBinding { host_ip: ip.to_owned(), host_port });
    }
    Ok(())
}

/// Reads a port of `--expose` or of an image: `80`, `80/udp`, `8000-8010`. Gives docker's form of each.
pub fn parse_exposed(spec: &str) -> Result<Vec<String>> {
    let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    if !matches!(protocol, "tcp" | "udp") {
        bail!("invalid port {spec:?}: the protocol is tcp or udp");
    }
    let ports = range(ports).with_context(|| format!("invalid port {spec:?}"))?;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

/// The arguments of `portfwd publish`: `IP:HOST:CONTAINER/PROTOCOL`.
pub fn publish_args(bindings: &Bindings) -> Vec<String> {
    let one = |container: &str, b: &PortBinding| {
        let ip = if b.host_ip.contains(':') { format!("[{}]", b.host_ip) } else { b.host_ip.clone() };
        format!("{ip}:{}:{container}", b.host_port)
    };
    bindings.iter().flat_map(|(container, list)| list.iter().map(move |b| one(container, b))).collect()
}

fn range(text: &str) -> Result<std::ops::RangeInclusive<u16>> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("{text:?} is no port (1 to 65535)"),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last {
        bail!("{text:?} is a range that ends before it starts");
    }
    Ok(first..=last)
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
            ("[::1]:4000:80", "[::1]:4000:80/tcp".into()),
            ("8000-8001:80-81", ":8000:80/tcp,:8001:81/tcp".into()),
        ] {
            let mut bindings = Bindings::new();
            parse(spec, &mut bindings).unwrap();
            assert_eq!(publish_args(&bindings).join(","), args, "{spec}");
        }
        for bad in ["", "0", "80:", "x:80", "70000:80", "1.2.3:1:2", "80/sctp2", "1-2:3", "2-1:2-1", "a:b:c:d"] {
            assert!(parse(bad, &mut Bindings::new()).is_err(), "{bad}");
        }
    }
}

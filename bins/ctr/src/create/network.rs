//! What it is connected to.

use super::wrong::OfOption;
use super::{links, modes, ports};
use crate::cli::NetworkOptions;
use anyhow::{Result, bail};
use layout::Layout;
use layout::container::HostConfig;
use std::net::IpAddr;

/// Fills in what the options say about its network; `name` is the container's own.
pub fn fill(host: &mut HostConfig, layout: &Layout, options: &NetworkOptions, name: &str) -> Result<()> {
    let network = options.network.as_str();
    let of_container = modes::network(layout, network)?;
    if of_container.is_none() && !matches!(network, "default" | "bridge" | "host" | "none") {
        bail!("--network {network}: bridge, host and none are there; networks of one's own come later");
    }
    refuse_what_needs_a_network(options)?;
    if !matches!(network, "default" | "bridge") && !options.link.is_empty() {
        bail!("links are only supported for user-defined networks");
    }
    let mut bindings = ports::Bindings::new();
    for port in &options.publish {
        ports::parse(port, &mut bindings).of_option()?;
    }
    if network == "host" && !bindings.is_empty() {
        eprintln!("WARNING: Published ports are discarded when using host network mode");
    }
    for server in options.dns.iter().filter(|server| server.trim().parse().is_ok_and(|ip: IpAddr| ip.is_loopback())) {
        eprintln!("WARNING: Localhost DNS setting (--dns={server}) may fail in containers.");
    }
    host.network_mode = of_container.unwrap_or_else(|| network.to_owned());
    host.port_bindings = bindings;
    host.publish_all_ports = options.publish_all;
    options.add_host.iter().try_for_each(|line| check_host(line)).of_option()?;
    host.extra_hosts = Some(options.add_host.clone()).filter(|hosts| !hosts.is_empty());
    host.dns = options.dns.iter().map(|server| check_server(server)).collect::<Result<_>>().of_option()?;
    host.dns_options = options.dns_option.clone();
    host.dns_search =
        options.dns_search.iter().map(|domain| check_domain(domain)).collect::<Result<_>>().of_option()?;
    host.links = links::resolve(layout, &options.link, name)?;
    Ok(())
}

/// What has a meaning only in networks that a user makes, in docker's words for the default one.
fn refuse_what_needs_a_network(options: &NetworkOptions) -> Result<()> {
    if options.ip.is_some() || options.ip6.is_some() || !options.link_local_ip.is_empty() {
        bail!("user specified IP address is supported on user defined networks only (which come later)");
    }
    if !options.network_alias.is_empty() {
        bail!("network-scoped aliases are only supported for user-defined networks (which come later)");
    }
    Ok(())
}

fn check_host(line: &str) -> Result<()> {
    let invalid = |why: &str| format!("invalid argument {line:?} for \"--add-host\" flag: {why}");
    let Some((name, address)) = line.split_once(':').filter(|(name, _)| !name.is_empty()) else {
        bail!(invalid(&format!("bad format for add-host: {line:?}")));
    };
    if name.contains(char::is_whitespace) {
        bail!(invalid(&format!("bad format for add-host: {line:?}")));
    }
    if address != "host-gateway" && address.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
        bail!(invalid(&format!("invalid IP address in add-host: {address:?}")));
    }
    Ok(())
}

fn check_server(text: &str) -> Result<String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => bail!("invalid argument {text:?} for \"--dns\" flag: {text} is not an ip address"),
    }
}

fn check_domain(text: &str) -> Result<String> {
    let domain = text.trim();
    let is_good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if domain == "."
        || (domain.contains(|c: char| c.is_ascii_alphabetic()) && domain.trim_end_matches('.').split('.').all(is_good))
    {
        return Ok(domain.to_owned());
    }
    bail!("invalid argument {text:?} for \"--dns-search\" flag: {text} is not a valid domain")
}

/// A hardware address in the form that the kernel shows.
pub fn check_mac(text: &str) -> Result<String> {
    let bytes: Vec<Option<u8>> = text
        .split([':', '-'])
        .map(|part| Some(part).filter(|part| part.len() == 2).and_then(|part| u8::from_str_radix(part, 16).ok()))
        .collect();
    match bytes.iter().copied().collect::<Option<Vec<u8>>>() {
        Some(bytes) if bytes.len() == 6 => {
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
        }
        _ => bail!("{text} is not a valid mac address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        let why = |result: Result<()>| result.unwrap_err().to_string().split_once(" flag: ").unwrap().1.to_owned();
        assert_eq!(why(check_host("foo")), "bad format for add-host: \"foo\"");
        assert_eq!(why(check_host("foo:bar")), "invalid IP address in add-host: \"bar\"");
        for good in ["a:1.1.1.1", "a:::1", "a:host-gateway"] {
            check_host(good).unwrap();
        }
        assert_eq!(why(check_server("foo").map(drop)), "foo is not an ip address");
        assert_eq!(why(check_domain("a b").map(drop)), "a b is not a valid domain");
        assert_eq!(
            (check_domain(".").unwrap(), check_domain("lan.example").unwrap()),
            (".".into(), "lan.example".into())
        );
        assert_eq!(check_mac("foo").unwrap_err().to_string(), "foo is not a valid mac address");
        assert_eq!(check_mac("02-42-AC-11-00-09").unwrap(), "02:42:ac:11:00:09");
    }
}

//! The two files of `/etc` that the engine writes for a container: `hosts` and `resolv.conf`.

use layout::network::LOCALHOST;
use std::fs;
use std::net::IpAddr;

/// Where systemd-resolved keeps the servers it asks itself: `/etc/resolv.conf` names only its own stub on loopback.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
/// What docker falls back to when the host has no server that a container can reach.
const FALLBACK: &str = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";

/// The `hosts` file of a new container; `portfwd attach` adds the addresses of its network.
pub fn hosts(network: &str) -> String {
    let hosts = if network == "host" { fs::read_to_string("/etc/hosts").ok() } else { None };
    hosts.unwrap_or_else(|| LOCALHOST.to_owned())
}

/// The `resolv.conf` of a new container: the host's, without servers on the host's loopback interface, which a
/// container with a network of its own cannot reach.
pub fn resolv_conf(network: &str) -> String {
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if network == "host" {
        return host;
    }
    let reachable = without_loopback(&host);
    if has_server(&reachable) {
        return reachable;
    }
    let resolved = without_loopback(&fs::read_to_string(RESOLVED).unwrap_or_default());
    if has_server(&resolved) { resolved } else { reachable + FALLBACK }
}

fn server(line: &str) -> Option<&str> {
    line.split_whitespace().collect::<Vec<_>>().as_slice().split_first().and_then(|(key, rest)| match *key {
        "nameserver" => rest.first().copied(),
        _ => None,
    })
}

fn without_loopback(text: &str) -> String {
    let is_loopback =
        |line: &str| server(line).is_some_and(|address| address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()));
    text.lines().filter(|line| !is_loopback(line)).map(|line| format!("{line}\n")).collect()
}

fn has_server(text: &str) -> bool {
    text.lines().any(|line| server(line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_loopback_are_left_out() {
        let text = "search lan\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n";
        assert_eq!(without_loopback(text), "search lan\nnameserver 10.0.0.1\n");
        assert!(!has_server(&without_loopback("nameserver ::1\n")));
    }
}

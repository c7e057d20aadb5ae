//! The files that the engine writes for a container: `hosts` and `resolv.conf` in `/etc`, and what is in its layer from the begin.

use crate::plan::Step;
use anyhow::Result;
use layout::container::HostConfig;
use layout::images::{Image, layer_names};
use layout::network::{LOCALHOST, Network};
use layout::tool::{Call, Tool};
use layout::{Digest, Layout, publish};
use std::fs::{self, Metadata};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where systemd-resolved keeps the servers it asks itself: `/etc/resolv.conf` names only its own stub on loopback.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
/// What docker falls back to when the host has no server that a container can reach.
const FALLBACK: &str = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";

/// What is in the writable layer from the begin, as with docker: a file by which programs know that they are in a container, and
/// `/etc/mtab`, which old programs read.
pub fn inside(layout: &Layout, upper: &Path, image: &Image) -> Vec<Step> {
    let mark = Step::Write { path: upper.join(".dockerenv"), content: String::new(), mode: 0o755 };
    let Some(mode) = mode_of_etc(layout, image.layers()) else { return vec![mark] };
    let dir = upper.join("etc");
    let link = Step::Link { target: "/proc/mounts".into(), link: dir.join("mtab") };
    vec![mark, Step::MakeDir { path: dir, mode }, link]
}

/// The mode of the `/etc` of an image with these layers, which a folder in the writable layer is seen in place of, with the
/// files of both. None where that would have to be more than a folder of root's.
pub fn mode_of_etc(layout: &Layout, diff_ids: &[Digest]) -> Option<u32> {
    let layers = layer_names(layout, diff_ids);
    match layers.iter().rev().find_map(|layer| layout.layer_diff(layer).join("etc").symlink_metadata().ok()) {
        None => Some(0o755),
        Some(etc) => is_roots_folder(&etc).then(|| etc.mode() & 0o7777),
    }
}

/// Whether this is a folder of root's.
pub fn is_roots_folder(found: &Metadata) -> bool {
    found.is_dir() && found.uid() == 0 && found.gid() == 0
}

/// The `hosts` file of a new container; `portfwd attach` adds the addresses of its network.
pub fn hosts(layout: &Layout, host: &HostConfig) -> Result<String> {
    let hosts = if host.network_mode == "host" { fs::read_to_string("/etc/hosts").ok() } else { None };
    let mut hosts = hosts.unwrap_or_else(|| LOCALHOST.to_owned());
    for line in host.extra_hosts.iter().flatten() {
        let (name, address) = line.split_once(':').unwrap_or((line, ""));
        let address = match address {
            "host-gateway" => gateway(layout)?,
            address => address.trim_matches(['[', ']']).to_owned(),
        };
        hosts.push_str(&format!("{address}\t{name}\n"));
    }
    Ok(hosts)
}

/// This machine as containers see it: the address of the default bridge, which is made if nobody has needed it yet.
fn gateway(layout: &Layout) -> Result<String> {
    let file = layout.network("bridge");
    if !file.exists() {
        Call::new(Tool::Portfwd).args(["bridge", "bridge"]).run()?;
    }
    Ok(publish::read_json::<Network>(&file)?.gateway.to_string())
}

/// The `resolv.conf` of a new container: what the options say, and for what they do not say the host's.
pub fn resolv_conf(host: &HostConfig) -> String {
    let base = base(&host.network_mode);
    if host.dns.is_empty() && host.dns_options.is_empty() && host.dns_search.is_empty() {
        return base;
    }
    let of_host = |key: &str| -> Vec<String> {
        let values = base.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix([' ', '\t']));
        values.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let or_host = |given: &[String], key: &str| if given.is_empty() { of_host(key) } else { given.to_vec() };
    let search = or_host(&host.dns_search, "search").join(" ");
    let mut text = String::new();
    if !matches!(search.as_str(), "" | ".") {
        text.push_str(&format!("search {search}\n"));
    }
    for server in or_host(&host.dns, "nameserver") {
        text.push_str(&format!("nameserver {server}\n"));
    }
    let options = or_host(&host.dns_options, "options").join(" ");
    if !options.is_empty() {
        text.push_str(&format!("options {options}\n"));
    }
    text
}

/// The host's file, without servers on the host's loopback interface, which a container with a network of its own cannot reach.
fn base(network: &str) -> String {
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
    fn options_replace_what_the_host_says() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let host = HostConfig {
            dns: list(&["10.0.0.1", "::1"]),
            dns_search: list(&["lan", "example"]),
            dns_options: list(&["ndots:3", "rotate"]),
            ..HostConfig::default()
        };
        let text = "search lan example\nnameserver 10.0.0.1\nnameserver ::1\noptions ndots:3 rotate\n";
        assert_eq!(resolv_conf(&host), text);
        let none = HostConfig { dns_search: list(&["."]), ..host };
        assert!(!resolv_conf(&none).contains("search"));
    }

    #[test]
    fn servers_on_loopback_are_left_out() {
        let text = "search lan\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n";
        assert_eq!(without_loopback(text), "search lan\nnameserver 10.0.0.1\n");
        assert!(!has_server(&without_loopback("nameserver ::1\n")));
    }
}

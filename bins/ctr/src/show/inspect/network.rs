//! A network's document.

use anyhow::Result;
use layout::network::{Network, id};
use layout::{Digest, Layout, publish, time};
use serde_json::{Map, Value, json};

/// The id of a container's place in a network, likewise.
pub fn endpoint_id(network: &str, container: &str) -> String {
    Digest::of(format!("endpoint {network} {container}").as_bytes()).hex().to_owned()
}

/// Docker's keys, in docker's order; nothing if there is no such network.
pub fn document(layout: &Layout, wanted: &str) -> Result<Option<Value>> {
    let is_name = wanted.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let is_meant = |name: &str| name == wanted || (wanted.len() >= 3 && id(name).starts_with(wanted));
    if let Some(name) = ["host", "none"].into_iter().find(|name| is_meant(name)) {
        let driver = if name == "none" { "null" } else { name };
        return Ok(Some(frame(name, time::ZERO, driver, json!([]), json!({}), json!({}))));
    }
    // The default network's file is made when somebody is attached first.
    let name = if is_meant("bridge") { "bridge" } else { wanted };
    if !is_name || wanted.is_empty() || !(name == "bridge" || layout.network(name).exists()) {
        return Ok(None);
    }
    if !layout.network(name).exists() {
        return Ok(Some(frame(name, time::ZERO, "bridge", json!([]), json!({}), json!({}))));
    }
    let network: Network = publish::read_json(&layout.network(name))?;
    let prefix = network.subnet.rsplit('/').next().unwrap_or_default();
    let containers = network.endpoints.iter().map(|(container, endpoint)| {
        let place = json!({
            "Name": endpoint.name,
            "EndpointID": endpoint_id(&network.name, container),
            "MacAddress": endpoint.mac_address,
            "IPv4Address": format!("{}/{prefix}", endpoint.ipv4),
            "IPv6Address": "",
        });
        (container.clone(), place)
    });
    let containers: Map<String, Value> = containers.collect();
    let ranges = json!([{"Subnet": network.subnet, "Gateway": network.gateway}]);
    let options = json!({
        "com.docker.network.bridge.default_bridge": (network.name == "bridge").to_string(),
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": network.bridge,
    });
    Ok(Some(frame(&network.name, &network.created, &network.driver, ranges, containers.into(), options)))
}

fn frame(name: &str, created: &str, driver: &str, ranges: Value, containers: Value, options: Value) -> Value {
    json!({
        "Name": name,
        "Id": id(name),
        "Created": created,
        "Scope": "local",
        "Driver": driver,
        "EnableIPv6": false,
        "IPAM": {"Driver": "default", "Options": null, "Config": ranges},
        "Internal": false,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": containers,
        "Options": options,
        "Labels": {},
    })
}

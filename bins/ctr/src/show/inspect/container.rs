//! A container's document: its two files, and what can be seen of it now.

use super::network;
use crate::show::{disk, ps};
use crate::{exec, life};
use anyhow::Result;
use layout::container::{Config, Container, State, Status};
use layout::images;
use layout::network::Network;
use layout::oci::image::ImageConfig;
use layout::{ContainerId, Layout, publish};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Docker's keys, in docker's order.
pub fn document(layout: &Layout, id: &ContainerId, size: bool) -> Result<Value> {
    let state = life::state(layout, id)?;
    let container = layout.read_container(id)?;
    let dir = layout.container_dir(id);
    // The other drivers have no file that others may read.
    let has_file = container.host_config.log_config.kind == "json-file";
    let log = if has_file { dir.log(id) } else { PathBuf::new() };
    let mut shown = json!({
        "Id": id,
        "Created": container.created,
        "Path": container.path,
        "Args": container.args,
        "State": state_of(&state),
        "Image": container.image,
        "ResolvConfPath": dir.resolv_conf(),
        "HostnamePath": dir.hostname(),
        "HostsPath": dir.hosts(),
        "LogPath": log,
        "Name": format!("/{}", container.name),
        "RestartCount": state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": exec::running(layout, id)?,
        "HostConfig": container.host_config,
        "GraphDriver": {
            "Data": {
                "LowerDir": lower_dirs(layout, &container.image),
                "MergedDir": dir.rootfs(),
                "UpperDir": dir.upper(),
                "WorkDir": dir.work(),
            },
            "Name": "overlay2",
        },
    });
    if size {
        let own = disk::written(&dir.upper());
        let image = images::lookup(layout, container.image.as_str())?;
        shown["SizeRw"] = json!(own);
        shown["SizeRootFs"] = json!(own + image.map_or(Ok(0), |image| image.size(layout))?);
    }
    shown["Mounts"] = json!(container.mounts);
    shown["Config"] = config(&container.config);
    shown["NetworkSettings"] = network_settings(layout, &container, &state);
    Ok(shown)
}

fn state_of(state: &State) -> Value {
    let mut shown = json!({
        "Status": state.status.as_str(),
        "Running": state.status.is_up(),
        "Paused": state.status == Status::Paused,
        "Restarting": state.status == Status::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == Status::Dead,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at,
        "FinishedAt": state.finished_at,
    });
    if let Some(health) = &state.health {
        shown["Health"] = json!(health);
    }
    shown
}

/// Where OCI leaves a key out, docker shows that there is nothing.
pub fn config(config: &Config) -> Value {
    let run = &config.run;
    let mut shown = json!({
        "Hostname": config.hostname,
        "Domainname": config.domainname,
        "User": run.user,
        "AttachStdin": config.attach_stdin,
        "AttachStdout": config.attach_stdout,
        "AttachStderr": config.attach_stderr,
    });
    if let Some(ports) = &run.exposed_ports {
        shown["ExposedPorts"] = json!(ports);
    }
    let rest = json!({
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "StdinOnce": config.stdin_once,
        "Env": run.env,
        "Cmd": run.cmd,
        "Healthcheck": run.extra.get("Healthcheck"),
        "Image": config.image,
        "Volumes": run.volumes,
        "WorkingDir": run.working_dir,
        "Entrypoint": run.entrypoint,
        "MacAddress": run.extra.get("MacAddress"),
        "OnBuild": run.extra.get("OnBuild"),
        "Labels": run.labels.clone().unwrap_or_default(),
    });
    let (Some(all), Value::Object(rest)) = (shown.as_object_mut(), rest) else { return shown };
    let is_shown = |key: &str, value: &Value| !matches!(key, "Healthcheck" | "MacAddress") || !value.is_null();
    all.extend(rest.into_iter().filter(|(key, value)| is_shown(key, value)));
    if !run.stop_signal.is_empty() {
        all.insert("StopSignal".to_owned(), json!(run.stop_signal));
    }
    if let Some(seconds) = config.stop_timeout {
        all.insert("StopTimeout".to_owned(), json!(seconds));
    }
    let others = run.extra.iter().filter(|(key, _)| !matches!(key.as_str(), "Healthcheck" | "MacAddress" | "OnBuild"));
    all.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    shown
}

/// The folders of its image's layers. Where the image's configuration is gone there are none to name.
fn lower_dirs(layout: &Layout, image: &layout::Digest) -> String {
    let Ok(config) = images::read_blob::<ImageConfig>(layout, image) else { return String::new() };
    let names = images::layer_names(layout, &config.rootfs.diff_ids);
    let dirs = names.iter().rev().map(|name| layout.layer_diff(name).to_string_lossy().into_owned());
    dirs.collect::<Vec<_>>().join(":")
}

/// One network's share of the document.
struct Place {
    network_id: String,
    endpoint_id: String,
    gateway: String,
    address: String,
    prefix: u8,
    mac_address: String,
}

fn network_settings(layout: &Layout, container: &Container, state: &State) -> Value {
    let name = ps::network(container);
    let is_up = state.status.is_up() && state.pid != 0;
    let place = place(layout, container, name, is_up);
    let mut networks = Map::new();
    if !name.is_empty() {
        networks.insert(
            name.to_owned(),
            json!({
                "IPAMConfig": null,
                "Links": null,
                "Aliases": null,
                "NetworkID": place.network_id,
                "EndpointID": place.endpoint_id,
                "Gateway": place.gateway,
                "IPAddress": place.address,
                "IPPrefixLen": place.prefix,
                "IPv6Gateway": "",
                "GlobalIPv6Address": "",
                "GlobalIPv6PrefixLen": 0,
                "MacAddress": place.mac_address,
                "DriverOpts": null,
            }),
        );
    }
    // Docker repeats the default network's addresses at the top.
    let is_default = name == "bridge";
    let top = |text: &String| if is_default { text.clone() } else { String::new() };
    json!({
        "Bridge": "",
        "SandboxID": if is_up { container.id.as_str() } else { "" },
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": if is_up { ports(layout, container) } else { json!({}) },
        "SandboxKey": if is_up { format!("/proc/{}/ns/net", state.pid) } else { String::new() },
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": top(&place.endpoint_id),
        "Gateway": top(&place.gateway),
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": top(&place.address),
        "IPPrefixLen": if is_default { place.prefix } else { 0 },
        "IPv6Gateway": "",
        "MacAddress": top(&place.mac_address),
        "Networks": networks,
    })
}

fn place(layout: &Layout, container: &Container, name: &str, is_up: bool) -> Place {
    let id = container.id.as_str();
    let mut place = Place {
        network_id: layout::network::id(name),
        endpoint_id: if is_up { network::endpoint_id(name, id) } else { String::new() },
        gateway: String::new(),
        address: String::new(),
        prefix: 0,
        mac_address: String::new(),
    };
    let file = publish::read_json::<Network>(&layout.network(name)).ok();
    if let Some(network) = &file
        && let Some(endpoint) = network.endpoints.get(id)
    {
        place.gateway = network.gateway.to_string();
        place.address = endpoint.ipv4.to_string();
        place.prefix = network.subnet.rsplit('/').next().and_then(|bits| bits.parse().ok()).unwrap_or(0);
        place.mac_address.clone_from(&endpoint.mac_address);
    }
    place
}

/// By the container's port, where on the host it is; null for one that is only exposed.
fn ports(layout: &Layout, container: &Container) -> Value {
    let mut found: Map<String, Value> = Map::new();
    let mut ports = ps::ports::of(layout, container);
    ports.sort();
    for port in ports {
        let entry = found.entry(format!("{}/{}", port.private, port.protocol)).or_insert(Value::Null);
        if let Some(ip) = port.ip {
            let binding = json!({"HostIp": ip, "HostPort": port.public.to_string()});
            match entry {
                Value::Array(bindings) => bindings.push(binding),
                _ => *entry = json!([binding]),
            }
        }
    }
    Value::Object(found)
}

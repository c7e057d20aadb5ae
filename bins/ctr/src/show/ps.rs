//! `ctr ps`.

use super::{ago, table};
use crate::{cli, life};
use anyhow::Result;
use layout::container::{Container, PublishedPort, State, Status};
use layout::{Layout, images, publish};
use std::collections::BTreeMap;

/// Lists containers, newest first.
pub fn ps(layout: &Layout, args: &cli::Ps) -> Result<u8> {
    let mut listed = Vec::new();
    for id in layout.container_ids()? {
        // One that is removed at this moment is no longer there to be listed; a broken one must not hide the rest.
        match life::state(layout, &id).and_then(|state| Ok((layout.read_container(&id)?, state))) {
            Ok((_, state)) if !args.all && !state.status.is_up() => {}
            Ok(both) => listed.push(both),
            Err(_) if !layout.container(&id).exists() => {}
            Err(error) => eprintln!("ctr: list container {}: {error:#}", id.short()),
        }
    }
    listed.sort_by(|(a, _), (b, _)| b.created.cmp(&a.created));
    let head = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let names = if listed.is_empty() || args.quiet { BTreeMap::new() } else { image_names(layout)? };
    for (container, state) in &listed {
        rows.push(row(layout, container, state, &names, args.no_trunc));
    }
    table::print(&rows, args.quiet);
    Ok(0)
}

fn row(
    layout: &Layout,
    container: &Container,
    state: &State,
    names: &BTreeMap<String, String>,
    whole: bool,
) -> Vec<String> {
    let id = if whole { container.id.as_str() } else { container.id.short() };
    let command = command_line(container);
    vec![
        id.to_owned(),
        image_column(container, names),
        format!("{:?}", if whole { command } else { table::ellipsis(&command, 20) }),
        ago::ago(&container.created),
        status(state),
        if state.status.is_up() { ports(layout, container) } else { String::new() },
        container.name.clone(),
    ]
}

/// The image as it was named, unless that name means another image by now, or none: then its id.
fn image_column(container: &Container, names: &BTreeMap<String, String>) -> String {
    let named = layout::Reference::parse(&container.config.image).map(|reference| reference.familiar());
    match named.ok().and_then(|name| names.get(&name)) {
        Some(id) if id == container.image.as_str() => container.config.image.clone(),
        // Named by its id from the start, and that is still it.
        _ if container.image.hex().starts_with(&container.config.image) => container.config.image.clone(),
        _ => container.image.short().to_owned(),
    }
}

fn image_names(layout: &Layout) -> Result<BTreeMap<String, String>> {
    let images = images::all(layout)?;
    Ok(images.into_iter().flat_map(|i| i.names.into_iter().map(move |n| (n, i.id.as_str().to_owned()))).collect())
}

fn command_line(container: &Container) -> String {
    let quoted = container.args.iter().map(|arg| if arg.contains(' ') { format!("'{arg}'") } else { arg.clone() });
    std::iter::once(container.path.clone()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// `Up 2 minutes`, `Exited (0) 5 seconds ago`, `Created`.
pub fn status(state: &State) -> String {
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}{}", ago::elapsed(&state.started_at), health(state)),
        Status::Paused => format!("Up {} (Paused)", ago::elapsed(&state.started_at)),
        Status::Restarting => format!("Restarting ({}) {}", state.exit_code, ago::ago(&state.finished_at)),
        Status::Exited => format!("Exited ({}) {}", state.exit_code, ago::ago(&state.finished_at)),
        Status::Dead => "Dead".to_owned(),
    }
}

/// ` (healthy)`, ` (unhealthy)`, ` (health: starting)`; nothing for a container without a check.
fn health(state: &State) -> String {
    match state.health.as_ref().map(|health| health.status.as_str()) {
        Some("starting") => " (health: starting)".to_owned(),
        Some(status) => format!(" ({status})"),
        None => String::new(),
    }
}

/// What is published, and what is merely exposed: `0.0.0.0:4000->80/tcp, 6379/tcp`.
fn ports(layout: &Layout, container: &Container) -> String {
    let held: Vec<PublishedPort> = publish::read_json(&layout.ports_file(&container.id)).unwrap_or_default();
    let mut shown: Vec<(u16, String)> = held
        .iter()
        .map(|port| {
            let host = std::net::SocketAddr::new(port.host_ip, port.host_port);
            (port.container_port, format!("{host}->{}/{}", port.container_port, port.protocol))
        })
        .collect();
    for exposed in container.config.run.exposed_ports.iter().flatten().map(|(port, _)| port) {
        let (number, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
        let number = number.parse().unwrap_or(0);
        if !held.iter().any(|port| port.container_port == number && port.protocol == protocol) {
            shown.push((number, format!("{number}/{protocol}")));
        }
    }
    shown.sort_by_key(|(port, _)| *port);
    shown.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

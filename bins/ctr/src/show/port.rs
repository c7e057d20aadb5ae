//! `ctr port`: which ports of this machine lead into a container, as they are held now.

use crate::cli::Port;
use anyhow::{Result, bail};
use layout::container::PublishedPort;
use layout::{Layout, publish};
use std::net::SocketAddr;

/// Prints a line for each, or for one port of the container those that lead to it.
pub fn port(layout: &Layout, args: &Port) -> Result<u8> {
    let id = layout.find_container(&args.container)?;
    let file = layout.ports_file(&id);
    let mut held: Vec<PublishedPort> = if file.exists() { publish::read_json(&file)? } else { Vec::new() };
    held.sort_by_key(|held| (held.container_port, held.protocol.clone()));
    let wanted = args.port.as_ref().map(|port| match port.contains('/') {
        true => port.clone(),
        false => format!("{port}/tcp"),
    });
    let mut found = false;
    for held in held {
        let port = format!("{}/{}", held.container_port, held.protocol);
        let host = SocketAddr::new(held.host_ip, held.host_port);
        match &wanted {
            None => println!("{port} -> {host}"),
            Some(wanted) if *wanted == port => println!("{host}"),
            Some(_) => continue,
        }
        found = true;
    }
    match wanted {
        Some(wanted) if !found => bail!("No public port '{wanted}' published for {}", args.container),
        _ => Ok(0),
    }
}

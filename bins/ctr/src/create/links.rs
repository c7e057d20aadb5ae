//! `--link`: another container by a name of one's own, from the days before networks had names. The name goes into `hosts`, the
//! other's ports and variables into the environment, both at each start: only one that runs has an address.

use super::files;
use crate::life;
use crate::plan::Step;
use anyhow::{Context, Result, anyhow, bail};
use layout::container::Container;
use layout::network::Network;
use layout::{Layout, publish};

/// The links as docker keeps them: `/OTHER:/OWN/ALIAS`.
pub fn resolve(layout: &Layout, links: &[String], own: &str) -> Result<Option<Vec<String>>> {
    let mut resolved = Vec::new();
    for text in links {
        let (name, alias) = match text.split(':').collect::<Vec<_>>().as_slice() {
            [name] if !name.is_empty() => (*name, name.trim_start_matches('/')),
            [name, alias] if !name.is_empty() && !alias.is_empty() => (*name, *alias),
            _ => bail!("invalid argument {text:?} for \"--link\" flag: bad format for links: {text}"),
        };
        let id = layout.find_container(name).map_err(|error| anyhow!("could not get container for {name}: {error}"))?;
        let other = layout.read_container(&id)?.name;
        resolved.push(format!("/{other}:/{own}/{alias}"));
    }
    Ok(Some(resolved).filter(|links| !links.is_empty()))
}

/// A container that runs, as one that is linked to it knows it.
struct Linked {
    other: Container,
    address: String,
    /// `/OWN/ALIAS`.
    path: String,
}

impl Linked {
    fn alias(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// # Errors
/// One of the others does not run.
fn linked(layout: &Layout, container: &Container) -> Result<Vec<Linked>> {
    let one = |link: &String| {
        let (other, path) = link.split_once(':').with_context(|| format!("read the link {link}"))?;
        let found = running(layout, other);
        let (other, address) =
            found.with_context(|| format!("Cannot link to a non running container: {other} AS {path}"))?;
        Ok(Linked { other, address, path: path.to_owned() })
    };
    container.host_config.links.iter().flatten().map(one).collect()
}

/// The variables that a container has from those that it is linked to; its own count more.
pub fn variables(layout: &Layout, container: &Container) -> Result<Vec<String>> {
    let name = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
    let own: Vec<String> = container.config.run.env.iter().flatten().map(|line| name(line)).collect();
    let all = linked(layout, container)?.into_iter().flat_map(|link| variables_of(&link));
    Ok(all.filter(|line| !own.contains(&name(line))).collect())
}

/// The step that writes the names of those that a container is linked to into its `hosts`.
pub fn hosts_step(layout: &Layout, container: &Container) -> Result<Option<Step>> {
    if container.host_config.links.is_none() {
        return Ok(None);
    }
    let mut hosts = files::hosts(layout, &container.host_config)?;
    for link in linked(layout, container)? {
        let (alias, short, name) = (link.alias(), link.other.id.short(), &link.other.name);
        let name = if name == alias { String::new() } else { format!(" {name}") };
        hosts.push_str(&format!("{}\t{alias} {short}{name}\n", link.address));
    }
    Ok(Some(Step::write(layout.container_dir(&container.id).hosts(), hosts)))
}

/// A container that runs, and its address in the default network.
fn running(layout: &Layout, name: &str) -> Option<(Container, String)> {
    let id = layout.find_container(name).ok()?;
    if !life::state(layout, &id).ok()?.status.is_up() {
        return None;
    }
    let network: Network = publish::read_json(&layout.network("bridge")).ok()?;
    let address = network.endpoints.get(id.as_str())?.ipv4.to_string();
    Some((layout.read_container(&id).ok()?, address))
}

fn upper(alias: &str) -> String {
    alias.to_uppercase().replace('-', "_")
}

/// Docker's variables about a linked container.
fn variables_of(link: &Linked) -> Vec<String> {
    let Linked { other, address, path } = link;
    let alias = upper(link.alias());
    let mut ports: Vec<(u16, &str)> = other
        .config
        .run
        .exposed_ports
        .iter()
        .flatten()
        .filter_map(|(port, _)| {
            port.split_once('/').and_then(|(number, protocol)| Some((number.parse().ok()?, protocol)))
        })
        .collect();
    ports.sort_unstable();
    let mut lines = Vec::new();
    if let Some((port, protocol)) = ports.first() {
        lines.push(format!("{alias}_PORT={protocol}://{address}:{port}"));
    }
    for (port, protocol) in ports {
        let name = format!("{alias}_PORT_{port}_{}", protocol.to_uppercase());
        lines.push(format!("{name}={protocol}://{address}:{port}"));
        lines.push(format!("{name}_ADDR={address}"));
        lines.push(format!("{name}_PORT={port}"));
        lines.push(format!("{name}_PROTO={protocol}"));
    }
    lines.push(format!("{alias}_NAME={path}"));
    for line in other.config.run.env.iter().flatten() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if !matches!(name, "HOME" | "PATH" | "HOSTNAME" | "TERM") {
            lines.push(format!("{alias}_ENV_{name}={value}"));
        }
    }
    lines
}

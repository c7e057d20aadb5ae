//! `ctr ps --filter`: of several values of one name one must fit, and of several names all; labels must fit all.

use super::list::Listed;
use super::row::network;
use anyhow::{Result, bail};
use layout::container::Container;
use layout::images::{self, Image};
use layout::{Digest, Layout, exit};
use regex_lite::Regex;
use std::collections::BTreeSet;

/// One `--filter NAME=VALUE`.
pub type FilterArg = (String, String);

/// Splits `NAME=VALUE`.
///
/// # Errors
/// Docker's words, and its exit code for a wrong command line.
pub fn parse_filters(filters: &[String], option: &str) -> Result<Vec<FilterArg>> {
    let split = |filter: &String| match filter.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned())),
        None => Err(exit::coded(
            exit::TOOL,
            format!("invalid argument {filter:?} for {option:?} flag: bad format of filter (expected name=value)"),
        )),
    };
    filters.iter().map(split).collect()
}

/// What was asked for.
#[derive(Default)]
pub struct Filter {
    ids: Vec<Regex>,
    names: Vec<Regex>,
    labels: Vec<(String, Option<String>)>,
    exited: Vec<i32>,
    statuses: Vec<String>,
    /// The ids of the images, and of those that stand on them.
    ancestors: Option<BTreeSet<Digest>>,
    before: Option<String>,
    since: Option<String>,
    volumes: Vec<String>,
    networks: Vec<String>,
    published: Vec<Ports>,
    exposed: Vec<Ports>,
    health: Vec<String>,
    is_task: Option<bool>,
}

/// `80`, `80/udp`, `5000-5003`.
struct Ports {
    first: u16,
    last: u16,
    protocol: String,
}

impl Filter {
    /// Reads the options.
    pub fn parse(layout: &Layout, filters: &[String]) -> Result<Filter> {
        let mut filter = Filter::default();
        for (name, value) in parse_filters(filters, "-f, --filter")? {
            filter.add(layout, &name, value).map_err(|error| exit::coded(1, format!("{error:#}")))?;
        }
        Ok(filter)
    }

    fn add(&mut self, layout: &Layout, name: &str, value: String) -> Result<()> {
        match name {
            // A pattern that is none fits nothing but itself.
            "id" => self.ids.extend(Regex::new(&value)),
            "name" => self.names.extend(Regex::new(&value)),
            "label" => self.labels.push(match value.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (value, None),
            }),
            "exited" => self.exited.push(match value.parse() {
                Ok(code) => code,
                Err(_) => bail!("strconv.Atoi: parsing {value:?}: invalid syntax"),
            }),
            "status" => match value.as_str() {
                "created" | "restarting" | "running" | "removing" | "paused" | "exited" | "dead" => {
                    self.statuses.push(value);
                }
                _ => bail!("Invalid filter 'status={value}'"),
            },
            "ancestor" => self.ancestors.get_or_insert_default().extend(standing_on(layout, &value)?),
            "before" => self.before = Some(created(layout, &value)?),
            "since" => self.since = Some(created(layout, &value)?),
            "volume" => self.volumes.push(value),
            "network" => self.networks.push(value),
            "publish" => self.published.push(Ports::parse(name, &value)?),
            "expose" => self.exposed.push(Ports::parse(name, &value)?),
            "health" => match value.as_str() {
                "starting" | "healthy" | "unhealthy" | "none" => self.health.push(value),
                _ => bail!("Unrecognised filter value for health: {value}"),
            },
            "is-task" => {
                self.is_task = Some(match value.as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => bail!("Invalid filter 'is-task=[{value}]'"),
                });
            }
            name => bail!("Invalid filter '{name}'"),
        }
        Ok(())
    }

    /// Whether it asks for states by name: then containers that are not up are meant as well.
    pub fn names_states(&self) -> bool {
        !self.statuses.is_empty()
    }

    /// Whether a container fits.
    pub fn takes(&self, one: &Listed) -> bool {
        let (container, state) = (&one.container, &one.state);
        let labels = container.config.run.labels.as_ref();
        let has_label = |(key, value): &(String, Option<String>)| {
            labels
                .and_then(|labels| labels.get(key))
                .is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        let named = |name: &Regex| name.is_match(&container.name) || name.is_match(&format!("/{}", container.name));
        let health = state.health.as_ref().map_or("none", |health| health.status.as_str());
        some(&self.ids, |id| id.is_match(container.id.as_str()))
            && some(&self.names, named)
            && self.labels.iter().all(has_label)
            && some(&self.exited, |code| state.status.as_str() == "exited" && state.exit_code == *code)
            && some(&self.statuses, |status| status == state.status.as_str())
            && self.ancestors.as_ref().is_none_or(|ids| ids.contains(&container.image))
            && self.before.as_ref().is_none_or(|time| container.created < *time)
            && self.since.as_ref().is_none_or(|time| container.created > *time)
            && some(&self.volumes, |volume| has_volume(container, volume))
            && some(&self.networks, |network| is_in(container, network))
            && some(&self.published, |ports| publishes(container, ports))
            && some(&self.exposed, |ports| exposes(container, ports))
            && some(&self.health, |wanted| wanted == health)
            // A task is a part of a swarm, which is not here.
            && self.is_task != Some(true)
    }
}

fn some<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

fn created(layout: &Layout, name: &str) -> Result<String> {
    let found = layout.find_container(name).and_then(|id| layout.read_container(&id));
    found.map(|container| container.created).map_err(|_| anyhow::Error::msg(format!("no such container {name}")))
}

/// The image of this name, and all images that were built on it.
fn standing_on(layout: &Layout, name: &str) -> Result<BTreeSet<Digest>> {
    let all = images::all(layout)?;
    let Some(image) = images::pick(&all, name)? else { return Ok(BTreeSet::new()) };
    let on = |other: &&Image| other.layers().starts_with(image.layers()) && !image.layers().is_empty();
    Ok(all.iter().filter(on).map(|other| other.id.clone()).chain([image.id.clone()]).collect())
}

fn has_volume(container: &Container, wanted: &str) -> bool {
    let mut mounts = container.mounts.iter();
    mounts.any(|mount| [&mount.name, &mount.destination].into_iter().any(|name| name == wanted))
}

fn is_in(container: &Container, wanted: &str) -> bool {
    let name = network(container);
    name == wanted || (!name.is_empty() && wanted.len() > 3 && layout::network::id(name).starts_with(wanted))
}

fn publishes(container: &Container, wanted: &Ports) -> bool {
    container.host_config.port_bindings.iter().any(|(port, bindings)| {
        let protocol = port.split_once('/').map_or("tcp", |(_, protocol)| protocol);
        bindings.iter().any(|binding| wanted.has(&binding.host_port, protocol))
    })
}

fn exposes(container: &Container, wanted: &Ports) -> bool {
    let exposed = container.config.run.exposed_ports.iter().flatten().map(|(port, _)| port);
    exposed.map(|port| port.split_once('/').unwrap_or((port, "tcp"))).any(|(port, protocol)| wanted.has(port, protocol))
}

impl Ports {
    fn parse(name: &str, text: &str) -> Result<Ports> {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let number = |text: &str| {
            let cause = if text.bytes().all(|b| b.is_ascii_digit()) { "value out of range" } else { "invalid syntax" };
            let failed =
                || format!("error while looking up for {name} {numbers}: strconv.ParseUint: parsing {text:?}: {cause}");
            text.parse::<u16>().map_err(|_| anyhow::Error::msg(failed()))
        };
        Ok(Ports { first: number(first)?, last: number(last)?, protocol: protocol.to_owned() })
    }

    /// `port` is a number or a range.
    fn has(&self, port: &str, protocol: &str) -> bool {
        let (first, last) = port.split_once('-').unwrap_or((port, port));
        let number = |text: &str| text.parse::<u16>().ok();
        let (Some(first), Some(last)) = (number(first), number(last)) else { return false };
        protocol == self.protocol && first <= self.last && self.first <= last
    }
}

//! `ctr system prune` and `ctr container prune`: what nobody uses is removed, after a question.

use super::Engine;
use super::images::confirmed;
use crate::cli::{ContainerPrune, SystemPrune};
use crate::life;
use crate::plan::{Plan, Step};
use crate::show::{disk, ps, when};
use crate::volume;
use anyhow::{Context, Result};
use jiff::Timestamp;
use layout::container::{Container, Status};
use layout::events::{self, About};
use layout::tool::{Call, Tool};
use layout::volume::Volume;
use layout::{exit, time, units};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What `layerfs prune --json` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrunedImages {
    deleted: Vec<String>,
    space_reclaimed: u64,
}

impl Engine {
    /// `ctr container prune`
    pub(super) fn container_prune(&self, args: &ContainerPrune) -> Result<u8> {
        let filter = Filter::parse(&args.filter)?;
        if !self.explain && !args.force && !confirmed("WARNING! This will remove all stopped containers.")? {
            println!("Total reclaimed space: 0B");
            return Ok(0);
        }
        if self.explain {
            return self.explained(&self.containers_plan(&filter)?);
        }
        let freed = self.prune_containers(&filter)?;
        println!("Total reclaimed space: {}", units::human_size(freed));
        Ok(0)
    }

    /// `ctr system prune`
    pub(super) fn system_prune(&self, args: &SystemPrune) -> Result<u8> {
        let filter = Filter::parse(&args.filter)?;
        if args.volumes && filter.until.is_some() {
            return Err(exit::coded(1, "ERROR: The \"until\" filter is not supported with \"--volumes\""));
        }
        if !self.explain && !args.force && !confirmed(&warning(args))? {
            return Ok(0);
        }
        let call = Call::new(Tool::Layerfs)
            .arg("prune")
            .args(args.all.then_some("--all"))
            .args(args.filter.iter().flat_map(|filter| ["--filter", filter]));
        if self.explain {
            let mut plan = self.containers_plan(&filter)?;
            let volumes = if args.volumes { volume::unused(&self.layout)? } else { Vec::new() };
            let volumes = volumes.iter().filter(|volume| filter.takes_labels(volume.labels.as_ref()));
            volumes.for_each(|found| plan.extend(volume::remove_plan(&self.layout, &found.name)));
            plan.push(Step::Foreground(call));
            return self.explained(&plan);
        }
        let mut freed = self.prune_containers(&filter)?;
        if args.volumes {
            let takes = |volume: &Volume| filter.takes_labels(volume.labels.as_ref());
            let (removed, bytes) = volume::prune(&self.layout, takes)?;
            list("Deleted Volumes", &removed);
            freed += bytes;
        }
        let said = call.arg("--json").output()?;
        let pruned: PrunedImages = serde_json::from_slice(&said).context("read what layerfs prints")?;
        list("Deleted Images", &pruned.deleted);
        freed += pruned.space_reclaimed;
        println!("Total reclaimed space: {}", units::human_size(freed));
        Ok(0)
    }

    /// The containers that do not run.
    fn idle_containers(&self, filter: &Filter) -> Result<Vec<Container>> {
        let is_idle = |status| matches!(status, Status::Created | Status::Exited | Status::Dead);
        let listed = ps::list::all(&self.layout)?.into_iter().filter(|one| is_idle(one.state.status));
        Ok(listed.map(|one| one.container).filter(|container| filter.takes_container(container)).collect())
    }

    fn containers_plan(&self, filter: &Filter) -> Result<Plan> {
        let mut plan = Plan::default();
        for container in self.idle_containers(filter)? {
            plan.extend(life::remove_plan(&self.layout, &container, false));
        }
        Ok(plan)
    }

    /// Removes the containers that do not run; gives the bytes that they had written.
    fn prune_containers(&self, filter: &Filter) -> Result<u64> {
        let (mut removed, mut freed) = (Vec::new(), 0);
        for container in self.idle_containers(filter)? {
            let size = disk::written(&self.layout.container_dir(&container.id).upper());
            // One that is started at this moment is used, and stays.
            match life::remove(&self.layout, &container, false, false) {
                Ok(()) => {
                    removed.push(container.id.to_string());
                    freed += size;
                }
                Err(error) => eprintln!("ctr: {error:#}"),
            }
        }
        list("Deleted Containers", &removed);
        events::note(&self.layout, About::Container, "prune", "", &[("reclaimed", &freed.to_string())]);
        Ok(freed)
    }
}

fn list(title: &str, lines: &[String]) {
    if !lines.is_empty() {
        println!("{title}:\n{}\n", lines.join("\n"));
    }
}

/// Docker's words for what is about to go.
fn warning(args: &SystemPrune) -> String {
    let mut lines = vec!["all stopped containers", "all networks not used by at least one container"];
    if args.volumes {
        lines.push("all volumes not used by at least one container");
    }
    lines.push(match args.all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    });
    lines.push(if args.all { "all build cache" } else { "all dangling build cache" });
    let mut text = format!("WARNING! This will remove:\n  - {}\n", lines.join("\n  - "));
    if !args.filter.is_empty() {
        text.push_str(&format!("\n  Items to be pruned will be filtered with:\n  - {}\n", args.filter.join("\n  - ")));
    }
    text
}

/// `--filter`: all must hold.
#[derive(Debug, Default)]
struct Filter {
    labels: Vec<(String, Option<String>, bool)>,
    until: Option<Timestamp>,
}

impl Filter {
    fn parse(filters: &[String]) -> Result<Filter> {
        let mut filter = Filter::default();
        for (name, value) in ps::parse_filters(filters, "--filter")? {
            let label = |wanted| match value.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned()), wanted),
                None => (value.clone(), None, wanted),
            };
            match name.as_str() {
                "label" => filter.labels.push(label(true)),
                "label!" => filter.labels.push(label(false)),
                "until" => {
                    let time = when::parse(&value, "until", Timestamp::now()).map_err(super::ends_with_one)?;
                    filter.until = Some(Timestamp::from_nanosecond(time)?);
                }
                _ => return Err(exit::coded(1, format!("Invalid filter '{name}'"))),
            }
        }
        Ok(filter)
    }

    fn takes_container(&self, container: &Container) -> bool {
        let created = time::parse(&container.created);
        let is_old = self.until.is_none_or(|until| created.is_some_and(|created| created < until));
        is_old && self.takes_labels(container.config.run.labels.as_ref())
    }

    fn takes_labels(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.labels.iter().all(|(key, value, wanted)| {
            let found = labels.and_then(|labels| labels.get(key));
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found)) == *wanted
        })
    }
}

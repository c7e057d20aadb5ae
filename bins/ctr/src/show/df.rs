//! `ctr system df`: what takes how much room, in docker's table. Of images `layerfs df` knows; containers and volumes are added up
//! here. Steps of builds are images here (`ctr images -a`), as with docker's classic builder, so the build cache is empty.

use super::format::{Format, Listing, Row, TEMPLATE_ERROR};
use super::ps::{self, list::Listed};
use super::{ago, disk, quote, table};
use crate::cli;
use anyhow::{Context, Result};
use layout::tool::{Call, Tool};
use layout::{Layout, Reference, units};
use serde_json::{Value, json};

static LISTING: Listing = Listing {
    type_name: "*formatter.diskUsageImagesContext",
    columns: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    words: TEMPLATE_ERROR,
};

/// What `layerfs` is asked.
pub fn call() -> Call {
    Call::new(Tool::Layerfs).args(["df", "--json"])
}

/// A volume and its use.
struct Used {
    name: String,
    links: usize,
    size: u64,
}

/// Prints it.
pub fn df(layout: &Layout, args: &cli::SystemDf) -> Result<u8> {
    let format = Format::choose(&LISTING, args.format.as_deref(), false)?;
    let images: Value = serde_json::from_slice(&call().output()?).context("read what layerfs prints")?;
    let containers: Vec<(Listed, u64)> = ps::list::all(layout)?
        .into_iter()
        .map(|one| {
            let size = disk::written(&layout.container_dir(&one.container.id).upper());
            (one, size)
        })
        .collect();
    let users = layout.volume_users()?;
    let volumes = layout.volumes_by_name()?.into_iter().map(|volume| Used {
        links: users.get(&volume.name).map_or(0, Vec::len),
        size: disk::used(&layout.volume_data(&volume.name)),
        name: volume.name,
    });
    let volumes: Vec<Used> = volumes.collect();
    if args.verbose {
        print!("{}", verbose(&images, &containers, &volumes));
        return Ok(0);
    }
    let row = &images["Images"];
    let number = |key: &str| row[key].as_u64().unwrap_or(0);
    let idle = |one: &&(Listed, u64)| !one.0.state.status.is_up();
    let unused = |volume: &&Used| volume.links == 0;
    let rows = [
        line("Images", number("Total"), number("Active"), number("Size"), number("Reclaimable")),
        line(
            "Containers",
            containers.len() as u64,
            containers.iter().filter(|one| !idle(one)).count() as u64,
            containers.iter().map(|(_, size)| size).sum(),
            containers.iter().filter(idle).map(|(_, size)| size).sum(),
        ),
        line(
            "Local Volumes",
            volumes.len() as u64,
            volumes.iter().filter(|volume| volume.links > 0).count() as u64,
            volumes.iter().map(|volume| volume.size).sum(),
            volumes.iter().filter(unused).map(|volume| volume.size).sum(),
        ),
        line("Build Cache", 0, 0, 0, 0),
    ];
    format.print(&["Type", "TotalCount", "Active", "Size", "Reclaimable"], &rows)?;
    Ok(0)
}

fn line(kind: &str, total: u64, active: u64, size: u64, reclaimable: u64) -> Row {
    let percent = (reclaimable * 100).checked_div(size).map_or(String::new(), |percent| format!(" ({percent}%)"));
    Row::new(json!({
        "Type": kind,
        "TotalCount": total.to_string(),
        "Active": active.to_string(),
        "Size": units::human_size(size),
        "Reclaimable": format!("{}{percent}", units::human_size(reclaimable)),
    }))
}

fn verbose(images: &Value, containers: &[(Listed, u64)], volumes: &[Used]) -> String {
    let cells = |row: &[&str]| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let mut rows =
        vec![cells(&["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"])];
    rows.extend(images["Usage"].as_array().into_iter().flatten().map(image_row));
    let mut out = format!("Images space usage:\n\n{}\nContainers space usage:\n\n", table::render(&rows));
    let head = ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"];
    let mut rows = vec![cells(&head)];
    for (one, size) in containers {
        let container = &one.container;
        rows.push(vec![
            container.id.short().to_owned(),
            container.config.image.clone(),
            quote::go(&table::ellipsis(&ps::command_line(container), 20)),
            ps::local_volumes(container).to_string(),
            units::human_size(*size),
            ago::ago(&container.created),
            ps::status(&one.state),
            container.name.clone(),
        ]);
    }
    out.push_str(&format!("{}\nLocal Volumes space usage:\n\n", table::render(&rows)));
    let mut rows = vec![cells(&["VOLUME NAME", "LINKS", "SIZE"])];
    rows.extend(
        volumes
            .iter()
            .map(|volume| vec![volume.name.clone(), volume.links.to_string(), units::human_size(volume.size)]),
    );
    let cache = cells(&["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"]);
    out.push_str(&format!("{}\nBuild cache usage: 0B\n\n{}", table::render(&rows), table::render(&[cache])));
    out
}

/// Its line, by the first of its names.
fn image_row(image: &Value) -> Vec<String> {
    let text = |key: &str| image[key].as_str().unwrap_or_default();
    let size = |key: &str| units::human_size(image[key].as_u64().unwrap_or(0));
    let none = || "<none>".to_owned();
    let name = image["RepoTags"][0].as_str().and_then(|name| Reference::parse(name).ok());
    vec![
        name.as_ref().map_or_else(none, Reference::repository),
        name.and_then(|name| name.tag).unwrap_or_else(none),
        text("Id").trim_start_matches("sha256:").chars().take(12).collect(),
        ago::ago(text("Created")),
        size("Size"),
        size("SharedSize"),
        size("UniqueSize"),
        image["Containers"].as_u64().unwrap_or(0).to_string(),
    ]
}

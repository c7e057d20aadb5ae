//! A row of `ctr ps`: docker's fields of a container.

use super::list::Listed;
use super::ports;
use crate::show::format::{Row, labels_cell};
use crate::show::{ago, disk, quote, table};
use anyhow::Result;
use layout::container::{Container, Health, State, Status};
use layout::images::summary::{self, LayerSizes};
use layout::{Digest, Layout, Reference, units};
use serde_json::json;
use std::collections::BTreeMap;

/// What the rows are to show, and what was found out for all of them at once.
pub struct Columns {
    /// Names of images with their ids, if images are shown.
    names: BTreeMap<String, Digest>,
    /// Sizes of images, if sizes are shown.
    sizes: Option<BTreeMap<Digest, u64>>,
    ports: bool,
    whole: bool,
}

impl Columns {
    /// `uses` says which fields are shown; `whole` that nothing is shortened. For no rows, nothing is found out.
    pub fn new(layout: &Layout, uses: impl Fn(&str) -> bool, whole: bool, any: bool) -> Result<Columns> {
        let images = match any && (uses("Image") || uses("Size")) {
            true => summary::all(layout)?,
            false => Vec::new(),
        };
        let sizes = match any && uses("Size") {
            true => {
                let mut layers = LayerSizes::new(layout)?;
                let size = |image: &summary::Summary| Ok((image.id.clone(), layers.sum(layout, &image.layers)?));
                Some(images.iter().map(size).collect::<Result<_>>()?)
            }
            false => None,
        };
        let names =
            images.into_iter().flat_map(|image| image.names.into_iter().map(move |name| (name, image.id.clone())));
        Ok(Columns { names: names.collect(), sizes, ports: uses("Ports"), whole })
    }
}

/// One row.
pub fn row(layout: &Layout, one: &Listed, columns: &Columns) -> Row {
    let (container, state) = (&one.container, &one.state);
    let command = command_line(container);
    let ports = match columns.ports && state.status.is_up() {
        true => ports::cell(ports::of(layout, container)),
        false => String::new(),
    };
    let labels = container.config.run.labels.clone().unwrap_or_default();
    let fields = json!({
        "ID": if columns.whole { container.id.as_str() } else { container.id.short() },
        "Image": image(container, &columns.names),
        "Command": quote::go(&if columns.whole { command } else { table::ellipsis(&command, 20) }),
        "CreatedAt": ago::local(&container.created),
        "RunningFor": ago::ago(&container.created),
        "Ports": ports,
        "State": state.status.as_str(),
        "Status": status(state),
        "Size": columns.sizes.as_ref().map_or_else(String::new, |sizes| size(layout, container, sizes)),
        "Names": container.name,
        "Labels": labels_cell(&labels),
        "Mounts": mounts(container, columns.whole),
        "LocalVolumes": local_volumes(container).to_string(),
        "Networks": network(container),
    });
    Row { fields, labels }
}

/// How many volumes it has.
pub fn local_volumes(container: &Container) -> usize {
    container.mounts.iter().filter(|mount| mount.kind == "volume").count()
}

/// The image as it was named, unless that name means another image by now, or none: then its id.
fn image(container: &Container, names: &BTreeMap<String, Digest>) -> String {
    let named = Reference::parse(&container.config.image).map(|reference| reference.familiar());
    match named.ok().and_then(|name| names.get(&name)) {
        Some(id) if *id == container.image => container.config.image.clone(),
        // Named by its id from the start, and that is still it.
        _ if container.image.hex().starts_with(&container.config.image) => container.config.image.clone(),
        _ => container.image.short().to_owned(),
    }
}

/// The program with its arguments, as docker lists it.
pub fn command_line(container: &Container) -> String {
    let quoted = container.args.iter().map(|arg| if arg.contains(' ') { format!("'{arg}'") } else { arg.clone() });
    std::iter::once(container.path.clone()).chain(quoted).collect::<Vec<_>>().join(" ")
}

fn mounts(container: &Container, whole: bool) -> String {
    let name = |mount: &layout::container::MountPoint| {
        let name = if mount.name.is_empty() { &mount.source } else { &mount.name };
        if whole { name.clone() } else { table::ellipsis(name, 15) }
    };
    container.mounts.iter().map(name).collect::<Vec<_>>().join(",")
}

/// The name of its network; one that shares another container's has none.
pub fn network(container: &Container) -> &str {
    match container.host_config.network_mode.as_str() {
        mode if mode.starts_with("container:") => "",
        "default" => "bridge",
        mode => mode,
    }
}

/// `6B (virtual 22.7MB)`: what it changed, and with what its image has.
fn size(layout: &Layout, container: &Container, images: &BTreeMap<Digest, u64>) -> String {
    let own = disk::written(&layout.container_dir(&container.id).upper());
    match images.get(&container.image) {
        Some(image) => format!("{} (virtual {})", units::human_size(own), units::human_size(image + own)),
        None => units::human_size(own),
    }
}

/// `Up 2 minutes (healthy)`, `Exited (0) 5 seconds ago`, `Created`.
pub fn status(state: &State) -> String {
    let up = || format!("Up {}", ago::elapsed(&state.started_at));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => match state.health.as_ref().map(health) {
            Some(health) => format!("{} ({health})", up()),
            None => up(),
        },
        Status::Paused => format!("{} (Paused)", up()),
        Status::Restarting => format!("Restarting ({}) {}", state.exit_code, ago::ago(&state.finished_at)),
        Status::Exited => format!("Exited ({}) {}", state.exit_code, ago::ago(&state.finished_at)),
        Status::Dead => "Dead".to_owned(),
    }
}

fn health(health: &Health) -> String {
    match health.status.as_str() {
        "" | "starting" => "health: starting".to_owned(),
        status => status.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_dockers_words() {
        let mut state = State::created();
        assert_eq!(status(&state), "Created");
        state.status = Status::Running;
        state.started_at = layout::time::now();
        assert_eq!(status(&state), "Up Less than a second");
        state.health = Some(Health { status: "healthy".to_owned(), ..Health::default() });
        assert_eq!(status(&state), "Up Less than a second (healthy)");
        state.health = Some(Health { status: "starting".to_owned(), ..Health::default() });
        assert_eq!(status(&state), "Up Less than a second (health: starting)");
        (state.status, state.exit_code, state.finished_at) = (Status::Exited, 3, layout::time::now());
        assert_eq!(status(&state), "Exited (3) Less than a second ago");
    }
}

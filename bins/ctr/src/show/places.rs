//! `ctr where`: each path that belongs to a container, an image or a volume, who made it, and where docker keeps the same.

use super::table;
use crate::{cli, spec};
use anyhow::{Result, bail};
use layout::container::Container;
use layout::images::{self, Image};
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, volume};
use serde_json::json;
use std::path::PathBuf;

/// One path.
struct Place {
    what: String,
    path: PathBuf,
    made_by: &'static str,
    docker: String,
}

fn place(what: impl Into<String>, path: PathBuf, made_by: &'static str, docker: impl Into<String>) -> Place {
    Place { what: what.into(), path, made_by, docker: docker.into() }
}

/// Prints them; only those that are there.
pub fn places(layout: &Layout, args: &cli::Where) -> Result<u8> {
    let mut places = find(layout, &args.name)?;
    places.retain(|place| place.path.symlink_metadata().is_ok());
    if args.json {
        let object = |place: &Place| json!({"What": place.what, "Path": place.path, "MadeBy": place.made_by, "Docker": place.docker});
        println!("{}", super::inspect::indented(&places.iter().map(object).collect::<Vec<_>>())?);
        return Ok(0);
    }
    let mut rows = vec![["WHAT", "PATH", "MADE BY", "DOCKER KEEPS IT AT"].map(str::to_owned).to_vec()];
    rows.extend(
        places
            .into_iter()
            .map(|place| vec![place.what, place.path.display().to_string(), place.made_by.to_owned(), place.docker]),
    );
    print!("{}", table::render(&rows));
    Ok(0)
}

fn find(layout: &Layout, name: &str) -> Result<Vec<Place>> {
    match layout.find_container(name) {
        Ok(id) => return of_container(layout, &id),
        Err(error) if !error.to_string().starts_with("No such container") => return Err(error),
        Err(_) => {}
    }
    if let Some(image) = images::lookup(layout, name)? {
        return Ok(of_image(layout, &image));
    }
    if volume::is_name(name) && layout.volume(name).is_dir() {
        return Ok(vec![
            place("what it is", layout.volume_json(name), "ctr volume create", "volumes/metadata.db"),
            place("its files", layout.volume_data(name), "ctr volume create", format!("volumes/{name}/_data")),
        ]);
    }
    bail!("No such object: {name}")
}

fn of_container(layout: &Layout, id: &ContainerId) -> Result<Vec<Place>> {
    let container = layout.read_container(id)?;
    let (dir, docker) = (layout.container_dir(id), format!("containers/{id}"));
    let mut places = vec![
        place("its name", layout.name(&container.name), "ctr create", "memory of dockerd"),
        place(
            "what was asked for",
            dir.container_json(),
            "ctr create",
            format!("{docker}/config.v2.json, hostconfig.json"),
        ),
        place("what became of it", dir.state_json(), "ctr shim", format!("{docker}/config.v2.json, State")),
        place("how to run it", dir.config_json(), "ctr create", format!("/run/docker/containerd/.../{id}/config.json")),
        place("its root, mounted", dir.rootfs(), "layerfs mount", "overlay2/RANDOM/merged"),
        place("what it changed", dir.upper(), "layerfs mount", "overlay2/RANDOM/diff"),
        place("overlayfs's scratch", dir.work(), "layerfs mount", "overlay2/RANDOM/work"),
        place("/etc/hostname", dir.hostname(), "ctr create", format!("{docker}/hostname")),
        place("/etc/hosts", dir.hosts(), "portfwd attach", format!("{docker}/hosts")),
        place("/etc/resolv.conf", dir.resolv_conf(), "ctr create", format!("{docker}/resolv.conf")),
        place("what it wrote", dir.log(id), "ctr shim", format!("{docker}/{id}-json.log")),
        place("being alive", layout.shim_lock(id), "ctr shim", "memory of dockerd and containerd"),
        place(
            "its first process",
            layout.pid_file(id),
            "unshare-run create",
            format!("/run/docker/containerd/.../{id}/init.pid"),
        ),
        place("where attach connects", layout.attach_socket(id), "ctr shim", "/run/docker.sock"),
        place("its published ports", layout.ports_file(id), "portfwd publish", "network/files/local-kv.db"),
        place(
            "the runtime's state",
            layout.runtime_root().join(id.as_str()),
            "unshare-run create",
            format!("/run/docker/runtime-runc/moby/{id}"),
        ),
    ];
    places.extend(
        groups(&container)
            .into_iter()
            .map(|path| place("its control group", path, "cgset create", format!("/sys/fs/cgroup/.../docker/{id}"))),
    );
    places.extend(mounts(&container));
    if let Some(image) = images::lookup(layout, container.image.as_str())? {
        places.extend(layers(layout, &image));
    }
    Ok(places)
}

/// The folders of its control group; none when it does not run.
fn groups(container: &Container) -> Vec<PathBuf> {
    let said =
        Call::new(Tool::Cgset).args(["where", "--folders", &spec::cgroup(container)]).output().unwrap_or_default();
    String::from_utf8_lossy(&said).lines().map(PathBuf::from).collect()
}

fn mounts(container: &Container) -> Vec<Place> {
    let of = |mount: &layout::container::MountPoint| match mount.kind.as_str() {
        "volume" => place(
            format!("volume at {}", mount.destination),
            PathBuf::from(&mount.source),
            "ctr volume create",
            format!("volumes/{}/_data", mount.name),
        ),
        _ => place(format!("bind at {}", mount.destination), PathBuf::from(&mount.source), "you", "the same"),
    };
    container.mounts.iter().map(of).collect()
}

fn of_image(layout: &Layout, image: &Image) -> Vec<Place> {
    let mut places = vec![
        place("its names", layout.index(), "layerfs", "image/overlay2/repositories.json"),
        place("its manifest", layout.blob(&image.descriptor.digest), "layerfs", "not kept"),
        place(
            "its configuration",
            layout.blob(&image.id),
            "layerfs",
            format!("image/overlay2/imagedb/content/sha256/{}", image.id.hex()),
        ),
    ];
    let blobs = image.manifest.layers.iter().enumerate();
    places.extend(blobs.map(|(i, blob)| {
        place(format!("layer {}, compressed", i + 1), layout.blob(&blob.digest), "layerfs", "not kept")
    }));
    places.extend(layers(layout, image));
    places
}

fn layers(layout: &Layout, image: &Image) -> Vec<Place> {
    let names = images::layer_names(layout, image.layers());
    let of = |(i, name)| place(format!("layer {}", i + 1), layout.layer_diff(name), "layerfs", "overlay2/RANDOM/diff");
    names.iter().enumerate().map(of).collect()
}

//! `ctr inspect`: the files of a container, or the documents of an image, as docker shows them.

use super::format;
use crate::{cli, life};
use anyhow::{Result, bail};
use layout::container::Status;
use layout::images;
use layout::network::Network;
use layout::oci::image::{ImageConfig, Platform};
use layout::{ContainerId, Layout, publish};
use serde_json::{Value, json};

/// What a name may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A container, else an image.
    Any,
    /// Only a container.
    Container,
}

/// Prints a JSON array with an object for each name; what is not found is reported and gives exit code 1.
pub fn inspect(layout: &Layout, names: &[String], of: Of) -> Result<u8> {
    let mut found = Vec::new();
    let mut code = 0;
    for name in names {
        match one(layout, name, of) {
            Ok(object) => found.push(object),
            Err(error) => {
                eprintln!("ctr: {error:#}");
                code = 1;
            }
        }
    }
    print!("{}", crate::plan::to_json(&found)?);
    Ok(code)
}

/// `ctr image inspect`: as [`inspect`], of images alone, and with a template if one is given.
pub fn images(layout: &Layout, args: &cli::ImageInspect) -> Result<u8> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let template = args.format.as_deref().filter(|format| *format != "json").map(format::parse).transpose()?;
    let (mut found, mut code) = (Vec::new(), 0);
    for name in &args.names {
        let shown =
            images::platforms::find(layout, name, platform.as_ref()).and_then(|image| self::image(layout, &image));
        match (shown, &template) {
            (Ok(object), Some(template)) => println!("{}", format::render(template, &object)?),
            (Ok(object), None) => found.push(object),
            (Err(error), _) => {
                eprintln!("ctr: {error:#}");
                code = 1;
            }
        }
    }
    match (template, args.format.as_deref()) {
        (Some(_), _) => {}
        (None, Some(_)) => println!("{}", Value::Array(found)),
        (None, None) => print!("{}", crate::plan::to_json(&found)?),
    }
    Ok(code)
}

fn one(layout: &Layout, name: &str, of: Of) -> Result<Value> {
    if let Ok(id) = layout.find_container(name) {
        return container(layout, &id);
    }
    if of != Of::Container
        && let Some(image) = images::lookup(layout, name)?
    {
        return self::image(layout, &image);
    }
    bail!(
        "No such {}: {name}",
        match of {
            Of::Any => "object",
            Of::Container => "container",
        }
    )
}

fn container(layout: &Layout, id: &ContainerId) -> Result<Value> {
    let state = life::state(layout, id)?;
    let container = layout.read_container(id)?;
    let dir = layout.container_dir(id);
    let mut object = serde_json::to_value(&container)?;
    object["Name"] = json!(format!("/{}", container.name));
    object["State"] = serde_json::to_value(&state)?;
    object["State"]["Running"] = json!(matches!(state.status, Status::Running | Status::Paused));
    object["State"]["Paused"] = json!(state.status == Status::Paused);
    object["LogPath"] = json!(dir.log(id));
    object["HostnamePath"] = json!(dir.hostname());
    object["HostsPath"] = json!(dir.hosts());
    object["ResolvConfPath"] = json!(dir.resolv_conf());
    object["GraphDriver"] = json!({"Name": "overlay2", "Data": {
        "MergedDir": dir.rootfs(), "UpperDir": dir.upper(), "WorkDir": dir.work(),
        "LowerDir": lower_dirs(layout, &container.image)?,
    }});
    object["NetworkSettings"] = network_settings(layout, id, &container.host_config.network_mode);
    Ok(object)
}

fn lower_dirs(layout: &Layout, image: &layout::Digest) -> Result<String> {
    let config: ImageConfig = images::read_blob(layout, image)?;
    let names = images::layer_names(layout, &config.rootfs.diff_ids);
    let dirs = names.iter().rev().map(|name| layout.layer_diff(name).to_string_lossy().into_owned());
    Ok(dirs.collect::<Vec<_>>().join(":"))
}

fn network_settings(layout: &Layout, id: &ContainerId, network: &str) -> Value {
    let file = publish::read_json::<Network>(&layout.network(network)).ok();
    let endpoint = file.as_ref().and_then(|network| Some((network, network.endpoints.get(id.as_str())?)));
    let Some((network, endpoint)) = endpoint else {
        return json!({"IPAddress": "", "Gateway": "", "MacAddress": "", "Networks": {}});
    };
    let prefix = network.subnet.rsplit('/').next().and_then(|bits| bits.parse::<u8>().ok());
    let settings = json!({
        "IPAddress": endpoint.ipv4, "IPPrefixLen": prefix, "Gateway": network.gateway, "MacAddress": endpoint.mac_address,
    });
    let mut all = settings.clone();
    all["Networks"] = json!({ network.name.as_str(): settings });
    all
}

/// Docker's keys, in docker's order as far as JSON has one.
fn image(layout: &Layout, image: &images::Image) -> Result<Value> {
    let config = &image.config;
    let platform = config.platform();
    let mut shown = json!({
        "Id": image.id,
        "RepoTags": image.names,
        "RepoDigests": image.repo_digests.iter().map(|known| familiar(known)).collect::<Vec<_>>(),
        "Parent": image.parent.as_ref().map_or("", |parent| parent.as_str()),
        "Comment": config.history.last().and_then(|step| step.comment.as_deref()).unwrap_or_default(),
        "Created": config.created,
        "DockerVersion": config.extra.get("docker_version").and_then(Value::as_str).unwrap_or_default(),
        "Author": config.author.as_deref().unwrap_or_default(),
        "Config": config.config,
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size(layout)?,
        "GraphDriver": {"Name": "overlay2", "Data": graph_data(layout, image)},
        "RootFS": {"Type": config.rootfs.kind, "Layers": image.layers()},
        // When it was named is not kept; docker shows this of an image that never was.
        "Metadata": {"LastTagTime": layout::time::ZERO},
        "Descriptor": image.descriptor,
    });
    if let Some(variant) = platform.variant {
        shown["Variant"] = json!(variant);
    }
    Ok(shown)
}

fn familiar(reference: &str) -> String {
    layout::Reference::parse(reference).map_or_else(|_| reference.to_owned(), |reference| reference.familiar())
}

/// The folders that its files are in, the highest first. Nothing is written to an image.
fn graph_data(layout: &Layout, image: &images::Image) -> Value {
    let names = images::layer_names(layout, image.layers());
    let mut dirs = names.iter().rev().map(|name| layout.layer_diff(name).to_string_lossy().into_owned());
    let mut data = json!({"UpperDir": dirs.next()});
    let lower: Vec<String> = dirs.collect();
    if !lower.is_empty() {
        data["LowerDir"] = json!(lower.join(":"));
    }
    data
}

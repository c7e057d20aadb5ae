//! `ctr inspect`: the files of a container, or the documents of an image, as docker shows them.

use crate::life;
use anyhow::{Result, bail};
use layout::container::Status;
use layout::images;
use layout::network::Network;
use layout::oci::image::ImageConfig;
use layout::{ContainerId, Layout, publish};
use serde_json::{Value, json};

/// What a name may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A container, else an image.
    Any,
    /// Only a container.
    Container,
    /// Only an image.
    Image,
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

fn one(layout: &Layout, name: &str, of: Of) -> Result<Value> {
    if of != Of::Image
        && let Ok(id) = layout.find_container(name)
    {
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
            Of::Image => "image",
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
    let dirs = config.rootfs.diff_ids.iter().rev().map(|layer| layout.layer_diff(layer).to_string_lossy().into_owned());
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

fn image(layout: &Layout, image: &images::Image) -> Result<Value> {
    Ok(json!({
        "Id": image.id,
        "RepoTags": image.names,
        "RepoDigests": [],
        "Parent": image.parent,
        "Created": image.config.created,
        "Author": image.config.author,
        "Architecture": image.config.architecture,
        "Os": image.config.os,
        "Size": image.size(layout)?,
        "Config": image.config.config,
        "RootFS": {"Type": image.config.rootfs.kind, "Layers": image.layers()},
        "Descriptor": image.descriptor,
    }))
}

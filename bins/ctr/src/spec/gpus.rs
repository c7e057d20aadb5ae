//! `--gpus`, and `--device` by name: devices that are more than a node, such as a GPU with its driver's libraries.
//!
//! What such a device needs is described by whoever made it, in files of the Container Device Interface
//! (<https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md>), in `/etc/cdi` and `/var/run/cdi`: variables,
//! nodes, mounts, hooks. They are added to the container's configuration as they stand there.

use super::devices;
use anyhow::{Context, Result, bail};
use layout::container::{Container, DeviceRequest};
use layout::oci::runtime::{Device, Hook, Hooks, IntelRdt, Mount, Spec};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the files are; what is in the later folder counts.
const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Adds what was asked for.
pub fn set(spec: &mut Spec, container: &Container) -> Result<()> {
    let Some(requests) = &container.host_config.device_requests else { return Ok(()) };
    let kinds = read(&FOLDERS.map(Path::new))?;
    for request in requests {
        for edits in select(&kinds, request)? {
            edits.apply(spec)?;
        }
    }
    Ok(())
}

/// One file: a kind of device, `nvidia.com/gpu`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    devices: Vec<Named>,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    /// YAML has numbers as well: `0`.
    name: Name,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(u64),
}

impl Name {
    fn is(&self, wanted: &str) -> bool {
        match self {
            Name::Text(name) => name == wanted,
            Name::Number(number) => number.to_string() == wanted,
        }
    }
}

/// What is added to the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Edits {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<Bind>,
    hooks: Vec<NamedHook>,
    additional_gids: Vec<u32>,
    intel_rdt: Option<IntelRdt>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: PathBuf,
    host_path: Option<PathBuf>,
    #[serde(rename = "type")]
    kind: Option<String>,
    major: Option<i64>,
    minor: Option<i64>,
    file_mode: Option<u32>,
    permissions: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bind {
    host_path: String,
    container_path: PathBuf,
    #[serde(default)]
    options: Vec<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedHook {
    hook_name: String,
    #[serde(flatten)]
    hook: Hook,
}

/// Reads all files; a kind that is in two of them is the later one's.
fn read(folders: &[&Path]) -> Result<Vec<Kind>> {
    let mut kinds: Vec<Kind> = Vec::new();
    for folder in folders {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.sort();
        files.retain(|file| file.extension().is_some_and(|end| end == "json" || end == "yaml" || end == "yml"));
        for file in files {
            let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            // JSON is YAML too.
            let kind: Kind = serde_norway::from_str(&text).with_context(|| format!("read {}", file.display()))?;
            kinds.retain(|old| old.kind != kind.kind);
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

/// What a request comes to: the edits of each kind once, then those of its devices.
fn select<'a>(kinds: &'a [Kind], request: &DeviceRequest) -> Result<Vec<&'a Edits>> {
    if request.driver == "cdi" && request.capabilities.is_empty() {
        return by_full_name(kinds, request.device_ids.as_deref().unwrap_or_default());
    }
    let is_gpu = |kind: &&Kind| kind.kind.split('/').nth(1).is_some_and(|class| class == "gpu");
    let is_drivers = |kind: &&Kind| match request.driver.as_str() {
        "" | "cdi" => true,
        driver => kind.kind.starts_with(driver),
    };
    let Some(kind) = kinds.iter().filter(is_gpu).find(is_drivers) else {
        let capabilities: Vec<String> = request.capabilities.iter().map(|all| format!("[{}]", all.join(" "))).collect();
        bail!("could not select device driver \"{}\" with capabilities: [{}]", request.driver, capabilities.join(" "));
    };
    let mut edits = vec![&kind.container_edits];
    if let Some(ids) = &request.device_ids {
        for id in ids {
            edits.push(&named(kind, id)?.container_edits);
        }
        return Ok(edits);
    }
    let single: Vec<&Named> = kind.devices.iter().filter(|device| !device.name.is("all")).collect();
    match usize::try_from(request.count) {
        Ok(count) if count > single.len() => {
            bail!("{count} GPUs were asked for, and {} has {}", kind.kind, single.len())
        }
        Ok(count) => edits.extend(single[..count].iter().map(|device| &device.container_edits)),
        // All of them: there may be one device that stands for that.
        Err(_) => match named(kind, "all") {
            Ok(all) => edits.push(&all.container_edits),
            Err(_) => edits.extend(single.iter().map(|device| &device.container_edits)),
        },
    }
    Ok(edits)
}

/// `nvidia.com/gpu=0`.
fn by_full_name<'a>(kinds: &'a [Kind], names: &[String]) -> Result<Vec<&'a Edits>> {
    let mut edits = Vec::new();
    for full in names {
        let (wanted, name) = full.split_once('=').unwrap_or((full, ""));
        let kind = kinds.iter().find(|kind| kind.kind == wanted);
        let device = kind.and_then(|kind| Some((kind, named(kind, name).ok()?)));
        let Some((kind, device)) = device else {
            bail!("CDI device injection failed: unresolvable CDI devices {full}");
        };
        edits.extend([&kind.container_edits, &device.container_edits]);
    }
    Ok(edits)
}

fn named<'a>(kind: &'a Kind, name: &str) -> Result<&'a Named> {
    let found = kind.devices.iter().find(|device| device.name.is(name));
    found.with_context(|| format!("CDI device injection failed: unresolvable CDI devices {}={name}", kind.kind))
}

impl Edits {
    fn apply(&self, spec: &mut Spec) -> Result<()> {
        let process = spec.process.get_or_insert_default();
        for line in &self.env {
            let name = line.split_inclusive('=').next().unwrap_or(line);
            process.env.retain(|old| !old.starts_with(name));
            process.env.push(line.clone());
        }
        process.user.additional_gids.extend(&self.additional_gids);
        let linux = spec.linux.get_or_insert_default();
        for node in &self.device_nodes {
            let device = node.device()?;
            let access = node.permissions.as_deref().unwrap_or("rwm");
            linux.resources.get_or_insert_default().devices.push(devices::rule(&device, access));
            linux.devices.retain(|old| old.path != device.path);
            linux.devices.push(device);
        }
        if self.intel_rdt.is_some() {
            linux.intel_rdt.clone_from(&self.intel_rdt);
        }
        spec.mounts.extend(self.mounts.iter().map(Bind::mount));
        for hook in &self.hooks {
            list(spec.hooks.get_or_insert_default(), &hook.hook_name)?.push(hook.hook.clone());
        }
        Ok(())
    }
}

impl Node {
    /// What is not said is as on the host.
    fn device(&self) -> Result<Device> {
        let from = self.host_path.as_ref().unwrap_or(&self.path);
        let found = devices::node(from, &self.path);
        let number = (self.major, self.minor);
        let mut device = match (found, &self.kind, number) {
            (_, Some(kind), (Some(major), Some(minor))) => Device {
                path: self.path.clone(),
                kind: kind.clone(),
                major,
                minor,
                file_mode: None,
                uid: None,
                gid: None,
            },
            (Some(device), ..) => device,
            (None, ..) => bail!("CDI device injection failed: {} is no device of this host", from.display()),
        };
        device.file_mode = self.file_mode.or(device.file_mode);
        device.uid = self.uid.or(device.uid);
        device.gid = self.gid.or(device.gid);
        Ok(device)
    }
}

impl Bind {
    fn mount(&self) -> Mount {
        let mut options = self.options.clone();
        if options.is_empty() {
            options = ["ro", "nosuid", "nodev", "bind"].map(str::to_owned).to_vec();
        }
        Mount {
            destination: self.container_path.clone(),
            kind: self.kind.clone().unwrap_or_else(|| "bind".to_owned()),
            source: self.host_path.clone(),
            options,
            ..Mount::default()
        }
    }
}

fn list<'a>(hooks: &'a mut Hooks, name: &str) -> Result<&'a mut Vec<Hook>> {
    Ok(match name {
        "prestart" => &mut hooks.prestart,
        "createRuntime" => &mut hooks.create_runtime,
        "createContainer" => &mut hooks.create_container,
        "startContainer" => &mut hooks.start_container,
        "poststart" => &mut hooks.poststart,
        "poststop" => &mut hooks.poststop,
        other => bail!("CDI device injection failed: {other:?} is no hook"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
cdiVersion: 0.5.0
kind: example.com/gpu
containerEdits:
  env: [DRIVER=1]
devices:
- name: 0
  containerEdits:
    env: [GPU=0]
    deviceNodes: [{path: /dev/gpu0, hostPath: /dev/null, permissions: rw}]
    mounts: [{hostPath: /usr/lib/x.so, containerPath: /usr/lib/x.so}]
    hooks: [{hookName: createContainer, path: /bin/true, args: ['true', x]}]
- name: '1'
  containerEdits: {env: [GPU=1]}
- name: all
  containerEdits: {env: [GPU=all]}
";

    fn request(count: i64, ids: &[&str]) -> DeviceRequest {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        DeviceRequest {
            count,
            device_ids: Some(ids).filter(|ids| !ids.is_empty()),
            capabilities: vec![vec!["gpu".to_owned()]],
            ..DeviceRequest::default()
        }
    }

    fn env(kinds: &[Kind], request: &DeviceRequest) -> Result<String> {
        let mut spec = Spec::default();
        select(kinds, request)?.iter().try_for_each(|edits| edits.apply(&mut spec))?;
        Ok(spec.process.unwrap().env.join(" "))
    }

    #[test]
    fn devices_are_chosen_by_number_by_name_or_all() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.yaml"), YAML).unwrap();
        let kinds = read(&[dir.path()]).unwrap();
        assert_eq!(env(&kinds, &request(-1, &[])).unwrap(), "DRIVER=1 GPU=all");
        assert_eq!(env(&kinds, &request(1, &[])).unwrap(), "DRIVER=1 GPU=0");
        assert_eq!(env(&kinds, &request(0, &["1"])).unwrap(), "DRIVER=1 GPU=1");
        assert!(env(&kinds, &request(3, &[])).unwrap_err().to_string().starts_with("3 GPUs were asked for"));
        let full = |id: &str| DeviceRequest { driver: "cdi".to_owned(), capabilities: vec![], ..request(0, &[id]) };
        assert_eq!(env(&kinds, &full("example.com/gpu=1")).unwrap(), "DRIVER=1 GPU=1");
        assert!(env(&kinds, &full("example.com/gpu=7")).is_err());
        let none = env(&[], &request(-1, &[])).unwrap_err().to_string();
        assert_eq!(none, "could not select device driver \"\" with capabilities: [[gpu]]");
    }

    #[test]
    fn what_a_file_says_is_added() {
        let kind: Kind = serde_norway::from_str(YAML).unwrap();
        let mut spec = Spec::default();
        kind.devices[0].container_edits.apply(&mut spec).unwrap();
        let linux = spec.linux.unwrap();
        assert_eq!((linux.devices[0].path.as_path(), linux.devices[0].minor), (Path::new("/dev/gpu0"), 3));
        assert_eq!(linux.resources.unwrap().devices[0].access.as_deref(), Some("rw"));
        assert!(spec.mounts[0].options.contains(&"ro".to_owned()));
        assert_eq!(spec.hooks.unwrap().create_container[0].path, Path::new("/bin/true"));
    }
}

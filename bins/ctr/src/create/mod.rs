//! `create`: from an image and the options to a container on disk, not yet started.
//!
//! The container's folder is made in `tmp/` and renamed into place, then its name is taken by making a
//! link: a link can be made once, so of two containers that want one name, one gets it.

pub mod config;
mod devices;
mod disks;
pub mod environment;
pub mod files;
mod host_config;
mod life;
pub mod links;
pub mod machine;
mod modes;
pub mod mounts;
pub mod names;
mod network;
pub mod ports;
pub mod resources;
mod security;
pub mod security_opt;
mod storage;
mod ulimits;
pub mod watch;
pub mod wrong;

use crate::cli;
use crate::plan::{Plan, Step};
use crate::{life as lives, spec, volume};
use anyhow::{Context, Result, bail};
use layout::container::{self, Container, State};
use layout::events;
use layout::images::{self, Image};
use layout::lock::Lock;
use layout::oci::image::Platform;
use layout::paths::ContainerDir;
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout};
use mounts::Wanted;
use std::path::Path;

/// Makes a container.
///
/// # Errors
/// No such image, a bad option, or a name that is taken: nothing is left of the container then.
pub fn create(layout: &Layout, args: &cli::Create, detached: bool) -> Result<Container> {
    // Shared, so that nobody collects the image between our reading of it and the container that refers to it.
    let _guard = Lock::shared(&layout.gc_lock())?;
    for attempt in 0.. {
        // Likewise for the volumes: nobody removes one that this container is about to name.
        let volumes = Lock::shared(&layout.volumes_lock())?;
        let (container, plan) = prepare(layout, args, detached, attempt)?;
        let done = plan.execute(layout);
        drop(volumes);
        match done {
            Ok(_) => {
                events::of_container(layout, &container, "create", &[]);
                return Ok(container);
            }
            Err(error) => {
                discard(layout, &container);
                let taken = layout.id_of_name(&container.name).is_some();
                match (taken, &args.life.name) {
                    (true, None) => continue,
                    (true, Some(name)) => bail!(name_conflict(layout, name)),
                    (false, _) => return Err(error),
                }
            }
        }
    }
    unreachable!("the loop ends by returning")
}

/// The container that the options describe, and the steps that make it.
pub fn prepare(layout: &Layout, args: &cli::Create, detached: bool, attempt: u32) -> Result<(Container, Plan)> {
    if !args.disable_content_trust {
        bail!(
            "--disable-content-trust=false: signatures of images are checked by docker's Notary, which this engine does not ask"
        );
    }
    let image = find_image(layout, args)?;
    let id = ContainerId::random()?;
    let name = choose_name(layout, args, attempt)?;
    let config = config::build(args, &image, modes::hostname(layout, args, &id)?, detached)?;
    let host_config = host_config::build(layout, args, &name)?;
    let wanted = mounts::resolve(layout, &config, &host_config)?;
    let mut command = config.run.entrypoint.clone().unwrap_or_default();
    command.extend(config.run.cmd.clone().unwrap_or_default());
    let mut command = command.into_iter();
    let container = Container {
        path: command.next().context("No command specified")?,
        args: command.collect(),
        created: layout::time::now(),
        image: image.id.clone(),
        id,
        name,
        config,
        host_config,
        mounts: wanted.iter().map(|mount| mount.point.clone()).collect(),
    };
    let mut plan = create_plan(layout, &container, &image, &wanted)?;
    if let Some(file) = &args.life.cidfile {
        if file.symlink_metadata().is_ok() {
            bail!("container ID file found, make sure the other container isn't running or delete {}", file.display());
        }
        if file.parent().is_some_and(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()) {
            bail!("failed to create the container ID file: open {}: no such file or directory", file.display());
        }
        plan.push(Step::write(file, container.id.as_str()));
    }
    Ok((container, plan))
}

fn create_plan(layout: &Layout, container: &Container, image: &Image, wanted: &[Wanted]) -> Result<Plan> {
    let id = &container.id;
    let (made, place) = (ContainerDir(layout.tmp().join(id.as_str())), layout.container_dir(id));
    let mut plan = mounts::fill::make_volumes(layout, wanted);
    plan.note("the container, on disk: what was asked for, what became of it, and how to run it");
    plan.push(Step::MakeDir { path: made.0.clone(), mode: 0o711 });
    for dir in [made.rootfs(), made.upper()] {
        plan.push(Step::make_dir(dir));
    }
    plan.push(Step::MakeDir { path: made.work(), mode: 0o700 });
    plan.steps.extend(files::inside(layout, &made.upper(), image));
    plan.push(Step::write_json(made.container_json(), container)?);
    plan.push(Step::write_json(made.state_json(), &State::created())?);
    plan.push(Step::write_json(made.config_json(), &spec::build_at_create(layout, container, image.layers())?)?);
    if container.host_config.ipc_mode == "shareable" {
        plan.push(Step::make_dir(made.shm()));
    }
    plan.push(Step::write(made.hostname(), format!("{}\n", container.config.hostname)));
    plan.push(Step::write(made.hosts(), files::hosts(layout, &container.host_config)?));
    plan.push(Step::write(made.resolv_conf(), files::resolv_conf(&container.host_config)));
    plan.push(Step::Rename { from: made.0, to: place.0 });
    plan.extend(mounts::fill::fill_volumes(layout, container, wanted));
    plan.push(Step::Link { target: Path::new("../containers").join(id.as_str()), link: layout.name(&container.name) });
    Ok(plan)
}

/// The image, or docker's words for a missing one.
fn find_image(layout: &Layout, args: &cli::Create) -> Result<Image> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    match images::platforms::by_name(layout, args.image(), platform.as_ref())? {
        Some(image) => Ok(image),
        None => images::platforms::find(layout, args.image(), platform.as_ref()),
    }
}

fn choose_name(layout: &Layout, args: &cli::Create, attempt: u32) -> Result<String> {
    let Some(name) = args.life.name.as_ref().filter(|name| !name.is_empty()) else { return names::random(attempt) };
    let name = name.strip_prefix('/').unwrap_or(name);
    check_name(name, name)?;
    claimable(layout, name)?;
    Ok(name.to_owned())
}

/// Whether this is a name at all; `shown` is how docker shows it.
pub fn check_name(name: &str, shown: &str) -> Result<()> {
    if !container::is_name(name) {
        bail!("Invalid container name ({shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    }
    Ok(())
}

/// Whether a name can be taken: no container has it. A link without a container, which somebody who was killed left behind,
/// is removed; under a lock, or else it might be another's by now, who found the same.
pub fn claimable(layout: &Layout, name: &str) -> Result<()> {
    let _removing = Lock::on_dir(&layout.names())?;
    if layout.id_of_name(name).is_some() {
        bail!(name_conflict(layout, name));
    }
    let link = layout.name(name);
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link).with_context(|| format!("remove the stale name {}", link.display()))?;
    }
    Ok(())
}

/// Docker's words for a name that another container has.
pub fn name_conflict(layout: &Layout, name: &str) -> String {
    let holder = layout.id_of_name(name).map(|id| format!(" by container \"{id}\"")).unwrap_or_default();
    format!(
        "Conflict. The container name \"/{name}\" is already in use{holder}. You have to remove (or rename) that \
         container to be able to reuse that name."
    )
}

/// Takes away what a failed `create` made.
fn discard(layout: &Layout, container: &Container) {
    let id = &container.id;
    // The image is mounted there while volumes are filled from it.
    let rootfs = layout.container_dir(id).rootfs();
    if lives::is_mount_point(&rootfs) {
        let _ = Call::new(Tool::Layerfs).arg("umount").arg(rootfs).run();
    }
    // A failure leaves rubbish that `layerfs gc` or `ctr rm` removes; the first error is the one to tell.
    if layout.id_of_name(&container.name).as_ref() == Some(id) {
        let _ = std::fs::remove_file(layout.name(&container.name));
    }
    for dir in [layout.tmp().join(id.as_str()), layout.container(id)] {
        let _ = std::fs::remove_dir_all(dir);
    }
    let _ = volume::discard_step(layout, container).map(|step| step.execute(layout));
}

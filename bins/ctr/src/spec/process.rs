//! What runs, and as whom.

use super::init;
use crate::create::{environment, links};
use anyhow::Result;
use layout::container::Container;
use layout::images;
use layout::oci::runtime::{Process, ProcessUser, Spec};
use layout::rootfs::{self, User};
use layout::tool::{Call, Tool};
use layout::{Digest, Layout, publish};
use std::path::PathBuf;

/// Sets the program, its user and its surroundings.
pub fn set(spec: &mut Spec, layout: &Layout, container: &Container, layers: &[Digest]) -> Result<()> {
    let layers = folders(layout, container, layers)?;
    let user = &container.config.run.user;
    let mut user = rootfs::find_user_in_layers(&layers, user)?;
    for group in container.host_config.group_add.iter().flatten() {
        let gid = rootfs::find_group_in_layers(&layers, group)?;
        if !user.additional_gids.contains(&gid) {
            user.additional_gids.push(gid);
        }
    }
    let env = environment::of_process(&container.config, links::variables(layout, container)?);
    spec.process = Some(process(container, user, env, spec.process.take().unwrap_or_default()));
    Ok(())
}

fn process(container: &Container, user: User, mut env: Vec<String>, base: Process) -> Process {
    let config = &container.config;
    let dir = if config.run.working_dir.is_empty() { "/" } else { &config.run.working_dir };
    let mut args = init::before(container);
    args.push(container.path.clone());
    args.extend(container.args.iter().cloned());
    if !env.iter().any(|line| line.starts_with("HOME=")) {
        env.push(format!("HOME={}", user.home));
    }
    Process {
        terminal: config.tty,
        user: ProcessUser { uid: user.uid, gid: user.gid, umask: None, additional_gids: user.additional_gids },
        args,
        env,
        cwd: PathBuf::from(dir),
        ..base
    }
}

/// The image's layers, topmost first, in which users are looked up: they need not be mounted for it. An image that another tool
/// put into the store has not been extracted: `layerfs mount` does that.
fn folders(layout: &Layout, container: &Container, layers: &[Digest]) -> Result<Vec<PathBuf>> {
    let folders = || -> Vec<PathBuf> {
        images::layer_names(layout, layers).iter().rev().map(|name| layout.layer_diff(name)).collect()
    };
    let mut found = folders();
    if found.iter().any(|dir| !dir.is_dir()) {
        let scratch = publish::temp_dir(layout)?;
        Call::new(Tool::Layerfs)
            .arg("mount")
            .arg("--read-only")
            .arg(container.image.as_str())
            .arg(scratch.path())
            .run()?;
        Call::new(Tool::Layerfs).arg("umount").arg(scratch.path()).run()?;
        found = folders();
    }
    Ok(found)
}

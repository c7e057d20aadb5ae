//! What runs, and as whom.

use anyhow::{Context, Result};
use layout::Layout;
use layout::container::Container;
use layout::images::{self, Image};
use layout::oci::runtime::{Process, ProcessUser, Spec};
use layout::publish;
use layout::rootfs::{self, User};
use layout::tool::{Call, Tool};
use std::path::PathBuf;

/// Sets the program, its user and its surroundings.
pub fn set(spec: &mut Spec, layout: &Layout, container: &Container, image: &Image) -> Result<()> {
    let user = find_user(layout, image, &container.config.run.user)?;
    spec.process = Some(process(container, user, spec.process.take().unwrap_or_default()));
    Ok(())
}

fn process(container: &Container, user: User, base: Process) -> Process {
    let config = &container.config;
    let dir = if config.run.working_dir.is_empty() { "/" } else { &config.run.working_dir };
    let mut args = vec![container.path.clone()];
    args.extend(container.args.iter().cloned());
    let mut env = config.run.env.clone().unwrap_or_default();
    if !env.iter().any(|line| line.starts_with("HOME=")) {
        env.push(format!("HOME={}", user.home));
    }
    let mut capabilities = base.capabilities.unwrap_or_default();
    if user.uid != 0 {
        // As execve(2) would have it when root becomes somebody else; the bounding set stays for setuid programs.
        capabilities.effective.clear();
        capabilities.permitted.clear();
    }
    Process {
        terminal: config.tty,
        user: ProcessUser { uid: user.uid, gid: user.gid, umask: None, additional_gids: user.additional_gids },
        args,
        env,
        cwd: PathBuf::from(dir),
        capabilities: Some(capabilities),
        ..base
    }
}

/// Looks the user up in the image's layers, which need not be mounted for it. An image that another tool put
/// into the store has not been extracted: `layerfs mount` does that.
fn find_user(layout: &Layout, image: &Image, wanted: &str) -> Result<User> {
    let folders = || -> Vec<PathBuf> {
        images::layer_names(layout, image.layers()).iter().rev().map(|name| layout.layer_diff(name)).collect()
    };
    let mut layers = folders();
    if layers.iter().any(|dir| !dir.is_dir()) {
        let scratch = publish::temp_dir(layout)?;
        Call::new(Tool::Layerfs).arg("mount").arg("--read-only").arg(image.id.as_str()).arg(scratch.path()).run()?;
        Call::new(Tool::Layerfs).arg("umount").arg(scratch.path()).run()?;
        layers = folders();
    }
    rootfs::find_user_in_layers(&layers, wanted).context("find the user that the container runs as")
}

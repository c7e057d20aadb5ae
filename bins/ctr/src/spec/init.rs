//! `--init`: a first process that does what a first process has to do, and starts the program as its child.
//!
//! It is the runtime's `init`, which calls itself so by the name that docker's has, at the same place.

use anyhow::{Context, Result};
use layout::container::Container;
use layout::oci::runtime::{Mount, Spec};
use layout::tool::Tool;
use std::path::{Path, PathBuf};

/// Where docker has it.
const PLACE: &str = "/sbin/docker-init";

/// The words before the program.
pub fn before(container: &Container) -> Vec<String> {
    if is_wanted(container) { vec![PLACE.to_owned(), "--".to_owned()] } else { Vec::new() }
}

/// Binds it, where it cannot be written to.
pub fn set(spec: &mut Spec, container: &Container) -> Result<()> {
    if !is_wanted(container) {
        return Ok(());
    }
    spec.mounts.push(Mount {
        destination: PLACE.into(),
        kind: "bind".to_owned(),
        source: program()?.to_string_lossy().into_owned(),
        options: vec!["bind".to_owned(), "ro".to_owned()],
        ..Mount::default()
    });
    Ok(())
}

fn is_wanted(container: &Container) -> bool {
    container.host_config.init == Some(true)
}

/// Our runtime; where another one stands in for it, ours may still be beside us, and else any init will do.
fn program() -> Result<PathBuf> {
    if !Tool::UnshareRun.is_swapped() {
        return Tool::UnshareRun.find();
    }
    let beside = layout::tool::own_program().context("find our own program")?.with_file_name(Tool::UnshareRun.name());
    let inits = ["/usr/bin/docker-init", "/usr/libexec/docker/docker-init", "/usr/bin/tini-static", "/usr/bin/tini"];
    std::iter::once(beside.as_path())
        .chain(inits.map(Path::new))
        .find(|program| program.exists())
        .map(Path::to_owned)
        .context("--init: there is no docker-init on this machine")
}

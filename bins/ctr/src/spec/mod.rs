//! From a container to the OCI `config.json` that the runtime reads: docker's defaults with the
//! container's own wishes laid over them.
//!
//! | file | what it sets |
//! | --- | --- |
//! | [`process`] | the program, its user, its environment |
//! | [`namespaces`] | what it has to itself, and what it shares |
//! | [`mounts`] | the root filesystem, and what is mounted into it |
//! | [`resources`] | how much of the machine it may use |

mod mounts;
mod namespaces;
mod process;
mod resources;

use anyhow::Result;
use layout::container::Container;
use layout::images::Image;
use layout::oci::defaults;
use layout::oci::runtime::Spec;
use layout::{ContainerId, Layout};

/// The runtime configuration of a container.
pub fn build(layout: &Layout, container: &Container, image: &Image) -> Result<Spec> {
    let mut spec = defaults::spec();
    process::set(&mut spec, layout, container, image)?;
    namespaces::set(&mut spec, container);
    mounts::set(&mut spec, layout, container)?;
    let linux = spec.linux.get_or_insert_default();
    resources::set(linux, container);
    Ok(spec)
}

/// The name of a container's cgroup, from the hierarchy's root.
pub fn cgroup(id: &ContainerId) -> String {
    format!("/ctr/{id}")
}

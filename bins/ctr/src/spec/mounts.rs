//! What is mounted into the root.

use layout::Layout;
use layout::container::Container;
use layout::oci::runtime::{Mount, Spec};
use std::path::Path;

/// Sets the mounts.
pub fn set(spec: &mut Spec, layout: &Layout, container: &Container) {
    if let Some(root) = &mut spec.root {
        root.readonly = container.host_config.readonly_rootfs;
    }
    let dir = layout.container_dir(&container.id);
    for (source, destination) in
        [(dir.resolv_conf(), "/etc/resolv.conf"), (dir.hostname(), "/etc/hostname"), (dir.hosts(), "/etc/hosts")]
    {
        spec.mounts.push(bind(&source, destination));
    }
}

fn bind(source: &Path, destination: &str) -> Mount {
    Mount {
        destination: destination.into(),
        kind: "bind".to_owned(),
        source: source.to_string_lossy().into_owned(),
        options: vec!["rbind".to_owned(), "rprivate".to_owned()],
        ..Mount::default()
    }
}

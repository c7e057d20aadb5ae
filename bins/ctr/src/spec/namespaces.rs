//! What it has to itself, what it shares with the host or with another container.

use layout::container::Container;
use layout::oci::runtime::{NamespaceKind, Spec};

/// Sets the namespaces, and what lives in them.
pub fn set(spec: &mut Spec, container: &Container) {
    spec.hostname = container.config.hostname.clone();
    spec.domainname = container.config.domainname.clone();
    if let Some(linux) = &mut spec.linux
        && container.host_config.network_mode == "host"
    {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    }
}

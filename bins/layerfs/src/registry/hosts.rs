//! Where to ask for a repository: the mirrors of docker.io first, https before http.

use super::settings::Settings;
use anyhow::{Context, Result};
use layout::Reference;
use ureq::http::Uri;

/// What docker.io's registry is called on the network.
const DOCKER_IO: &str = "registry-1.docker.io";

/// What will be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only read: a mirror will do.
    Pull,
    /// Written too: only the registry itself will do.
    Push,
}

/// One place that answers for a registry.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Scheme and host: `https://registry-1.docker.io`.
    pub base: Uri,
}

/// The places to ask for `reference`, the best first.
pub fn endpoints(_settings: &Settings, reference: &Reference, _access: Access) -> Result<Vec<Endpoint>> {
    let host = if reference.domain == "docker.io" { DOCKER_IO } else { &reference.domain };
    let loopback = host.starts_with("localhost") || host.starts_with("127.");
    let scheme = if loopback { "http" } else { "https" };
    let base = format!("{scheme}://{host}").parse().with_context(|| format!("use the registry {host}"))?;
    Ok(vec![Endpoint { base }])
}

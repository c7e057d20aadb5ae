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
    /// Nothing but to find out whether a password is right.
    Login,
}

/// One place that answers for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme and host, and for a mirror perhaps a path: `https://registry-1.docker.io`.
    pub base: Uri,
    /// The name that credentials are kept under: `docker.io`, `localhost:5000`.
    pub account: String,
    /// Somebody else's copy: whatever is wrong with it, the next may do better.
    pub is_mirror: bool,
}

/// The places to ask for `reference`, the best first. A registry that need not be secure is asked over http when it does not
/// speak https.
///
/// # Errors
/// A mirror or a registry whose name is no host.
pub fn endpoints(settings: &Settings, reference: &Reference, access: Access) -> Result<Vec<Endpoint>> {
    let mut found = Vec::new();
    let is_docker = reference.domain == "docker.io";
    if is_docker && access == Access::Pull {
        for mirror in &settings.mirrors {
            let base: Uri = mirror.parse().with_context(|| format!("use the mirror {mirror}"))?;
            let account = base.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
            found.push(Endpoint { base, account, is_mirror: true });
        }
    }
    let host = if is_docker { DOCKER_IO } else { &reference.domain };
    found.extend(of_registry(settings, host, &reference.domain)?);
    Ok(found)
}

/// The places of one registry: `HOST` or `HOST:PORT`.
///
/// # Errors
/// It is no host.
pub fn of_registry(settings: &Settings, host: &str, account: &str) -> Result<Vec<Endpoint>> {
    let schemes: &[&str] = if settings.is_insecure(host) { &["https", "http"] } else { &["https"] };
    let endpoint = |scheme: &&str| {
        let base = format!("{scheme}://{host}").parse().with_context(|| format!("use the registry {host}"))?;
        Ok(Endpoint { base, account: account.to_owned(), is_mirror: false })
    };
    schemes.iter().map(endpoint).collect()
}

/// The places to log in to: `docker.io` is where an account there is.
///
/// # Errors
/// It is no host.
pub fn for_login(settings: &Settings, account: &str) -> Result<Vec<Endpoint>> {
    of_registry(settings, if account == "docker.io" { DOCKER_IO } else { account }, account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(settings: &str, name: &str, access: Access) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("registries.json"), settings).unwrap();
        let settings = Settings::load(folder.path()).unwrap();
        let found = endpoints(&settings, &Reference::parse(name).unwrap(), access).unwrap();
        found.iter().map(|endpoint| endpoint.base.to_string().trim_end_matches('/').to_owned()).collect()
    }

    #[test]
    fn a_mirror_is_asked_first_for_docker_io_and_only_to_pull() {
        let settings = r#"{"registry-mirrors": ["https://m.example/base/", "http://192.0.2.1:5000"]}"#;
        let hub = "https://registry-1.docker.io";
        assert_eq!(bases(settings, "busybox", Access::Pull), ["https://m.example/base", "http://192.0.2.1:5000", hub]);
        assert_eq!(bases(settings, "busybox", Access::Push), [hub]);
        assert_eq!(bases(settings, "192.0.2.2:5000/app", Access::Pull), ["https://192.0.2.2:5000"]);
    }

    #[test]
    fn https_comes_before_http_and_http_only_where_it_is_allowed() {
        assert_eq!(bases("{}", "localhost:5000/a", Access::Push), ["https://localhost:5000", "http://localhost:5000"]);
        assert_eq!(bases("{}", "192.0.2.1/a", Access::Push), ["https://192.0.2.1"]);
        let listed = r#"{"insecure-registries": ["192.0.2.1"]}"#;
        assert_eq!(bases(listed, "192.0.2.1/a", Access::Push), ["https://192.0.2.1", "http://192.0.2.1"]);
    }
}

//! `registries.json`: which registries are mirrors, and which need not be secure. The keys are those of docker's `daemon.json`.

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a registry may say nothing, when nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to speak to registries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of `registries.json` and `certs.d`.
    pub folder: PathBuf,
    insecure: Insecure,
    /// What was found out already: a name server may be slow.
    known: Arc<Mutex<HashMap<String, bool>>>,
    /// Whom to ask before docker.io, as URLs.
    pub mirrors: Vec<String>,
    /// How many blobs come at once.
    pub max_downloads: usize,
    /// How many blobs go at once.
    pub max_uploads: usize,
    /// How long a registry may say nothing: `$CTR_REGISTRY_TIMEOUT`, in seconds.
    pub patience: Duration,
}

/// Registries that may speak http, or https with a certificate that nobody vouches for.
#[derive(Debug, Clone)]
struct Insecure {
    /// `HOST` or `HOST:PORT`, exactly as it stands in the images' names.
    hosts: Vec<String>,
    ranges: Vec<IpNet>,
}

/// The file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    insecure_registries: Vec<String>,
    registry_mirrors: Vec<String>,
    max_concurrent_downloads: Option<usize>,
    max_concurrent_uploads: Option<usize>,
}

impl Settings {
    /// Reads `registries.json` in `folder`. There need not be one.
    ///
    /// # Errors
    /// A file that is not of this form, with line and column; a mirror that is no URL.
    pub fn load(folder: &Path) -> Result<Settings> {
        let path = folder.join("registries.json");
        let file = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        for mirror in &file.registry_mirrors {
            if !mirror.starts_with("https://") && !mirror.starts_with("http://") {
                bail!("read {}: the mirror {mirror:?} is no URL: it begins with https:// or http://", path.display());
            }
        }
        Ok(Settings {
            folder: folder.to_owned(),
            insecure: Insecure::new(&file.insecure_registries),
            known: Arc::default(),
            mirrors: file.registry_mirrors,
            max_downloads: file.max_concurrent_downloads.unwrap_or(3).max(1),
            max_uploads: file.max_concurrent_uploads.unwrap_or(5).max(1),
            patience: patience()?,
        })
    }
}

impl Settings {
    /// Whether a registry, `HOST` or `HOST:PORT`, need not prove who it is, and may speak http: it is listed, or it has an
    /// address that is. Those of this machine (127.0.0.0/8, ::1) always are, as with docker.
    pub fn is_insecure(&self, host: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(host.to_lowercase()).or_insert_with_key(|host| self.insecure.covers(host))
    }
}

impl Insecure {
    fn new(listed: &[String]) -> Insecure {
        let this_machine =
            [IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8), IpAddr::from(Ipv6Addr::LOCALHOST).into()];
        let mut insecure = Insecure { hosts: Vec::new(), ranges: this_machine.to_vec() };
        for entry in listed {
            match entry.parse() {
                Ok(range) => insecure.ranges.push(range),
                // People write URLs here, and docker takes them.
                Err(_) => {
                    let host = entry.trim_start_matches("https://").trim_start_matches("http://");
                    insecure.hosts.push(host.trim_end_matches('/').to_owned());
                }
            }
        }
        insecure
    }

    fn covers(&self, host: &str) -> bool {
        if self.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host)) {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let addresses = addresses(name.trim_matches(['[', ']']));
        addresses.iter().any(|address| self.ranges.iter().any(|range| range.contains(address)))
    }
}

/// The addresses of a host; none if it is not known.
fn addresses(name: &str) -> Vec<IpAddr> {
    match name.parse() {
        Ok(address) => vec![address],
        Err(_) => (name, 0).to_socket_addrs().map(|found| found.map(|a| a.ip()).collect()).unwrap_or_default(),
    }
}

fn patience() -> Result<Duration> {
    match std::env::var("CTR_REGISTRY_TIMEOUT") {
        Err(_) => Ok(PATIENCE),
        Ok(text) => match text.parse() {
            Ok(seconds @ 1..=86400) => Ok(Duration::from_secs(seconds)),
            _ => bail!("CTR_REGISTRY_TIMEOUT is {text:?}: it must be a number of seconds, at least 1"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("registries.json"), text).unwrap();
        Settings::load(folder.path())
    }

    #[test]
    fn there_need_not_be_a_file() {
        let settings = Settings::load(Path::new("/nowhere")).unwrap();
        assert!(settings.mirrors.is_empty());
        assert_eq!((settings.max_downloads, settings.max_uploads), (3, 5));
    }

    #[test]
    fn what_is_insecure_is_listed_or_is_this_machine() {
        let settings = load(
            r#"{"insecure-registries": ["my.example:5000", "http://plain.example/", "198.51.100.0/24", "2001:db8::/32"]}"#,
        )
        .unwrap();
        for host in [
            "my.example:5000",
            "plain.example",
            "198.51.100.7:5000",
            "198.51.100.7",
            "[2001:db8::1]:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
            "localhost",
            "localhost:5000",
        ] {
            assert!(settings.is_insecure(host), "{host}");
        }
        for host in ["192.0.2.1:5000", "[2001:db9::1]"] {
            assert!(!settings.is_insecure(host), "{host}");
        }
        assert!(!settings.insecure.hosts.contains(&"my.example".to_owned()), "another port is another registry");
    }

    #[test]
    fn a_wrong_file_is_an_error_that_says_where() {
        let said = |text: &str| format!("{:#}", load(text).unwrap_err());
        assert!(
            said(r#"{"insecure-registries": "x"}"#).contains("line 1 column"),
            "{}",
            said("{\"insecure-registries\": 1}")
        );
        assert!(said(r#"{"insecure-registry": []}"#).contains("unknown field `insecure-registry`"));
        assert!(said(r#"{"registry-mirrors": ["mirror.example"]}"#).contains("begins with https://"));
    }
}

//! What the user is used to, as docker's `config.json` says it: the keys that leave a container, and how lists are printed. An
//! option says more than the file does.

use layout::paths;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::Path;

/// The keys of docker's `config.json` that count here.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Defaults {
    /// `--detach-keys`
    pub detach_keys: String,
    /// `--format` of `ps`
    pub ps_format: String,
    /// `--format` of `images`
    pub images_format: String,
    /// `--format` of `stats`
    pub stats_format: String,
    /// `--format` of `volume ls`
    pub volumes_format: String,
}

impl Defaults {
    /// Those of this user. A file that cannot be read is told of, and then as none, as with docker.
    fn of_the_user() -> Defaults {
        let Ok(path) = paths::docker_config() else { return Defaults::default() };
        Defaults::read(&path).unwrap_or_else(|error| {
            eprintln!("WARNING: Error loading config file: {}: {error}", path.display());
            Defaults::default()
        })
    }

    fn read(path: &Path) -> Result<Defaults, String> {
        match std::fs::read(path) {
            Ok(bytes) if bytes.trim_ascii().is_empty() => Ok(Defaults::default()),
            // The cause may quote what is in the file, and passwords are in there; where it is, is enough.
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("wrong JSON at line {} column {}", error.line(), error.column())),
            // Somebody else's file, as one finds under `sudo`, is no reason to complain.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) =>
            {
                Ok(Defaults::default())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What `--detach-keys` comes to.
pub fn detach_keys(option: Option<&str>) -> String {
    match option {
        Some(keys) if !keys.is_empty() => keys.to_owned(),
        _ => Defaults::of_the_user().detach_keys,
    }
}

/// What `--format` comes to, where `choose` is the file's word for it. Who asks for ids alone gets these.
pub fn format(option: Option<String>, quiet: bool, choose: fn(Defaults) -> String) -> Option<String> {
    match option {
        None if !quiet => Some(choose(Defaults::of_the_user())).filter(|format| !format.is_empty()),
        option => option,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_dockers_is_read_for_what_counts_here() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        assert_eq!(Defaults::read(&path), Ok(Defaults::default()));
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Defaults::read(&path)
        };
        assert_eq!(read(" \n"), Ok(Defaults::default()));
        let wanted = Defaults { detach_keys: "ctrl-x".into(), ps_format: "{{.ID}}".into(), ..Defaults::default() };
        assert_eq!(read(r#"{"auths": {}, "detachKeys": "ctrl-x", "psFormat": "{{.ID}}"}"#), Ok(wanted));
        assert_eq!(read("{\"psFormat\":\n secret}"), Err("wrong JSON at line 2 column 2".to_owned()));
    }
}

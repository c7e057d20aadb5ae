//! `--tmpfs`: `DESTINATION[:OPTIONS]`, a filesystem in memory.

use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// The options that are flags of a mount; each may be given.
const FLAGS: [&str; 19] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
];
/// The options of the filesystem itself, which have values.
const KEYS: [&str; 6] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"];

/// Reads them all: options by destination.
pub fn parse(list: &[String]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for text in list {
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        if !path.starts_with('/') {
            bail!("invalid mount path: '{path}' mount path must be absolute");
        }
        if super::clean(path) == "/" {
            bail!("invalid specification: destination can't be '/'");
        }
        options_of(options)?;
        all.insert(super::clean(path), options.to_owned());
    }
    Ok(all)
}

/// The options as a mount's, docker's defaults ahead: the later of two that contradict each other counts.
pub fn options_of(text: &str) -> Result<Vec<String>> {
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let key = word.split_once('=').map(|(key, _)| key);
        match key {
            Some(key) if KEYS.contains(&key) => {}
            None if FLAGS.contains(&word) => options.retain(|other| !contradicts(other, word)),
            _ => bail!("invalid tmpfs option [{word:?}]"),
        }
        options.push(word.to_owned());
    }
    Ok(options)
}

fn contradicts(one: &str, other: &str) -> bool {
    one.strip_prefix("no") == Some(other) || other.strip_prefix("no") == Some(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_replaces_the_default() {
        assert_eq!(options_of("").unwrap(), ["noexec", "nosuid", "nodev"]);
        assert_eq!(options_of("exec,size=1m").unwrap(), ["nosuid", "nodev", "exec", "size=1m"]);
        assert_eq!(options_of("foo").unwrap_err().to_string(), "invalid tmpfs option [\"foo\"]");
        let parsed = parse(&["/x/:size=1m".to_owned(), "/y".to_owned()]).unwrap();
        assert_eq!(parsed["/x"], "size=1m");
        assert!(parse(&["x".to_owned()]).is_err());
    }
}

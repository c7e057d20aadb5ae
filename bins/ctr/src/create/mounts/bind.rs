//! `-v`: `[SOURCE:]DESTINATION[:OPTIONS]`. A source that begins with a slash is a folder or file of the host, any other the name
//! of a volume.

use super::option;
use anyhow::{Result, bail};
use layout::container::{BindOptions, MountRequest, VolumeOptions};

/// What one `-v` asks for.
#[derive(Debug)]
pub struct Bind {
    /// The same as a `--mount`.
    pub request: MountRequest,
    /// Its options, as they were written.
    pub mode: String,
}

/// The options of a `-v`.
#[derive(Debug, Default)]
pub struct Mode {
    /// As they were written.
    pub text: String,
    /// `ro`.
    pub read_only: bool,
    /// `nocopy`.
    pub no_copy: bool,
    /// `rshared` and the like.
    pub propagation: Option<String>,
}

impl Mode {
    /// Reads them. Of each kind there may be one; those for labels (`z`, `Z`) and for other systems (`cached`) are taken and
    /// mean nothing here.
    pub fn parse(text: &str) -> Result<Mode> {
        let mut mode = Mode { text: text.to_owned(), ..Mode::default() };
        let mut kinds: Vec<&str> = Vec::new();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match word {
                "ro" | "rw" => "access",
                "z" | "Z" => "label",
                "nocopy" => "copy",
                "consistent" | "cached" | "delegated" | "default" => "consistency",
                _ if option::PROPAGATIONS.contains(&word) => "propagation",
                _ => bail!("invalid mode: {text}"),
            };
            if kinds.contains(&kind) {
                bail!("invalid mode: {text}");
            }
            kinds.push(kind);
            mode.read_only |= word == "ro";
            mode.no_copy |= word == "nocopy";
            if kind == "propagation" {
                mode.propagation = Some(word.to_owned());
            }
        }
        Ok(mode)
    }
}

/// Whether a `-v` names only a destination: a volume without a name.
pub fn is_anonymous(text: &str) -> bool {
    !text.contains(':')
}

/// Reads one.
pub fn parse(text: &str) -> Result<Bind> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        ["", ..] => bail!("invalid volume specification: '{text}'"),
        // A volume without a name takes no options.
        [source, target] if target.is_empty() || Mode::parse(target).is_err() => (*source, *target, ""),
        [source, target, mode] => (*source, *target, *mode),
        _ => bail!("invalid volume specification: '{text}'"),
    };
    let mode = Mode::parse(mode)?;
    let kind = if source.starts_with('/') { "bind" } else { "volume" };
    let request = MountRequest {
        kind: kind.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        read_only: mode.read_only,
        bind_options: mode.propagation.clone().map(|propagation| BindOptions { propagation, ..BindOptions::default() }),
        volume_options: mode.no_copy.then(|| VolumeOptions { no_copy: true, ..VolumeOptions::default() }),
        tmpfs_options: None,
    };
    if let Err(error) = option::check_form(&request) {
        bail!("invalid volume specification: '{text}': {error}");
    }
    Ok(Bind { request, mode: mode.text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_folder_or_a_volume() {
        let read =
            |text| parse(text).map(|bind| (bind.request.kind, bind.request.source, bind.request.target, bind.mode));
        let is = |kind: &str, source: &str, target: &str, mode: &str| {
            (kind.to_owned(), source.to_owned(), target.to_owned(), mode.to_owned())
        };
        assert_eq!(read("/h:/c").unwrap(), is("bind", "/h", "/c", ""));
        assert_eq!(read("data:/c:ro,z").unwrap(), is("volume", "data", "/c", "ro,z"));
        assert_eq!(read("/h:/c:ro,rslave").unwrap(), is("bind", "/h", "/c", "ro,rslave"));
    }

    #[test]
    fn what_cannot_be_is_refused_in_dockers_words() {
        let error = |text| parse(text).unwrap_err().to_string();
        assert_eq!(error("xx:/y:foo"), "invalid mode: foo");
        assert_eq!(error("xx:/y:ro,rw"), "invalid mode: ro,rw");
        assert_eq!(error("x:/y:ro:rw"), "invalid volume specification: 'x:/y:ro:rw'");
        assert_eq!(
            error("xx:y"),
            "invalid volume specification: 'xx:y': invalid mount config for type \"volume\": invalid mount path: 'y' \
             mount path must be absolute"
        );
        assert_eq!(
            error("/tmp:/"),
            "invalid volume specification: '/tmp:/': invalid mount config for type \"bind\": invalid specification: \
             destination can't be '/'"
        );
        assert!(error("xx:/y:rshared").ends_with("type \"volume\": field BindOptions must not be specified"));
        assert!(error("/h:/y:nocopy").ends_with("type \"bind\": field VolumeOptions must not be specified"));
        assert!(error("/foo:rw").starts_with("invalid volume specification"));
    }
}

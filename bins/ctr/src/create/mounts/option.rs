//! `--mount`: `type=bind,source=/a,target=/b,readonly`, a line of CSV with docker's keys.

use crate::cli;
use anyhow::{Context, Result, anyhow, bail};
use layout::container::MountRequest;
use layout::units;
use std::path::Path;

/// How mounts and unmounts in a bind pass between it and the host (mount_namespaces(7)).
pub const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// Reads one, in docker's words where it cannot be read.
pub fn parse(text: &str) -> Result<MountRequest> {
    read(text).map_err(|why| anyhow!("invalid argument {text:?} for \"--mount\" flag: {why}"))
}

fn read(text: &str) -> Result<MountRequest> {
    if text.is_empty() {
        bail!("EOF");
    }
    let mut request = MountRequest { kind: "volume".to_owned(), ..MountRequest::default() };
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), value),
            None => (field.to_lowercase(), ""),
        };
        if !field.contains('=') && !matches!(key.as_str(), "readonly" | "ro" | "volume-nocopy" | "bind-nonrecursive") {
            bail!("invalid field '{field}' must be a key=value pair");
        }
        let flag = || if field.contains('=') { boolean(&key, value) } else { Ok(true) };
        match key.as_str() {
            "type" => request.kind = value.to_lowercase(),
            "source" | "src" => request.source = value.to_owned(),
            "target" | "dst" | "destination" => request.target = value.to_owned(),
            "readonly" | "ro" => request.read_only = flag()?,
            // How a virtual machine's files may lag behind; there is none.
            "consistency" => {}
            "bind-propagation" => request.bind_options.get_or_insert_default().propagation = value.to_lowercase(),
            "bind-nonrecursive" => request.bind_options.get_or_insert_default().non_recursive = flag()?,
            _ if key.starts_with("volume-") => volume_option(&mut request, &key, value, flag)?,
            _ if key.starts_with("tmpfs-") => tmpfs_option(&mut request, &key, value)?,
            _ => bail!("unexpected key '{key}' in '{field}'"),
        }
    }
    if request.kind.is_empty() {
        bail!("type is required");
    }
    if request.target.is_empty() {
        bail!("target is required");
    }
    let mixed = [
        ("volume", request.volume_options.is_some()),
        ("bind", request.bind_options.is_some()),
        ("tmpfs", request.tmpfs_options.is_some()),
    ];
    if let Some((kind, _)) = mixed.iter().find(|(kind, given)| *given && *kind != request.kind) {
        bail!("cannot mix '{kind}-*' options with mount type '{}'", request.kind);
    }
    Ok(request)
}

fn volume_option(request: &mut MountRequest, key: &str, value: &str, flag: impl Fn() -> Result<bool>) -> Result<()> {
    let volume = request.volume_options.get_or_insert_default();
    let (name, text) = value.split_once('=').unwrap_or((value, ""));
    match key {
        "volume-nocopy" => volume.no_copy = flag()?,
        "volume-label" => drop(volume.labels.insert(name.to_owned(), text.to_owned())),
        "volume-driver" => value.clone_into(&mut volume.driver_config.get_or_insert_default().name),
        "volume-opt" => {
            volume.driver_config.get_or_insert_default().options.insert(name.to_owned(), text.to_owned());
        }
        _ => bail!("unexpected key '{key}' in '{key}={value}'"),
    }
    Ok(())
}

fn tmpfs_option(request: &mut MountRequest, key: &str, value: &str) -> Result<()> {
    let tmpfs = request.tmpfs_options.get_or_insert_default();
    let invalid = || format!("invalid value for {key}: {value}");
    match key {
        "tmpfs-size" => tmpfs.size_bytes = units::parse_bytes(value).map_err(|_| anyhow!(invalid()))? as i64,
        "tmpfs-mode" => tmpfs.mode = u32::from_str_radix(value, 8).map_err(|_| anyhow!(invalid()))?.into(),
        _ => bail!("unexpected key '{key}' in '{key}={value}'"),
    }
    Ok(())
}

fn boolean(key: &str, value: &str) -> Result<bool> {
    cli::boolean(value).map_err(|_| anyhow!("invalid value for {key}: {value}"))
}

/// The fields of a line of CSV: a field in double quotes may hold commas, and a quote twice is a quote.
fn fields(line: &str) -> Result<Vec<String>> {
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, more) = rest.split_once(',').map_or((rest, None), |(field, more)| (field, Some(more)));
            if field.contains('"') {
                bail!("bare \" in non-quoted field");
            }
            fields.push(field.to_owned());
            match more {
                Some(more) => rest = more,
                None => return Ok(fields),
            }
            continue;
        };
        let end = closing_quote(quoted).context("extraneous or missing \" in quoted-field")?;
        fields.push(quoted[..end].replace("\"\"", "\""));
        match quoted[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None if quoted.len() == end + 1 => return Ok(fields),
            None => bail!("extraneous or missing \" in quoted-field"),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find('"')?;
        match text[at + 1..].starts_with('"') {
            true => at += 2,
            false => return Some(at),
        }
    }
}

/// Whether such a mount can be, in docker's words; a bind's source has to be there.
pub fn check(request: &MountRequest) -> Result<()> {
    check_form(request)?;
    if request.kind == "bind" && Path::new(&request.source).symlink_metadata().is_err() {
        bail!("invalid mount config for type \"bind\": bind source path does not exist: {}", request.source);
    }
    Ok(())
}

/// The same but for whether the source is there.
pub fn check_form(request: &MountRequest) -> Result<()> {
    form(request).map_err(|why| anyhow!("invalid mount config for type {:?}: {why}", request.kind))
}

fn form(request: &MountRequest) -> Result<()> {
    let absolute = |path: &str| match path.starts_with('/') {
        true => Ok(()),
        false => Err(anyhow!("invalid mount path: '{path}' mount path must be absolute")),
    };
    if !matches!(request.kind.as_str(), "bind" | "volume" | "tmpfs") {
        bail!("mount type unknown");
    }
    if request.target.is_empty() {
        bail!("field Target must not be empty");
    }
    if request.target.starts_with('/') && super::clean(&request.target) == "/" {
        bail!("invalid specification: destination can't be '/'");
    }
    absolute(&request.target)?;
    let extra = |name: &str, given: bool| match given {
        true => Err(anyhow!("field {name} must not be specified")),
        false => Ok(()),
    };
    match request.kind.as_str() {
        "bind" => {
            if request.source.is_empty() {
                bail!("field Source must not be empty");
            }
            extra("VolumeOptions", request.volume_options.is_some())?;
            let propagation = request.bind_options.as_ref().map_or("", |bind| &bind.propagation);
            if !propagation.is_empty() && !PROPAGATIONS.contains(&propagation) {
                bail!("invalid propagation mode: {propagation}");
            }
            absolute(&request.source)
        }
        "volume" => {
            extra("BindOptions", request.bind_options.is_some())?;
            if request.source.is_empty() && request.read_only {
                bail!("must not set ReadOnly mode when using anonymous volumes");
            }
            Ok(())
        }
        _ => {
            extra("BindOptions", request.bind_options.is_some())?;
            extra("Source", !request.source.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dockers() {
        let bind = parse("type=bind,src=/tmp,dst=/x,ro,bind-propagation=rslave,bind-nonrecursive=true").unwrap();
        let options = bind.bind_options.unwrap();
        assert!(bind.read_only && options.non_recursive && options.propagation == "rslave");
        let volume =
            parse("src=data,dst=/x,volume-nocopy,volume-label=a=b,volume-opt=type=tmpfs,\"volume-opt=o=a,b\"").unwrap();
        let options = volume.volume_options.unwrap();
        assert!(options.no_copy && options.labels["a"] == "b");
        assert_eq!(options.driver_config.unwrap().options["o"], "a,b");
        let tmpfs = parse("type=tmpfs,target=/x,tmpfs-size=1m,tmpfs-mode=700").unwrap().tmpfs_options.unwrap();
        assert_eq!((tmpfs.size_bytes, tmpfs.mode), (1 << 20, 0o700));
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        let error = |text| parse(text).unwrap_err().to_string().split_once(" flag: ").unwrap().1.to_owned();
        for (text, why) in [
            ("", "EOF"),
            ("type=bind", "target is required"),
            ("type=volume,dst=/x,foo", "invalid field 'foo' must be a key=value pair"),
            ("type=volume,dst=/x,foo=bar", "unexpected key 'foo' in 'foo=bar'"),
            ("type=volume,dst=/x,readonly=maybe", "invalid value for readonly: maybe"),
            ("type=volume,dst=/x,bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'volume'"),
            ("type=tmpfs,dst=/x,tmpfs-size=z", "invalid value for tmpfs-size: z"),
        ] {
            assert_eq!(error(text), why, "{text}");
        }
        let refused = |text| check(&parse(text).unwrap()).unwrap_err().to_string();
        for (text, why) in [
            ("type=foo,dst=/x", "invalid mount config for type \"foo\": mount type unknown"),
            ("type=bind,dst=/x", "invalid mount config for type \"bind\": field Source must not be empty"),
            (
                "type=bind,src=/no/such,dst=/x",
                "invalid mount config for type \"bind\": bind source path does not exist: /no/such",
            ),
            ("type=tmpfs,src=/a,dst=/x", "invalid mount config for type \"tmpfs\": field Source must not be specified"),
        ] {
            assert_eq!(refused(text), why, "{text}");
        }
    }
}

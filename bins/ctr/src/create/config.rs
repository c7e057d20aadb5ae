//! What runs in a container: the image's configuration with the command line laid over it.

use super::{mounts, ports};
use crate::cli;
use anyhow::{Context, Result, anyhow, bail};
use layout::container::{Config, MountRequest};
use layout::images::Image;
use layout::oci::defaults;
use serde_json::json;
use std::collections::BTreeMap;

/// What docker writes into the configurations of images too: how a container that no longer is was made.
const OF_A_CONTAINER: [&str; 9] =
    ["Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image"];

/// The container's configuration.
pub fn build(args: &cli::Create, image: &Image, hostname: String, detached: bool) -> Result<Config> {
    let mut run = image.config.config.clone();
    run.extra.retain(|key, _| !OF_A_CONTAINER.contains(&key.as_str()));
    // Docker's rule: a new entry point takes the image's default arguments away with the image's entry point.
    if let Some(program) = &args.process.entrypoint {
        run.entrypoint = Some(program).filter(|p| !p.is_empty()).map(|p| vec![p.clone()]);
        run.cmd = None;
    }
    if !args.command().is_empty() {
        run.cmd = Some(args.command().to_vec());
    }
    if let Some(user) = &args.process.user {
        run.user = user.clone();
    }
    if let Some(dir) = &args.process.workdir {
        if !dir.starts_with('/') {
            bail!("the working directory '{dir}' is invalid, it needs to be an absolute path");
        }
        run.working_dir = dir.clone();
    }
    if let Some(signal) = &args.life.stop_signal {
        run.stop_signal = signal.clone();
    }
    super::watch::healthcheck(&mut run, &args.watch)?;
    for label in &args.process.label {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        run.labels.get_or_insert_with(BTreeMap::new).insert(key.to_owned(), value.to_owned());
    }
    // A volume without a name is a wish of the configuration, as the image's own are.
    for path in args.storage.volume.iter().filter(|text| mounts::bind::is_anonymous(text)) {
        mounts::option::check_form(&MountRequest {
            kind: "volume".to_owned(),
            target: path.clone(),
            ..MountRequest::default()
        })
        .map_err(|error| anyhow!("invalid volume specification: '{path}': {error}"))?;
        run.volumes.get_or_insert_with(BTreeMap::new).insert(mounts::clean(path), json!({}));
    }
    let mut exposed = run.exposed_ports.take().unwrap_or_default();
    let mut published = ports::Bindings::new();
    for port in &args.network.publish {
        ports::parse(port, &mut published)?;
    }
    for port in &args.network.expose {
        exposed.extend(ports::parse_exposed(port)?.into_iter().map(|port| (port, json!({}))));
    }
    exposed.extend(published.into_keys().map(|port| (port, json!({}))));
    run.exposed_ports = Some(exposed).filter(|ports| !ports.is_empty());

    run.env = Some(environment(args, &run.env.unwrap_or_default(), &hostname)?);
    Ok(Config {
        hostname,
        attach_stdin: args.process.interactive && !detached,
        attach_stdout: !detached,
        attach_stderr: !detached,
        tty: args.process.tty,
        open_stdin: args.process.interactive,
        stdin_once: args.process.interactive && !detached,
        image: args.image().to_owned(),
        run,
        ..Config::default()
    })
}

/// Docker's order: what every container has, then the image's, then the files', then the options'.
fn environment(args: &cli::Create, image: &[String], hostname: &str) -> Result<Vec<String>> {
    let mut env = vec![defaults::PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if args.process.tty {
        env.push("TERM=xterm".to_owned());
    }
    for line in image {
        set(&mut env, line);
    }
    for file in &args.process.env_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("read --env-file {}", file.display()))?;
        for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            set_or_inherit(&mut env, line)?;
        }
    }
    for line in &args.process.env {
        set_or_inherit(&mut env, line)?;
    }
    Ok(env)
}

/// `NAME=VALUE` sets, `NAME` takes the value of our own environment, if there is one.
pub fn set_or_inherit(env: &mut Vec<String>, line: &str) -> Result<()> {
    if line.is_empty() || line.starts_with('=') {
        bail!("invalid environment variable: {line}");
    }
    if line.contains('=') {
        set(env, line);
    } else if let Ok(value) = std::env::var(line) {
        set(env, &format!("{line}={value}"));
    }
    Ok(())
}

fn set(env: &mut Vec<String>, line: &str) {
    let name = line.split_once('=').map_or(line, |(name, _)| name);
    match env.iter_mut().find(|old| old.split_once('=').is_some_and(|(old, _)| old == name)) {
        Some(old) => *old = line.to_owned(),
        None => env.push(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_set_once_and_keeps_its_place() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        set_or_inherit(&mut env, "A=3").unwrap();
        set_or_inherit(&mut env, "C=").unwrap();
        set_or_inherit(&mut env, "THIS_IS_NOT_SET_ANYWHERE").unwrap();
        assert_eq!(env, ["A=3", "B=2", "C="]);
        assert!(set_or_inherit(&mut env, "=x").is_err());
    }
}

//! What runs in a container: the image's configuration with the command line laid over it.

use super::wrong::OfOption;
use super::{environment, mounts, network, ports};
use crate::{cli, signal};
use anyhow::{Result, anyhow, bail};
use layout::container::{Config, MountRequest};
use layout::exit;
use layout::images::Image;
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
    if let Some(dir) = args.process.workdir.as_ref().filter(|dir| !dir.is_empty()) {
        if !dir.starts_with('/') {
            bail!("the working directory '{dir}' is invalid, it needs to be an absolute path");
        }
        run.working_dir = dir.clone();
    }
    if !run.working_dir.is_empty() {
        run.working_dir = mounts::clean(&run.working_dir);
    }
    if let Some(signal) = args.life.stop_signal.as_ref().filter(|signal| !signal.is_empty()) {
        signal::number(signal)?;
        run.stop_signal = signal.clone();
    }
    super::watch::healthcheck(&mut run, &args.watch)?;
    let labels = environment::labels(args).of_option()?;
    if !labels.is_empty() {
        run.labels.get_or_insert_with(BTreeMap::new).extend(labels);
    }
    if let Some(address) = &args.network.mac_address {
        run.extra.insert("MacAddress".to_owned(), json!(network::check_mac(address).of_option()?));
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
        ports::parse(port, &mut published).of_option()?;
    }
    for port in &args.network.expose {
        exposed.extend(ports::parse_exposed(port).of_option()?.into_iter().map(|port| (port, json!({}))));
    }
    exposed.extend(published.into_keys().map(|port| (port, json!({}))));
    run.exposed_ports = Some(exposed).filter(|ports| !ports.is_empty());

    run.env = Some(environment::build(args, &run.env.unwrap_or_default()).of_option()?);
    let attached = Attached::of(args, detached)?;
    Ok(Config {
        hostname,
        domainname: args.process.domainname.clone().unwrap_or_default(),
        attach_stdin: attached.stdin,
        attach_stdout: attached.stdout,
        attach_stderr: attached.stderr,
        tty: args.process.tty,
        open_stdin: args.process.interactive,
        stdin_once: args.process.interactive && attached.stdin,
        image: args.image().to_owned(),
        stop_timeout: args.life.stop_timeout,
        run,
    })
}

/// Which streams the client that starts it is connected to.
struct Attached {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Attached {
    /// Docker's rules: without `-a` it is both outputs, and `-i` means the input whatever `-a` says.
    fn of(args: &cli::Create, detached: bool) -> Result<Attached> {
        let streams = &args.process.attach;
        let streams: Vec<String> = streams.iter().map(|stream| stream.to_lowercase()).collect();
        if let Some(wrong) = streams.iter().position(|s| !matches!(s.as_str(), "stdin" | "stdout" | "stderr")) {
            let given = &args.process.attach[wrong];
            let why = "valid streams are STDIN, STDOUT and STDERR";
            return Err(anyhow!("invalid argument {given:?} for \"-a, --attach\" flag: {why}")).of_option();
        }
        if detached && !streams.is_empty() {
            return Err(exit::coded(1, "Conflicting options: -a and -d"));
        }
        let named = |stream: &str| streams.iter().any(|given| given == stream);
        let all = streams.is_empty();
        Ok(Attached {
            stdin: !detached && (named("stdin") || args.process.interactive),
            stdout: !detached && (named("stdout") || all),
            stderr: !detached && (named("stderr") || all),
        })
    }
}

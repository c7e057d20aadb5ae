//! What a line says of the container that it comes from: its tag, and the labels and variables that were asked for.

use super::options::Options;
use crate::show::template::{Data, Error, Template};
use anyhow::{Context, Result, anyhow};
use layout::container::Container;
use regex_lite::Regex;
use serde_json::json;
use std::collections::BTreeMap;

/// The tag (`--log-opt tag=`): a template of Go's: `{{.Name}}/{{.ID}}`.
///
/// # Errors
/// Go's words.
pub fn tag(container: &Container, template: &str) -> Result<String> {
    // The words of one without a name, with docker's name for it.
    let named = |error: Error| {
        let said = error.to_string().replacen("template: :", "template: log-tag:", 1);
        anyhow!(said.replacen("executing \"\"", "executing \"log-tag\"", 1))
    };
    let full = container.image.as_str();
    let command = std::iter::once(&container.path).chain(&container.args).cloned().collect::<Vec<_>>().join(" ");
    let fields = json!({
        "Config": container.host_config.log_config.config,
        "ContainerID": container.id.as_str(),
        "ContainerName": format!("/{}", container.name),
        "ContainerEntrypoint": container.path,
        "ContainerArgs": container.args,
        "ContainerImageID": full,
        "ContainerImageName": container.config.image,
        "ContainerCreated": container.created,
        "ContainerEnv": container.config.run.env,
        "ContainerLabels": container.config.run.labels,
        "DaemonName": "docker",
        // What follows are methods in docker.
        "ID": container.id.short(),
        "FullID": container.id.as_str(),
        "Name": container.name,
        // So many characters, and not digits: docker does not pass over `sha256:` either.
        "ImageID": full.get(..12).unwrap_or(full),
        "ImageFullID": full,
        "ImageName": container.config.image,
        "Command": command,
        "Hostname": rustix::system::uname().nodename().to_string_lossy(),
    });
    let data = Data { type_name: Some("*logger.Info"), ..Data::map(&fields) };
    Template::parse(template).and_then(|template| template.render(&data)).map_err(named)
}

/// The labels and variables that are asked for (`labels`, `env`: names with commas between them; `labels-regex`, `env-regex`), by name.
///
/// # Errors
/// What is no regular expression.
pub fn attributes(container: &Container, options: &Options) -> Result<BTreeMap<String, String>> {
    let run = &container.config.run;
    let labels = run.labels.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables = run.env.iter().flatten().filter_map(|variable| variable.split_once('='));
    let mut found = BTreeMap::new();
    choose(options, "labels", labels, &mut found)?;
    choose(options, "env", variables, &mut found)?;
    Ok(found)
}

fn choose<'a>(
    options: &Options,
    key: &str,
    all: impl Iterator<Item = (&'a str, &'a str)>,
    found: &mut BTreeMap<String, String>,
) -> Result<()> {
    let given = |key: &str| options.given.get(key).filter(|value| !value.is_empty());
    let names: Vec<&str> = given(key).map_or_else(Vec::new, |names| names.split(',').collect());
    let expression = given(&format!("{key}-regex")).map(|text| Regex::new(text)).transpose();
    let expression = expression.context("error parsing regexp")?;
    for (name, value) in all {
        if names.contains(&name) || expression.as_ref().is_some_and(|expression| expression.is_match(name)) {
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

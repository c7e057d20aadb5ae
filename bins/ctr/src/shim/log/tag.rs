//! What a line says of the container that it comes from: its tag, and the labels and variables that were asked for.

use super::options::Options;
use anyhow::{Result, bail};
use layout::container::Container;
use std::collections::BTreeMap;

/// The tag (`--log-opt tag=`): docker's template, of which fields stand in for themselves: `{{.Name}}/{{.ID}}`.
pub fn tag(container: &Container, template: &str) -> Result<String> {
    let (mut tag, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((field, after)) = after.split_once("}}") else { bail!("template: log-tag: unclosed action") };
        tag.push_str(before);
        tag.push_str(&value(container, field.trim())?);
        rest = after;
    }
    tag.push_str(rest);
    Ok(tag)
}

fn value(container: &Container, field: &str) -> Result<String> {
    Ok(match field {
        ".ID" => container.id.short().to_owned(),
        ".FullID" => container.id.as_str().to_owned(),
        ".Name" => container.name.clone(),
        ".ImageID" => container.image.short().to_owned(),
        ".ImageFullID" => container.image.as_str().to_owned(),
        ".ImageName" => container.config.image.clone(),
        ".DaemonName" => "docker".to_owned(),
        ".Command" => std::iter::once(&container.path).chain(&container.args).cloned().collect::<Vec<_>>().join(" "),
        other => {
            bail!("template: log-tag: there is no field {other:?}: .ID .FullID .Name .ImageID .ImageName .Command")
        }
    })
}

/// The labels and variables that are asked for (`labels`, `env`: names with commas between them), by name.
pub fn attributes(container: &Container, options: &Options) -> BTreeMap<String, String> {
    let names =
        |key: &str| -> Vec<&str> { options.given.get(key).map(|names| names.split(',').collect()).unwrap_or_default() };
    let mut found = BTreeMap::new();
    for (name, value) in container.config.run.labels.iter().flatten() {
        if names("labels").contains(&name.as_str()) {
            found.insert(name.clone(), value.clone());
        }
    }
    for variable in container.config.run.env.iter().flatten() {
        if let Some((name, value)) = variable.split_once('=')
            && names("env").contains(&name)
        {
            found.insert(name.to_owned(), value.to_owned());
        }
    }
    found
}

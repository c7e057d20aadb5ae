//! A container's variables and labels: from the image, from files, from the command line.

use crate::cli;
use anyhow::{Result, anyhow, bail};
use layout::container::Config;
use layout::oci::defaults;
use std::collections::BTreeMap;
use std::path::Path;

/// What `container.json` keeps, in docker's order: the files' and the options' variables, then those of the image that none of
/// them sets.
pub fn build(args: &cli::Create, image: &[String]) -> Result<Vec<String>> {
    let mut env = Vec::new();
    for file in &args.process.env_file {
        set_from_file(&mut env, file)?;
    }
    for line in &args.process.env {
        set_or_inherit(&mut env, line)
            .map_err(|why| anyhow!("invalid argument {line:?} for \"-e, --env\" flag: {why}"))?;
        // A name that has no value here is kept as it is: the container is not to have it, whatever the image says.
        if !line.contains('=') && std::env::var_os(line).is_none() {
            set(&mut env, line);
        }
    }
    for line in image {
        if !env.iter().any(|own: &String| name_of(own) == name_of(line)) {
            env.push(line.clone());
        }
    }
    Ok(env)
}

/// What its process gets: what every container has, what linked containers tell of themselves, and over these its own.
pub fn of_process(config: &Config, links: Vec<String>) -> Vec<String> {
    let mut env = vec![defaults::PATH.to_owned(), format!("HOSTNAME={}", config.hostname)];
    if config.tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend(links);
    for line in config.run.env.iter().flatten() {
        match line.contains('=') {
            true => set(&mut env, line),
            false => env.retain(|other| name_of(other) != line),
        }
    }
    without_names_alone(env)
}

/// A name without a value takes the variable away.
pub fn without_names_alone(mut env: Vec<String>) -> Vec<String> {
    env.retain(|line| line.contains('='));
    env
}

/// Sets what a file of `--env-file` says.
pub fn set_from_file(env: &mut Vec<String>, file: &Path) -> Result<()> {
    for (name, value) in read_pairs(file)? {
        match value {
            Some(value) => set(env, &format!("{name}={value}")),
            // Here a name alone takes nothing away.
            None if std::env::var_os(&name).is_none() => {}
            None => set_or_inherit(env, &name)?,
        }
    }
    Ok(())
}

/// The labels of the command line, those of files first.
pub fn labels(args: &cli::Create) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for file in &args.process.label_file {
        labels.extend(read_pairs(file)?.into_iter().map(|(name, value)| (name, value.unwrap_or_default())));
    }
    for label in &args.process.label {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        if key.is_empty() {
            bail!("invalid argument {label:?} for \"-l, --label\" flag: invalid label '{label}': empty name");
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

/// `NAME=VALUE` sets, `NAME` takes the value of our own environment; if there is none, the name stays alone.
pub fn set_or_inherit(env: &mut Vec<String>, line: &str) -> Result<()> {
    if line.is_empty() || line.starts_with('=') {
        bail!("invalid environment variable: {line}");
    }
    match std::env::var(line) {
        Ok(value) if !line.contains('=') => set(env, &format!("{line}={value}")),
        _ => set(env, line),
    }
    Ok(())
}

fn set(env: &mut Vec<String>, line: &str) {
    match env.iter_mut().find(|old| name_of(old) == name_of(line)) {
        Some(old) => *old = line.to_owned(),
        None => env.push(line.to_owned()),
    }
}

fn name_of(line: &str) -> &str {
    line.split_once('=').map_or(line, |(name, _)| name)
}

/// A line of such a file: a name, and what comes after the first `=` if there is one.
type Pair = (String, Option<String>);

/// Reads `--env-file` and `--label-file`, in docker's words where it cannot.
fn read_pairs(file: &Path) -> Result<Vec<Pair>> {
    let bytes = std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!("open {}: no such file or directory", file.display()),
        _ => anyhow!("open {}: {error}", file.display()),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("env file {} contains invalid utf8 bytes at line {line}", file.display())
    })?;
    parse_pairs(&text)
}

/// Of a line what is before its first character that is no white space is dropped, and nothing else: quotes are a value's own.
fn parse_pairs(text: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    // What some editors begin a file with.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() {
            bail!("poorly formatted environment: no variable name on line '{line}'");
        }
        if name.contains(char::is_whitespace) {
            bail!("poorly formatted environment: variable '{name}' contains whitespaces");
        }
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
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
        set_or_inherit(&mut env, "B").unwrap();
        assert_eq!(env, ["A=3", "B", "C=", "THIS_IS_NOT_SET_ANYWHERE"]);
        assert_eq!(without_names_alone(env.clone()), ["A=3", "C="]);
        assert!(set_or_inherit(&mut env, "=x").is_err());
    }

    #[test]
    fn files_are_read_as_docker_reads_them() {
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let text = "\u{feff}A=1\n\n  # note\n  B= \"two\" # x\nC\n";
        let pairs = [pair("A", Some("1")), pair("B", Some(" \"two\" # x")), pair("C", None)];
        assert_eq!(parse_pairs(text).unwrap(), pairs);
        let error = |text| parse_pairs(text).unwrap_err().to_string();
        assert_eq!(error("A B=1"), "poorly formatted environment: variable 'A B' contains whitespaces");
        assert_eq!(error("=1"), "poorly formatted environment: no variable name on line '=1'");
    }
}

//! `import --change`: the instructions of a Dockerfile that only set defaults.

use anyhow::{Context, Result, bail};
use layout::oci::image::RunConfig;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Applies one instruction, as `CMD ["sh"]`.
pub fn apply(config: &mut RunConfig, instruction: &str) -> Result<()> {
    apply_inner(config, instruction.trim()).with_context(|| format!("apply the change {instruction:?}"))
}

fn apply_inner(config: &mut RunConfig, instruction: &str) -> Result<()> {
    let (word, rest) = instruction.split_once(char::is_whitespace).unwrap_or((instruction, ""));
    let rest = rest.trim();
    if rest.is_empty() {
        bail!("the instruction has no arguments");
    }
    match word.to_ascii_uppercase().as_str() {
        "CMD" => config.cmd = Some(command(rest)?),
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)?),
        "ENV" => pairs(rest)?.into_iter().for_each(|(name, value)| set_env(config, &name, &value)),
        "LABEL" => config.labels.get_or_insert_default().extend(pairs(rest)?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                config.exposed_ports.get_or_insert_default().insert(port_key(port)?, json!({}));
            }
        }
        "VOLUME" => {
            let volumes = if rest.starts_with('[') { json_words(rest)? } else { words(rest)? };
            let added: BTreeMap<String, Value> = volumes.into_iter().map(|volume| (volume, json!({}))).collect();
            config.volumes.get_or_insert_default().extend(added);
        }
        "WORKDIR" => config.working_dir = join_dir(&config.working_dir, rest),
        "USER" => config.user = rest.to_owned(),
        "STOPSIGNAL" => config.stop_signal = rest.to_owned(),
        "ONBUILD" => {
            let triggers = config.extra.entry("OnBuild").or_insert(Value::Null);
            match triggers {
                Value::Array(triggers) => triggers.push(rest.into()),
                triggers => *triggers = json!([rest]),
            }
        }
        "HEALTHCHECK" => drop(config.extra.insert("Healthcheck".to_owned(), health_check(rest)?)),
        other => bail!(
            "{} is not a valid change command: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, \
             USER, VOLUME and WORKDIR are",
            other.to_ascii_lowercase()
        ),
    }
    Ok(())
}

/// A command as a JSON array (exec form), or as a line for `/bin/sh -c` (shell form).
fn command(text: &str) -> Result<Vec<String>> {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => Ok(words),
        Err(_) => Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()]),
    }
}

/// `NONE`, or options and `CMD` with a command; times are kept in nanoseconds, as docker keeps them.
fn health_check(text: &str) -> Result<Value> {
    let mut check = serde_json::Map::new();
    let mut rest = text;
    loop {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match word.strip_prefix("--").and_then(|option| option.split_once('=')) {
            Some((key @ ("interval" | "timeout" | "start-period" | "start-interval"), value)) => {
                let key = match key {
                    "interval" => "Interval",
                    "timeout" => "Timeout",
                    "start-period" => "StartPeriod",
                    _ => "StartInterval",
                };
                check.insert(key.to_owned(), nanoseconds(value)?.into());
            }
            Some(("retries", value)) => {
                let count: u32 = value.parse().with_context(|| format!("{value:?} is no number of retries"))?;
                check.insert("Retries".to_owned(), count.into());
            }
            Some((option, _)) => bail!("unknown option --{option}"),
            None => break,
        }
        rest = after.trim_start();
    }
    let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match (word.to_ascii_uppercase().as_str(), command.trim()) {
        ("NONE", "") => json!(["NONE"]),
        ("CMD", command) if !command.is_empty() => match serde_json::from_str::<Vec<String>>(command) {
            Ok(words) => json!(["CMD"].into_iter().map(str::to_owned).chain(words).collect::<Vec<_>>()),
            Err(_) => json!(["CMD-SHELL", command]),
        },
        _ => bail!("a health check is NONE, or CMD with a command"),
    };
    check.insert("Test".to_owned(), test);
    Ok(Value::Object(check))
}

/// A time in Go's words: `1m30s`, `500ms`.
pub fn nanoseconds(text: &str) -> Result<i64> {
    let invalid = || format!("{text:?} is no time (1m30s)");
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').with_context(invalid)?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).map_or(after, |end| &after[..end]);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => bail!(invalid()),
        };
        sum += number.parse::<f64>().with_context(invalid)? * factor;
        rest = &after[unit.len()..];
    }
    match text.is_empty() || sum > 9e18 {
        true => bail!(invalid()),
        false => Ok(sum as i64),
    }
}

fn json_words(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).context("read a JSON array of strings")
}

fn words(text: &str) -> Result<Vec<String>> {
    shlex::split(text).context("a quote is not closed")
}

/// `NAME=VALUE NAME="VALUE WITH SPACES"`, or the old form `NAME VALUE`, where the value is all the rest.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text.split_once(char::is_whitespace).context("it needs NAME=VALUE")?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("{word:?} is no NAME=VALUE"),
    };
    words(text)?.into_iter().map(pair).collect()
}

fn set_env(config: &mut RunConfig, name: &str, value: &str) {
    let env = config.env.get_or_insert_default();
    let setting = format!("{name}={value}");
    match env.iter_mut().find(|known| known.split('=').next() == Some(name)) {
        Some(known) => *known = setting,
        None => env.push(setting),
    }
}

/// `80` is `80/tcp`.
fn port_key(port: &str) -> Result<String> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    match number.parse::<u16>() {
        Ok(number) if number > 0 && matches!(protocol.as_str(), "tcp" | "udp" | "sctp") => {
            Ok(format!("{number}/{protocol}"))
        }
        _ => bail!("{port:?} is no port: a number from 1 to 65535, with /tcp, /udp or /sctp after it or nothing"),
    }
}

/// A relative folder counts from the one that was set before.
fn join_dir(before: &str, dir: &str) -> String {
    let joined = if dir.starts_with('/') { dir.to_owned() } else { format!("{before}/{dir}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_a_dockerfiles_words() {
        let mut config = RunConfig::default();
        for instruction in [
            "CMD [\"sh\", \"-c\", \"a b\"]",
            "entrypoint exec top -b",
            "ENV A=1 B=\"two words\"",
            "ENV A=2",
            "ENV OLD form here",
            "EXPOSE 80 53/udp",
            "LABEL a.b=\"c d\"",
            "VOLUME [\"/data\"]",
            "VOLUME /x /y",
            "WORKDIR /app",
            "WORKDIR sub/../src",
            "USER 1000:1000",
            "STOPSIGNAL SIGINT",
            "ONBUILD RUN a",
            "ONBUILD COPY . .",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD test -e /x",
        ] {
            apply(&mut config, instruction).unwrap();
        }
        let expected = json!({
            "User": "1000:1000",
            "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
            "Env": ["A=2", "B=two words", "OLD=form here"],
            "Entrypoint": ["/bin/sh", "-c", "exec top -b"],
            "Cmd": ["sh", "-c", "a b"],
            "Volumes": {"/data": {}, "/x": {}, "/y": {}},
            "WorkingDir": "/app/src",
            "Labels": {"a.b": "c d"},
            "StopSignal": "SIGINT",
            "OnBuild": ["RUN a", "COPY . ."],
            "Healthcheck": {"Interval": 90_000_000_000i64, "Retries": 3, "Test": ["CMD-SHELL", "test -e /x"]},
        });
        assert_eq!(serde_json::to_value(&config).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for bad in [
            "",
            "CMD",
            "RUN true",
            "COPY a b",
            "EXPOSE x",
            "EXPOSE 0",
            "EXPOSE 70000",
            "ENV A",
            "ENV A=1 =2",
            "LABEL \"a",
            "HEALTHCHECK --interval=x CMD a",
            "HEALTHCHECK --nosuch=1 CMD a",
            "HEALTHCHECK true",
        ] {
            assert!(apply(&mut RunConfig::default(), bad).is_err(), "{bad}");
        }
    }
}

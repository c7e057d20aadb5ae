//! `--log-driver` and `--log-opt`: which there are, and what they mean. Sizes here are in powers of 1000, as docker's.

use super::syslog::Address;
use anyhow::{Context, Result, bail};
use layout::container::LogConfig;
use std::collections::BTreeMap;

/// What every driver takes.
const COMMON: [&str; 2] = ["mode", "max-buffer-size"];
/// What says which of a container's labels and variables, and which name, go with each line.
const ABOUT: [&str; 3] = ["labels", "env", "tag"];
/// The same, by regular expressions: docker has them, we do not.
const BY_EXPRESSION: [&str; 2] = ["labels-regex", "env-regex"];
/// How big files get.
const SIZES: [&str; 3] = ["max-size", "max-file", "compress"];
/// The same for the file beside a log that is sent elsewhere.
const CACHE: [&str; 4] = ["cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
const SYSLOG: [&str; 3] = ["syslog-address", "syslog-facility", "syslog-format"];

/// The drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Docker's default: a JSON object a line.
    JsonFile,
    /// Smaller, and always rotated.
    Local,
    /// Systemd's journal.
    Journald,
    /// A syslog daemon, here or elsewhere.
    Syslog(Address),
    /// Nowhere.
    None,
}

/// A driver with its options, understood.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which driver.
    pub driver: Driver,
    /// A file of that many bytes is not written to any more.
    pub size: Option<u64>,
    /// How many files there are at most.
    pub files: u32,
    /// Whether there is a file at all.
    pub has_file: bool,
    /// All options, as they were given.
    pub given: BTreeMap<String, String>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// Docker's, in its words.
    pub fn of(config: &LogConfig) -> Result<Options> {
        let given = &config.config;
        check_mode(given)?;
        let name = config.kind.as_str();
        let (driver, known): (Driver, Vec<&str>) = match name {
            "" | "json-file" => (Driver::JsonFile, [&SIZES[..], &ABOUT].concat()),
            "local" => (Driver::Local, SIZES.to_vec()),
            "journald" => (Driver::Journald, [&ABOUT[..], &CACHE].concat()),
            "syslog" => (Driver::Syslog(Address::default()), [&SYSLOG[..], &ABOUT, &CACHE].concat()),
            "none" if given.is_empty() => (Driver::None, Vec::new()),
            "none" => bail!("invalid logging opts for driver none"),
            "gelf" | "fluentd" | "awslogs" | "splunk" | "gcplogs" | "etwlogs" | "logentries" => {
                bail!(
                    "the log driver {name} is docker's, and not one of ours: json-file, local, journald, syslog, none"
                )
            }
            _ => bail!("error looking up logging plugin {name}: plugin \"{name}\" not found"),
        };
        for key in given.keys().map(String::as_str) {
            if BY_EXPRESSION.contains(&key) {
                bail!("log opt '{key}' is not supported: name each with '{}'", key.trim_end_matches("-regex"));
            }
            if !known.contains(&key) && !COMMON.contains(&key) {
                bail!(unknown(key, name));
            }
        }
        let driver = match driver {
            Driver::Syslog(_) => Driver::Syslog(Address::read(given)?),
            other => other,
        };
        let (size, files) = rotation(&driver, given).context("failed to initialize logging driver")?;
        let has_file = driver != Driver::None && given.get("cache-disabled").is_none_or(|value| value != "true");
        Ok(Options { driver, size, files, has_file, given: given.clone() })
    }
}

fn unknown(key: &str, driver: &str) -> String {
    match driver {
        "local" => format!("unknown log opt '{key}' for log driver local"),
        _ => format!("unknown log opt '{key}' for {} log driver", if driver.is_empty() { "json-file" } else { driver }),
    }
}

/// Our shim never has the container wait for anything but its own disk, so both modes are one here.
fn check_mode(given: &BTreeMap<String, String>) -> Result<()> {
    match given.get("mode").map(String::as_str) {
        None | Some("" | "blocking" | "non-blocking") => {}
        Some(other) => bail!("logger: logging mode not supported: {other}"),
    }
    match given.get("max-buffer-size") {
        Some(_) if given.get("mode").is_none_or(|mode| mode != "non-blocking") => {
            bail!("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        }
        Some(size) => bytes(size).map(drop).context("error parsing option max-buffer-size"),
        None => Ok(()),
    }
}

/// The size of one file, and how many there are.
fn rotation(driver: &Driver, given: &BTreeMap<String, String>) -> Result<(Option<u64>, u32)> {
    let (prefix, default) = match driver {
        Driver::JsonFile => ("", (None, 1)),
        Driver::Local => ("", (Some(20_000_000), 5)),
        Driver::Journald | Driver::Syslog(_) => ("cache-", (Some(20_000_000), 5)),
        Driver::None => return Ok((None, 1)),
    };
    let value = |key: &str| given.get(&format!("{prefix}{key}"));
    let size = match (value("max-size"), driver) {
        (Some(text), Driver::JsonFile) => Some(bytes(text)?),
        (Some(text), _) => Some(bytes(text).with_context(|| format!("invalid value for max-size: {text}"))?),
        (None, _) => default.0,
    };
    if size == Some(0) {
        bail!("max-size must be a positive number");
    }
    let files = match value("max-file") {
        Some(text) => match text.parse::<i32>() {
            Ok(number) if number >= 1 => number as u32,
            Ok(_) => bail!("max-file cannot be less than 1"),
            Err(_) => bail!("strconv.Atoi: parsing {text:?}: invalid syntax"),
        },
        None => default.1,
    };
    match value("compress").map(String::as_str) {
        None | Some("false" | "0" | "f" | "F" | "FALSE" | "False") => {}
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") if files < 2 || size.is_none() => {
            bail!("compress cannot be true when max-file is less than 2 or max-size is not set")
        }
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") => {
            bail!("compress is not supported: old files of a log stay as they are")
        }
        Some(other) => bail!("strconv.ParseBool: parsing {other:?}: invalid syntax"),
    }
    Ok((size, files))
}

/// A size in powers of 1000: `10m`, `1.5g`, `512`.
fn bytes(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches('b').trim_end_matches('i');
    let exponent = number.chars().last().and_then(|unit| "kmgtp".find(unit)).map(|at| at as i32 + 1);
    let digits = if exponent.is_some() { &number[..number.len() - 1] } else { number };
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match digits.parse::<f64>() {
        Ok(value) if plain => Ok((value * 1000f64.powi(exponent.unwrap_or(0))) as u64),
        _ => bail!("invalid size: '{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(kind: &str, given: &[(&str, &str)]) -> Result<Options, String> {
        let config = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Options::of(&LogConfig { kind: kind.to_owned(), config }).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn defaults_are_dockers() {
        let of = |kind| options(kind, &[]).map(|options| (options.size, options.files)).unwrap();
        assert_eq!(of("json-file"), (None, 1));
        assert_eq!(of("local"), (Some(20_000_000), 5));
        assert!(!options("none", &[]).unwrap().has_file);
    }

    #[test]
    fn sizes_are_in_powers_of_a_thousand() {
        let options = options("json-file", &[("max-size", "1.5k"), ("max-file", "3")]).unwrap();
        assert_eq!((options.size, options.files), (Some(1500), 3));
        for (text, size) in [("10m", 10_000_000), ("1GB", 1_000_000_000), ("7", 7), ("2KiB", 2000)] {
            assert_eq!(bytes(text).unwrap(), size);
        }
    }

    #[test]
    fn mistakes_are_told_in_dockers_words() {
        for (kind, given, said) in [
            ("foo", &[][..], "error looking up logging plugin foo: plugin \"foo\" not found"),
            ("json-file", &[("foo", "1")], "unknown log opt 'foo' for json-file log driver"),
            ("local", &[("foo", "1")], "unknown log opt 'foo' for log driver local"),
            ("json-file", &[("max-size", "-1")], "failed to initialize logging driver: invalid size: '-1'"),
            ("json-file", &[("max-file", "0")], "failed to initialize logging driver: max-file cannot be less than 1"),
            ("json-file", &[("mode", "foo")], "logger: logging mode not supported: foo"),
            ("none", &[("max-size", "1")], "invalid logging opts for driver none"),
            ("syslog", &[("syslog-facility", "x")], "invalid syslog facility"),
            ("syslog", &[("syslog-format", "x")], "Invalid syslog format"),
            ("syslog", &[("syslog-address", "x")], "syslog-address should be in form proto://address, got x"),
        ] {
            assert_eq!(options(kind, given).unwrap_err(), said);
        }
    }
}

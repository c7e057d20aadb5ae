//! `--log-driver` and `--log-opt`: which there are, and what they mean. Sizes here are in powers of 1000, as docker's.

use super::syslog::Address;
use crate::cli;
use anyhow::{Context, Result, anyhow, bail};
use layout::container::LogConfig;
use std::collections::BTreeMap;

/// What every driver takes.
const COMMON: [&str; 2] = ["mode", "max-buffer-size"];
/// What says which of a container's labels and variables, and which name, go with each line.
const ABOUT: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];
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
    /// Whether older files are compressed.
    pub compress: bool,
    /// Whether there is a file at all.
    pub has_file: bool,
    /// How many bytes wait for who takes lines elsewhere.
    pub buffer: Option<u64>,
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
        let buffer = check_mode(given)?;
        let name = config.kind.as_str();
        let (driver, known): (Driver, Vec<&str>) = match name {
            "" | "json-file" => (Driver::JsonFile, [&SIZES[..], &ABOUT].concat()),
            "local" => (Driver::Local, SIZES.to_vec()),
            "journald" => (Driver::Journald, [&ABOUT[..], &CACHE].concat()),
            "syslog" => (Driver::Syslog(Address::default()), [&SYSLOG[..], &ABOUT, &CACHE].concat()),
            "none" if given.is_empty() => (Driver::None, Vec::new()),
            "none" => bail!("invalid logging opts for driver none"),
            "gelf" | "fluentd" | "awslogs" | "splunk" | "gcplogs" | "logentries" => {
                bail!(
                    "the log driver {name} is docker's, and not one of ours: json-file, local, journald, syslog, none"
                )
            }
            _ => bail!("error looking up logging plugin {name}: plugin \"{name}\" not found"),
        };
        for key in given.keys().map(String::as_str) {
            if !known.contains(&key) && !COMMON.contains(&key) {
                bail!(unknown(key, name));
            }
        }
        let driver = match driver {
            Driver::Syslog(_) => Driver::Syslog(Address::read(given)?),
            other => other,
        };
        let (size, files, compress) = rotation(&driver, given).context("failed to initialize logging driver")?;
        let disabled = given
            .get("cache-disabled")
            .map(|value| boolean(value).map_err(|_| anyhow!("invalid value for option cache-disabled: {value}")));
        let has_file = driver != Driver::None && !disabled.transpose()?.unwrap_or(false);
        Ok(Options { driver, size, files, compress, has_file, buffer, given: given.clone() })
    }
}

fn unknown(key: &str, driver: &str) -> String {
    match driver {
        "local" => format!("unknown log opt '{key}' for log driver local"),
        _ => format!("unknown log opt '{key}' for {} log driver", if driver.is_empty() { "json-file" } else { driver }),
    }
}

/// Our shim never has the container wait for anything but its own disk, so both modes are one here. Gives the size of the buffer.
fn check_mode(given: &BTreeMap<String, String>) -> Result<Option<u64>> {
    let mode = given.get("mode").map_or("", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        bail!("logger: logging mode not supported: {mode}");
    }
    let Some(size) = given.get("max-buffer-size") else { return Ok(None) };
    if mode != "non-blocking" {
        bail!("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
    }
    bytes(size).map(Some).context("error parsing option max-buffer-size")
}

/// The size of one file, how many there are, and whether the older ones are compressed.
fn rotation(driver: &Driver, given: &BTreeMap<String, String>) -> Result<(Option<u64>, u32, bool)> {
    let (prefix, default) = match driver {
        Driver::JsonFile => return json_rotation(given),
        Driver::Local => ("", (20_000_000, 5)),
        Driver::Journald | Driver::Syslog(_) => ("cache-", (20_000_000, 5)),
        Driver::None => return Ok((None, 1, false)),
    };
    let value = |key: &str| given.get(&format!("{prefix}{key}"));
    let size = match value("max-size") {
        Some(text) => bytes(text).with_context(|| format!("invalid value for max-size: {text}"))?,
        None => default.0,
    };
    let files = match value("max-file") {
        Some(text) => integer(text).with_context(|| format!("invalid value for max-file: {text}"))?,
        None => default.1,
    };
    let compress = match value("compress") {
        Some(text) => boolean(text).context("error reading compress log option")?,
        None => true,
    };
    match files {
        ..0 => bail!("max file count cannot be less than 0"),
        0 | 1 if compress => bail!("compression cannot be enabled when max file count is 1"),
        _ if size == 0 => bail!("max-size must be a positive number"),
        _ => Ok((Some(size), files.max(1) as u32, compress)),
    }
}

fn json_rotation(given: &BTreeMap<String, String>) -> Result<(Option<u64>, u32, bool)> {
    let size = given.get("max-size").map(|text| bytes(text)).transpose()?;
    if size == Some(0) {
        bail!("max-size must be a positive number");
    }
    let files = given.get("max-file").map_or(Ok(1), |text| integer(text))?;
    if files < 1 {
        bail!("max-file cannot be less than 1");
    }
    let compress = given.get("compress").map_or(Ok(false), |text| boolean(text))?;
    if compress && (files < 2 || size.is_none()) {
        bail!("compress cannot be true when max-file is less than 2 or max-size is not set");
    }
    Ok((size, files as u32, compress))
}

fn integer(text: &str) -> Result<i32> {
    text.parse().map_err(|_| anyhow!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

fn boolean(text: &str) -> Result<bool> {
    cli::boolean(text).map_err(|why| anyhow!("strconv.ParseBool: parsing {text:?}: {why}"))
}

/// A size in powers of 1000: `10m`, `1.5g`, `512`.
fn bytes(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches('b').trim_end_matches('i');
    let exponent = number.chars().last().and_then(|unit| "kmgtp".find(unit)).map(|at| at as i32 + 1);
    let digits = if exponent.is_some() { &number[..number.len() - 1] } else { number };
    let digits = digits.strip_suffix(' ').unwrap_or(digits);
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
        let of = |kind| options(kind, &[]).map(|options| (options.size, options.files, options.compress)).unwrap();
        assert_eq!(of("json-file"), (None, 1, false));
        assert_eq!(of("local"), (Some(20_000_000), 5, true));
        assert!(!options("none", &[]).unwrap().has_file);
    }

    #[test]
    fn sizes_are_in_powers_of_a_thousand() {
        let options = options("json-file", &[("max-size", "1.5k"), ("max-file", "3")]).unwrap();
        assert_eq!((options.size, options.files), (Some(1500), 3));
        for (text, size) in
            [("10m", 10_000_000), ("1GB", 1_000_000_000), ("7", 7), ("2KiB", 2000), ("10 m", 10_000_000)]
        {
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
            (
                "local",
                &[("max-file", "1")],
                "failed to initialize logging driver: compression cannot be enabled when max file count is 1",
            ),
            (
                "local",
                &[("compress", "x")],
                "failed to initialize logging driver: error reading compress log option: \
                 strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
            ("syslog", &[("cache-disabled", "foo")], "invalid value for option cache-disabled: foo"),
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

//! How a container is looked after: restart policy, health check, log.

use super::wrong::OfOption;
use crate::cli::WatchOptions;
use crate::shim::log::options::Options;
use anyhow::{Result, anyhow, bail};
use layout::container::{HostConfig, LogConfig, RestartPolicy};
use layout::duration;
use layout::oci::healthcheck::Healthcheck;
use layout::oci::image::RunConfig;

/// Docker's least time between two checks, and for one: a millisecond.
const LEAST: i64 = 1_000_000;

/// Fills in what the options say.
pub fn fill(host: &mut HostConfig, options: &WatchOptions) -> Result<()> {
    host.restart_policy = restart_policy(&options.restart)?;
    if host.auto_remove && host.restart_policy.name != "no" {
        return Err(anyhow!("conflicting options: cannot specify both --restart and --rm")).of_option();
    }
    let mut log = LogConfig::default();
    if let Some(driver) = options.log_driver.as_ref().filter(|driver| !driver.is_empty()) {
        log.kind.clone_from(driver);
    }
    for option in &options.log_opts {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        log.config.insert(name.to_owned(), value.to_owned());
    }
    Options::of(&log)?;
    host.log_config = log;
    Ok(())
}

/// Reads a restart policy: `no`, `on-failure[:MOST]`, `always`, `unless-stopped`.
///
/// # Errors
/// In docker's words.
pub fn restart_policy(text: &str) -> Result<RestartPolicy> {
    let (name, most) = match text.split_once(':') {
        Some((name, most)) => match most.parse::<i64>() {
            Ok(most) => (name, most),
            Err(_) => bail!("invalid restart policy format: maximum retry count must be an integer"),
        },
        None => (text, 0),
    };
    match name {
        "always" | "unless-stopped" | "no" if most != 0 => {
            bail!("maximum retry count cannot be used with restart policy '{name}'")
        }
        "on-failure" if most < 0 => bail!("maximum retry count cannot be negative"),
        "" if most == 0 => return Ok(RestartPolicy::default()),
        "always" | "unless-stopped" | "no" | "on-failure" => {}
        _ => bail!("invalid restart policy '{name}'"),
    }
    let maximum_retry_count = u32::try_from(most).unwrap_or(u32::MAX);
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

/// Lays the options over the image's health check.
pub fn healthcheck(run: &mut RunConfig, options: &WatchOptions) -> Result<()> {
    let wanted = Healthcheck {
        test: options
            .health_cmd
            .iter()
            .filter(|c| !c.is_empty())
            .flat_map(|c| ["CMD-SHELL".into(), c.clone()])
            .collect(),
        interval: time(&options.health_interval, "--health-interval").of_option()?,
        timeout: time(&options.health_timeout, "--health-timeout").of_option()?,
        start_period: time(&options.health_start_period, "--health-start-period").of_option()?,
        retries: options.health_retries.unwrap_or(0),
    };
    if options.no_healthcheck {
        if wanted != Healthcheck::default() {
            return Err(anyhow!("--no-healthcheck conflicts with --health-* options")).of_option();
        }
        Healthcheck { test: vec!["NONE".to_owned()], ..wanted }.put(run);
        return Ok(());
    }
    if wanted.retries < 0 {
        return Err(anyhow!("--health-retries cannot be negative")).of_option();
    }
    for (name, value) in
        [("Interval", wanted.interval), ("Timeout", wanted.timeout), ("StartPeriod", wanted.start_period)]
    {
        if value != 0 && value < LEAST {
            bail!("{name} in Healthcheck cannot be less than 1ms");
        }
    }
    if wanted != Healthcheck::default() {
        let images = Healthcheck::of(run).unwrap_or_default();
        wanted.or(&images).put(run);
    }
    Ok(())
}

fn time(text: &Option<String>, option: &str) -> Result<i64> {
    let Some(text) = text else { return Ok(0) };
    match duration::parse(text) {
        Ok(time) if time < 0 => bail!("{option} cannot be negative"),
        Ok(time) => Ok(time),
        Err(error) => bail!("invalid argument {text:?} for {option:?} flag: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_docker_reads_them() {
        let read = |text| restart_policy(text).map(|policy| (policy.name, policy.maximum_retry_count));
        assert_eq!(read("on-failure:3").unwrap(), ("on-failure".to_owned(), 3));
        assert_eq!(read("unless-stopped").unwrap(), ("unless-stopped".to_owned(), 0));
        for (bad, said) in [
            ("foo", "invalid restart policy 'foo'"),
            ("on-failure:x", "invalid restart policy format: maximum retry count must be an integer"),
            ("always:3", "maximum retry count cannot be used with restart policy 'always'"),
            ("on-failure:-1", "maximum retry count cannot be negative"),
        ] {
            assert_eq!(restart_policy(bad).unwrap_err().to_string(), said);
        }
    }
}

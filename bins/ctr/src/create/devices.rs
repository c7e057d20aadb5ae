//! `--device`, `--device-cgroup-rule` and `--gpus`: which devices of the host it gets.

use crate::cli::SecurityOptions;
use anyhow::{Result, bail};
use layout::container::{DeviceMapping, DeviceRequest, HostConfig};

/// Fills in what the options say about devices.
pub fn fill(host: &mut HostConfig, options: &SecurityOptions) -> Result<()> {
    let (by_name, by_file): (Vec<&String>, Vec<&String>) =
        options.device.iter().partition(|device| is_cdi_name(device));
    host.devices = by_file.iter().map(|device| parse(device)).collect::<Result<_>>()?;
    for rule in &options.device_cgroup_rule {
        if !is_rule(rule) {
            bail!(
                "invalid argument \"{rule}\" for \"--device-cgroup-rule\" flag: invalid device cgroup format '{rule}'"
            );
        }
    }
    host.device_cgroup_rules = Some(options.device_cgroup_rule.clone()).filter(|rules| !rules.is_empty());
    let mut requests = Vec::new();
    if let Some(text) = &options.gpus {
        match gpus(text) {
            Ok(request) => requests.push(request),
            Err(error) => bail!("invalid argument \"{text}\" for \"--gpus\" flag: {error}"),
        }
    }
    if !by_name.is_empty() {
        requests.push(DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(by_name.into_iter().cloned().collect()),
            ..DeviceRequest::default()
        });
    }
    host.device_requests = Some(requests).filter(|requests| !requests.is_empty());
    Ok(())
}

/// `VENDOR/CLASS=NAME`, as in `nvidia.com/gpu=0`: the name of a device that CDI knows.
fn is_cdi_name(device: &str) -> bool {
    device.split_once('=').is_some_and(|(kind, name)| {
        !name.is_empty() && kind.split_once('/').is_some_and(|(vendor, class)| !vendor.is_empty() && !class.is_empty())
    })
}

/// Reads `HOST[:CONTAINER][:PERMISSIONS]`.
fn parse(device: &str) -> Result<DeviceMapping> {
    let are_permissions = |text: &str| {
        let each_once = |c| text.matches(c).count() <= 1;
        !text.is_empty() && text.chars().all(|c| "rwm".contains(c)) && "rwm".chars().all(each_once)
    };
    let parts: Vec<&str> = device.split(':').collect();
    let (from, to, permissions) = match parts[..] {
        [from] => (from, from, "rwm"),
        [from, word] if are_permissions(word) => (from, from, word),
        [from, to] => (from, to, "rwm"),
        [from, to, permissions] => {
            if !are_permissions(permissions) {
                bail!("bad mode specified: {permissions}");
            }
            (from, to, permissions)
        }
        _ => bail!("bad format for path: {device}"),
    };
    if let Some(path) = [from, to].into_iter().find(|path| !path.starts_with('/')) {
        bail!("{path} is not an absolute path");
    }
    Ok(DeviceMapping {
        path_on_host: from.to_owned(),
        path_in_container: to.to_owned(),
        cgroup_permissions: permissions.to_owned(),
    })
}

/// Whether this is a line of the device list: `c 42:* rmw`.
fn is_rule(rule: &str) -> bool {
    let words: Vec<&str> = rule.split(' ').collect();
    let [kind, numbers, access] = words[..] else { return false };
    let is_number = |text: &str| text == "*" || text.parse::<u32>().is_ok();
    ["a", "b", "c"].contains(&kind)
        && numbers.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
        && (1..=3).contains(&access.len())
        && access.chars().all(|c| "rwm".contains(c))
}

/// Reads `--gpus`: `all`, a number, or `KEY=VALUE,...` with the keys `count`, `device`, `driver`, `capabilities`, `options`.
/// A list in quotes is one value: `"device=0,1"`.
fn gpus(text: &str) -> Result<DeviceRequest> {
    let mut request = DeviceRequest::default();
    let mut seen: Vec<String> = Vec::new();
    let mut capabilities = vec!["gpu".to_owned()];
    for field in fields(text) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, value),
            None if seen.is_empty() => ("count", field.as_str()),
            None => bail!("gpu request field '{field}' has no value"),
        };
        if seen.iter().any(|old| old == key) {
            bail!("gpu request key '{key}' can be specified only once");
        }
        seen.push(key.to_owned());
        let list = || value.split(',').map(str::to_owned);
        match key {
            "count" if value == "all" => request.count = -1,
            "count" => match value.parse() {
                Ok(count) => request.count = count,
                Err(_) => bail!("count must be an integer: parsing \"{value}\": invalid syntax"),
            },
            "device" => request.device_ids = Some(list().collect()),
            "driver" => request.driver = value.to_owned(),
            "capabilities" => capabilities.extend(list()),
            "options" => {
                request
                    .options
                    .extend(list().filter_map(|pair| {
                        pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
                    }));
            }
            _ => bail!("unexpected key '{key}' in '{field}'"),
        }
    }
    if request.count == 0 && request.device_ids.is_none() {
        request.count = 1;
    }
    request.capabilities = vec![capabilities];
    Ok(request)
}

/// Splits at commas, but not in quotes, as in a line of CSV.
fn fields(text: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_docker_reads_them() {
        let read = |text| {
            parse(text)
                .map(|d| [d.path_on_host, d.path_in_container, d.cgroup_permissions].join(" "))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("/dev/a"), Ok("/dev/a /dev/a rwm".to_owned()));
        assert_eq!(read("/dev/a:rw"), Ok("/dev/a /dev/a rw".to_owned()));
        assert_eq!(read("/dev/a:/dev/b"), Ok("/dev/a /dev/b rwm".to_owned()));
        assert_eq!(read("/dev/a:/dev/b:r"), Ok("/dev/a /dev/b r".to_owned()));
        assert_eq!(read("/dev/a:/dev/b:q"), Err("bad mode specified: q".to_owned()));
        assert_eq!(read("/dev/a:x"), Err("x is not an absolute path".to_owned()));
        assert_eq!(read("a:b:c:d"), Err("bad format for path: a:b:c:d".to_owned()));
        assert!(is_cdi_name("nvidia.com/gpu=all") && !is_cdi_name("/dev/a=b") && !is_cdi_name("/dev/a"));
        assert!(
            is_rule("c 1:3 rwm") && is_rule("a *:* m") && !is_rule("c") && !is_rule("c 1:3") && !is_rule("p 1:3 r")
        );
    }

    #[test]
    fn gpus_are_asked_for_by_number_or_by_name() {
        let of = |text| gpus(text).map(|r| (r.count, r.device_ids, r.driver)).map_err(|error| error.to_string());
        assert_eq!(of("all"), Ok((-1, None, String::new())));
        assert_eq!(of("2"), Ok((2, None, String::new())));
        assert_eq!(of("driver=cdi"), Ok((1, None, "cdi".to_owned())));
        assert_eq!(of("\"device=0,1\""), Ok((0, Some(vec!["0".into(), "1".into()]), String::new())));
        assert_eq!(of("count=all,count=2"), Err("gpu request key 'count' can be specified only once".to_owned()));
        assert!(of("x").unwrap_err().starts_with("count must be an integer"));
        assert_eq!(gpus("all,capabilities=utility").unwrap().capabilities, [["gpu", "utility"]]);
    }
}

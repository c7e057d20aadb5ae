//! What it may do: the options, with docker's checks and words.

use super::machine::Machine;
use super::wrong::OfOption;
use super::{devices, modes, security_opt};
use crate::cli::SecurityOptions;
use anyhow::{Result, bail};
use layout::Layout;
use layout::container::HostConfig;
use layout::oci::{capabilities, defaults};
use layout::tool::Tool;
use std::path::Path;

/// The names that docker's own runtime goes by, and ours. All mean the runtime of this machine.
const RUNTIMES: [&str; 4] = ["runc", "io.containerd.runc.v2", "crun", "unshare-run"];

/// Settings that belong to an IPC or network namespace, besides `net.*` and `fs.mqueue.*`.
const SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Fills in what the options say about its powers. Gives warnings.
pub fn fill(host: &mut HostConfig, layout: &Layout, options: &SecurityOptions) -> Result<Vec<String>> {
    host.privileged = options.privileged;
    host.cap_add = capability_list("CapAdd", &options.cap_add)?;
    host.cap_drop = capability_list("CapDrop", &options.cap_drop)?;
    modes::fill(host, layout, options, Machine::here().is_unified())?;
    host.masked_paths = paths(&defaults::MASKED_PATHS);
    host.readonly_paths = paths(&defaults::READONLY_PATHS);
    let warnings = security_opt::fill(host, &options.security_opt).of_option()?;
    if host.privileged {
        (host.masked_paths, host.readonly_paths) = (None, None);
    }
    devices::fill(host, options).of_option()?;
    for setting in &options.sysctl {
        let (name, value) = sysctl(setting).of_option()?;
        host.sysctls.insert(name, value);
    }
    host.init = options.init.then_some(true);
    host.runtime = runtime(options.runtime.as_deref().unwrap_or_default())?;
    isolation(options.isolation.as_deref().unwrap_or_default())?;
    Ok(warnings)
}

fn paths(paths: &[&str]) -> Option<Vec<String>> {
    Some(paths.iter().map(|path| (*path).to_owned()).collect())
}

/// Kept as they were typed, as docker keeps them, once it is sure that there are such capabilities.
fn capability_list(key: &str, names: &[String]) -> Result<Option<Vec<String>>> {
    for name in names {
        if !name.eq_ignore_ascii_case("all") && capabilities::bit(name).is_none() {
            let upper = name.to_ascii_uppercase();
            let upper = upper.strip_prefix("CAP_").unwrap_or(&upper);
            bail!("invalid {key}: unknown capability: \"CAP_{upper}\"");
        }
    }
    Ok(Some(names.to_vec()).filter(|names| !names.is_empty()))
}

fn sysctl(setting: &str) -> Result<(String, String)> {
    match setting.split_once('=') {
        Some((name, value))
            if SYSCTLS.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.") =>
        {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => bail!("invalid argument \"{setting}\" for \"--sysctl\" flag: sysctl '{setting}' is not whitelisted"),
    }
}

/// Which program is called is decided for the whole machine (`$CTR_UNSHARE_RUN`); here it can only be named.
fn runtime(name: &str) -> Result<String> {
    let swapped = std::env::var_os(Tool::UnshareRun.variable()).unwrap_or_default();
    let is_ours = |name: &str| Path::new(name) == Path::new(&swapped) || Path::new(&swapped).ends_with(name);
    match name {
        "" => Ok("runc".to_owned()),
        name if RUNTIMES.contains(&name) || is_ours(name) => Ok(name.to_owned()),
        name => bail!("Unknown runtime specified {name}"),
    }
}

fn isolation(name: &str) -> Result<()> {
    if !name.is_empty() && !name.eq_ignore_ascii_case("default") {
        bail!("Invalid isolation: \"{name}\" - linux only supports 'default'");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_words_for_what_cannot_be() {
        let said = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            said(capability_list("CapAdd", &["cap_foo".into()]).map(drop)),
            "invalid CapAdd: unknown capability: \"CAP_FOO\""
        );
        assert_eq!(
            said(sysctl("vm.swappiness=3").map(drop)),
            "invalid argument \"vm.swappiness=3\" for \"--sysctl\" flag: sysctl 'vm.swappiness=3' is not whitelisted"
        );
        assert!(sysctl("net.ipv4.ip_forward").is_err());
        assert_eq!(said(runtime("foo").map(drop)), "Unknown runtime specified foo");
        assert_eq!(runtime("").unwrap(), "runc");
        assert_eq!(said(isolation("hyperv")), "Invalid isolation: \"hyperv\" - linux only supports 'default'");
    }
}

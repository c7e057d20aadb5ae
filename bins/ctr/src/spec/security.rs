//! What it may do: capabilities, the system call filter, what of `/proc` and `/sys` it cannot see or write to, and the words
//! for the kernel's security modules.

use anyhow::{Context, Result};
use layout::container::{Container, HostConfig};
use layout::oci::runtime::{Capabilities, Linux, Process, Seccomp, Spec};
use layout::oci::{capabilities, default_seccomp, defaults, seccomp_profile};

/// Sets them. The process's user has to be known by now.
pub fn set(spec: &mut Spec, container: &Container) -> Result<()> {
    let host = &container.host_config;
    let held = held(host)?;
    if host.privileged {
        make_writable(spec);
    }
    let linux = spec.linux.get_or_insert_default();
    linux.seccomp = filter(host, held)?;
    set_paths(linux, host);
    let process = spec.process.get_or_insert_default();
    process.capabilities = Some(sets(held, process.user.uid));
    process.no_new_privileges =
        options(host).any(|option| option == "no-new-privileges" || option == "no-new-privileges=true");
    if let Some(profile) = value(host, "apparmor") {
        set_profile(process, profile);
    }
    let labels: Vec<&str> = options(host).filter_map(|option| option.strip_prefix("label=")).collect();
    if crate::create::security_opt::has_selinux() {
        set_label(spec, &labels);
    }
    Ok(())
}

fn options(host: &HostConfig) -> impl Iterator<Item = &str> {
    host.security_opt.iter().flatten().map(String::as_str)
}

/// The value of an option; the last one counts.
fn value<'a>(host: &'a HostConfig, key: &str) -> Option<&'a str> {
    options(host).filter_map(|option| option.strip_prefix(key)?.strip_prefix('=')).last()
}

/// The capabilities that it has, as bits.
fn held(host: &HostConfig) -> Result<u64> {
    let ours = ours()?;
    if host.privileged {
        return Ok(ours);
    }
    let base = capabilities::bits_of(&defaults::CAPABILITIES.map(str::to_owned));
    let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    capabilities::add_and_drop(base, ours, &list(&host.cap_add), &list(&host.cap_drop))
}

/// What there is to give: nobody can give what he has not got.
fn ours() -> Result<u64> {
    Ok(rustix::thread::capabilities(None).context("read our own capabilities")?.permitted.bits())
}

/// All capabilities, for a process of this user (`exec --privileged`).
pub fn all_capabilities(uid: u32) -> Result<Capabilities> {
    ours().map(|held| sets(held, uid))
}

fn sets(held: u64, uid: u32) -> Capabilities {
    let mut sets = capabilities::sets(held);
    if uid != 0 {
        // As execve(2) would have it when root becomes somebody else; the bounding set stays for setuid programs.
        sets.effective.clear();
        sets.permitted.clear();
    }
    sets
}

/// The filter goes with the capabilities: each brings the calls along that are good for nothing without it.
fn filter(host: &HostConfig, held: u64) -> Result<Option<Seccomp>> {
    match value(host, "seccomp") {
        Some("unconfined") => Ok(None),
        Some(profile) => {
            let json = serde_json::from_str(profile).context("read the seccomp profile")?;
            seccomp_profile::parse(json, held).map(Some)
        }
        None if host.privileged => Ok(None),
        None => Ok(Some(default_seccomp::profile(&capabilities::names(held)))),
    }
}

/// What `HostConfig` says; one that was made before it said so has the defaults.
fn set_paths(linux: &mut Linux, host: &HostConfig) {
    if host.privileged {
        linux.masked_paths.clear();
        linux.readonly_paths.clear();
    } else {
        linux.masked_paths.clone_from(host.masked_paths.as_ref().unwrap_or(&linux.masked_paths.clone()));
        linux.readonly_paths.clone_from(host.readonly_paths.as_ref().unwrap_or(&linux.readonly_paths.clone()));
    }
}

/// `/sys` and the cgroups in it can be written to.
fn make_writable(spec: &mut Spec) {
    for mount in &mut spec.mounts {
        if matches!(mount.kind.as_str(), "sysfs" | "cgroup" | "cgroup2") {
            mount.options.iter_mut().filter(|option| *option == "ro").for_each(|option| *option = "rw".to_owned());
        }
    }
}

/// A kernel without AppArmor has no profiles; `create` has said so.
fn set_profile(process: &mut Process, profile: &str) {
    if crate::create::security_opt::has_apparmor() {
        process.apparmor_profile = profile.to_owned();
    }
}

/// `label=type:T`, `user:U`, `role:R`, `level:L` are the four parts of an SELinux label; docker's policy has names for what is
/// not said.
fn set_label(spec: &mut Spec, labels: &[&str]) {
    if labels.is_empty() || labels.contains(&"disable") {
        return;
    }
    let part = |key: &str, otherwise: &str| {
        let said = labels.iter().filter_map(|label| label.strip_prefix(key)?.strip_prefix(':')).next_back();
        said.unwrap_or(otherwise).to_owned()
    };
    let (user, role, level) = (part("user", "system_u"), part("role", "system_r"), part("level", "s0"));
    let process = spec.process.get_or_insert_default();
    process.selinux_label = format!("{user}:{role}:{}:{level}", part("type", "container_t"));
    let files = part("filetype", "container_file_t");
    spec.linux.get_or_insert_default().mount_label = format!("{user}:object_r:{files}:{level}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(options: &[&str]) -> HostConfig {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        HostConfig { security_opt: Some(options), ..HostConfig::default() }
    }

    #[test]
    fn the_filter_goes_with_the_capabilities_or_comes_from_a_file_or_is_not() {
        let names = |host: &HostConfig, held| filter(host, held).unwrap().map(|f| f.syscalls[0].names.clone());
        let sys_admin = capabilities::bit("SYS_ADMIN").unwrap();
        assert!(names(&host(&[]), sys_admin).unwrap().contains(&"mount".to_owned()));
        assert!(!names(&host(&[]), 0).unwrap().contains(&"mount".to_owned()));
        assert_eq!(names(&host(&["seccomp=unconfined"]), 0), None);
        let own =
            r#"seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}"#;
        assert_eq!(names(&host(&[own]), 0).unwrap(), ["mkdir"]);
        assert_eq!(names(&HostConfig { privileged: true, ..host(&[]) }, 0), None);
        assert!(names(&HostConfig { privileged: true, ..host(&[own]) }, 0).is_some());
    }

    #[test]
    fn paths_are_hidden_unless_somebody_says_otherwise() {
        let masked = |host: HostConfig| {
            let mut linux = Linux { masked_paths: vec!["/proc/kcore".to_owned()], ..Linux::default() };
            set_paths(&mut linux, &host);
            linux.masked_paths
        };
        assert_eq!(masked(HostConfig::default()), ["/proc/kcore"]);
        assert!(masked(HostConfig { masked_paths: Some(Vec::new()), ..HostConfig::default() }).is_empty());
        assert!(masked(HostConfig { privileged: true, ..HostConfig::default() }).is_empty());
    }

    #[test]
    fn a_label_has_four_parts() {
        let mut spec = Spec::default();
        set_label(&mut spec, &["type:svirt_t", "level:s0:c1,c2"]);
        assert_eq!(spec.process.unwrap().selinux_label, "system_u:system_r:svirt_t:s0:c1,c2");
        assert_eq!(spec.linux.unwrap().mount_label, "system_u:object_r:container_file_t:s0:c1,c2");
    }
}

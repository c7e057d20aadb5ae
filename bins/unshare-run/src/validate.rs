//! What a configuration must be before anything is done. What this runtime does not support, and would make the
//! container another one than asked for, is refused here and never ignored. Keys that the types do not name at all are
//! ignored: the specification wants it so.

use crate::kernel_settings::check_sysctl;
use crate::namespaces::Namespaces;
use crate::process::limits::resource;
use crate::process::{machine, scheduling, user};
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Hooks, Linux, NamespaceKind, Process, Spec};
use std::collections::BTreeSet;

/// Checks a configuration.
pub fn validate(spec: &Spec) -> Result<()> {
    check_version(&spec.oci_version)?;
    if let Some(hooks) = &spec.hooks {
        validate_hooks(hooks)?;
    }
    let process = spec.process.as_ref().context("process: the configuration has none")?;
    validate_process(process)?;
    let namespaces = Namespaces::of(spec);
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    crate::namespaces::check::check(linux, &namespaces)?;
    crate::mounts::check::check(spec, linux, &namespaces)?;
    for (key, name) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        check_name(name, &namespaces).context(key)?;
    }
    for key in linux.sysctl.keys() {
        check_sysctl(key, &namespaces)?;
    }
    machine::check(linux)?;
    user::check(&process.user, linux)
}

/// The specification's version, as semver.org has it: within the major version 1 whatever is added may be left out.
fn check_version(text: &str) -> Result<()> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| match part.strip_prefix('0') {
        Some("") => Some(0),
        Some(_) => None,
        None => part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u64>().ok()).flatten(),
    };
    let numbers: Option<Vec<u64>> = core.split('.').map(number).collect();
    let rest_is_fine = text[core.len()..].chars().all(|c| c.is_ascii_alphanumeric() || "-+.".contains(c));
    match numbers.as_deref() {
        Some([1, _, _]) if rest_is_fine => Ok(()),
        Some([_, _, _]) if rest_is_fine => bail!("ociVersion {text:?}: only versions 1.x are known"),
        _ => bail!("ociVersion {text:?}: it must have the form 1.2.0"),
    }
}

/// A name of the machine: what uname(2) has room for.
fn check_name(name: &str, namespaces: &Namespaces) -> Result<()> {
    if !name.is_empty() && !namespaces.has(NamespaceKind::Uts) {
        bail!("it needs a uts namespace of the container's own");
    }
    if name.len() > 64 || name.contains('\0') {
        bail!("{name:?}: it may have 64 bytes, and none of them 0");
    }
    Ok(())
}

fn validate_hooks(hooks: &Hooks) -> Result<()> {
    let kinds = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (kind, hook) in kinds.iter().flat_map(|(kind, hooks)| hooks.iter().map(move |hook| (kind, hook))) {
        if !hook.path.is_absolute() {
            bail!("hooks.{kind} {:?}: path must be absolute", hook.path.display());
        }
        if hook.timeout.is_some_and(|seconds| seconds <= 0) {
            bail!("hooks.{kind} {}: timeout must be above 0", hook.path.display());
        }
    }
    Ok(())
}

/// Checks a process, the container's first one or another.
pub fn validate_process(process: &Process) -> Result<()> {
    if process.args.is_empty() {
        bail!("process.args: they name no program");
    }
    if !process.cwd.is_absolute() {
        bail!("process.cwd {:?}: it must be an absolute path", process.cwd.display());
    }
    if let Some(variable) = process.env.iter().find(|variable| !variable.contains('=')) {
        bail!("process.env {variable:?}: it must have the form NAME=VALUE");
    }
    let mut seen = BTreeSet::new();
    for limit in &process.rlimits {
        if resource(&limit.kind).is_none() || !seen.insert(&limit.kind) {
            bail!("process.rlimits {}: there is no such limit, or it is given twice", limit.kind);
        }
        if limit.soft > limit.hard {
            bail!("process.rlimits {}: soft limit {} is above hard limit {}", limit.kind, limit.soft, limit.hard);
        }
    }
    if process.oom_score_adj.is_some_and(|score| !(-1000..=1000).contains(&score)) {
        bail!("process.oomScoreAdj: it must be from -1000 to 1000");
    }
    scheduling::check(process)
}

/// The default configuration of a shell, changed as JSON: what the checks of each room are tested with.
#[cfg(test)]
pub fn defaults_but(change: impl FnOnce(&mut serde_json::Value)) -> Spec {
    let mut json = serde_json::to_value(layout::oci::defaults::spec()).unwrap();
    json["process"]["args"] = serde_json::json!(["sh"]);
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn verdict(change: impl FnOnce(&mut Value)) -> Result<()> {
        validate(&defaults_but(change))
    }

    #[test]
    fn the_defaults_are_valid() {
        verdict(|_| {}).unwrap();
        verdict(|spec| spec["hooks"] = json!({"prestart": []})).unwrap();
        verdict(|spec| spec["process"]["apparmorProfile"] = json!("")).unwrap();
        verdict(|spec| spec["linux"]["seccomp"] = json!(null)).unwrap();
        verdict(|spec| spec["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"})).unwrap();
    }

    #[test]
    fn versions_are_semantic_versions() {
        for good in ["1.0.0", "1.2.0", "1.0.2-dev", "1.0.0-rc5", "1.10.0+build.7"] {
            verdict(|spec| spec["ociVersion"] = json!(good)).unwrap();
        }
        for bad in [
            "", "1", "1.", "1.0", "1.0.0.0", "1.x.0", "1.01.0", "v1.0.0", " 1.0.0", "0.9.0", "2.0.0", "1.0.0-ä",
            "+1.0.0",
        ] {
            let error = format!("{:#}", verdict(|spec| spec["ociVersion"] = json!(bad)).expect_err(bad));
            assert!(error.starts_with(&format!("ociVersion {bad:?}: ")), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_ignored_as_the_specification_wants_it() {
        verdict(|spec| spec["process"]["new"] = json!({"x": 1})).unwrap();
        verdict(|spec| spec["mounts"][0]["new"] = json!("x")).unwrap();
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 9] = [
            ("hooks.poststop", |spec| spec["hooks"] = json!({"poststop": [{"path": "bin/x"}]})),
            ("scheduler.policy", |spec| spec["process"]["scheduler"] = json!({"policy": "SCHED_BEST"})),
            ("personality", |spec| spec["linux"]["personality"] = json!({"domain": "BSD"})),
            ("process.user.uid 7", |spec| {
                spec["linux"]["namespaces"][0] = json!({"type": "user"});
                spec["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 7}]);
                spec["linux"]["gidMappings"] = spec["linux"]["uidMappings"].clone();
                spec["process"]["user"] = json!({"uid": 7, "gid": 0});
            }),
            ("cwd", |spec| spec["process"]["cwd"] = json!("relative")),
            ("args", |spec| spec["process"]["args"] = json!([])),
            ("env", |spec| spec["process"]["env"] = json!(["NOTHING"])),
            ("sysctl", |spec| spec["linux"]["sysctl"] = json!({"kernel.panic": "1"})),
            ("RLIMIT_X", |spec| spec["process"]["rlimits"] = json!([{"type": "RLIMIT_X", "hard": 1, "soft": 1}])),
        ];
        for (words, change) in cases {
            let error = format!("{:#}", verdict(change).expect_err(words));
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}

//! A system call filter from a file: as the OCI specification has it, or a profile as docker has it.
//!
//! The two differ little. Docker's rules are for all containers and all machines, and say for whom each is: for those
//! with certain capabilities, on certain processors, from a version of the kernel on. The architectures come as a map.
//! What is left when that is decided is OCI's form.

use super::capabilities::bit;
use super::runtime::{Seccomp, SeccompAction, SeccompArg, SeccompRule};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// Reads a filter for a process that has these capabilities, on this machine.
pub fn parse(json: Value, held: u64) -> Result<Seccomp> {
    decide(json, &Machine { held, arch: std::env::consts::ARCH, kernel: kernel_version()? })
}

fn decide(json: Value, machine: &Machine) -> Result<Seccomp> {
    let of_docker = json.get("archMap").is_some()
        || json["syscalls"].as_array().is_some_and(|rules| {
            rules.iter().any(|rule| ["includes", "excludes", "name"].iter().any(|key| rule.get(key).is_some()))
        });
    match of_docker {
        true => serde_json::from_value::<Profile>(json).context("read docker's profile")?.decide(machine),
        false => serde_json::from_value(json).context("read the filter"),
    }
}

/// For whom a rule is decided.
struct Machine {
    held: u64,
    arch: &'static str,
    kernel: (u32, u32),
}

impl Machine {
    /// The architecture as Go, and so docker, calls it.
    fn go_arch(&self) -> &'static str {
        match self.arch {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            other => other,
        }
    }

    /// The architecture as libseccomp calls it.
    fn scmp_arch(&self) -> String {
        format!("SCMP_ARCH_{}", self.arch.to_ascii_uppercase())
    }

    fn has_all(&self, capabilities: &[String]) -> bool {
        capabilities.iter().all(|name| bit(name).is_some_and(|bit| self.held & bit != 0))
    }
}

/// docker's form (<https://github.com/moby/profiles>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: SeccompAction,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<Architecture>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: SeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<SeccompArg>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

impl Profile {
    fn decide(self, machine: &Machine) -> Result<Seccomp> {
        let own = machine.scmp_arch();
        let mut architectures = self.architectures;
        if let Some(entry) = self.arch_map.into_iter().find(|entry| entry.architecture == own) {
            architectures.push(entry.architecture);
            architectures.extend(entry.sub_architectures.unwrap_or_default());
        }
        let mut syscalls = Vec::new();
        for rule in self.syscalls {
            if rule.is_for(machine)? {
                let names = rule.names.unwrap_or_default().into_iter().chain(rule.name).collect();
                let args = rule.args.unwrap_or_default();
                syscalls.push(SeccompRule { names, action: rule.action, errno_ret: rule.errno_ret, args });
            }
        }
        Ok(Seccomp {
            default_action: self.default_action,
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags,
            listener_path: String::new(),
            listener_metadata: String::new(),
            syscalls,
            extra: serde_json::Map::new(),
        })
    }
}

impl Rule {
    /// Whether it is for this machine and these capabilities: all that it includes, nothing that it excludes.
    fn is_for(&self, machine: &Machine) -> Result<bool> {
        let named = |condition: &Condition| condition.arches.iter().any(|arch| arch == machine.go_arch());
        if let Some(excluded) = &self.excludes
            && (named(excluded)
                || (!excluded.caps.is_empty() && machine.has_all(&excluded.caps))
                || (excluded.min_kernel.is_some() && excluded.reached(machine)?))
        {
            return Ok(false);
        }
        match &self.includes {
            None => Ok(true),
            Some(included) => Ok((included.arches.is_empty() || named(included))
                && machine.has_all(&included.caps)
                && included.reached(machine)?),
        }
    }
}

impl Condition {
    fn reached(&self, machine: &Machine) -> Result<bool> {
        let Some(least) = &self.min_kernel else { return Ok(true) };
        match version(least) {
            Some(least) => Ok(machine.kernel >= least),
            None => bail!("minKernel {least:?}: it must have the form 4.8"),
        }
    }
}

fn kernel_version() -> Result<(u32, u32)> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    version(&release).with_context(|| format!("read the kernel's version {release:?}"))
}

/// The first two numbers of `6.1.0-13-amd64`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(rules: &Value, held: u64) -> Vec<String> {
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}], "syscalls": rules});
        let machine = Machine { held, arch: "x86_64", kernel: (6, 1) };
        let seccomp = decide(profile, &machine).unwrap();
        assert_eq!(seccomp.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
        seccomp.syscalls.into_iter().flat_map(|rule| rule.names).collect()
    }

    #[test]
    fn dockers_conditions_are_decided() {
        let rules = json!([
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
            {"name": "write", "action": "SCMP_ACT_ALLOW", "args": null},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["arm_fadvise64_64"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm", "arm64"]}},
            {"names": ["s390"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["future"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}}
        ]);
        assert_eq!(names(&rules, 0), ["read", "write", "clone", "ptrace"]);
        assert_eq!(names(&rules, bit("SYS_ADMIN").unwrap()), ["read", "write", "mount", "ptrace"]);
    }

    #[test]
    fn ocis_form_is_taken_as_it_is() {
        let machine = Machine { held: 0, arch: "x86_64", kernel: (6, 1) };
        let json = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]});
        assert_eq!(decide(json, &machine).unwrap().syscalls[0].names, ["mkdir"]);
        assert!(format!("{:#}", decide(json!({"syscalls": []}), &machine).unwrap_err()).contains("defaultAction"));
    }
}

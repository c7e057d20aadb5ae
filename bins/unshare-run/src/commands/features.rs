//! `features`: what this runtime can do (features.md), from the tables that do it.

use crate::hooks;
use crate::mounts::options::MountOptions;
use crate::namespaces;
use crate::seccomp::{self, architecture::Architecture};
use anyhow::{Context, Result};
use layout::oci::capabilities;
use layout::oci::runtime::{SeccompAction, SeccompOp, VERSION};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The oldest version of the specification whose configurations are understood.
const OLDEST: &str = "1.0.0";

/// Mount options that the specification and runc know. Those that we know too are told.
const MOUNT_OPTIONS: &str = "acl async atime bind defaults dev diratime dirsync exec idmap iversion lazytime loud mand noacl \
    noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private \
    ratime rbind rdev rdiratime relatime remount rexec ridmap rnoatime rnodev rnodiratime rnoexec rnorelatime \
    rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow \
    runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable";

/// The document.
pub fn features() -> Result<String> {
    let mut kinds = Vec::new();
    for (kind, _) in namespaces::FILES {
        kinds.push(serde_json::to_value(kind).context("encode the features")?);
    }
    kinds.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    let document = json!({
        "ociVersionMin": OLDEST,
        "ociVersionMax": VERSION,
        "hooks": hooks::KINDS,
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": kinds,
            "capabilities": capabilities::names(u64::MAX),
            "cgroup": {"v1": true, "v2": true, "systemd": false, "systemdUser": false},
            "seccomp": seccomp(),
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": true},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
        "annotations": {"org.ctr.unshare-run.version": env!("CARGO_PKG_VERSION")},
    });
    serde_json::to_string_pretty(&document).context("encode the features")
}

/// An option is known when it is not left to the filesystem.
fn mount_options() -> Vec<&'static str> {
    let known = |name: &&str| MountOptions::parse(&[(*name).to_owned()]).is_ok_and(|parsed| parsed.data.is_empty());
    MOUNT_OPTIONS.split_whitespace().filter(known).collect()
}

/// What profiles may name: candidates, and of these the ones that our reading of profiles lets pass.
fn seccomp() -> Value {
    let actions =
        known::<SeccompAction>("SCMP_ACT_", "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP");
    let operators = known::<SeccompOp>("SCMP_CMP_", "EQ GE GT LE LT MASKED_EQ NE");
    let architectures = names("SCMP_ARCH_", "AARCH64 ARM X32 X86 X86_64");
    let flags = names("SECCOMP_FILTER_FLAG_", "TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV");
    let is_flag = |name: &String| seccomp::load::flags(std::slice::from_ref(name), true).is_ok();
    let has_calls =
        |name: &String| Architecture::listed(std::slice::from_ref(name)).is_ok_and(|found| !found.is_empty());
    let flags: Vec<String> = flags.filter(is_flag).collect();
    json!({
        "enabled": true,
        "actions": actions,
        "operators": operators,
        "archs": architectures.filter(has_calls).collect::<Vec<_>>(),
        "knownFlags": flags,
        "supportedFlags": flags,
    })
}

fn names(prefix: &str, rest: &str) -> impl Iterator<Item = String> {
    rest.split(' ').map(|name| format!("{prefix}{name}")).collect::<Vec<_>>().into_iter()
}

/// The names that are values of a type.
fn known<T: DeserializeOwned>(prefix: &str, rest: &str) -> Vec<String> {
    let is_known = |name: &String| serde_json::from_value::<T>(json!(name)).is_ok();
    names(prefix, rest).filter(is_known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_validation_lets_pass() {
        let options = mount_options();
        assert!(options.contains(&"rro") && options.contains(&"rbind") && options.contains(&"rprivate"));
        assert!(!options.contains(&"nonsense"));
        let document: Value = serde_json::from_str(&features().unwrap()).unwrap();
        assert_eq!(document["hooks"].as_array().unwrap().len(), 6);
        let count = |place: &str| document.pointer(place).unwrap().as_array().unwrap().len();
        assert_eq!(count("/linux/capabilities"), 41);
        assert_eq!((count("/linux/seccomp/actions"), count("/linux/seccomp/operators")), (9, 7));
        assert_eq!((count("/linux/seccomp/archs"), count("/linux/seccomp/knownFlags")), (5, 4));
    }
}

//! `features`: what this runtime can do (features.md), from the tables that do it.

use crate::hooks;
use crate::mounts::options::MountOptions;
use crate::namespaces;
use crate::process::capabilities;
use anyhow::{Context, Result};
use layout::oci::runtime::VERSION;
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
            "apparmor": {"enabled": false},
            "selinux": {"enabled": false},
            "intelRdt": {"enabled": false},
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

fn seccomp() -> Value {
    json!({"enabled": false})
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
        assert_eq!(document["linux"]["capabilities"].as_array().unwrap().len(), 41);
    }
}

//! `--security-opt`: what else holds a container back, or does not.

use anyhow::{Context, Result, bail};
use layout::container::HostConfig;
use serde_json::Value;
use std::path::Path;

/// Fills in what the options say; after the modes, which two of them depend on. Gives warnings.
pub fn fill(host: &mut HostConfig, options: &[String]) -> Result<Vec<String>> {
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    for option in options {
        if option == "no-new-privileges" {
            kept.push(option.clone());
            continue;
        }
        // Docker's older spelling of all of them has a colon.
        let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
            bail!("Invalid --security-opt: {option:?}");
        };
        match (key, value) {
            ("systempaths", "unconfined") => {
                // Docker keeps what it comes to, and not the word.
                (host.masked_paths, host.readonly_paths) = (Some(Vec::new()), Some(Vec::new()));
                continue;
            }
            ("seccomp", "unconfined") => {}
            ("seccomp", file) => {
                kept.push(format!("seccomp={}", profile(file)?));
                continue;
            }
            ("no-new-privileges", "true" | "false") => {}
            ("apparmor", profile) => {
                if profile != "unconfined" && !has_apparmor() {
                    warnings.push(format!("This kernel does not use AppArmor: profile {profile} has no effect."));
                }
            }
            ("label", label) => {
                if label != "disable" && !has_selinux() {
                    warnings.push(format!("This kernel does not use SELinux: label {label} has no effect."));
                }
            }
            _ => bail!("invalid --security-opt 2: {option:?}"),
        }
        kept.push(format!("{key}={value}"));
    }
    let labelled = kept.iter().any(|option| option.starts_with("label="));
    if !labelled && (host.privileged || host.pid_mode == "host" || host.ipc_mode == "host") {
        // What sees the host's processes cannot have a label that keeps it from them.
        kept.push("label=disable".to_owned());
    }
    host.security_opt = Some(kept).filter(|kept| !kept.is_empty());
    Ok(warnings)
}

/// The file's content, as docker keeps it: the container does not depend on the file.
fn profile(file: &str) -> Result<String> {
    let text = match std::fs::read_to_string(Path::new(file)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("opening seccomp profile ({file}) failed: open {file}: no such file or directory")
        }
        Err(error) => bail!("opening seccomp profile ({file}) failed: {error}"),
    };
    let json: Value =
        serde_json::from_str(&text).with_context(|| format!("compacting json for seccomp profile ({file}) failed"))?;
    Ok(json.to_string())
}

/// Whether the kernel uses AppArmor.
pub fn has_apparmor() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}

/// Whether the kernel uses SELinux.
pub fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(options: &[&str]) -> Result<HostConfig> {
        let mut host = HostConfig { masked_paths: Some(vec!["/proc/keys".into()]), ..HostConfig::default() };
        fill(&mut host, &options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())?;
        Ok(host)
    }

    #[test]
    fn options_are_read_as_docker_reads_them() {
        let list = |options: &[&str]| kept(options).unwrap().security_opt.unwrap_or_default().join(" ");
        assert_eq!(list(&["no-new-privileges", "seccomp:unconfined"]), "no-new-privileges seccomp=unconfined");
        assert_eq!(list(&["systempaths=unconfined"]), "");
        assert_eq!(kept(&["systempaths=unconfined"]).unwrap().masked_paths, Some(Vec::new()));
        for (option, words) in [
            ("foo", "Invalid --security-opt: \"foo\""),
            ("foo=bar", "invalid --security-opt 2: \"foo=bar\""),
            ("systempaths=foo", "invalid --security-opt 2: \"systempaths=foo\""),
            ("no-new-privileges=maybe", "invalid --security-opt 2: \"no-new-privileges=maybe\""),
            ("seccomp=/nope", "opening seccomp profile (/nope) failed: open /nope: no such file or directory"),
        ] {
            assert_eq!(kept(&[option]).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn a_filter_is_kept_by_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let option = format!("seccomp={}", file.path().display());
        assert!(kept(&[&option]).unwrap_err().to_string().starts_with("compacting json for seccomp profile"));
        std::fs::write(file.path(), "{ \"defaultAction\":\n \"SCMP_ACT_ALLOW\" }").unwrap();
        let list = kept(&[&option]).unwrap().security_opt.unwrap();
        assert_eq!(list, ["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"]);
    }
}

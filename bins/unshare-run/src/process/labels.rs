//! What a security module of the kernel is told of the program: AppArmor's profile, SELinux's label (lsm(7)).
//!
//! A process writes it into a file of its own in procfs, and the kernel takes it up at the next execve(2). That must be the
//! host's procfs: in the container's somebody may have put another file at that place (CVE-2025-52881).

use crate::mounts::is_procfs;
use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Linux, Mount, Process};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::borrow::Cow;
use std::path::Path;

/// Checks that the kernel has the modules that are asked for. `sys` is `/sys`.
pub fn check(process: &Process, linux: &Linux, sys: &Path) -> Result<()> {
    let enabled = |file: &str| std::fs::read_to_string(sys.join(file)).is_ok_and(|text| text.starts_with('Y'));
    if !process.apparmor_profile.is_empty() && !enabled("module/apparmor/parameters/enabled") {
        bail!("process.apparmorProfile {:?}: this kernel does not use AppArmor", process.apparmor_profile);
    }
    let selinux = [("process.selinuxLabel", &process.selinux_label), ("linux.mountLabel", &linux.mount_label)];
    match selinux.iter().find(|(_, label)| !label.is_empty()) {
        Some((key, label)) if !sys.join("fs/selinux/enforce").exists() => {
            bail!("{key} {label:?}: this kernel does not use SELinux")
        }
        _ => Ok(()),
    }
}

/// A mount with the SELinux label of the container's mounts: those in memory, whose files have no labels of their own.
pub fn labelled<'a>(mount: &'a Mount, linux: &Linux) -> Cow<'a, Mount> {
    let of_the_container = matches!(mount.kind.as_str(), "tmpfs" | "ramfs" | "devpts");
    if linux.mount_label.is_empty() || !of_the_container {
        return Cow::Borrowed(mount);
    }
    let mut mount = mount.clone();
    mount.options.push(format!("context={}", linux.mount_label));
    Cow::Owned(mount)
}

/// The host's procfs, if it is needed.
pub fn open_proc(process: &Process) -> Result<Option<OwnedFd>> {
    if process.apparmor_profile.is_empty() && process.selinux_label.is_empty() {
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, Mode::empty()).context("open /proc")?;
    if !is_procfs(&proc)? {
        bail!("open /proc: it is not procfs");
    }
    Ok(Some(proc))
}

/// Tells the modules what the program is to be.
pub fn apply(process: &Process, proc: &OwnedFd) -> Result<()> {
    let (profile, label) = (&process.apparmor_profile, &process.selinux_label);
    if !profile.is_empty() {
        narrate!("its AppArmor profile, from execve on", "write(/proc/self/attr/apparmor/exec, \"exec {profile}\")");
        // Where several modules are in use each has a folder of its own (Linux 5.8).
        let files = ["self/attr/apparmor/exec", "self/attr/exec"];
        write(proc, &files, &format!("exec {profile}")).with_context(|| match profile.as_str() {
            "unconfined" => "set process.apparmorProfile".to_owned(),
            _ => format!("set process.apparmorProfile {profile:?} (is it loaded?)"),
        })?;
    }
    if !label.is_empty() {
        narrate!("its SELinux label, from execve on", "write(/proc/self/attr/exec, {label:?})");
        write(proc, &["self/attr/exec"], label).with_context(|| format!("set process.selinuxLabel {label:?}"))?;
    }
    Ok(())
}

/// Writes the first of these files that is there.
fn write(proc: &OwnedFd, files: &[&str], text: &str) -> Result<()> {
    for file in files {
        match rustix::fs::openat(proc, *file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("open /proc/{file}")),
            Ok(file) => {
                rustix::io::write(&file, text.as_bytes()).with_context(|| format!("write {text:?}"))?;
                return Ok(());
            }
        }
    }
    bail!("the kernel has no {}", files.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_for_modules_that_are_not_there_are_refused() {
        let sys = tempfile::tempdir().unwrap();
        let verdict = |profile: &str, label: &str, mount_label: &str| {
            let process =
                Process { apparmor_profile: profile.into(), selinux_label: label.into(), ..Process::default() };
            let linux = Linux { mount_label: mount_label.into(), ..Linux::default() };
            check(&process, &linux, sys.path()).map_err(|error| error.to_string())
        };
        assert_eq!(verdict("", "", ""), Ok(()));
        let refused = |key: &str, module: &str| Err(format!("{key} \"x\": this kernel does not use {module}"));
        assert_eq!(verdict("x", "", ""), refused("process.apparmorProfile", "AppArmor"));
        assert_eq!(verdict("", "x", ""), refused("process.selinuxLabel", "SELinux"));
        assert_eq!(verdict("", "", "x"), refused("linux.mountLabel", "SELinux"));
        for (file, text) in [("module/apparmor/parameters/enabled", "Y\n"), ("fs/selinux/enforce", "1")] {
            let path = sys.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(verdict("x", "x", "x"), Ok(()));
    }

    #[test]
    fn mounts_in_memory_get_the_containers_label() {
        let linux = Linux { mount_label: "u:r:t:s0:c1,c2".to_owned(), ..Linux::default() };
        for (kind, wanted) in [("tmpfs", 1), ("devpts", 1), ("proc", 0), ("bind", 0)] {
            let mount = Mount { kind: kind.to_owned(), ..Mount::default() };
            let options = labelled(&mount, &linux).into_owned().options;
            assert_eq!(options, vec!["context=u:r:t:s0:c1,c2".to_owned(); wanted], "{kind}");
            assert!(labelled(&mount, &Linux::default()).options.is_empty());
        }
    }
}

//! Why the kernel makes no new namespaces: it says EPERM or ENOSPC, and the reason is in a file somewhere.

use super::Namespaces;
use layout::oci::runtime::NamespaceKind;
use rustix::io::Errno;
use std::path::Path;

/// What to do about clone3's refusal, in brackets, or nothing.
pub fn why(errno: Errno, namespaces: &Namespaces) -> String {
    let is_root = rustix::process::geteuid().is_root();
    reason(errno, namespaces.is_new(NamespaceKind::User), is_root, Path::new("/proc/sys"))
        .map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn reason(errno: Errno, wants_userns: bool, is_root: bool, sys: &Path) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(sys.join(name)).map(|text| text.trim().to_owned()).ok();
    match errno {
        Errno::PERM if !wants_userns && !is_root => {
            Some("who is not root needs a user namespace: --map-root-user".to_owned())
        }
        Errno::PERM if wants_userns && read("kernel/unprivileged_userns_clone").as_deref() == Some("0") => Some(
            "only root may make user namespaces here; root can change that: sysctl kernel.unprivileged_userns_clone=1"
                .to_owned(),
        ),
        Errno::PERM if wants_userns => Some(
            "somebody forbids user namespaces: a seccomp filter, as in docker's containers, or a chroot".to_owned(),
        ),
        Errno::NOSPC => {
            // The limit is per user, and per kind; that of the user namespaces is the one that is turned off.
            let most = read("user/max_user_namespaces").filter(|_| wants_userns)?;
            Some(format!(
                "at most {most} user namespaces for each user; root can change that: sysctl user.max_user_namespaces=15000"
            ))
        }
        _ => None,
    }
}

/// What keeps a plain user from using the user namespace that he was let make, in brackets, or nothing: Ubuntu makes it
/// and takes all power in it away, but from programs that an AppArmor profile names.
pub fn why_powerless() -> &'static str {
    let file = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    match std::fs::read_to_string(file) {
        Ok(text) if text.trim() == "1" => {
            " (AppArmor leaves plain users no power in their user namespaces; root can change that: sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_where_the_kernel_keeps_it() {
        let sys = tempfile::tempdir().unwrap();
        let say = |errno, userns, root| reason(errno, userns, root, sys.path()).unwrap_or_default();
        assert!(say(Errno::PERM, false, false).contains("--map-root-user"));
        assert!(say(Errno::PERM, true, false).contains("seccomp"));
        assert_eq!(say(Errno::INVAL, true, false), "");
        std::fs::create_dir(sys.path().join("kernel")).unwrap();
        std::fs::write(sys.path().join("kernel/unprivileged_userns_clone"), "0\n").unwrap();
        assert!(say(Errno::PERM, true, false).contains("kernel.unprivileged_userns_clone=1"));
        std::fs::create_dir(sys.path().join("user")).unwrap();
        std::fs::write(sys.path().join("user/max_user_namespaces"), "0\n").unwrap();
        assert!(say(Errno::NOSPC, true, true).contains("at most 0 user namespaces"));
    }
}

//! `ctr doctor`: can this machine run containers, and if not, what is to be done?

use anyhow::Result;
use layout::tool::Tool;
use std::fs;
use std::path::Path;

/// The oldest kernel that the tools are written for: mount_setattr(2) came with it.
const OLDEST_KERNEL: (u32, u32) = (5, 12);

/// What a check found.
enum Finding {
    /// Good.
    Fine(String),
    /// It works, but something is worth knowing.
    Note(String, &'static str),
    /// It does not work until something is done.
    Bad(String, String),
}

use Finding::{Bad, Fine, Note};

/// Prints a line a check; exit code 1 when something has to be done first.
pub fn doctor() -> Result<u8> {
    let checks: Vec<(&str, Finding)> = vec![
        ("kernel", kernel()),
        ("privileges", privileges()),
        ("namespaces", namespaces()),
        ("cgroups", cgroups(Path::new("/proc/self/mountinfo"))),
        ("overlay", overlay(Path::new("/proc/filesystems"))),
        ("network", network()),
    ];
    let mut bad = 0;
    for (what, finding) in checks.into_iter().chain(Tool::ALL.map(|tool| (tool.name(), find_tool(tool)))) {
        let (mark, text, advice) = match finding {
            Fine(text) => ("ok", text, String::new()),
            Note(text, advice) => ("note", text, advice.to_owned()),
            Bad(text, advice) => {
                bad += 1;
                ("BAD", text, advice)
            }
        };
        println!("{mark:<5} {what:<12} {text}");
        if !advice.is_empty() {
            println!("{:<18} -> {advice}", "");
        }
    }
    if bad == 0 {
        println!("\nThis machine can run containers.");
        return Ok(0);
    }
    println!("\nThis machine cannot run containers yet: {bad} to be mended.");
    Ok(1)
}

fn kernel() -> Finding {
    let release = layout::kernel::release();
    if layout::kernel::version() >= OLDEST_KERNEL {
        return Fine(format!("Linux {release}"));
    }
    Bad(format!("Linux {release}"), format!("boot a kernel {}.{} or newer", OLDEST_KERNEL.0, OLDEST_KERNEL.1))
}

fn privileges() -> Finding {
    if rustix::process::geteuid().is_root() {
        return Fine("root".to_owned());
    }
    Bad("not root".to_owned(), "run ctr with sudo; unshare-run alone works without, in a user namespace".to_owned())
}

fn namespaces() -> Finding {
    let kinds = ["pid", "mnt", "uts", "ipc", "net", "cgroup", "user"];
    let missing: Vec<&str> = kinds.into_iter().filter(|kind| !Path::new("/proc/self/ns").join(kind).exists()).collect();
    if missing.is_empty() {
        return Fine(kinds.join(" "));
    }
    Bad(
        format!("the kernel lacks {}", missing.join(" ")),
        "boot a kernel that is built with CONFIG_NAMESPACES".to_owned(),
    )
}

fn cgroups(mountinfo: &Path) -> Finding {
    let text = fs::read_to_string(mountinfo).unwrap_or_default();
    let has = |kind: &str| text.lines().any(|line| line.contains(&format!(" - {kind} ")));
    match (has("cgroup2"), has("cgroup")) {
        (true, false) => Fine("version 2".to_owned()),
        (true, true) => Note(
            "hybrid: version 1 with an empty version 2 beside it".to_owned(),
            "limits work; most machines have version 2 alone by now (systemd.unified_cgroup_hierarchy=1)",
        ),
        (false, true) => Note("version 1".to_owned(), "limits work; most machines have version 2 by now"),
        (false, false) => Bad("not mounted".to_owned(), "mount -t cgroup2 cgroup2 /sys/fs/cgroup".to_owned()),
    }
}

fn overlay(filesystems: &Path) -> Finding {
    let text = fs::read_to_string(filesystems).unwrap_or_default();
    if text.lines().any(|line| line.split_whitespace().last() == Some("overlay")) {
        return Fine("known to the kernel".to_owned());
    }
    let release = layout::kernel::release();
    if Path::new("/lib/modules").join(&release).join("kernel/fs/overlayfs").exists() {
        return Note("a module that is not loaded yet".to_owned(), "the first mount loads it; or: modprobe overlay");
    }
    Bad("not there".to_owned(), "modprobe overlay, or boot a kernel that has CONFIG_OVERLAY_FS".to_owned())
}

fn network() -> Finding {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join("nft").is_file());
    if found {
        return Fine("nft found".to_owned());
    }
    Bad("nft is not there: containers could not reach the outside".to_owned(), "apt-get install nftables".to_owned())
}

fn find_tool(tool: Tool) -> Finding {
    let program = match tool.find() {
        Ok(program) => program,
        Err(error) => return Bad("not found".to_owned(), format!("make install, or set CTR_BIN_DIR ({error:#})")),
    };
    let place = program.display().to_string();
    if tool.is_swapped() {
        return Note(place, "another program stands in for this tool: its variable is set");
    }
    if tool == Tool::Ctr && containerd_in_path(&program) {
        return Note(
            place,
            "the `ctr` that your shell finds is another one (containerd's?): call this one by its path",
        );
    }
    Fine(place)
}

/// containerd has a `ctr` of its own, which comes first in many a PATH.
fn containerd_in_path(ours: &Path) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join("ctr"))
        .find(|program| program.is_file());
    let real = |path: &Path| fs::canonicalize(path).ok();
    found.is_some_and(|found| real(&found) != real(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_cgroups_is_read_from_the_mounts() {
        let dir = tempfile::tempdir().unwrap();
        let with = |text: &str| {
            let file = dir.path().join("mountinfo");
            fs::write(&file, text).unwrap();
            cgroups(&file)
        };
        let v1 = "30 20 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let v2 = "31 20 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert!(matches!(with(v2), Fine(_)));
        assert!(matches!(with(v1), Note(_, _)));
        assert!(matches!(with(&format!("{v1}{v2}")), Note(text, _) if text.starts_with("hybrid")));
        assert!(matches!(with(""), Bad(_, _)));
    }
}

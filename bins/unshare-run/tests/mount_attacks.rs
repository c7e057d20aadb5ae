//! Attempts to get out by way of mounts: a hostile root filesystem, a hostile neighbour who shares a volume and
//! changes it while containers are made, hostile files of the kernel's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, program};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// A bundle beside a folder of the host's that nobody is to change.
fn beside_outside(script: &str, mounts: &[Value]) -> (Bundle, PathBuf) {
    let mut bundle = Bundle::new(script);
    let outside = bundle.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "the host's").unwrap();
    bundle.config["mounts"].as_array_mut().unwrap().extend_from_slice(mounts);
    (bundle, outside)
}

fn assert_untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "the host's");
}

/// Exchanges two names over and over while something is done.
fn while_exchanging(one: &Path, other: &Path, act: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        // Also when `act` panics the other thread is to end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// CVE-2021-30465: a folder becomes a link to the host's files between the look and the mount.
#[test]
fn a_folder_that_becomes_a_link_while_it_is_mounted_on_leads_nowhere() {
    let (bundle, outside) = beside_outside(
        "grep -c ' mine' /proc/self/mountinfo",
        &[
            json!({"destination": "/vol/a", "type": "tmpfs", "source": "mine"}),
            json!({"destination": "/vol/a/deep/b", "type": "tmpfs", "source": "mine"}),
            json!({"destination": "/vol/c", "source": "outside/file", "options": ["bind"]}),
        ],
    );
    let (folder, link) = (bundle.rootfs().join("vol"), bundle.rootfs().join("link"));
    fs::create_dir(&folder).unwrap();
    symlink(format!("/../../../../../..{}", outside.display()), &link).unwrap();
    bundle.command(&[]);
    let mut made = 0;
    while_exchanging(&folder, &link, || {
        for _ in 0..10 {
            let said = bundle.run("race");
            // Whichever it was at the moment: both mounts are in the container, or it is not made at all.
            assert!(said.out == "2" || (said.code == 1 && said.out.is_empty()), "{said:?}");
            made += u32::from(said.code == 0);
            assert_untouched(&outside);
        }
    });
    assert!(made > 0, "no container could be made at all");
}

#[test]
fn a_masked_path_that_is_exchanged_while_it_is_masked_is_masked() {
    let (mut bundle, outside) = beside_outside("cat /vol/one/file /vol/two/file 2> /dev/null; true", &[]);
    let vol = bundle.rootfs().join("vol");
    for name in ["one", "two"] {
        fs::create_dir_all(vol.join(name)).unwrap();
        fs::write(vol.join(name).join("file"), "secret").unwrap();
    }
    bundle.config["linux"]["maskedPaths"] = json!(["/vol/one", "/vol/two"]);
    bundle.command(&[]);
    while_exchanging(&vol.join("one"), &vol.join("two"), || {
        for _ in 0..5 {
            let said = bundle.run("race");
            // One of them may have been masked twice; but what is on a masked name now is for the one who renames it to say.
            assert!(said.code == 0 || said.code == 1, "{said:?}");
            assert_untouched(&outside);
        }
    });
    assert_eq!(bundle.prints("quiet"), "", "when nobody exchanges them both are masked");
}

#[test]
fn dots_in_a_destination_lead_no_further_than_the_root() {
    let (bundle, outside) = beside_outside(
        "cat /proc/self/mountinfo",
        &[json!({"destination": "/tmp/../../../../../x/../../y", "type": "tmpfs", "source": "mine"})],
    );
    assert!(bundle.prints("dots").contains(" /y "));
    assert_untouched(&outside);
    assert!(!Path::new("/y").exists());
}

#[test]
fn devices_copies_and_folders_to_start_in_are_made_inside() {
    let (mut bundle, outside) = beside_outside(
        "pwd; cat /proc/self/mountinfo",
        &[json!({"destination": "/evil/copy", "type": "tmpfs", "options": ["tmpcopyup"]})],
    );
    symlink(format!("../../../../../../../../..{}", outside.display()), bundle.rootfs().join("evil")).unwrap();
    bundle.config["linux"]["devices"] = json!([{"path": "/evil/device", "type": "c", "major": 1, "minor": 3}]);
    bundle.config["process"]["cwd"] = json!("/evil/start/here");
    let printed = bundle.prints("inside");
    assert!(printed.starts_with(&format!("{}/start/here\n", outside.display())), "{printed}");
    assert_untouched(&outside);
}

#[test]
fn a_copy_of_what_is_covered_follows_no_link() {
    let (bundle, outside) = beside_outside(
        "readlink /data/link; cat /data/link 2>&1; true",
        &[json!({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup"]})],
    );
    fs::create_dir(bundle.rootfs().join("data")).unwrap();
    symlink(outside.join("file"), bundle.rootfs().join("data/link")).unwrap();
    let printed = bundle.prints("copy");
    assert!(printed.contains("No such file") && !printed.contains("the host's"), "{printed}");
}

/// CVE-2025-31133, CVE-2025-52565: what hides a path, and what is bound as the console, is taken from the image's /dev.
#[test]
fn what_masks_a_file_is_the_null_device_whatever_the_container_calls_so() {
    let mut bundle =
        Bundle::new("stat -c '%n %t:%T' /proc/keys /proc/timer_list; cat /proc/keys | wc -c; readlink /dev/null");
    let evil = bundle.path().join("evil");
    fs::create_dir_all(evil.join("pts")).unwrap();
    for (name, target) in [("null", "/proc/version"), ("console", "/proc/version"), ("ptmx", "pts/ptmx")] {
        symlink(target, evil.join(name)).unwrap();
    }
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    let pts = mounts.iter().find(|mount| mount["type"] == "devpts").unwrap().clone();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    mounts.extend([json!({"destination": "/dev", "source": "evil", "options": ["bind"]}), pts]);
    assert_eq!(bundle.prints("null"), "/proc/keys 1:3\n/proc/timer_list 1:3\n0\n/proc/version");

    // Nor does the terminal get over a file of the kernel's.
    bundle.config["process"]["terminal"] = json!(true);
    let said = bundle.run("console");
    assert!(said.code == 1 && said.err.contains("inside of /proc"), "{said:?}");
}

/// CVE-2022-0492: root of a container without capabilities names a program that the host's root runs.
#[test]
fn no_release_agent_can_be_named() {
    let mut bundle = Bundle::new(
        "for f in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent; do \
             [ ! -e $f ] || (echo /evil > $f) 2>&1; done | grep -v 'Read-only file system'; \
         for c in memory pids rdma none,name=systemd; do mount -t cgroup -o $c cgroup /tmp 2>&1 | grep -v -e denied -e permitted; done; \
         (mkdir /sys/fs/cgroup/x) 2>&1",
    );
    let said = bundle.run("agent");
    assert_eq!(said.out, "mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system", "{said:?}");
    // In a user namespace of its own, with all capabilities in there.
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let all = json!(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SETFCAP"]);
    bundle.config["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    for mappings in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][mappings] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
    }
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    for mount in mounts.iter_mut().filter(|mount| mount["type"] == "cgroup") {
        mount["options"].as_array_mut().unwrap().retain(|option| option != "ro");
    }
    bundle.config["process"]["args"][2] = json!(
        "for f in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent; do \
             [ ! -e $f ] || (echo /evil > $f) 2>&1; done | grep -v -e denied -e permitted; true"
    );
    assert_eq!(bundle.prints("agent"), "");
}

#[test]
fn what_is_read_only_inside_stays_writable_outside() {
    let (mut bundle, outside) = beside_outside(
        "(touch /x) 2>&1; (touch /data/x) 2>&1; (echo changed > /data/file) 2>&1; true",
        &[json!({"destination": "/data", "source": "outside", "options": ["rbind", "rro"]})],
    );
    bundle.config["root"]["readonly"] = json!(true);
    let said = bundle.run("ro");
    assert_eq!(said.out.matches("Read-only file system").count(), 3, "{said:?}");
    fs::write(bundle.rootfs().join("x"), "").unwrap();
    fs::write(outside.join("x"), "").unwrap();
}

/// Where the host's mounts are shared, as systemd leaves them, and the configuration keeps them so, what is bound of the
/// host's for the container's own needs is still nobody's peer.
#[test]
fn who_may_mount_inside_mounts_nothing_outside() {
    let mut bundle = Bundle::new(
        "mount -t tmpfs mine /sys/firmware; mount -t tmpfs mine /tmp; for f in /proc/keys /proc/timer_list; do \
             mount -o bind /etc/passwd $f; done; grep -c passwd /proc/self/mountinfo",
    );
    let all = json!(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    bundle.config["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    bundle.config["linux"]["seccomp"] = json!(null);
    for propagation in ["shared", "slave", "private", "rslave"] {
        bundle.config["linux"]["rootfsPropagation"] = json!(propagation);
        bundle.command(&[]);
        let run = format!(
            "mount --make-rshared / && wc -l < /proc/self/mountinfo && {} --root {} run --bundle {} x && \
             wc -l < /proc/self/mountinfo && stat -c %t:%T /dev/null",
            program().display(),
            bundle.state_root().display(),
            bundle.path().display()
        );
        let output =
            Command::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", &run]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines[1..],
            ["2", lines[0], "1:3"],
            "{propagation}: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

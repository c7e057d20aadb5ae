//! Flags instead of a bundle: what the lessons do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Said, make_rootfs, program};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs the program by hand, with a state folder of its own, in which nothing may be left.
fn by_hand(line: &str) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let (state, rootfs) = (dir.path().join("state"), dir.path().join("rootfs"));
    make_rootfs(&rootfs);
    let words = line.split(' ').map(|word| word.replace("ROOTFS", rootfs.to_str().unwrap()).replace('~', " "));
    let said: Said = Command::new(program()).arg("--root").arg(&state).args(words).output().unwrap().into();
    assert_eq!(fs::read_dir(&state).map_or(0, Iterator::count), 0, "state is left");
    said
}

fn prints(line: &str) -> String {
    let said = by_hand(line);
    assert!(said.code == 0 && said.err.is_empty(), "{line}: {said:?}");
    said.out
}

#[test]
fn one_flag_changes_one_thing() {
    let ours = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
    for (flag, kind) in
        [("--uts", "uts"), ("--ipc", "ipc"), ("--net", "net"), ("--mount", "mnt"), ("--cgroup", "cgroup")]
    {
        let script = "for~k~in~uts~ipc~net~mnt~cgroup~user~pid;~do~readlink~/proc/self/ns/$k;~done";
        let inside = prints(&format!("{flag} -- sh -c {script}"));
        for (other, theirs) in ["uts", "ipc", "net", "mnt", "cgroup", "user", "pid"].iter().zip(inside.lines()) {
            assert_eq!(ours(other) != theirs, *other == kind, "{flag}: {other}");
        }
    }
    assert_eq!(prints("--uts --hostname box -- hostname"), "box");
    assert_eq!(prints("--pid -- sh -c echo~$$"), "1");
}

#[test]
fn without_a_rootfs_capabilities_folder_and_environment_stay() {
    let status = prints("--uts -- grep CapEff /proc/self/status");
    let own = fs::read_to_string("/proc/self/status").unwrap();
    assert!(own.contains(&status), "{status}");
    assert_eq!(prints("--uts -- pwd"), std::env::current_dir().unwrap().display().to_string());
    assert_eq!(prints("--uts --env X=y -- sh -c echo~$X"), "y");
}

#[test]
fn with_a_rootfs_it_is_a_container() {
    let line =
        "--pid --mount --uts --ipc --net --rootfs ROOTFS --hostname box -- sh -c hostname;~echo~$$;~id~-u;~ls~/;~pwd";
    assert_eq!(prints(line), "box\n1\n0\nbin\ndev\netc\nproc\nroot\nsys\ntmp\n/");
    assert_eq!(prints("--mount --rootfs ROOTFS --workdir tmp -u 33:44 -- sh -c pwd;~id~-u;~id~-g"), "/tmp\n33\n44");
    assert!(by_hand("--rootfs ROOTFS -- true").err.contains("(by hand: --mount)"));
}

#[test]
fn the_exit_code_is_the_commands_and_ours_are_125_and_up() {
    for (line, code) in [
        ("--uts -- sh -c exit~7", 7),
        ("--uts -- sh -c kill~-9~$$", 137),
        ("--uts -- no-such-program", 127),
        ("--uts -- /etc", 126),
        ("--hostname x -- true", 125),
        ("--no-such-flag", 125),
        ("--uts", 125),
        ("--userns -- true", 125),
        ("--version", 0),
    ] {
        assert_eq!(by_hand(line).code, code, "{line}");
    }
}

#[test]
fn the_story_names_the_system_calls_in_order() {
    let said = by_hand("--verbose --pid --mount --uts --rootfs ROOTFS --hostname box -- true");
    let calls = [
        "clone3(CLONE_NEWPID|CLONE_NEWUTS|CLONE_NEWNS)",
        "sethostname(\"box\")",
        "pivot_root(",
        "umount2(",
        "capset(",
        "execve(/bin/true",
    ];
    let places: Vec<_> =
        calls.iter().map(|call| said.err.find(call).unwrap_or_else(|| panic!("{call}: {}", said.err))).collect();
    assert!(places.is_sorted(), "{}", said.err);
}

#[test]
fn spec_prints_what_the_flags_stand_for() {
    let spec: serde_json::Value = serde_json::from_str(&prints("spec --uts --hostname box -- sh")).unwrap();
    assert_eq!((&spec["hostname"], &spec["process"]["args"][0]), (&"box".into(), &"sh".into()));
    assert_eq!(spec["linux"]["namespaces"].as_array().unwrap().len(), 1);
    let spec: serde_json::Value = serde_json::from_str(&prints("spec")).unwrap();
    assert_eq!(spec["linux"]["namespaces"].as_array().unwrap().len(), 6);
}

#[test]
fn a_plain_user_is_root_in_a_user_namespace_of_his_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    make_rootfs(&path("rootfs"));
    // A copy that user 65534 can reach, whatever the folders on the way to the built one permit.
    fs::copy(program(), path("unshare-run")).unwrap();
    fs::create_dir(path("state")).unwrap();
    for place in [dir.path().to_owned(), path("state"), path("rootfs")] {
        std::os::unix::fs::chown(&place, Some(65534), Some(65534)).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let as_user = |args: &[&str]| -> Said {
        let mut command = Command::new(path("unshare-run"));
        command.arg("--root").arg(path("state")).args(args).uid(65534).gid(65534).current_dir("/");
        command.output().unwrap().into()
    };
    let rootfs = path("rootfs");
    let script =
        "id -u; echo $$; hostname; touch /made && stat -c %u /made; cat /proc/self/uid_map; mount | grep -c ^proc";
    let said = as_user(&[
        "--map-root-user",
        "--pid",
        "--mount",
        "--uts",
        "--hostname",
        "box",
        "--rootfs",
        rootfs.to_str().unwrap(),
        "--",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("0\n1\nbox\n0\n         0      65534          1"), "{said:?}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(rootfs.join("made")).unwrap().uid(), 65534);
    let said = as_user(&["--uts", "--", "true"]);
    assert!(said.code == 125 && said.err.contains("who is not root needs a user namespace"), "{said:?}");
}

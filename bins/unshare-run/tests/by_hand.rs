//! Flags instead of a bundle: what the lessons do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Said, make_rootfs, program, until};
use std::fs;
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
    assert_eq!(prints("--mount --rootfs ROOTFS -u web --group-add 7 -- sh -c id~-u;~id~-G"), "33\n33 7");
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
fn a_namespace_that_exists_is_joined_by_its_file() {
    let mut other = Command::new("unshare").args(["--net", "--uts", "sleep", "1000"]).spawn().unwrap();
    let file = |kind: &str| format!("/proc/{}/ns/{kind}", other.id());
    until("it is somewhere else", || {
        fs::read_link(file("net")).unwrap() != fs::read_link("/proc/self/ns/net").unwrap()
    });
    for kind in ["net", "uts"] {
        let theirs = fs::read_link(file(kind)).unwrap().display().to_string();
        let place = prints(&format!("--{kind}={} -- readlink /proc/self/ns/{kind}", file(kind)));
        assert_eq!(place, theirs);
    }
    let said = by_hand("--net=/etc/passwd -- true");
    assert!(said.code == 125 && said.err.contains("join /etc/passwd"), "{said:?}");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn files_of_the_host_and_memory_are_shown_inside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "hello").unwrap();
    let line = format!(
        "--mount --rootfs ROOTFS --bind {0}:/a --bind {0}/file:/b/file:ro --tmpfs /c:size=1m,mode=700 --read-only -- sh -c {1}",
        dir.path().display(),
        "cat~/b/file;~echo~x~>/a/made;~stat~-c~%a~/c;~touch~/c/x;~(echo~x~>/b/file)~2>/dev/null~||~echo~ro;~touch~/x~2>/dev/null~||~echo~ro"
    );
    assert_eq!(prints(&line), "hello700\nro\nro");
    assert_eq!(fs::read_to_string(dir.path().join("made")).unwrap(), "x\n");
}

#[test]
fn power_is_given_and_taken_by_name() {
    let effective = |flags: &str| {
        let status =
            prints(&format!("--mount --rootfs ROOTFS {flags} -- grep -E Cap(Eff|Bnd)|NoNewPrivs /proc/self/status"));
        status.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let none = "0000000000000000";
    assert_eq!(effective("--cap-drop all"), ["CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "0"]);
    let chown = "0000000000000001";
    let words = effective("--cap-drop ALL --cap-add cap_chown --no-new-privs");
    assert_eq!(words, ["CapEff:", chown, "CapBnd:", chown, "NoNewPrivs:", "1"]);
    assert_eq!(effective("--cap-add sys_admin --cap-drop kill")[1], "00000000a82425db");
    // For whoever is not root they are the limit only: nothing is handed on to a program.
    assert_eq!(effective("--user 33")[..4], ["CapEff:", none, "CapBnd:", "00000000a80425fb"]);
}

#[test]
fn names_limits_and_parameters_are_its_own() {
    let script = "hostname;~cat~/proc/sys/kernel/domainname~/proc/sys/net/ipv4/ip_forward;~ulimit~-Sn;~ulimit~-Hn";
    let flags = "--uts --net --hostname box --domainname dom --sysctl net.ipv4.ip_forward=1 --ulimit nofile=100:200";
    assert_eq!(prints(&format!("{flags} -- sh -c {script}")), "box\ndom\n1\n100\n200");
}

#[test]
fn the_environment_is_the_callers_and_nothing_of_ours() {
    let inside = prints("--uts -- env");
    assert!(inside.contains("PATH=") && !inside.contains("CTR_PROGRAM"), "{inside}");
}

#[test]
fn the_examples_of_the_help_work() {
    let dir = tempfile::tempdir().unwrap();
    make_rootfs(&dir.path().join("rootfs"));
    let said: Said = Command::new(program()).arg("--help").output().unwrap().into();
    let examples = said.out.split("Examples:").nth(1).unwrap();
    let lines: Vec<&str> = examples.lines().map(str::trim).filter(|line| line.starts_with("unshare-run")).collect();
    assert!(lines.len() >= 6, "{examples}");
    let script =
        format!("set -e; unshare-run() {{ {} --root ./state \"$@\"; }}; ", program().display()) + &lines.join("; ");
    let mut command = Command::new("bash");
    let said: Said = command.args(["-c", &script]).current_dir(dir.path()).output().unwrap().into();
    assert!(said.code == 0 && said.out.starts_with("box\n") && said.out.ends_with("hello"), "{said:?}");
}

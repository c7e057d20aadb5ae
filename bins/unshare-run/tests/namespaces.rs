//! Namespaces of every kind: new ones, joined ones, and what can be set in them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, program};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

/// Every kind, and its file in `/proc/PID/ns`.
const KINDS: [(&str, &str); 8] = [
    ("user", "user"),
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

const SHOW: &str = "for k in user pid net ipc uts mnt cgroup time; do readlink /proc/self/ns/$k; done";

fn namespace(pid: &str, file: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap().display().to_string()
}

/// A bundle with these kinds of namespaces, new.
fn with_namespaces(script: &str, kinds: &[&str]) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.config["linux"]["namespaces"] = kinds.iter().map(|kind| json!({"type": kind})).collect();
    bundle
}

/// Makes a bundle's root one that user 100000 of the host can use, who is root in its user namespace.
fn map_to_100000(bundle: &mut Bundle) {
    for mappings in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][mappings] = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    }
    for folder in ["", "bin", "dev", "proc", "sys", "tmp", "etc", "root"] {
        chown(bundle.rootfs().join(folder), Some(100000), Some(100000)).unwrap();
    }
}

#[test]
fn all_eight_can_be_new() {
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let mut bundle = with_namespaces(&format!("{SHOW}; cat /proc/self/uid_map; id -u; hostname"), &kinds);
    map_to_100000(&mut bundle);
    bundle.config["hostname"] = json!("all-eight");
    let printed = bundle.prints("new");
    let lines: Vec<&str> = printed.lines().collect();
    for ((_, file), line) in KINDS.iter().zip(&lines) {
        assert_ne!(*line, namespace("self", file), "{printed}");
    }
    let map: Vec<&str> = lines[8].split_whitespace().collect();
    assert_eq!((map, &lines[9..]), (vec!["0", "100000", "65536"], &["0", "all-eight"][..]));
}

#[test]
fn all_eight_can_be_joined() {
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let mut first = with_namespaces("sleep 1000", &kinds);
    map_to_100000(&mut first);
    first.create("first");
    let pid = first.pid("first").to_string();
    let mut second = Bundle::new(&format!("{SHOW}; id -u; echo $$"));
    map_to_100000(&mut second);
    // A joined mount namespace has the first container's root: there the second one's is below /.
    second.config["linux"]["namespaces"] = KINDS
        .iter()
        .filter(|(kind, _)| *kind != "mount")
        .map(|(kind, file)| json!({"type": kind, "path": format!("/proc/{pid}/ns/{file}")}))
        .chain([json!({"type": "mount"})])
        .collect();
    let printed = second.prints("second");
    let lines: Vec<&str> = printed.lines().collect();
    for ((kind, file), line) in KINDS.iter().zip(&lines) {
        assert_eq!(*line == namespace(&pid, file), *kind != "mount", "{kind}: {printed}");
    }
    assert_eq!(lines[8], "0");
    assert_ne!(lines[9], "1", "the first container's process is number 1");
}

#[test]
fn a_mount_namespace_is_joined_before_the_root_is_made_in_it() {
    // Somebody else's mount namespace, with the host's tree.
    let mut other = Command::new("unshare");
    let mut other = other.args(["--mount", "--propagation", "private", "sleep", "1000"]).spawn().unwrap();
    let pid = other.id().to_string();
    common::until("it has its namespace", || {
        namespace(&pid, "mnt") != namespace("self", "mnt")
            && fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim() == "sleep"
    });
    let mut bundle = with_namespaces("readlink /proc/self/ns/mnt; ls /", &["pid"]);
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "mount", "path": format!("/proc/{pid}/ns/mnt")}));
    let theirs = namespace(&pid, "mnt");
    let said = bundle.run("joined");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(said.out, format!("{theirs}\nbin\ndev\netc\nproc\nroot\nsys\ntmp"), "{said:?}");
}

#[test]
fn namespaces_of_the_host_go_with_a_new_user_namespace() {
    let netns = Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().unwrap();
    let netns = Ended(netns);
    let pid = netns.0.id().to_string();
    common::until("it has its network", || namespace(&pid, "net") != namespace("self", "net"));
    let mut bundle = with_namespaces(
        "readlink /proc/self/ns/net; id -u; (hostname x) 2>&1",
        &["user", "mount", "pid", "ipc", "uts"],
    );
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "network", "path": format!("/proc/{pid}/ns/net")}));
    map_to_100000(&mut bundle);
    // Of a network that belongs to the host nobody in the user namespace may mount the sysfs.
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| mount["type"] != "sysfs" && mount["type"] != "cgroup");
    bundle.config["process"]["capabilities"] = json!(null);
    let said = bundle.run("mixed");
    assert_eq!(
        said.out,
        format!("{}\n0\nhostname: sethostname: Operation not permitted", namespace(&pid, "net")),
        "{said:?}"
    );
}

/// A process that does not outlive the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_shows_a_shared_namespace_is_the_hosts_where_it_may_not_be_mounted() {
    let mut bundle = with_namespaces("ls /sys/class/net; cat /proc/self/mountinfo", &["user", "mount", "pid", "ipc"]);
    map_to_100000(&mut bundle);
    bundle.config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "cgroup");
    let printed = bundle.prints("shared");
    for device in fs::read_dir("/sys/class/net").unwrap().flatten() {
        assert!(printed.contains(device.file_name().to_str().unwrap()), "{printed}");
    }
    let sys = printed.lines().find(|line| line.split(' ').nth(4) == Some("/sys")).unwrap();
    assert!(sys.contains(" ro,nosuid,nodev,noexec"), "{sys}");
}

#[test]
fn clocks_are_off_as_configured() {
    for user in [false, true] {
        let mut kinds = vec!["time", "mount", "pid", "uts", "ipc", "network", "cgroup"];
        if user {
            kinds.push("user");
        }
        let mut bundle = with_namespaces(
            "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time",
            &kinds,
        );
        bundle.config["linux"]["timeOffsets"] =
            json!({"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 7_000_000}});
        if user {
            map_to_100000(&mut bundle);
        }
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin/cut")).unwrap();
        bundle.create("late");
        assert_eq!(bundle.call(&["delete", "--force", "late"]).code, 0);
        let printed = bundle.prints("late");
        let words: Vec<&str> = printed.split_whitespace().collect();
        assert_eq!(words[..6], ["monotonic", "1000", "5", "boottime", "7000000", "0"], "{printed}");
        assert!(words[6].parse::<u64>().unwrap() >= 7_000_000, "{printed}");
        assert_ne!(words[7], namespace("self", "time"));
    }
}

#[test]
fn exec_is_in_the_containers_time() {
    let mut bundle = with_namespaces("sleep 1000", &["time", "mount", "pid"]);
    bundle.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 7_000_000}});
    bundle.create("time");
    let inside = bundle.call(&["exec", "time", "readlink", "/proc/self/ns/time"]);
    assert_eq!(inside.out, namespace(&bundle.pid("time").to_string(), "time"), "{inside:?}");
}

#[test]
fn a_path_that_is_not_of_its_kind_is_told() {
    for (kind, path, words) in [
        ("network", "/proc/self/ns/uts", "it is a namespace of another kind (CLONE_NEWUTS), not CLONE_NEWNET"),
        ("pid", "/proc/self/ns/mnt", "(CLONE_NEWNS), not CLONE_NEWPID"),
        ("user", "/proc/self/ns/net", "(CLONE_NEWNET), not CLONE_NEWUSER"),
        ("time", "/etc/passwd", "join /etc/passwd: it is no namespace"),
        ("uts", "/none/such", "open namespace /none/such: No such file"),
        ("user", "/proc/self/ns/user", "we may already be in it"),
    ] {
        let mut bundle = with_namespaces("true", &["mount"]);
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": kind, "path": path}));
        let said = bundle.run("wrong");
        assert!(said.code == 1 && said.err.contains(words), "{kind} {path}: {said:?}");
        assert_eq!(bundle.call(&["list", "-q"]).out, "");
    }
}

/// Runs a script, then the bundle, in a network namespace of the test's own, where devices can be made.
fn in_a_network(bundle: &Bundle, script: &str) -> (Option<i32>, String, String) {
    bundle.command(&[]);
    let (state, place) = (bundle.state_root(), bundle.path());
    let run = format!("{} --root {} run --bundle {} net", program().display(), state.display(), place.display());
    let output = Command::new("unshare").args(["--net", "sh", "-ec", &format!("{script}\n{run}")]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const MAKE_DEVICES: &str = "ip link add here type veth peer name there
    ip link set here address 02:00:00:00:00:07 mtu 1400
    ip address add 10.7.0.1/24 dev here
    ip -6 address add fd00:7::1/64 dev here nodad
    ip link set here up; ip link set there up";

fn with_devices(devices: Value) -> Bundle {
    let script = "cd /sys/class/net; for d in *; do echo $d $(cat $d/address $d/mtu $d/flags); done; cat /proc/net/fib_trie /proc/net/if_inet6";
    let mut bundle = with_namespaces(script, &["network", "mount", "pid"]);
    bundle.config["linux"]["netDevices"] = devices;
    bundle
}

#[test]
fn a_network_device_moves_in_with_its_addresses() {
    for (name, shown) in [("", "here"), ("eth0", "eth0"), ("net%d", "net0")] {
        let bundle = with_devices(json!({"here": {"name": name}}));
        let (code, out, err) = in_a_network(&bundle, MAKE_DEVICES);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        let device = format!("{shown} 02:00:00:00:00:07 1400 0x");
        let flags = out.lines().find_map(|line| line.strip_prefix(&device)).unwrap();
        // IFF_UP is the lowest bit.
        assert_eq!(u32::from_str_radix(flags, 16).unwrap() & 1, 1, "{out}");
        assert!(out.contains("10.7.0.1") && out.contains("fd000007000000000000000000000001"), "{out}");
        assert!(!out.contains("there"), "{out}");
    }
}

#[test]
fn a_network_device_moves_into_a_network_that_exists() {
    let mut bundle = with_devices(json!({"here": {"name": "eth0"}}));
    let file = bundle.path().join("netns");
    fs::write(&file, "").unwrap();
    for namespace in bundle.config["linux"]["namespaces"].as_array_mut().unwrap() {
        if namespace["type"] == "network" {
            namespace["path"] = json!(file);
        }
    }
    let file = file.display();
    let script = format!(
        "{MAKE_DEVICES}\ntrap 'umount {file}' EXIT\nunshare --net={file} ip link add other type veth peer name eth1"
    );
    let (code, out, err) = in_a_network(&bundle, &script);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let names: Vec<&str> = out.lines().take(4).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["eth0", "eth1", "lo", "other"], "{out}");
    assert!(out.contains("10.7.0.1"), "{out}");
}

#[test]
fn a_network_device_that_cannot_move_is_told_and_stays() {
    for (devices, words) in [
        (json!({"missing": {}}), "move network device missing into the container: the host has no device missing"),
        (
            json!({"here": {"name": "lo"}}),
            "move network device here into the container: the container has a device lo already",
        ),
        (json!({"lo": {"name": "lo2"}}), "move network device lo into the container"),
    ] {
        let bundle = with_devices(devices);
        let script = format!("{MAKE_DEVICES}\ntrap 'ip -o link show dev here > /dev/null && echo it stayed' EXIT");
        let (code, out, err) = in_a_network(&bundle, &script);
        assert!(code == Some(1) && err.contains(words) && out == "it stayed", "{words}: {code:?} {out} {err}");
    }
}

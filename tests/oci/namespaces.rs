//! Namespaces: new ones, the host's, another container's; mappings and clocks (config-linux.md "Namespaces").

use crate::bundle::Bundle;
use crate::bundle::Runtime::Ours;
use crate::case::{case, check, seen};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
/// Prints them all, one a line.
const LIST: &str = "for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done";

/// The kinds of namespaces that are not the host's, from what [`LIST`] prints.
fn own(bundle: &Bundle) -> String {
    let output = bundle.run();
    let host = KINDS.map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string());
    let new = output.stdout.lines().filter(|line| !host.iter().any(|of_host| of_host == line));
    let names: Vec<&str> = new.map(|line| line.split(':').next().unwrap()).collect();
    if names.is_empty() { seen(&output) } else { names.join(" ") }
}

fn namespaces(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

fn add_namespace(config: &mut Value, namespace: Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(namespace);
}

/// User 0 inside is 100000 outside, and so on; the files belong to the users inside.
fn user_namespace(bundle: &mut Bundle) {
    add_namespace(&mut bundle.config, json!({"type": "user"}));
    let mapping = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = mapping.clone();
    bundle.config["linux"]["gidMappings"] = mapping;
    chown_all(&bundle.in_rootfs("/"), 100_000);
}

fn chown_all(path: &Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| chown_all(&entry.path(), id));
    }
}

/// Runs the container in namespaces of another one that is there already; `whose` says for each line that it
/// prints whether it is that one's.
fn joined(bundle: &Bundle, kinds: &[(&str, &str)], with_user: bool) -> String {
    let mut first = Bundle::new(bundle.runtime);
    if with_user {
        user_namespace(&mut first);
    }
    first.script("sleep 1000");
    first.config["hostname"] = json!("first");
    first.run_detached();
    let pid = first.pid();
    let mut second = Bundle::new(bundle.runtime);
    if with_user {
        chown_all(&second.in_rootfs("/"), 100_000);
    }
    let kept = first.config["linux"]["namespaces"].as_array().unwrap();
    let kept = kept.iter().filter(|n| n["type"] != "user" && !kinds.iter().any(|(kind, _)| n["type"] == **kind));
    let mut list: Vec<Value> = kept.cloned().collect();
    list.extend(kinds.iter().map(|(kind, file)| json!({"type": kind, "path": format!("/proc/{pid}/ns/{file}")})));
    second.config["linux"]["namespaces"] = list.into();
    second.script(LIST);
    let output = second.run();
    let of_first = KINDS.map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string());
    let of_host = KINDS.map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string());
    let shared = of_first.iter().filter(|name| !of_host.contains(name) && output.stdout.lines().any(|l| l == *name));
    let names: Vec<&str> = shared.map(|name| name.split(':').next().unwrap()).collect();
    if output.code == 0 { names.join(" ") } else { seen(&output) }
}

#[test]
fn namespaces_are_new_or_the_hosts() {
    check(vec![
        case("those that are listed are new").bundle(|b| b.script(LIST)).sees("ipc mnt net pid uts", own),
        case("a mount namespace alone")
            .config(|c| c["linux"]["namespaces"] = namespaces(&["mount"]))
            .bundle(|b| b.script(LIST))
            .sees("mnt", own),
        case("a cgroup namespace too")
            .config(|c| add_namespace(c, json!({"type": "cgroup"})))
            .bundle(|b| b.script(LIST))
            .sees("cgroup ipc mnt net pid uts", own),
        case("its own group is the root of a new cgroup namespace")
            .config(|c| {
                add_namespace(c, json!({"type": "cgroup"}));
                c["linux"]["cgroupsPath"] = json!("/oci-test-namespace");
            })
            .prints("cut -d: -f3 /proc/self/cgroup | sort -u", "/"),
        case("the first process is process 1, and sees itself alone")
            .prints("echo $$; set -- /proc/[0-9]*; echo $#", "1\n1"),
        case("a new network has a loopback device, which is up")
            .prints("ls /sys/class/net; ip link show lo | head -n 1 | cut -d' ' -f2,3", "lo: <LOOPBACK,UP,LOWER_UP>"),
        case("a kind that there is not").config(|c| add_namespace(c, json!({"type": "color"}))).refused(),
        case("a kind twice").config(|c| add_namespace(c, json!({"type": "pid"}))).refused(),
    ]);
}

#[test]
fn namespaces_of_another_container_are_joined_by_path() {
    let one = |name, kind: &'static str, file: &'static str| {
        case(name).sees(file, move |bundle| joined(bundle, &[(kind, file)], false))
    };
    check(vec![
        one("its network", "network", "net"),
        one("its host name", "uts", "uts"),
        one("its ipc", "ipc", "ipc"),
        one("its processes", "pid", "pid"),
        case("several at once, as the containers of a pod")
            .sees("ipc net uts", |bundle| joined(bundle, &[("network", "net"), ("uts", "uts"), ("ipc", "ipc")], false)),
        case("its users, and the network that belongs to them")
            .sees("net user", |bundle| joined(bundle, &[("user", "user"), ("network", "net")], true))
            .since_runc(1, 2),
        case("a path of another kind")
            .config(|c| c["linux"]["namespaces"][2] = json!({"type": "uts", "path": "/proc/self/ns/net"}))
            .refused(),
        case("a path that leads to nothing")
            .config(|c| c["linux"]["namespaces"][2] = json!({"type": "uts", "path": "/nowhere"}))
            .refused(),
        case("a path to a file that is no namespace")
            .config(|c| c["linux"]["namespaces"][2] = json!({"type": "uts", "path": "/etc/passwd"}))
            .refused(),
        case("the hosts own, by path")
            .config(|c| c["linux"]["namespaces"][2] = json!({"type": "uts", "path": "/proc/self/ns/uts"}))
            .bundle(|b| b.script(LIST))
            .sees("ipc mnt net pid", own),
    ]);
}

#[test]
fn users_are_mapped() {
    check(vec![
        case("root inside, somebody else outside").bundle(user_namespace).prints(
            "id -u; id -g; awk '{print $1, $2, $3}' /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups; stat -c %u /bin",
            "0\n0\n0 100000 65536\n0 100000 65536\nallow\n0",
        ),
        case("files of nobody known inside belong to nobody").bundle(user_namespace)
            .bundle(|b| b.file("rootfs/tmp/file", ""))
            .prints("stat -c '%u %g' /tmp/file", "65534 65534"),
        case("several ranges")
            .bundle(user_namespace)
            .config(|c| {
                c["linux"]["uidMappings"] = json!([
                    {"containerID": 0, "hostID": 100_000, "size": 1000},
                    {"containerID": 1000, "hostID": 0, "size": 1}]);
            })
            .bundle(|b| { b.file("rootfs/tmp/file", ""); b.config["process"]["user"] = json!({"uid": 1000, "gid": 7}); })
            .prints("id -u; id -g; stat -c %u /tmp/file; awk '{print $1, $2, $3}' /proc/self/uid_map",
                "1000\n7\n1000\n0 100000 1000\n1000 0 1"),
        case("devices are the hosts, bound").bundle(user_namespace)
            .prints("echo x > /dev/null && stat -c '%t:%T' /dev/null; stat -c %u /dev/null", "1:3\n65534"),
        case("a new user namespace without mappings")
            .config(|c| add_namespace(c, json!({"type": "user"})))
            .refused(),
        case("mappings without a user namespace say nothing")
    .config(|c| c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]))
    .prints("id -u", "0").but(Ours, "[exit 1]", "what has no effect is a mistake of who wrote it"),
case("a user that is not mapped").bundle(user_namespace)
            .config(|c| c["process"]["user"]["uid"] = json!(70000)).refused(),
    ]);
}

#[test]
fn mounts_have_ids_of_their_own() {
    fn idmapped(bundle: &mut Bundle) {
        bundle.file("data/file", "");
        chown(bundle.path().join("data/file"), Some(5), Some(6)).unwrap();
        let source = bundle.path().join("data");
        bundle.config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": "/mnt", "type": "bind", "source": source, "options": ["bind"],
            "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 100}],
            "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 100}]
        }));
    }
    check(vec![
        case("an idmapped mount shows other owners")
            .bundle(idmapped)
            .prints("stat -c '%u %g' /mnt/file", "1005 2006")
            .since_runc(1, 2),
        case("mappings of a mount that is none of files")
            .config(|c| {
                c["mounts"][0]["uidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
                c["mounts"][0]["gidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
            })
            .refused()
            .since_runc(1, 2),
    ]);
}

#[test]
fn clocks_have_offsets() {
    fn time(config: &mut Value) {
        add_namespace(config, json!({"type": "time"}));
        config["linux"]["timeOffsets"] =
            json!({"monotonic": {"secs": 172_800, "nanosecs": 5}, "boottime": {"secs": 604_800, "nanosecs": 7}});
    }
    check(vec![
        case("both clocks")
            .config(time)
            .prints("awk '{print $1, $2, $3}' /proc/self/timens_offsets; test $(cut -d. -f1 /proc/uptime) -ge 604800 && echo later",
                "monotonic 172800 5\nboottime 604800 7\nlater")
            .since_runc(1, 2),
        case("a time namespace without offsets")
            .config(|c| add_namespace(c, json!({"type": "time"})))
            .bundle(|b| b.script(LIST))
            .sees("ipc mnt net pid time uts", own)
            .since_runc(1, 2),
        case("offsets without a time namespace")
            .config(|c| c["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 1}}))
            .refused()
            .since_runc(1, 2),
        case("a clock that there is not")
            .config(time)
            .config(|c| c["linux"]["timeOffsets"] = json!({"realtime": {"secs": 1}}))
            .refused(),
    ]);
}

//! What a container's program finds: namespaces, root, mounts, devices, names, user, limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, groups_named};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn each_namespace_is_the_containers_own_but_the_user_namespace() {
    let kinds = ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"];
    let bundle = Bundle::new("for k in pid net ipc uts mnt cgroup user; do readlink /proc/self/ns/$k; done");
    let inside = bundle.prints("ns");
    for (kind, theirs) in kinds.iter().zip(inside.lines()) {
        let ours = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_eq!(ours == Path::new(theirs), *kind == "user", "{kind}: {} and {theirs}", ours.display());
    }
}

#[test]
fn a_namespace_that_is_not_listed_is_the_callers() {
    let mut bundle = Bundle::new("for k in net uts; do readlink /proc/self/ns/$k; done");
    bundle.config["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}]);
    let ours = |kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
    assert_eq!(bundle.prints("ns"), format!("{}\n{}", ours("net"), ours("uts")));
}

#[test]
fn namespaces_given_by_path_are_joined() {
    let first = Bundle::new("sleep 1000");
    first.create("first");
    let pid = first.pid("first");
    let mut second = Bundle::new("for k in net ipc pid; do readlink /proc/self/ns/$k; done; echo $$");
    second.config["linux"]["namespaces"] = json!([
        {"type": "mount"}, {"type": "uts"},
        {"type": "network", "path": format!("/proc/{pid}/ns/net")},
        {"type": "ipc", "path": format!("/proc/{pid}/ns/ipc")},
        {"type": "pid", "path": format!("/proc/{pid}/ns/pid")},
    ]);
    let inside = second.prints("second");
    let lines: Vec<&str> = inside.lines().collect();
    for (kind, line) in ["net", "ipc", "pid"].iter().zip(&lines) {
        let theirs = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_eq!(*line, theirs.to_str().unwrap());
    }
    assert_ne!(lines[3], "1", "the first container's process is number 1");
}

#[test]
fn the_root_is_pivoted_and_nothing_of_the_host_is_mounted() {
    let bundle = Bundle::new("cat /proc/self/mountinfo; echo; ls /");
    let printed = bundle.prints("root");
    let (table, listing) = printed.split_once("\n\n").unwrap();
    assert_eq!(listing, "bin\ndev\netc\nproc\nroot\nsys\ntmp");
    let mut points: Vec<&str> = table.lines().map(|line| line.split(' ').nth(4).unwrap()).collect();
    assert_eq!(points.iter().filter(|point| **point == "/").count(), 1, "{table}");
    points.retain(|point| !["/proc/", "/sys/"].iter().any(|top| point.starts_with(top)));
    points.sort_unstable();
    assert_eq!(points, ["/", "/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/proc", "/sys"]);
}

#[test]
fn capabilities_are_dockers_and_can_be_ambient_for_a_user() {
    let script = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status";
    let mut bundle = Bundle::new(script);
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    let zeros = "0000000000000000";
    let docker = "00000000a80425fb";
    let status = bundle.prints("caps");
    for (name, value) in [("Inh", zeros), ("Prm", docker), ("Eff", docker), ("Bnd", docker), ("Amb", zeros)] {
        assert!(status.contains(&format!("Cap{name}:\t{value}")), "{name}: {status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");

    let mut bundle = Bundle::new(script);
    let bind = json!(["CAP_NET_BIND_SERVICE"]);
    bundle.config["process"]["user"] = json!({"uid": 33, "gid": 33});
    bundle.config["process"]["capabilities"] =
        json!({"bounding": bind, "effective": bind, "permitted": bind, "inheritable": bind, "ambient": bind});
    let status = bundle.prints("caps");
    assert_eq!(status.matches("0000000000000400").count(), 5, "{status}");

    let mut bundle = Bundle::new(script);
    bundle.config["process"]["capabilities"] = json!(null);
    assert_eq!(bundle.prints("caps").matches(zeros).count(), 5);
}

#[test]
fn masked_paths_show_nothing_and_read_only_paths_refuse() {
    let bundle = Bundle::new(
        "cat /proc/keys /proc/timer_list /proc/interrupts | wc -c; ls /sys/firmware | wc -l; \
         (echo x > /proc/sys/kernel/domainname) 2>&1; (echo 1 > /proc/irq/default_smp_affinity) 2>&1; mkdir /sys/fs/cgroup/x 2>&1",
    );
    let said = bundle.run("mask");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(&lines[..2], ["0", "0"], "{said:?}");
    assert!(lines[2..].iter().all(|line| line.contains("Read-only file system")), "{said:?}");
}

#[test]
fn a_read_only_root_refuses_and_its_mounts_do_not() {
    let mut bundle = Bundle::new("(touch /x) 2>&1; touch /dev/shm/y && ls /dev/shm");
    bundle.config["root"]["readonly"] = json!(true);
    assert_eq!(bundle.prints("ro"), "touch: /x: Read-only file system\ny");
}

#[test]
fn the_default_devices_are_there_and_work() {
    let bundle = Bundle::new(
        "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' $d; done; for l in ptmx fd stdin; do readlink $l; done; \
         echo x > /dev/null && head -c 3 /dev/zero | wc -c; ls | grep -v core",
    );
    assert_eq!(
        bundle.prints("dev"),
        "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\ntty 5:0 666\n\
         pts/ptmx\n/proc/self/fd\n/proc/self/fd/0\n3\n\
         fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero"
    );
}

#[test]
fn host_name_user_environment_and_folder_are_as_configured() {
    let mut bundle =
        Bundle::new("hostname; id -u; id -g; id -G; pwd; umask; echo $HOME $A $B; grep -c . /proc/net/dev");
    bundle.config["hostname"] = json!("box");
    bundle.config["process"]["user"] = json!({"uid": 33, "gid": 44, "additionalGids": [55, 66], "umask": 0o27});
    bundle.config["process"]["cwd"] = json!("/made/for/it");
    bundle.config["process"]["env"] = json!(["PATH=/bin", "A=1", "B=2", "A=3"]);
    assert_eq!(bundle.prints("id"), "box\n33\n44\n44 55 66\n/made/for/it\n0027\n/srv/web 3 2\n3");
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim_end(), "box");
}

#[test]
fn bind_mounts_keep_their_flags_to_themselves() {
    let mut bundle = Bundle::new("cat /data/file /etc/one; (touch /data/x) 2>&1; grep ' /data ' /proc/self/mountinfo");
    fs::create_dir(bundle.path().join("data")).unwrap();
    fs::write(bundle.path().join("data/file"), "from the host\n").unwrap();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(json!({"destination": "/data", "source": "data", "options": ["rbind", "ro", "nosuid", "nodev"]}));
    mounts.push(json!({"destination": "/etc/one", "type": "bind", "source": "data/file", "options": ["bind"]}));
    let printed = bundle.prints("bind");
    assert!(printed.starts_with("from the host\nfrom the host\ntouch: /data/x: Read-only file system\n"), "{printed}");
    assert!(printed.contains("ro,nosuid,nodev"), "{printed}");
    fs::write(bundle.path().join("data/file"), "still writable here").unwrap();
}

#[test]
fn sysctl_and_oom_score_are_set_for_the_container_alone() {
    let mut bundle = Bundle::new("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj");
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "7"});
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    let before = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    assert_eq!(bundle.prints("sysctl"), "7\n321");
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap(), before);
}

#[test]
fn limits_are_set_and_one_that_cannot_be_raised_is_a_warning() {
    let mut bundle = Bundle::new("ulimit -Sn; ulimit -Hn; ulimit -Sc");
    bundle.config["process"]["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
    ]);
    assert_eq!(bundle.prints("limits"), "100\n200\n0");

    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 900_000_000_000_u64}]);
    let said = bundle.run("limits");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("unshare-run: warning: set RLIMIT_NOFILE"), "{said:?}");
    assert!(said.out.starts_with("100\n"), "{said:?}");
}

#[test]
fn the_container_is_in_its_cgroup_and_sees_it_as_the_root() {
    let mut bundle = Bundle::new("cat /proc/self/cgroup; ls -d /sys/fs/cgroup; sleep 1000");
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    let id = format!("cgroup-test-{}", std::process::id());
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{id}"));
    bundle.create(&id);
    let inside = bundle.call(&["exec", &id, "cat", "/proc/self/cgroup"]);
    assert!(inside.out.lines().all(|line| line.ends_with(":/")), "{inside:?}");
    assert_in_group(&bundle, &id);
    assert_eq!(bundle.call(&["delete", "--force", &id]).code, 0);
    assert_eq!(groups_named(&id), Vec::<PathBuf>::new());
}

/// Fails unless the container's process is in `/ctr/ID` in each tree that is mounted.
fn assert_in_group(bundle: &Bundle, id: &str) {
    let outside = fs::read_to_string(format!("/proc/{}/cgroup", bundle.pid(id))).unwrap();
    let inside = outside.lines().filter(|line| line.ends_with(&format!(":/ctr/{id}"))).count();
    assert_eq!(inside, groups_named(id).len(), "{outside}");
    assert_ne!(inside, 0);
}

#[test]
fn a_process_that_may_nothing_outside_is_in_its_cgroup_as_well() {
    let mut bundle = Bundle::new("sleep 1000");
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    // Root in there is nobody out here.
    for folder in ["", "dev"] {
        std::os::unix::fs::chown(bundle.rootfs().join(folder), Some(65534), Some(65534)).unwrap();
    }
    for mappings in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][mappings] = json!([{"containerID": 0, "hostID": 65534, "size": 1}]);
    }
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 50}});
    bundle.config["mounts"] = json!([{"destination": "/proc", "type": "proc", "source": "proc"}]);
    let id = format!("cgroup-user-{}", std::process::id());
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/ctr/{id}"));
    bundle.create(&id);
    assert_in_group(&bundle, &id);
    let inside = bundle.call(&["exec", &id, "cat", "/proc/self/cgroup"]);
    assert!(inside.code == 0 && inside.out.lines().all(|line| line.ends_with(":/")), "{inside:?}");
}

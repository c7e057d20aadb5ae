//! What a container may do.

use super::{is_unified, spec, state};
use ctr_tests::Sandbox;
use std::fs;
use std::path::{Path, PathBuf};

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[
    "cap-add",
    "cap-drop",
    "cgroupns",
    "device",
    "device-cgroup-rule",
    "gpus",
    "init",
    "ipc",
    "isolation",
    "pid",
    "privileged",
    "runtime",
    "security-opt",
    "sysctl",
    "userns",
    "uts",
];

/// `ctr run --rm OPTIONS base sh -c SCRIPT`: what it prints.
#[track_caller]
fn sh(sandbox: &Sandbox, options: &[&str], script: &str) -> String {
    run(sandbox, options, script).ok().text().to_owned()
}

#[track_caller]
fn run(sandbox: &Sandbox, options: &[&str], script: &str) -> ctr_tests::Output {
    sandbox.ctr([&["run", "--rm", "--network", "none"], options, &["base", "sh", "-c", script]].concat())
}

const STATUS: &str = "grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | cut -f2";

fn namespace(pid: &str, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

#[test]
fn capabilities_are_added_and_dropped() {
    let sandbox = Sandbox::with_base();
    let bounding = |options: &[&str]| sh(&sandbox, options, STATUS).lines().next().unwrap().to_owned();
    assert_eq!(bounding(&[]), "00000000a80425fb");
    assert_eq!(bounding(&["--cap-add", "net_admin", "--cap-drop", "CAP_CHOWN"]), "00000000a80435fa");
    assert_eq!(bounding(&["--cap-drop", "all", "--cap-add", "CAP_KILL"]), "0000000000000020");
    run(&sandbox, &["--cap-add", "fly"], "").exits(125).says("invalid CapAdd: unknown capability: \"CAP_FLY\"");
}

#[test]
fn a_container_can_be_held_back_more_or_less() {
    let sandbox = Sandbox::with_base();
    let status = |options: &[&str]| sh(&sandbox, options, STATUS).lines().skip(1).collect::<Vec<_>>().join(" ");
    assert_eq!(status(&[]), "0 2");
    let less = ["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"];
    assert_eq!(status(&less), "1 0");
    let profile = sandbox.path().join("profile.json");
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30},
        {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_KILL"]}}]}"#;
    fs::write(&profile, text).unwrap();
    let option = format!("seccomp={}", profile.display());
    let own = run(&sandbox, &["--security-opt", &option], "mkdir /x || chmod 700 /tmp").ok();
    own.says("Read-only file system");
    let masked = "grep -c ' /proc/' /proc/self/mountinfo; true";
    assert_ne!(sh(&sandbox, &[], masked), "0");
    assert_eq!(sh(&sandbox, &["--security-opt", "systempaths=unconfined"], masked), "0");
    for (option, words) in
        [("foo", "Invalid --security-opt: \"foo\""), ("foo=bar", "invalid --security-opt 2: \"foo=bar\"")]
    {
        run(&sandbox, &["--security-opt", option], "").exits(125).says(words);
    }
}

#[test]
fn nothing_is_held_back_from_a_privileged_container() {
    let sandbox = Sandbox::with_base();
    let script = format!(
        "{STATUS}; grep -c ' /proc/' /proc/self/mountinfo; mount -t tmpfs x /mnt && umount /mnt && echo mounted; \
         ls /dev | wc -l; : > /dev/kmsg && echo device; grep ' /sys ' /proc/mounts"
    );
    let output = sh(&sandbox, &["--privileged"], &script);
    let lines: Vec<&str> = output.lines().collect();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap();
    assert_eq!(lines[..4], [own, "0", "0", "0"], "capabilities, privileges, filter, masks\n{output}");
    assert_eq!(lines[4], "mounted", "{output}");
    assert!(lines[5].parse::<usize>().unwrap() > 15, "the host's devices\n{output}");
    assert_eq!(lines[6], "device", "{output}");
    assert!(lines[7].contains("rw,"), "{output}");
}

#[test]
fn a_device_can_be_used_as_far_as_it_was_given() {
    let sandbox = Sandbox::with_base();
    let open = "(: > /dev/klog) && echo opened";
    let with = |options: &[&str], script: &str| run(&sandbox, options, script);
    with(&["--device", "/dev/kmsg:/dev/klog:w"], open).ok().prints("opened");
    with(&["--device", "/dev/kmsg:/dev/klog:r"], open).exits(2).says("Operation not permitted");
    let made = format!("mknod /dev/klog c 1 11; {open}");
    with(&[], &made).exits(2).says("Operation not permitted");
    with(&["--device-cgroup-rule", "c 1:11 w"], &made).ok().prints("opened");
    with(&["--device", "/dev/nope"], "")
        .exits(125)
        .says("error gathering device information while adding custom device \"/dev/nope\": no such file or directory");
    with(&["--device-cgroup-rule", "x"], "").exits(125).says("invalid device cgroup format 'x'");
}

/// A file that the test puts among the host's.
struct CdiFile {
    file: PathBuf,
    made_folder: bool,
}

impl CdiFile {
    fn new(text: &str) -> CdiFile {
        let folder = Path::new("/etc/cdi");
        let made_folder = fs::create_dir(folder).is_ok();
        let file = folder.join(format!("ctr-test-{}.json", std::process::id()));
        fs::write(&file, text).unwrap();
        CdiFile { file, made_folder }
    }
}

impl Drop for CdiFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        if self.made_folder {
            let _ = fs::remove_dir("/etc/cdi");
        }
    }
}

#[test]
fn gpus_are_what_the_hosts_files_describe() {
    let sandbox = Sandbox::with_base();
    let all = ["--gpus", "driver=ctr-test.example,count=all"];
    let none = "could not select device driver \"ctr-test.example\" with capabilities: [[gpu]]";
    run(&sandbox, &all, "").exits(125).says(none);
    let _file = CdiFile::new(
        r#"{"cdiVersion": "0.5.0", "kind": "ctr-test.example/gpu",
            "containerEdits": {"env": ["DRIVER=yes"]},
            "devices": [{"name": "0", "containerEdits": {
                "env": ["GPU=0"],
                "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/kmsg", "permissions": "w"}],
                "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/usr/lib/driver"}]}}]}"#,
    );
    let script = "echo $DRIVER $GPU; (: > /dev/gpu0) && echo device; test -s /usr/lib/driver && echo library";
    assert_eq!(sh(&sandbox, &all, script), "yes 0\ndevice\nlibrary");
    assert_eq!(sh(&sandbox, &["--device", "ctr-test.example/gpu=0"], script), "yes 0\ndevice\nlibrary");
}

#[test]
fn namespaces_are_its_own_or_the_hosts() {
    let sandbox = Sandbox::with_base();
    let all = "for kind in ipc pid uts user cgroup; do readlink /proc/self/ns/$kind; done";
    let hosts: Vec<String> = ["ipc", "pid", "uts", "user", "cgroup"]
        .map(|kind| namespace("self", kind).to_string_lossy().into_owned())
        .to_vec();
    let of = |options: &[&str]| sh(&sandbox, options, all).lines().map(str::to_owned).collect::<Vec<_>>();
    let own = of(&["--cgroupns", "private"]);
    let shared: Vec<bool> = own.iter().zip(&hosts).map(|(own, host)| own == host).collect();
    assert_eq!(shared, [false, false, false, true, false], "as docker, it has no user namespace\n{own:?}");
    let options = ["--ipc", "host", "--pid", "host", "--uts", "host", "--userns", "host", "--cgroupns", "host"];
    assert_eq!(of(&options), hosts);
    let group = sh(&sandbox, &[], "tail -n 1 /proc/self/cgroup");
    assert_eq!(group.ends_with(":/"), is_unified(), "docker's default is private on v2, host on v1: {group}");
    for (options, words) in [
        (["--ipc", "foo"], "Invalid IPC mode: foo"),
        (["--pid", "foo"], "--pid: invalid PID mode"),
        (["--uts", "foo"], "--uts: invalid UTS mode"),
        (["--userns", "foo"], "--userns: invalid USER mode"),
        (["--cgroupns", "foo"], "--cgroupns: invalid CGROUP mode"),
        (["--ipc", "container:nope"], "No such container: nope"),
        (["--runtime", "foo"], "Unknown runtime specified foo"),
        (["--isolation", "hyperv"], "Invalid isolation: \"hyperv\" - linux only supports 'default'"),
    ] {
        run(&sandbox, &options, "").exits(125).says(words);
    }
    sh(&sandbox, &["--runtime", "runc", "--isolation", "default"], "true");
}

#[test]
fn namespaces_can_be_another_containers() {
    let sandbox = Sandbox::with_base();
    let script = "echo shared > /dev/shm/file; exec sleep 900";
    let donor = ["run", "-d", "--name", "donor", "--network", "none", "--ipc", "shareable", "--hostname", "house"];
    sandbox.ctr([&donor[..], &["base", "sh", "-c", script]].concat()).ok();
    let file = sandbox.root().join("names/donor/shm/file");
    ctr_tests::poll_until(60, "the donor's file", || fs::read_to_string(&file).ok().filter(|text| !text.is_empty()));
    let pid = state(&sandbox, "donor")["Pid"].to_string();
    let joined = [
        "run",
        "--rm",
        "--network",
        "container:donor",
        "--ipc",
        "container:donor",
        "--pid",
        "container:donor",
        "base",
        "sh",
        "-c",
        "cat /dev/shm/file; hostname; cat /etc/hostname; ps -ef | grep -c '[s]leep 900'; for kind in net ipc pid; do \
         readlink /proc/self/ns/$kind; done",
    ];
    let output = sandbox.ctr(joined).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[..4], ["shared", "house", "house", "1"], "{output}");
    for (line, kind) in lines[4..].iter().zip(["net", "ipc", "pid"]) {
        assert_eq!(Path::new(line), namespace(&pid, kind), "{output}");
    }
    let conflict = ["run", "--rm", "--network", "container:donor", "-p", "80:80", "base", "true"];
    sandbox.ctr(conflict).exits(125).says("conflicting options: port publishing and the container type network mode");
    // One that does not run cannot be joined; what waits for it can be made.
    sandbox.ctr(["create", "--name", "guest", "--network", "container:donor", "base", "true"]).ok();
    sandbox.ctr(["kill", "donor"]).ok();
    sandbox.ctr(["wait", "donor"]).ok();
    sandbox.ctr(["start", "guest"]).exits(1).says("cannot join network of a non running container");
    sandbox.ctr(["run", "-d", "--name", "closed", "--network", "none", "base", "sleep", "900"]).ok();
    run(&sandbox, &["--ipc", "container:closed"], "").exits(125).says("non-shareable IPC");
    assert_eq!(sh(&sandbox, &["--ipc", "none"], "ls -d /dev/shm 2>&- || echo none"), "none");
}

#[test]
fn an_init_reaps_and_kernel_settings_are_its_own() {
    let sandbox = Sandbox::with_base();
    let options = ["--init", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4242"];
    let script = "tr '\\0' ' ' < /proc/1/cmdline; echo; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; \
                  (: > /sbin/docker-init) 2>&- || echo read-only; exit 7";
    let output = run(&sandbox, &options, script).exits(7);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with("/sbin/docker-init -- sh -c"), "{output}");
    assert_eq!(lines[lines.len() - 3..], ["1", "4242", "read-only"], "{output}");
    // Without being asked: in a network of its own anybody may have any port, and ping.
    let own = "cd /proc/sys/net/ipv4; echo $(cat ip_unprivileged_port_start ping_group_range)";
    assert_eq!(sh(&sandbox, &[], own), "0 0 2147483647");
    let port = "net.ipv4.ip_unprivileged_port_start=77";
    assert_eq!(sh(&sandbox, &["--sysctl", port], own), "77 0 2147483647");
    let hosts = sandbox.ctr(["run", "--rm", "--network", "host", "base", "sh", "-c", own]).ok();
    assert_eq!(hosts.text(), sandbox.sh(own).ok().text());
    let refused = "invalid argument \"vm.swappiness=3\" for \"--sysctl\" flag: sysctl 'vm.swappiness=3' is not";
    run(&sandbox, &["--sysctl", "vm.swappiness=3"], "").exits(125).says(refused);
}

#[test]
fn what_is_kept_of_it_is_what_docker_keeps() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "plain", "base", "true"]).ok();
    sandbox.ctr(["create", "--name", "mighty", "--privileged", "base", "true"]).ok();
    let host = |name| super::json(&sandbox, name, "container.json")["HostConfig"].clone();
    let plain = host("plain");
    let mode = if is_unified() { "private" } else { "host" };
    assert_eq!((&plain["IpcMode"], &plain["CgroupnsMode"]), (&"private".into(), &mode.into()));
    assert_eq!((&plain["Runtime"], &plain["OomKillDisable"]), (&"runc".into(), &false.into()));
    assert_eq!((&plain["ShmSize"], &plain["SecurityOpt"]), (&(64 << 20).into(), &serde_json::Value::Null));
    assert!(plain["MaskedPaths"].as_array().unwrap().contains(&"/proc/kcore".into()));
    let mighty = host("mighty");
    assert_eq!(mighty["SecurityOpt"], serde_json::json!(["label=disable"]));
    assert!(mighty["MaskedPaths"].is_null() && mighty["ReadonlyPaths"].is_null());
    assert!(spec(&sandbox, "mighty")["linux"]["seccomp"].is_null());
}

//! What docker's options ask of the runtime is so in the container.

use crate::dockerd::Docker;

#[test]
fn a_container_has_dockers_own_privileges_and_no_more() {
    let docker = Docker::get();
    let status = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2 | tr '\\n' ' '";
    assert_eq!(docker.sh(&[], status), "00000000a80425fb 00000000a80425fb 0 2");
    assert_eq!(
        docker.sh(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], status),
        "0000000000001000 0000000000001000 0 2"
    );
    let options = ["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "-u", "1000"];
    assert_eq!(docker.sh(&options, status), "0000000000000000 00000000a80425fb 1 0");
    // What is masked is empty.
    assert_eq!(docker.sh(&[], "cat /proc/keys /proc/timer_list | wc -c"), "0");

    let sys = "awk '$5 == \"/sys\" {print substr($6, 1, 2)}' /proc/self/mountinfo";
    assert_eq!(docker.sh(&[], sys), "ro");
    let privileged = docker.sh(&["--privileged"], &format!("{status}; {sys}; ls /dev/kmsg"));
    let (capabilities, rest) = privileged.split_once(' ').unwrap();
    // All that we have ourselves, or all that this docker has heard of.
    assert!(u64::from_str_radix(capabilities, 16).unwrap().count_ones() >= 37, "{privileged}");
    assert_eq!(rest, format!("{capabilities} 0 0 rw\n/dev/kmsg"));
}

#[test]
fn a_filter_of_the_users_own_is_applied() {
    let docker = Docker::get();
    let file = docker.cell.path().join("filter.json");
    let filter = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}"#;
    std::fs::write(&file, filter).unwrap();
    let option = format!("seccomp={}", file.display());
    docker
        .run(["run", "--rm", "--security-opt", &option, "base", "mkdir", "/x"])
        .exits(1)
        .says("Operation not supported");
}

#[test]
fn mounts_and_devices_are_as_asked_for() {
    let docker = Docker::get();
    let shared = docker.cell.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("file"), "theirs\n").unwrap();
    let writable = format!("{}:/w", shared.display());
    let read_only = format!("{}:/r:ro", shared.display());
    let mounts = ["-v", &writable, "-v", &read_only, "-v", "volume:/volume", "--tmpfs", "/t:size=1m,mode=1700"];
    let options = [&mounts[..], &["--shm-size", "3m", "--read-only"]].concat();
    let script = "touch /x 2>&-; echo $?; cat /r/file; touch /r/x 2>&-; echo $?; echo ours > /w/new;
        touch /volume/x && echo volume; stat -c %a /t; df -k /t /dev/shm | awk 'NR > 1 {print $2}'";
    assert_eq!(docker.sh(&options, script), "1\ntheirs\n1\nvolume\n1700\n1024\n3072");
    assert_eq!(std::fs::read_to_string(shared.join("new")).unwrap(), "ours\n");
    docker.run(["volume", "rm", "volume"]).ok();
}

#[test]
fn a_device_can_be_used_as_far_as_was_asked_for() {
    let docker = Docker::get();
    // No driver has this number, and so the kernel says no to whoever may use it as well, but in other words.
    let device = docker.cell.path().join("device");
    docker.cell.sh(&format!("mknod -m 600 {} c 60 1", device.display())).ok();
    let option = format!("{}:/dev/x:r", device.display());
    let script = "stat -c %a,%t,%T /dev/x; { cat /dev/x; echo > /dev/x; } 2>&1 | sed 's/.*: //'";
    let expected = "600,3c,1\nNo such device or address\nOperation not permitted";
    assert_eq!(docker.sh(&["--device", &option], script), expected);
    assert_eq!(docker.sh(&[], "mknod /dev/x c 60 1 && cat /dev/x 2>&1; true"), "cat: /dev/x: Operation not permitted");
}

#[test]
fn the_process_is_as_asked_for() {
    let docker = Docker::get();
    let options = [
        "--ulimit",
        "nofile=123:456",
        "--sysctl",
        "net.ipv4.ip_unprivileged_port_start=77",
        "--oom-score-adj",
        "300",
        "--hostname",
        "box",
        "--domainname",
        "example.org",
        "-u",
        "1000:2000",
        "--group-add",
        "3000",
        "-w",
        "/not/there",
        "-e",
        "A=1 2",
    ];
    let script = "ulimit -Sn; ulimit -Hn; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj /proc/sys/kernel/hostname
        cat /proc/sys/kernel/domainname; id -u; id -G; pwd; echo $A";
    let expected = "123\n456\n77\n300\nbox\nexample.org\n1000\n2000 3000\n/not/there\n1 2";
    assert_eq!(docker.sh(&options, script), expected);
    assert_eq!(docker.sh(&["--init"], "cat /proc/1/comm; echo $$ > /dev/null; cat /proc/$$/comm"), "docker-init\nsh");
}

#[test]
fn a_container_can_share_anothers_namespaces() {
    let docker = Docker::get();
    let id = docker.sleeper("host", &["--hostname", "first", "--ipc", "shareable"]);
    let script = "cat /proc/1/comm; hostname; readlink /proc/self/ns/net /proc/1/ns/net | uniq | wc -l";
    let options = ["--pid", "container:host", "--network", "container:host", "--ipc", "container:host"];
    assert_eq!(docker.sh(&options, script), "sleep\nfirst\n1");
    assert_eq!(docker.sh(&["--pid", "host"], "cat /proc/1/comm"), "sh");
    docker.remove(&id);
}

#[test]
fn containers_are_in_dockers_network_which_a_hook_gives_them() {
    let docker = Docker::get();
    let id = docker.sleeper("networked", &["-p", "127.0.0.1:4321:80"]);
    let address = docker.run(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "networked"]).ok().text().to_owned();
    assert!(address.starts_with("172."), "{address}");
    let seen = docker.run(["exec", "networked", "sh", "-c", "cat /proc/net/dev; cat /proc/net/fib_trie"]).ok();
    assert!(seen.stdout.contains("eth0:") && seen.stdout.contains(&address), "{seen}");
    docker.cell.sh("ss -Hltn 'sport = 4321'").ok().shows("127.0.0.1:4321");
    docker.remove(&id);
    assert_eq!(docker.sh(&["--network", "none"], "grep -c : /proc/net/dev"), "1");
    assert!(docker.sh(&["--network", "host"], "cat /proc/net/dev").contains("docker0:"));
}

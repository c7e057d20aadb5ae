//! What is mounted into a container.

use ctr_tests::Sandbox;
use serde_json::{Value, json};
use std::fs;

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] =
    &["mount", "read-only", "shm-size", "storage-opt", "tmpfs", "volume", "volume-driver", "volumes-from"];

#[test]
fn folders_of_the_host_volumes_and_memory_are_mounted() {
    let sandbox = Sandbox::with_base();
    let dir = |name: &str| sandbox.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(dir("host/inner")).unwrap();
    fs::write(dir("host/file"), "of the host\n").unwrap();
    let (bind, deep, missing) =
        (format!("{}:/b:ro", dir("host")), format!("{}:/b/inner", dir("deep")), format!("{}:/new", dir("no/such")));
    let of_mount = format!("type=bind,source={},target=/m,readonly", dir("host"));
    let file = format!("{}:/etc/one-file", dir("host/file"));
    // Given with the deeper one first: it is mounted last all the same.
    let line = [
        "create",
        "--name",
        "box",
        "-v",
        &deep,
        "-v",
        &bind,
        "-v",
        &missing,
        "-v",
        &file,
        "--mount",
        &of_mount,
        "-v",
        "named:/v",
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
        "--tmpfs",
        "/u:size=2m,exec",
        "--shm-size",
        "3m",
        "--read-only",
        "base",
        "sh",
        "-c",
        "cat /b/file /etc/one-file; for f in /b/x /m/x /x /etc/hosts /etc/hostname /etc/resolv.conf; do touch $f 2>/dev/null && echo wrong $f; done; echo deep > /b/inner/deep; echo v > /v/v; touch /new/made; \
         for m in /t /u /dev/shm; do grep \" $m tmpfs\" /proc/mounts | grep -o 'noexec\\|size=[0-9]*k' | xargs echo $m; done; \
         stat -c %a /t; touch /t/x /u/x && echo written",
    ];
    sandbox.ctr(line).ok();
    assert!(!sandbox.path().join("no").exists(), "a start makes it");
    let output = sandbox.ctr(["start", "-a", "box"]).ok();
    output.prints(
        "of the host\nof the host\n/t noexec size=1024k\n/u size=2048k\n/dev/shm noexec size=3072k\n700\nwritten",
    );
    assert_eq!(fs::read_to_string(dir("deep/deep")).unwrap(), "deep\n");
    assert!(fs::metadata(dir("no/such/made")).is_ok());
    assert_eq!(fs::read_dir(dir("host")).unwrap().count(), 2, "nothing was written through what is read-only");
    let shown: Value = serde_json::from_str(&sandbox.ctr(["inspect", "box"]).ok().stdout).unwrap();
    let mounts = shown[0]["Mounts"].as_array().unwrap();
    let at = |place: &str| mounts.iter().find(|mount| mount["Destination"] == place).unwrap().clone();
    let expected = json!({"Type": "bind", "Source": dir("host"), "Destination": "/b", "Mode": "ro", "RW": false, "Propagation": "rprivate"});
    assert_eq!(at("/b"), expected);
    let source = sandbox.root().join("volumes/named/_data");
    let expected = json!({"Type": "volume", "Name": "named", "Source": source, "Destination": "/v", "Driver": "local", "Mode": "z", "RW": true, "Propagation": ""});
    assert_eq!(at("/v"), expected);
    assert_eq!((&at("/t")["Type"], shown[0]["HostConfig"]["ShmSize"].as_i64()), (&json!("tmpfs"), Some(3 << 20)));

    // Another container has the same, read-only if it says so.
    let script = "cat /v/v; touch /v/x /b/inner/x 2>/dev/null; ls /b/inner";
    sandbox.ctr(["run", "--rm", "--volumes-from", "box:ro", "base", "sh", "-c", script]).ok().prints("v\ndeep");
    sandbox.ctr(["run", "--rm", "--volumes-from", "box", "base", "sh", "-c", script]).ok().prints("v\ndeep\nx");
}

#[test]
fn what_cannot_be_mounted_is_refused_in_dockers_words() {
    let sandbox = Sandbox::with_base();
    for (bad, why) in [
        (&["-v", "xx:/y:foo"][..], "invalid mode: foo"),
        (&["-v", "./rel:/y"], "create ./rel: \"./rel\" includes invalid characters for a local volume name"),
        (&["-v", "xx:/"], "invalid specification: destination can't be '/'"),
        (&["-v", "xx:/y", "-v", "/tmp:/y"], "Duplicate mount point: /y"),
        (&["-v", "/tmp:/y", "--tmpfs", "/y"], "Duplicate mount point: /y"),
        (&["-v", "xx:/y", "--volume-driver", "foo"], "error looking up volume plugin foo: plugin \"foo\" not found"),
        (
            &["--mount", "type=bind,src=/no/such,dst=/y"],
            "invalid mount config for type \"bind\": bind source path does not exist: /no/such",
        ),
        (&["--mount", "type=bind"], "invalid argument \"type=bind\" for \"--mount\" flag: target is required"),
        (&["--tmpfs", "/x:foo"], "invalid tmpfs option [\"foo\"]"),
        (&["--volumes-from", "nope"], "No such container: nope"),
        (&["--shm-size", "-1"], "invalid argument \"-1\" for \"--shm-size\" flag: invalid size: '-1'"),
        (
            &["--storage-opt", "size=1G"],
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
    ] {
        sandbox.ctr([&["run", "--rm"], bad, &["base", "true"]].concat()).exits(125).says(why);
    }
    assert_eq!(sandbox.ctr(["volume", "ls", "-q"]).ok().text(), "");
}

#[test]
fn mounts_pass_between_host_and_container_where_that_is_asked_for() {
    let sandbox = Sandbox::with_base();
    let dir = sandbox.path().join("shared");
    fs::create_dir(&dir).unwrap();
    let dir = dir.to_str().unwrap();
    let private = format!("{dir}:/s:rshared");
    sandbox.sh(&format!("mount --bind {dir} {dir} && mount --make-private {dir}")).ok();
    sandbox.ctr(["run", "--rm", "-v", &private, "base", "true"]).exits(125).says("but it is not a shared mount");
    sandbox.sh(&format!("mount --make-shared {dir} && mkdir {dir}/sub")).ok();
    for (how, passes) in [("rshared", true), ("rslave", true), ("rprivate", false)] {
        let volume = format!("{dir}:/s:{how}");
        sandbox.ctr(["run", "-d", "--name", how, "-v", &volume, "base", "sleep", "600"]).ok();
        // From the host into the container.
        sandbox.sh(&format!("mount -t tmpfs x {dir}/sub")).ok();
        let seen = sandbox.ctr(["exec", how, "grep", "-c", " /s/sub tmpfs", "/proc/mounts"]).code == 0;
        assert_eq!(seen, passes, "{how}");
        sandbox.sh(&format!("umount {dir}/sub")).ok();
        sandbox.ctr(["rm", "-f", how]).ok();
    }
    sandbox.sh(&format!("umount {dir}")).ok();
}

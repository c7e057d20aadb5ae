//! Mounts that show the ids of their files changed (mount_setattr(2) `MOUNT_ATTR_IDMAP`), and binds of what only the
//! host's root can reach.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Bundle;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

/// Each id is another one, a thousand further on.
fn further_on() -> Value {
    json!([{"containerID": 0, "hostID": 1000, "size": 1000}])
}

/// A bundle with a folder `data`, a mount point below it that is not of the container's making, and files of user 33 in both.
fn with_data(script: &str, mount: Value) -> Bundle {
    let mut bundle = Bundle::new(script);
    let data = bundle.path().join("data");
    fs::create_dir_all(data.join("below")).unwrap();
    fs::write(data.join("file"), "").unwrap();
    chown(data.join("file"), Some(33), Some(44)).unwrap();
    bundle.config["mounts"].as_array_mut().unwrap().push(mount);
    bundle
}

fn in_user_namespace(bundle: &mut Bundle) {
    bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    for mappings in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][mappings] = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    }
    for folder in ["", "bin", "dev", "proc", "sys", "tmp", "etc", "root"] {
        chown(bundle.rootfs().join(folder), Some(100000), Some(100000)).unwrap();
    }
}

#[test]
fn ids_are_mapped_as_the_mount_says() {
    for options in [json!(["bind", "idmap"]), json!(["rbind", "ridmap", "ro"]), json!(["bind"])] {
        let bundle = with_data(
            "stat -c '%u:%g' /data/file /data; touch /data/new 2> /dev/null; true",
            json!({"destination": "/data", "source": "data", "options": options, "uidMappings": further_on(), "gidMappings": further_on()}),
        );
        assert_eq!(bundle.prints("ids"), "1033:1044\n1000:1000", "{options}");
        let outside = fs::metadata(bundle.path().join("data/file")).unwrap();
        assert_eq!((outside.uid(), outside.gid()), (33, 44), "on the disk nothing has changed");
        assert!(!bundle.path().join("data/new").exists(), "who is 0 in the container is nobody in this mount");
    }
}

#[test]
fn what_the_container_makes_is_mapped_on_its_way_to_the_disk() {
    let mut bundle = with_data(
        "touch /data/new; stat -c '%u:%g' /data/new /data/file",
        json!({"destination": "/data", "source": "data", "options": ["bind", "idmap"]}),
    );
    // Without a mapping of its own the mount has that of the user namespace: 0 on the disk is 0 inside.
    in_user_namespace(&mut bundle);
    assert_eq!(bundle.prints("new"), "0:0\n33:44");
    let made = fs::metadata(bundle.path().join("data/new")).unwrap();
    assert_eq!((made.uid(), made.gid()), (0, 0));
}

#[test]
fn without_idmap_a_user_namespace_shows_the_hosts_ids_as_nobody() {
    let mut bundle = with_data(
        "stat -c '%u' /data/file; (touch /data/new) 2>&1",
        json!({"destination": "/data", "source": "data", "options": ["bind"]}),
    );
    in_user_namespace(&mut bundle);
    let said = bundle.run("nobody");
    assert_eq!(said.out, "65534\ntouch: /data/new: Permission denied", "{said:?}");
}

#[test]
fn the_host_binds_what_the_containers_root_could_not_reach() {
    let mut bundle = with_data(
        "cat /data/deep/file; echo; grep ' /data/deep ' /proc/self/mountinfo",
        json!({"destination": "/data/deep", "source": "data/below/deep", "options": ["rbind", "ro", "nosuid", "rprivate"]}),
    );
    let below = bundle.path().join("data/below");
    fs::create_dir(below.join("deep")).unwrap();
    fs::write(below.join("deep/file"), "behind a closed door").unwrap();
    fs::set_permissions(&below, fs::Permissions::from_mode(0o700)).unwrap();
    in_user_namespace(&mut bundle);
    let printed = bundle.prints("reach");
    assert!(printed.starts_with("behind a closed door\n") && printed.contains(" ro,nosuid"), "{printed}");
}

#[test]
fn a_joined_user_namespace_maps_as_well() {
    let mut first = Bundle::new("sleep 1000");
    in_user_namespace(&mut first);
    first.create("first");
    let path = format!("/proc/{}/ns/user", first.pid("first"));
    let mut second = with_data(
        "stat -c '%u:%g' /data/file; id -u",
        json!({"destination": "/data", "source": "data", "options": ["bind", "idmap"]}),
    );
    in_user_namespace(&mut second);
    let linux = second.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
    *linux["namespaces"].as_array_mut().unwrap().last_mut().unwrap() = json!({"type": "user", "path": path});
    assert_eq!(second.prints("second"), "33:44\n0");
}

#[test]
fn a_filesystem_that_cannot_be_mapped_is_told() {
    let bundle = with_data(
        "true",
        json!({"destination": "/data", "source": "/proc", "options": ["bind"], "uidMappings": further_on(), "gidMappings": further_on()}),
    );
    let said = bundle.run("no");
    assert!(said.code == 1, "{said:?}");
    assert!(
        said.err.contains("bind /proc for /data: map its ids (does its filesystem support idmapped mounts?)"),
        "{said:?}"
    );
    assert_eq!(bundle.call(&["list", "-q"]).out, "");
}

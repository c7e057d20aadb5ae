//! The mounts of a container, as its program finds them: every kind of mount and option, devices, the root itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Bundle;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn with_mounts(script: &str, mounts: &[Value]) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.config["mounts"].as_array_mut().unwrap().extend_from_slice(mounts);
    fs::create_dir(bundle.path().join("data")).unwrap();
    fs::write(bundle.path().join("data/file"), "the host's").unwrap();
    bundle
}

/// The mount flags and the filesystem's, of a mount point in a table: `ro,nosuid` and `rw,size=1m`; and its optional fields.
fn fields<'a>(table: &'a str, point: &str) -> (Vec<&'a str>, &'a str, Vec<&'a str>) {
    let line = table.lines().rfind(|line| line.split(' ').nth(4) == Some(point));
    let line = line.unwrap_or_else(|| panic!("nothing is mounted at {point}: {table}"));
    let (mount, filesystem) = line.split_once(" - ").unwrap();
    let mut mount = mount.split(' ').skip(5);
    let flags = mount.next().unwrap().split(',').collect();
    (flags, mount.next().unwrap_or_default(), filesystem.split(' ').nth(2).unwrap().split(',').collect())
}

#[test]
fn flags_are_of_the_mount_or_of_the_filesystem() {
    let options =
        ["ro", "nosuid", "nodev", "noexec", "nodiratime", "strictatime", "nosymfollow", "sync", "lazytime", "size=1m"];
    let bundle = with_mounts(
        "cat /proc/self/mountinfo; (touch /t/x) 2>&1; true",
        &[
            json!({"destination": "/t", "type": "tmpfs", "source": "named", "options": options}),
            json!({"destination": "/back", "type": "tmpfs", "options": ["ro", "noatime", "nosuid", "rw", "relatime", "suid"]}),
            json!({"destination": "/nothing", "type": "tmpfs", "options": ["defaults", "silent", "acl", "iversion"]}),
        ],
    );
    let printed = bundle.prints("flags");
    let (flags, _, filesystem) = fields(&printed, "/t");
    assert_eq!(flags, ["ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow"]);
    for option in ["rw", "sync", "lazytime", "size=1024k"] {
        assert!(filesystem.contains(&option), "{option}: {printed}");
    }
    assert!(printed.ends_with("touch: /t/x: Read-only file system"), "{printed}");
    assert_eq!(fields(&printed, "/back").0, ["rw", "relatime"]);
    assert_eq!(fields(&printed, "/nothing").0, ["rw", "relatime"]);
}

#[test]
fn recursive_flags_reach_the_mounts_below_and_plain_ones_do_not() {
    let mounts = |option: &str| {
        [
            json!({"destination": "/tree", "type": "tmpfs"}),
            json!({"destination": "/tree/below", "type": "tmpfs", "options": ["noatime"]}),
            json!({"destination": "/tree", "options": ["remount", "bind", option]}),
        ]
    };
    let table = with_mounts("cat /proc/self/mountinfo", &mounts("ro")).prints("plain");
    assert_eq!((fields(&table, "/tree").0[0], fields(&table, "/tree/below").0[0]), ("ro", "rw"));
    let table = with_mounts("cat /proc/self/mountinfo", &mounts("rro")).prints("recursive");
    assert_eq!((fields(&table, "/tree").0[0], fields(&table, "/tree/below").0), ("ro", vec!["ro", "noatime"]));
    let table = with_mounts("cat /proc/self/mountinfo", &mounts("rrelatime")).prints("times");
    assert_eq!(fields(&table, "/tree/below").0, ["rw", "relatime"]);
}

#[test]
fn remount_changes_the_filesystem_and_with_bind_only_the_mount() {
    let mounts = |options: &[&str]| {
        [
            json!({"destination": "/t", "type": "tmpfs", "options": ["nosuid", "size=1m"]}),
            json!({"destination": "/t", "type": "tmpfs", "options": options}),
        ]
    };
    let table = with_mounts("cat /proc/self/mountinfo", &mounts(&["remount", "ro", "size=2m", "sync"])).prints("re");
    let (flags, _, filesystem) = fields(&table, "/t");
    assert_eq!((flags, &filesystem[..1]), (vec!["ro", "nosuid", "relatime"], &["rw"][..]));
    assert!(filesystem.contains(&"size=2048k") && filesystem.contains(&"sync"), "{table}");

    let table = with_mounts("cat /proc/self/mountinfo", &mounts(&["remount", "bind", "ro"])).prints("re");
    assert_eq!((fields(&table, "/t").0[0], fields(&table, "/t").2[0]), ("ro", "rw"));

    let said = with_mounts("true", &[json!({"destination": "/tmp", "options": ["remount", "ro"]})]).run("re");
    assert!(said.code == 1 && said.err.ends_with("nothing is mounted there"), "{said:?}");
}

#[test]
fn a_tmpfs_has_the_mode_of_the_folder_that_it_covers() {
    let tmpfs =
        |destination: &str, options: &[&str]| json!({"destination": destination, "type": "tmpfs", "options": options});
    let bundle = with_mounts(
        "stat -c '%n %a' /tmp /locked /new /said",
        &[tmpfs("/tmp", &[]), tmpfs("/locked", &["ro"]), tmpfs("/new", &[]), tmpfs("/said", &["mode=711"])],
    );
    fs::set_permissions(bundle.rootfs().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(bundle.rootfs().join("locked")).unwrap();
    fs::set_permissions(bundle.rootfs().join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(bundle.prints("mode"), "/tmp 1777\n/locked 700\n/new 1777\n/said 711");
}

#[test]
fn a_tmpfs_can_start_with_what_it_covers() {
    let bundle = with_mounts(
        "cat /data/deep/file; readlink /data/link; stat -c '%a %u %Y' /data/deep/file; (touch /data/new) 2>&1; echo changed > /data2/x; cat /data2/x",
        &[
            json!({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup", "ro"]}),
            json!({"destination": "/data2", "type": "tmpfs", "options": ["tmpcopyup"]}),
        ],
    );
    let data = bundle.rootfs().join("data");
    fs::create_dir_all(data.join("deep")).unwrap();
    fs::write(data.join("deep/file"), "text\n").unwrap();
    fs::set_permissions(data.join("deep/file"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(data.join("deep/file"), Some(33), None).unwrap();
    fs::File::options()
        .write(true)
        .open(data.join("deep/file"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(7))
        .unwrap();
    symlink("/etc/passwd", data.join("link")).unwrap();
    fs::create_dir(bundle.rootfs().join("data2")).unwrap();
    fs::write(bundle.rootfs().join("data2/x"), "image").unwrap();
    let printed = bundle.prints("copy");
    assert_eq!(printed, "text\n/etc/passwd\n640 33 7\ntouch: /data/new: Read-only file system\nchanged");
    assert_eq!(fs::read_to_string(bundle.rootfs().join("data2/x")).unwrap(), "image");
}

#[test]
fn the_kernels_filesystems_are_mounted_with_their_options() {
    let mut bundle = with_mounts(
        "cat /proc/self/mountinfo; ls /proc | grep -c uptime; ls /dev/mqueue; stat -c %a /dev/pts/ptmx",
        &[
            json!({"destination": "/proc", "type": "proc", "source": "proc", "options": ["hidepid=2", "subset=pid", "nosuid"]}),
        ],
    );
    bundle.config["mounts"].as_array_mut().unwrap().remove(0);
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.config["linux"]["readonlyPaths"] = json!([]);
    let said = bundle.run("kernel");
    let (_, _, proc) = fields(&said.out, "/proc");
    assert!(proc.contains(&"subset=pid") && proc.iter().any(|option| option.starts_with("hidepid=")), "{said:?}");
    assert!(said.out.ends_with("\n0\n666"), "{said:?}");
    assert_eq!(fields(&said.out, "/sys").2, ["ro"]);
}

#[test]
fn an_overlay_is_mounted_however_long_its_options_are() {
    for depth in [1, 60] {
        let deep: String = (0..depth).map(|n| format!("folder-{n}/")).collect();
        let mut bundle = with_mounts("cat /over/file; echo new > /over/file; cat /proc/self/mountinfo", &[]);
        let place = bundle.path().join("layers").join(deep);
        for dir in ["lower", "upper", "work"] {
            fs::create_dir_all(place.join(dir)).unwrap();
        }
        // Where the test's own files are on an overlay, one cannot be made in it.
        fs::write(place.join("lower/file"), "of the lower layer\n").unwrap();
        let dir = |name: &str| format!("{name}dir={}", place.join(name.trim_end_matches("dir")).display());
        let options = [dir("lower"), dir("upper"), dir("work"), "nosuid".to_owned()];
        bundle.config["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/over", "type": "overlay", "source": "overlay", "options": options}));
        let printed = bundle.prints("overlay");
        assert!(printed.starts_with("of the lower layer\n"), "{printed}");
        assert!(fields(&printed, "/over").0.contains(&"nosuid"), "{printed}");
        assert_eq!(fs::read_to_string(place.join("upper/file")).unwrap(), "new\n");
        // overlayfs makes it so that nobody may enter.
        fs::set_permissions(place.join("work/work"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_bind_brings_one_mount_or_the_tree_and_its_place_is_made() {
    let bundle = with_mounts(
        "cat /made/folder/file /made/file; cat /proc/self/mountinfo",
        &[
            json!({"destination": "/tree", "type": "tmpfs"}),
            json!({"destination": "/tree/below", "type": "tmpfs"}),
            json!({"destination": "/made/folder", "type": "bind", "source": "data", "options": ["rbind", "rslave", "noatime"]}),
            json!({"destination": "/made/file", "source": "data/file", "options": ["bind", "shared", "ro"]}),
        ],
    );
    let printed = bundle.prints("bind");
    assert!(printed.starts_with("the host'sthe host's"), "{printed}");
    assert!(fields(&printed, "/made/folder").0.contains(&"noatime"));
    let (flags, propagation, _) = fields(&printed, "/made/file");
    assert!(flags[0] == "ro" && propagation.starts_with("shared:"), "{printed}");
    assert!(bundle.rootfs().join("made/file").is_file() && bundle.rootfs().join("made/folder").is_dir());
    let missing = json!({"destination": "/x", "source": "none-such", "options": ["bind"]});
    let said = with_mounts("true", &[missing]).run("bind");
    assert!(said.code == 1 && said.err.contains("none-such: No such file"), "{said:?}");
    // A file does not go onto a folder.
    let said =
        with_mounts("true", &[json!({"destination": "/tmp", "source": "data/file", "options": ["bind"]})]).run("bind");
    assert!(
        said.code == 1 && said.err.contains("bind of data/file at /tmp: its source is a file and its target a folder"),
        "{said:?}"
    );
}

#[test]
fn the_roots_propagation_is_as_configured() {
    let mut bundle = with_mounts("cat /proc/self/mountinfo", &[]);
    for (wanted, root, below) in [
        ("shared", "shared:", ""),
        ("rshared", "shared:", "shared:"),
        ("slave", "", ""),
        ("rslave", "", ""),
        ("private", "", ""),
        ("rprivate", "", ""),
        ("unbindable", "unbindable", ""),
        ("runbindable", "unbindable", "unbindable"),
    ] {
        bundle.config["linux"]["rootfsPropagation"] = json!(wanted);
        let table = bundle.prints("propagation");
        for (point, expected) in [("/", root), ("/dev/shm", below)] {
            let found = fields(&table, point).1.trim_end_matches(|c: char| c.is_ascii_digit());
            // Where the host's mounts are shared, as systemd leaves them, a slave has a master to hear of them from.
            let found = if found == "-" || (wanted.ends_with("slave") && found == "master:") { "" } else { found };
            assert_eq!(found, expected, "{wanted} {point}: {table}");
        }
    }
}

#[test]
fn a_mounts_own_propagation_stands_whatever_the_roots_is() {
    let shared = json!({"destination": "/mine", "type": "tmpfs", "options": ["rshared"]});
    let mut bundle = with_mounts("cat /proc/self/mountinfo", &[shared]);
    for root in ["", "rslave", "rprivate", "runbindable"] {
        bundle.config["linux"]["rootfsPropagation"] = json!(root);
        let table = bundle.prints("propagation");
        assert!(fields(&table, "/mine").1.starts_with("shared:"), "{root}: {table}");
    }
}

#[test]
fn devices_of_every_kind_are_made_as_configured() {
    let mut bundle = Bundle::new(
        "cd /dev; stat -c '%n %F %t:%T %a %u:%g' zero my/char my/block my/pipe; head -c 2 my/char | wc -c; ls -l null",
    );
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 33, "gid": 44},
        {"path": "/dev/my/char", "type": "u", "major": 1, "minor": 5},
        {"path": "/dev/my/block", "type": "b", "major": 7, "minor": 300, "fileMode": 0o640, "gid": 6},
        {"path": "/dev/my/pipe", "type": "p", "fileMode": 0o622, "uid": 5},
    ]);
    let printed = bundle.prints("devices");
    let expected = "zero character special file 1:5 600 33:44\nmy/char character special file 1:5 666 0:0\n\
                    my/block block special file 7:12c 640 0:6\nmy/pipe fifo 0:0 622 5:0\n2\ncrw-rw-rw-";
    assert!(printed.starts_with(expected), "{printed}");
}

#[test]
fn a_read_only_dev_has_all_its_devices() {
    let mut bundle =
        Bundle::new("echo x > /dev/null && stat -c %t:%T /dev/urandom; (touch /dev/x) 2>&1; touch /dev/shm/x");
    for mount in
        bundle.config["mounts"].as_array_mut().unwrap().iter_mut().filter(|mount| mount["destination"] == "/dev")
    {
        mount["options"].as_array_mut().unwrap().push(json!("ro"));
    }
    assert_eq!(bundle.prints("dev"), "1:9\ntouch: /dev/x: Read-only file system");
}

#[test]
fn a_file_in_the_place_of_a_device_is_an_error() {
    let mut bundle = Bundle::new("true");
    bundle.config["linux"]["devices"] = json!([{"path": "/srv/fuse", "type": "c", "major": 10, "minor": 229}]);
    fs::create_dir(bundle.rootfs().join("srv")).unwrap();
    fs::write(bundle.rootfs().join("srv/fuse"), "").unwrap();
    let said = bundle.run("device");
    assert!(
        said.code == 1 && said.err.ends_with("make device /srv/fuse: the root has another file of that name"),
        "{said:?}"
    );
}

#[test]
fn what_cannot_be_mounted_is_told_with_its_place() {
    for (mount, words) in [
        (json!({"destination": "/x", "type": "nonsensefs"}), "mount nonsensefs at /x: fsopen nonsensefs"),
        (json!({"destination": "/x", "type": "tmpfs", "options": ["colour=red"]}), "mount tmpfs at /x: set colour=red"),
        (
            json!({"destination": "/x", "source": "data", "options": ["bind", "size=1m"]}),
            "a bind has no option size=1m",
        ),
        (json!({"destination": "/proc", "source": "data", "options": ["bind"]}), "only procfs may be mounted at /proc"),
        (json!({"destination": "/proc", "type": "tmpfs"}), "only procfs may be mounted at /proc"),
    ] {
        let bundle = with_mounts("true", &[mount]);
        let said = bundle.run("bad");
        assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
    }
}

#[test]
fn masked_and_read_only_paths_that_are_not_there_are_none() {
    let mut bundle = Bundle::new(
        "cat /secret/file /etc/passwd | wc -c; ls /secret; (touch /open/x) 2>&1; (touch /secret/x) 2>&1; touch /tmp/x",
    );
    for dir in ["secret", "open"] {
        fs::create_dir(bundle.rootfs().join(dir)).unwrap();
        fs::write(bundle.rootfs().join(dir).join("file"), "x").unwrap();
    }
    bundle.config["linux"]["maskedPaths"] = json!(["/none/such", "/secret", "/etc/passwd", "/etc/passwd/below"]);
    bundle.config["linux"]["readonlyPaths"] = json!(["/none/such", "/open"]);
    let said = bundle.run("mask");
    assert_eq!(
        said.out, "0\ntouch: /open/x: Read-only file system\ntouch: /secret/x: Read-only file system",
        "{said:?}"
    );
    assert!(Path::new(&bundle.rootfs().join("tmp/x")).exists());
}

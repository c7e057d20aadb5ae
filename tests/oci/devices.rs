//! Devices: those that every container has, and those that are asked for (config-linux.md "Devices").

use crate::bundle::Runtime::Runc;
use crate::case::{Case, case, check};
use serde_json::{Value, json};
use std::process::Command;

/// A case with one more device.
fn with(name: &'static str, device: Value) -> Case {
    case(name).config(move |config| config["linux"]["devices"] = json!([device]))
}

/// Prints what a file is: kind, numbers, mode, owners.
macro_rules! what_is {
    ($path:literal) => {
        concat!("stat -c '%F %t:%T %a %u:%g' ", $path)
    };
}

#[test]
fn every_container_has_the_usual_devices() {
    check(vec![
        case("the six").prints(
            "cd /dev; stat -c '%n %F %t:%T %a %u:%g' full null random tty urandom zero",
            "full character special file 1:7 666 0:0\nnull character special file 1:3 666 0:0\n\
             random character special file 1:8 666 0:0\ntty character special file 5:0 666 0:0\n\
             urandom character special file 1:9 666 0:0\nzero character special file 1:5 666 0:0",
        ),
        case("links").prints(
            "cd /dev; for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done",
            "fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx",
        ),
        case("nothing else").prints(
            "ls /dev | grep -v core | tr '\\n' ' '",
            "fd full null ptmx pts random stderr stdin stdout tty urandom zero",
        ),
        case("they work").prints(
            "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 9 /dev/urandom | wc -c; echo x > /dev/full || echo no",
            "3\n9\nno",
        ),
        case("a /dev of its own keeps what it has")
            .config(|c| {
                c["mounts"][1] = json!({"destination": "/dev", "type": "bind", "source": "dev", "options": ["bind"]});
                drop(c["mounts"].as_array_mut().unwrap().pop());
            })
            .bundle(|b| {
                b.file("dev/own", "");
                // runc looks for it, whatever it is.
                assert!(Command::new("cp").args(["-a", "/dev/null", "dev/"]).current_dir(b.path()).status().unwrap().success());
            })
            .prints("ls /dev | tr '\\n' ' '", "null own"),
    ]);
}

#[test]
fn devices_are_made_as_asked() {
    let mode = 0o640;
    check(vec![
        with(
            "a character device",
            json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": mode, "uid": 33, "gid": 44}),
        )
        .prints(what_is!("/dev/x"), "character special file 1:3 640 33:44"),
        with("an unbuffered one", json!({"path": "/dev/x", "type": "u", "major": 1, "minor": 5, "fileMode": mode}))
            .prints(what_is!("/dev/x"), "character special file 1:5 640 0:0"),
        with("a block device", json!({"path": "/dev/x", "type": "b", "major": 7, "minor": 1, "fileMode": mode}))
            .prints(what_is!("/dev/x"), "block special file 7:1 640 0:0"),
        with("a pipe", json!({"path": "/dev/x", "type": "p", "fileMode": mode}))
            .prints(what_is!("/dev/x"), "fifo 0:0 640 0:0"),
        with(
            "in a folder that is missing",
            json!({"path": "/srv/deep/x", "type": "c", "major": 1, "minor": 3, "fileMode": mode}),
        )
        .prints(concat!(what_is!("/srv/deep/x"), "; stat -c %a /srv/deep"), "character special file 1:3 640 0:0\n755"),
        with(
            "one of the usual, with another mode",
            json!({"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": mode}),
        )
        .config(|c| c["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]}))
        .prints(what_is!("/dev/null"), "character special file 1:3 640 0:0"),
        with("without a mode", json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 3}))
            .prints(what_is!("/dev/x"), "character special file 1:3 666 0:0"),
        with("a kind that there is not", json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 3})).refused(),
        with("without numbers", json!({"path": "/dev/x", "type": "c", "fileMode": mode}))
            .prints(what_is!("/dev/x"), "character special file 0:0 640 0:0"),
        with(
            "a path that is relative",
            json!({"path": "dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": mode}),
        )
        .refused()
        .but(Runc, "", "it makes it from its root, as if it were absolute"),
        with("where a file is", json!({"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3, "fileMode": mode}))
            .refused()
            .but(Runc, "", "it leaves the file and says nothing; the specification: MUST generate an error"),
        with(
            "through a link out of the root",
            json!({"path": "/link/x", "type": "c", "major": 1, "minor": 3, "fileMode": mode}),
        )
        .bundle(|b| {
            b.mkdir("mnt");
            std::os::unix::fs::symlink("../../../../mnt", b.in_rootfs("link")).unwrap();
        })
        .prints(what_is!("/mnt/x"), "character special file 1:3 640 0:0"),
    ]);
}

#[test]
fn only_devices_that_are_allowed_can_be_used() {
    /// A group of its own, in which nothing is allowed but what `rules` say.
    fn devices(rules: Value) -> impl Fn(&mut crate::bundle::Bundle) {
        move |bundle| {
            bundle.config["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
            bundle.config["linux"]["resources"] = json!({"devices": rules});
        }
    }
    const TRY: &str = "mknod /tmp/kmsg c 1 11 || echo none made; head -c 1 /dev/zero | wc -c; head -c 1 /tmp/kmsg > /dev/null 2>&1 || echo no; \
        echo x > /dev/null && echo yes";
    check(vec![
        case("the usual ones, and no other").bundle(devices(json!([{"allow": false, "access": "rwm"}]))).prints(TRY, "1\nno\nyes"),
        case("one more").bundle(devices(json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rm"}])))
            .config(|c| {
                for set in ["bounding", "effective", "permitted"] {
                    c["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYSLOG"));
                }
            })
            .prints("mknod /tmp/kmsg c 1 11; exec 3< /tmp/kmsg && echo read; (exec 3> /tmp/kmsg) 2> /dev/null || echo not written", "read\nnot written"),
    ]);
}

//! The root filesystem and what is mounted into it (config.md "Root", "Mounts"; config-linux.md "Rootfs Mount
//! Propagation", "Masked Paths", "Readonly Paths").

use crate::bundle::{Bundle, Runtime};
use crate::case::{Case, case, check, seen};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

/// Adds a mount.
fn mount(config: &mut Value, destination: &str, kind: &str, source: &str, options: &[&str]) {
    config["mounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"destination": destination, "type": kind, "source": source, "options": options}));
}

/// A case with one more mount, at `/mnt`.
fn with(name: &'static str, kind: &'static str, source: &'static str, options: &'static [&'static str]) -> Case {
    case(name).config(move |config| mount(config, "/mnt", kind, source, options))
}

/// A case with the bundle's folder `data`, which has a `file` in it, bound to `/mnt`.
fn bound(name: &'static str, options: &'static [&'static str]) -> Case {
    case(name).bundle(move |bundle| {
        bundle.file("data/file", "text");
        mount(&mut bundle.config, "/mnt", "bind", "data", options);
    })
}

/// Prints the flags of the mount at `/mnt`.
const FLAGS: &str = "awk '$5 == \"/mnt\" {print $6}' /proc/self/mountinfo";

/// Prints its flags, its filesystem, its source, and the filesystem's options.
const ENTRY: &str =
    "awk '$5 == \"/mnt\" {print $6, $8, $9, $10}' /proc/self/mountinfo | sed 's/,inode64//; s/,mode=755$//'";

/// Prints how mounts at `/mnt` spread (`master`, `shared`, `unbindable`), without the numbers.
const SPREAD: &str = "grep ' /mnt ' /proc/self/mountinfo | grep -oE '(shared|master|unbindable|propagate_from)' | sort -u | tr '\\n' ' '";

#[test]
fn the_root_is_the_bundles() {
    let readonly = |name| case(name).config(|c| c["root"]["readonly"] = json!(true));
    check(vec![
        case("nothing above it").prints(
            "ls -d /etc/passwd; ls / | tr '\\n' ' '; cd ..; pwd; test . -ef / && echo same",
            "/etc/passwd\nbin dev etc mnt proc root sys tmp /\nsame",
        ),
        case("nothing of the host is mounted")
            .prints("awk '{print $5}' /proc/self/mountinfo", "/\n/proc\n/dev\n/dev/pts"),
        case("it can be written to").prints("echo x > /new; cat /new", "x"),
        readonly("it cannot be written to").prints("touch /new; touch /dev/new; echo $?", "0"),
        readonly("nor made writable again").prints("mount -o remount,rw / 2> /dev/null || echo no", "no"),
        case("an absolute path")
            .bundle(|b| b.config["root"]["path"] = json!(b.path().join("rootfs")))
            .prints("echo x", "x"),
        case("a link")
            .bundle(|b| {
                symlink("rootfs", b.path().join("link")).unwrap();
                b.config["root"]["path"] = json!("link");
            })
            .refused()
            .but(Runtime::Ours, "", "whoever makes the bundle may say where its root is by a link"),
        case("a folder that is missing").config(|c| c["root"]["path"] = json!("nowhere")).refused(),
        case("a file").config(|c| c["root"]["path"] = json!("config.json")).refused(),
        case("no root").config(|c| drop(c.as_object_mut().unwrap().remove("root"))).refused(),
        case("the whole machine").config(|c| c["root"]["path"] = json!("/")).refused(),
    ]);
}

#[test]
fn mounts_spread_as_the_root_says() {
    const SPREAD_OF_ROOT: &str = "grep ' / / ' /proc/self/mountinfo | grep -oE '(shared|master|unbindable)'; \
        grep -E ' /[^ ]* / ' /proc/self/mountinfo | grep -oE '(shared|master|unbindable)' | sort -u";
    let root = |name, kind: &'static str, expected: &str| {
        case(name).config(move |c| c["linux"]["rootfsPropagation"] = json!(kind)).prints(SPREAD_OF_ROOT, expected)
    };
    check(vec![
        root("private", "private", ""),
        root("the root is shared", "shared", "shared").but(
            Runtime::Runc,
            "",
            "it shares the mount that the root comes from, and the root is a new one",
        ),
        root("unbindable", "unbindable", "unbindable").since_runc(1, 2),
        root("what there is not", "sideways", "[exit 1]"),
    ]);
}

#[test]
fn filesystems_are_mounted_with_their_options() {
    const ALL: &[&str] = &["size=64k", "mode=1711", "uid=7", "nosuid", "nodev", "noexec"];
    const FOLDER: &str = "stat -c '%a %u %F' /mnt";
    let tmpfs = |name, options| with(name, "tmpfs", "tmpfs", options);
    check(vec![
        tmpfs("tmpfs", ALL).prints(ENTRY, "rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=64k,mode=1711,uid=7"),
        tmpfs("the folder of a tmpfs", ALL).prints(FOLDER, "1711 7 directory").since_runc(1, 2),
        tmpfs("the folder of a tmpfs without a mode", &["size=64k"]).prints(FOLDER, "755 0 directory"),
        with("a name for a source", "tmpfs", "name", &[]).prints(ENTRY, "rw,relatime tmpfs name rw"),
        tmpfs("read-only", &["ro"]).prints(FLAGS, "ro,relatime"),
        tmpfs("access times", &["noatime", "nodiratime"]).prints(FLAGS, "rw,noatime,nodiratime"),
        tmpfs("access times, strictly", &["strictatime"]).prints(FLAGS, "rw"),
        tmpfs("the last of two counts", &["ro", "noexec", "rw", "exec", "suid", "dev"]).prints(FLAGS, "rw,relatime"),
        tmpfs("synchronous", &["sync", "dirsync"]).prints(ENTRY, "rw,relatime tmpfs tmpfs rw,sync,dirsync"),
        tmpfs("links that are not followed", &["nosymfollow"]).prints(FLAGS, "rw,relatime,nosymfollow"),
        tmpfs("defaults", &["defaults"]).prints(FLAGS, "rw,relatime").since_runc(1, 2),
        with("sysfs", "sysfs", "sysfs", &["ro", "nosuid", "noexec", "nodev"])
            .prints(ENTRY, "ro,nosuid,nodev,noexec,relatime sysfs sysfs ro"),
        with("mqueue", "mqueue", "mqueue", &["nosuid"]).prints(ENTRY, "rw,nosuid,relatime mqueue mqueue rw"),
        with("a second proc", "proc", "proc", &[]).prints("set -- /mnt/[0-9]*; echo $*", "/mnt/1"),
        with("a filesystem that there is not", "nofs", "nofs", &[]).refused(),
        tmpfs("an option that there is not", &["sideways"]).refused(),
        tmpfs("an option of a wrong value", &["size=much"]).refused(),
        tmpfs("what was in the folder is copied", &["tmpcopyup"])
            .bundle(|b| {
                b.file("rootfs/mnt/sub/file", "text");
                symlink("sub/file", b.in_rootfs("mnt/link")).unwrap();
                b.script("cat /mnt/sub/file /mnt/link; echo new > /mnt/sub/file; stat -f -c %T /mnt");
            })
            .sees("texttexttmpfs on disk text", |b| {
                format!("{} on disk {}", seen(&b.run()), b.text("rootfs/mnt/sub/file"))
            }),
        case("in the order that they are listed")
            .config(|c| {
                mount(c, "/mnt", "tmpfs", "one", &[]);
                mount(c, "/mnt/in", "tmpfs", "two", &[]);
                mount(c, "/mnt", "tmpfs", "three", &[]);
            })
            .prints("ls /mnt; awk '$5 ~ \"/mnt\" {print $9}' /proc/self/mountinfo", "one\ntwo\nthree"),
    ]);
}

#[test]
fn files_and_folders_are_bound() {
    check(vec![
        bound("a folder of the bundle", &["bind"]).prints("cat /mnt/file; echo; echo new > /mnt/new", "text").sees(
            "text, written new",
            |b| {
                b.run();
                format!("{}, written {}", b.text("data/file"), b.text("data/new"))
            },
        ),
        bound("read-only", &["bind", "ro"])
            .prints("cat /mnt/file; touch /mnt/new 2> /dev/null || echo ' no'", "text no"),
        bound("with flags", &["bind", "nosuid", "nodev", "noexec", "ro"])
            .prints(FLAGS, "ro,nosuid,nodev,noexec,relatime"),
        bound("a type that says nothing", &["rbind", "ro"])
            .config(|c| c["mounts"][3]["type"] = json!("none"))
            .prints("cat /mnt/file", "text"),
        bound("without a type", &["rbind"])
            .config(|c| drop(c["mounts"][3].as_object_mut().unwrap().remove("type")))
            .prints("cat /mnt/file", "text"),
        case("one file")
            .bundle(|b| {
                b.file("file", "text");
                mount(&mut b.config, "/etc/deep/inside", "bind", "file", &["bind", "ro"]);
            })
            .prints("cat /etc/deep/inside; stat -c %F /etc/deep/inside", "textregular file"),
        case("a folder to where there is none")
            .bundle(|b| {
                b.file("data/file", "text");
                mount(&mut b.config, "/not/there/yet", "bind", "data", &["bind"]);
            })
            .prints("cat /not/there/yet/file; stat -c ' %a %u' /not/there", "text 755 0"),
        case("what is mounted below")
            .bundle(|b| {
                b.file("data/file", "text");
                mount(&mut b.config, "/mnt", "tmpfs", "tmpfs", &[]);
                mount(&mut b.config, "/mnt/in", "tmpfs", "tmpfs", &[]);
                mount(&mut b.config, "/proc2", "rbind", "/proc/self", &["rbind"]);
            })
            .prints("awk '$5 ~ \"^/mnt\" {print $5}' /proc/self/mountinfo", "/mnt\n/mnt/in"),
        bound("read-only with all below", &["rbind", "rro"]).prints(FLAGS, "ro,relatime"),
        bound("no devices with all below", &["rbind", "rnodev", "rnosuid", "rnoexec", "rnoatime"])
            .prints(FLAGS, "rw,nosuid,nodev,noexec,noatime"),
        bound("a source that is missing", &["bind"]).config(|c| c["mounts"][3]["source"] = json!("nowhere")).refused(),
        bound("a folder over a file", &["bind"])
            .config(|c| c["mounts"][3]["destination"] = json!("/etc/passwd"))
            .refused(),
        bound("private", &["rbind", "rprivate"]).prints(SPREAD, ""),
        bound("shared", &["rbind", "rshared"])
            .config(|c| c["linux"]["rootfsPropagation"] = json!("shared"))
            .prints(SPREAD, "shared"),
        bound("shared, then its own", &["rbind", "shared", "slave"]).prints("cat /mnt/file", "text"),
        bound("unbindable", &["rbind", "unbindable"]).prints(SPREAD, "unbindable"),
    ]);
}

/// A link in the root filesystem, and a tmpfs mounted by way of it.
fn through_link(name: &'static str, target: &'static str, destination: &'static str) -> Case {
    case(name).bundle(move |bundle| {
        symlink(target, bundle.in_rootfs("link")).unwrap();
        bundle.file("canary/file", "here");
        mount(&mut bundle.config, destination, "tmpfs", "by-link", &[]);
    })
}

const WHERE: &str = "awk '$9 == \"by-link\" {print $5}' /proc/self/mountinfo";

#[test]
fn links_do_not_lead_out_of_the_root() {
    check(vec![
        through_link("an absolute link", "/mnt", "/link").prints(WHERE, "/mnt"),
        through_link("a relative link", "mnt", "/link").prints(WHERE, "/mnt"),
        through_link("a link to above the root", "../../../../../mnt", "/link/deep").prints(WHERE, "/mnt/deep"),
        through_link("a link to nothing yet", "/new/folder", "/link").prints(WHERE, "/new/folder"),
        through_link("a link into the bundle", "../canary", "/link").prints(WHERE, "/canary"),
        through_link("dots in the path", "/mnt", "/etc/../../../link/./x").prints(WHERE, "/mnt/x"),
        through_link("a link to itself", "link", "/link").refused(),
        through_link("a link into proc", "/proc/self", "/link/x").refused(),
        through_link("a path into proc", "/mnt", "/proc/sys").refused().since_runc(1, 2),
        through_link("proc itself", "/mnt", "/proc").refused(),
        through_link("a path without its first slash", "/mnt", "mnt").prints(WHERE, "/mnt"),
    ]);
}

#[test]
fn paths_are_hidden_and_made_read_only() {
    let linux = |name, key: &'static str, paths: &'static [&'static str]| {
        case(name).config(move |c| c["linux"][key] = paths.into())
    };
    check(vec![
        linux("files and folders are empty", "maskedPaths", &["/etc/passwd", "/bin/../root", "/proc/version", "/not/there"])
            .bundle(|b| b.file("rootfs/root/secret", "x"))
            .prints("cat /etc/passwd; stat -c '%F %t:%T' /etc/passwd; ls /root; touch /root/x 2> /dev/null || echo full; stat -c '%t:%T' /proc/version",
                "character special file 1:3\nfull\n1:3"),
        linux("files and folders cannot be written to", "readonlyPaths", &["/etc", "/proc/sys", "/not/there"])
            .prints("touch /etc/x 2> /dev/null || echo no; echo x > /proc/sys/kernel/hostname 2> /dev/null || echo no; cat /etc/group | head -n 1", "no\nno\nroot:x:0:"),
        linux("a path that is relative", "maskedPaths", &["etc/passwd"])
.refused()
.but(Runtime::Runc, "", "it takes the path from its own folder, before and after: nothing is masked"),
        linux("a path to be read-only that is relative", "readonlyPaths", &["etc"])
.refused()
.but(Runtime::Runc, "", "likewise: nothing is read-only"),
    ]);
}

#[test]
fn the_tree_of_cgroups_is_mounted() {
    fn cgroup(bundle: &mut Bundle, own: bool) {
        mount(&mut bundle.config, "/mnt", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]);
        bundle.config["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
        if own {
            bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
        }
    }
    let read_only = "d=/mnt; [ -e $d/cgroup.procs ] || d=/mnt/memory; mkdir $d/x 2> /dev/null || echo no";
    let own_group = "d=/mnt; [ -e $d/cgroup.procs ] || d=/mnt/memory; head -n 1 $d/cgroup.procs; mkdir $d/x 2> /dev/null || echo no";
    check(vec![
        // On v2 it is the whole tree, as only a namespace makes a part of it the top.
        case("without a namespace").bundle(|b| cgroup(b, false)).prints(read_only, "no"),
        case("its own group alone, in a namespace").bundle(|b| cgroup(b, true)).prints(own_group, "1\nno"),
    ]);
}

//! What goes in comes out: tar → image → mount → changes → layer → tar.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, TIME, Tar, failed, list, small_root, succeeded};
use layout::Digest;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 100];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn a_tree_is_mounted_as_it_was_imported() {
    let store = Store::new();
    let capability = b"\x01\x00\x00\x02\x00\x0a\x3d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let long = format!("deep/{}", "n".repeat(200));
    let tar = Tar::new()
        .dir("./")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("mtime", b"1234567890.5")])
        .member(b"./ping", b'0', b"content", |header| header.set_mode(0o755))
        .member(b"./su", b'0', b"", |header| {
            header.set_mode(0o4755);
            header.set_uid(3_000_000_000);
            header.set_gid(7);
        })
        .hard_link("./su2", "./su")
        .member(b"./tmp", b'5', b"", |header| header.set_mode(0o1777))
        .member(b"./\xff\xfe", b'0', b"not utf-8", |_| {})
        .pax(&[("path", long.as_bytes()), ("uid", b"70000")])
        .file("short", b"long")
        .symlink("./link", "/etc/../nowhere")
        .device("./null", b'3', 1, 3)
        .device("./disk", b'4', 259, 70000)
        .member(b"./pipe", b'6', b"", |_| {})
        .end();
    let id = store.import(&tar, "demo");
    let m = store.mount("demo");

    let ping = fs::metadata(m.join("ping")).unwrap();
    assert_eq!((ping.mode() & 0o7777, ping.mtime(), ping.mtime_nsec()), (0o755, 1_234_567_890, 500_000_000));
    assert_eq!(xattr(&m.join("ping"), "security.capability").unwrap(), capability);
    assert_eq!(fs::read(m.join("ping")).unwrap(), b"content");
    let su = fs::metadata(m.join("su")).unwrap();
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.nlink()), (0o4755, 3_000_000_000, 7, 2));
    assert_eq!(su.ino(), fs::metadata(m.join("su2")).unwrap().ino());
    assert_eq!(fs::metadata(m.join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(fs::metadata(m.join("tmp")).unwrap().mtime(), TIME as i64);
    assert_eq!(fs::read(m.join(std::ffi::OsStr::from_bytes(b"\xff\xfe"))).unwrap(), b"not utf-8");
    assert_eq!(fs::metadata(m.join(&long)).unwrap().uid(), 70000);
    let link = fs::symlink_metadata(m.join("link")).unwrap();
    assert_eq!((fs::read_link(m.join("link")).unwrap(), link.mtime()), ("/etc/../nowhere".into(), TIME as i64));
    let device = |name: &str| fs::metadata(m.join(name)).unwrap();
    assert!(device("null").file_type().is_char_device() && device("null").rdev() == rustix::fs::makedev(1, 3));
    assert!(device("disk").file_type().is_block_device() && device("disk").rdev() == rustix::fs::makedev(259, 70000));
    assert!(device("pipe").file_type().is_fifo());
    assert_eq!(fs::metadata(&m).unwrap().mode() & 0o7777, 0o755);

    // The layer's name is the digest of the very bytes that came in.
    let inspected: serde_json::Value = serde_json::from_str(&store.ok(&["inspect", &id])).unwrap();
    assert_eq!(inspected[0]["RootFS"]["Layers"][0], Digest::of(&tar).as_str());
    store.check();
}

#[test]
fn a_gzip_archive_is_the_same_layer_as_a_plain_one() {
    let store = Store::new();
    let tar = small_root();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&tar).unwrap();
    let gzip = gzip.finish().unwrap();
    store.import(&gzip, "zipped");
    store.import(&tar, "plain");
    // What arrives compressed is kept as it is, and the second finds the layer there.
    let layout = store.layout();
    assert!(layout.blob(&Digest::of(&gzip)).exists());
    assert_eq!(list(&layout.layers()), [Digest::of(&tar).hex()]);
    store.check();
}

/// Changes of every kind, made through a mount of [`small_root`].
fn change(m: &Path) {
    fs::remove_file(m.join("etc/passwd")).unwrap();
    fs::remove_dir_all(m.join("usr/lib")).unwrap();
    fs::create_dir(m.join("usr/lib")).unwrap();
    fs::write(m.join("usr/lib/b"), "b").unwrap();
    fs::create_dir(m.join("new")).unwrap();
    fs::write(m.join("new/one"), "one").unwrap();
    fs::hard_link(m.join("new/one"), m.join("new/two")).unwrap();
    symlink("one", m.join("new/link")).unwrap();
    rustix::fs::setxattr(m.join("new/one"), "trusted.kept", b"x\ny", rustix::fs::XattrFlags::empty()).unwrap();
    std::os::unix::net::UnixListener::bind(m.join("new/socket")).unwrap();
    rustix::fs::chown(m.join("new/link"), None, None).unwrap();
    std::os::unix::fs::lchown(m.join("new"), Some(2_500_000), Some(3)).unwrap();
}

/// Every path below a folder with what matters of it.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let content = match () {
            () if stat.is_file() => format!("{:?}", fs::read(&path).unwrap()),
            () if stat.is_symlink() => format!("{:?}", fs::read_link(&path).unwrap()),
            () => stat.rdev().to_string(),
        };
        if stat.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let links = if stat.is_dir() { 0 } else { stat.nlink() };
        let name = path.strip_prefix(dir).unwrap().display().to_string();
        let kept = xattr(&path, "trusted.kept");
        let time = if name.is_empty() { 0 } else { stat.mtime() };
        found.push(format!("{name} {:o} {}:{} {links} {time} {kept:?} {content}", stat.mode(), stat.uid(), stat.gid()));
    }
    found.sort();
    found
}

#[test]
fn a_commit_holds_what_the_container_saw() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let m = store.mount("base");
    change(&m);
    let mut seen = tree(&m);
    store.umount();
    let upper = store.path("u");
    let tar = store.command(&["diff".as_ref(), upper.as_os_str()]).output().unwrap().stdout;
    store.ok(&["commit", upper.to_str().unwrap(), "--parent", "base", "--tag", "changed"]);
    fs::remove_dir_all(&upper).unwrap();

    let m = store.mount("changed");
    // A socket is not kept.
    seen.retain(|line| !line.starts_with("new/socket"));
    assert_eq!(tree(&m), seen);
    assert!(layout::images::find(&store.layout(), "changed").unwrap().layers()[1] == Digest::of(&tar));
    let again = store.command(&["diff".as_ref(), store.path("u").as_os_str()]).output().unwrap().stdout;
    assert_eq!(again.len(), 1024, "nothing changed, so the tar is empty");
    store.umount();
    store.check();
}

#[test]
fn whiteouts_in_a_tar_take_overlayfs_form_and_come_back() {
    let store = Store::new();
    let tar = Tar::new()
        .dir("etc")
        .file("etc/.wh.passwd", b"")
        .dir("usr")
        .file("usr/.wh..wh..opq", b"")
        .file("usr/new", b"")
        // Deleted and made anew, in both orders: nothing from below shows.
        .file(".wh.bin", b"")
        .dir("bin")
        .dir("lib2")
        .file(".wh.lib2", b"")
        .file("lib2/x", b"")
        .file(".wh..wh.plnk", b"")
        .end();
    let id = store.import(&small_root(), "base");
    let added = succeeded(store.feed(&["add"], &tar));
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    let diff_id = added["DiffId"].as_str().unwrap();
    assert_eq!(diff_id, Digest::of(&tar).as_str());
    store.ok(&["commit", "--layer", diff_id, "--parent", &id, "--tag", "top"]);

    let diff = store.layout().layer_diff(&diff_id.parse().unwrap());
    let whiteout = fs::symlink_metadata(diff.join("etc/passwd")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    for opaque in ["usr", "bin", "lib2"] {
        assert_eq!(xattr(&diff.join(opaque), "trusted.overlay.opaque").unwrap(), b"y", "{opaque}");
    }
    let m = store.mount("top");
    assert_eq!(list(&m), ["bin", "etc", "lib", "lib2", "usr"]);
    assert_eq!(
        (list(&m.join("etc")), list(&m.join("usr")), list(&m.join("bin"))),
        (vec![], vec!["new".into()], vec![])
    );
    assert_eq!(list(&m.join("lib2")), ["x"]);
    store.umount();

    // And back: the layer's folder as an upper folder gives the marks again.
    let back = store.command(&["diff".as_ref(), diff.as_os_str()]).output().unwrap().stdout;
    let mut archive = tar::Archive::new(&back[..]);
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    for name in ["etc/.wh.passwd", "usr/.wh..wh..opq", "bin/.wh..wh..opq", "lib2/.wh..wh..opq"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
}

#[test]
fn the_same_changes_give_the_same_bytes() {
    let digest = |order: &[&str]| {
        let store = Store::new();
        fs::create_dir(store.path("u")).unwrap();
        for name in order {
            let path = store.path("u").join(name);
            fs::write(&path, name).unwrap();
            let time = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            fs::File::open(&path).unwrap().set_times(time).unwrap();
        }
        Digest::of(&store.command(&["diff".as_ref(), store.path("u").as_os_str()]).output().unwrap().stdout)
    };
    assert_eq!(digest(&["a", "b", "a.b"]), digest(&["a.b", "b", "a"]));
}

#[test]
fn a_later_member_replaces_an_earlier_one() {
    let store = Store::new();
    let tar = Tar::new()
        .dir("d")
        .file("d/x", b"old")
        .file("f", b"old")
        .file("f", b"newer")
        .dir("d")
        .file("d/y", b"")
        .dir("gone")
        .file("gone/a", b"12345")
        .file("gone", b"now a file")
        .symlink("s", "/etc")
        .dir("s")
        .file("s/z", b"")
        .end();
    store.import(&tar, "demo");
    let m = store.mount("demo");
    assert_eq!(fs::read(m.join("f")).unwrap(), b"newer");
    assert_eq!((list(&m.join("d")), list(&m.join("s"))), (vec!["x".into(), "y".into()], vec!["z".to_owned()]));
    assert_eq!(fs::read(m.join("gone")).unwrap(), b"now a file");
}

#[test]
fn links_inside_of_a_layer_are_followed_inside_of_it() {
    let store = Store::new();
    let tar = Tar::new()
        .dir("usr/lib")
        .symlink("lib", "usr/lib")
        .file("lib/a", b"a")
        .symlink("up", "../../../../../../usr")
        .file("up/b", b"b")
        .symlink("abs", "/usr/lib")
        .file("abs/c", b"c")
        .file("/usr/lib/d", b"d")
        .end();
    store.import(&tar, "demo");
    let m = store.mount("demo");
    assert_eq!(
        (list(&m.join("usr")), list(&m.join("usr/lib"))),
        (vec!["b".to_owned(), "lib".to_owned()], vec!["a".to_owned(), "c".to_owned(), "d".to_owned()],)
    );
}

#[test]
fn an_empty_change_makes_no_layer() {
    let store = Store::new();
    store.import(&small_root(), "base");
    store.mount("base");
    store.umount();
    store.ok(&[
        "commit",
        store.path("u").to_str().unwrap(),
        "--parent",
        "base",
        "--created-by",
        "true",
        "--tag",
        "same",
    ]);
    let image = layout::images::find(&store.layout(), "same").unwrap();
    assert_eq!(image.layers().len(), 1);
    assert!(image.config.history[1].empty_layer && image.config.history[1].created_by.as_deref() == Some("true"));
    assert!(failed(store.feed(&["import", "-", "x"], b"")).contains("empty"));
}

//! Archives that mean harm, or are broken: an error each, nothing outside of the layer, nothing left behind.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, failed, list};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Imports an archive that must be refused; gives what is said. `outside` is watched.
#[track_caller]
fn refused(what: &str, tar: &[u8]) -> String {
    let store = Store::new();
    fs::create_dir(store.path("outside")).unwrap();
    fs::write(store.path("outside/file"), "untouched").unwrap();
    let said = failed(store.feed(&["import", "-", "bad"], tar));
    assert_eq!(list(&store.path("outside")), ["file"], "{what}");
    assert_eq!(fs::read(store.path("outside/file")).unwrap(), b"untouched", "{what}");
    assert_eq!(list(&store.root().join("layers")), Vec::<String>::new(), "{what}");
    assert_eq!(list(&store.root().join("images/blobs/sha256")), Vec::<String>::new(), "{what}");
    assert_eq!(store.ok(&["ls", "--json"]).trim(), "[]", "{what}");
    store.check();
    said
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in ["../outside/file", "a/../../outside/x", "..", "./..", "/../x", "a/..", "../../../../../../../../tmp/x"]
    {
        let said = refused(path, &Tar::new().dir("a").file(path, b"x").end());
        assert!(said.contains("..") && said.contains("extract"), "{said}");
        refused(path, &Tar::new().dir("a").dir(path).end());
        refused(path, &Tar::new().dir("a").symlink(path, "x").end());
        refused(path, &Tar::new().file("a", b"").hard_link("b", path).end());
    }
}

#[test]
fn links_that_lead_out_are_not_written_through() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("file"), "untouched").unwrap();
    let out_dir = out.path().to_str().unwrap();
    let up = format!("../../../../../../../../../..{out_dir}");
    for target in [out_dir, &up] {
        for tar in [
            Tar::new().symlink("x", target).file("x/file", b"owned"),
            Tar::new().symlink("x", target).file("x/new", b"owned"),
            Tar::new().symlink("x", target).dir("x/new"),
            Tar::new().symlink("x", target).hard_link("y", "x/file"),
            Tar::new().symlink("x", target).symlink("y", "x").file("y/new", b"owned"),
            Tar::new().symlink("x", target).file("x/.wh.file", b""),
            Tar::new().symlink("x", target).file("x/.wh..wh..opq", b""),
            Tar::new().symlink("x", target).device("x/null", b'3', 1, 3),
        ] {
            refused(target, &tar.end());
            assert_eq!(list(out.path()), ["file"]);
            assert_eq!(fs::read(out.path().join("file")).unwrap(), b"untouched");
        }
    }
}

#[test]
fn a_file_over_a_link_replaces_the_link() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "untouched").unwrap();
    let target = file.to_str().unwrap();
    let store = Store::new();
    let tar = Tar::new()
        .symlink("x", target)
        .file("x", b"mine")
        .symlink("y", target)
        .hard_link("z", "y")
        .file("z", b"mine")
        .symlink("d", out.path().to_str().unwrap())
        .member(b"d", b'5', b"", |header| header.set_mode(0o777))
        .end();
    store.import(&tar, "demo");
    assert_eq!(fs::read(&file).unwrap(), b"untouched");
    assert_ne!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(out.path()).unwrap()) & 0o777, 0o777);
    let m = store.mount("demo");
    assert_eq!((fs::read(m.join("x")).unwrap(), fs::read(m.join("z")).unwrap()), (b"mine".to_vec(), b"mine".to_vec()));
}

#[test]
fn links_to_what_the_layer_does_not_have_are_refused() {
    refused("missing", &Tar::new().hard_link("passwd", "etc/passwd").end());
    refused("absolute", &Tar::new().hard_link("passwd", "/etc/passwd").end());
    refused("root", &Tar::new().hard_link("x", "./").end());
    refused("folder", &Tar::new().dir("d").hard_link("x", "d").end());
    refused("deleted", &Tar::new().file(".wh.f", b"").hard_link("x", "f").end());
    refused("loop", &Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"").end());
    refused("itself", &Tar::new().symlink("a", "a").dir("a/x").end());
    refused("empty", &Tar::new().symlink("a", "").end());
}

#[test]
fn marks_that_are_overlayfs_own_are_refused() {
    for xattr in
        ["trusted.overlay.redirect", "trusted.overlay.opaque", "trusted.overlay.metacopy", "user.overlay.opaque"]
    {
        let said = refused(xattr, &Tar::new().pax(&[(&format!("SCHILY.xattr.{xattr}"), b"y")]).dir("d").end());
        assert!(said.contains(xattr), "{said}");
    }
    refused("device 0:0", &Tar::new().device("x", b'3', 0, 0).end());
    for path in [".wh.", ".wh..", ".wh...", "a/.wh.."] {
        refused(path, &Tar::new().dir("a").file(path, b"").end());
    }
}

#[test]
fn what_is_not_a_folder_has_nothing_in_it() {
    refused("file", &Tar::new().file("f", b"").file("f/x", b"").end());
    refused("device", &Tar::new().device("n", b'3', 1, 3).file("n/x", b"").end());
    refused("root", &Tar::new().member(b"./", b'2', b"", |h| h.set_link_name_literal("/etc").unwrap()).end());
    let long = format!("{}x", "d/".repeat(3000));
    refused("too long", &Tar::new().pax(&[("path", long.as_bytes())]).file("x", b"").end());
    let name = "n".repeat(300);
    refused("name too long", &Tar::new().pax(&[("path", name.as_bytes())]).file("x", b"").end());
}

#[test]
fn headers_that_lie_are_refused() {
    refused("checksum", &{
        let mut tar = Tar::new().file("a", b"x").end();
        tar[5] = b'b';
        tar
    });
    refused("no tar", &[b'x'; 4096]);
    refused("short", b"hello");
    refused("size", &Tar::new().member(b"a", b'0', b"", |header| header.set_size(u64::MAX >> 2)).end());
    refused("negative size", &Tar::new().member(b"a", b'0', b"", |h| h.as_old_mut().size = [0xff; 12]).end());
    refused("bad number", &Tar::new().member(b"a", b'0', b"", |h| h.as_old_mut().mode = *b"zzzzzzzz").end());
    refused("type", &Tar::new().member(b"a", b'?', b"", |_| {}).end());
    refused("owner -1", &Tar::new().pax(&[("uid", b"4294967295")]).file("a", b"").end());
    refused("owner too big", &Tar::new().pax(&[("gid", b"99999999999")]).file("a", b"").end());
    refused("NUL in a name", &Tar::new().pax(&[("path", b"a\0b")]).file("a", b"").end());
    refused("PAX size", &Tar::new().pax(&[("size", b"1000000")]).file("a", b"x").end());
    refused("PAX length", &Tar::new().member(b"x", b'x', b"99 path=a\n", |_| {}).file("a", b"").end());
    refused("PAX alone", &Tar::new().pax(&[("path", b"a")]).end());
    refused("global", &Tar::new().member(b"g", b'g', b"10 path=x\n", |_| {}).file("a", b"").end());
    refused("huge PAX", &Tar::new().member(b"x", b'x', &vec![b'x'; 2 << 20], |_| {}).file("a", b"").end());
    refused("huge name", &Tar::new().member(b"L", b'L', &vec![b'x'; 2 << 20], |_| {}).file("a", b"").end());
    refused("huge attribute", &Tar::new().pax(&[("SCHILY.xattr.user.x", &[b'y'; 70_000])]).file("a", b"").end());
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let tar = Tar::new().dir("a").file("a/b", &[7; 3000]).pax(&[("mtime", b"1.5")]).file("c", b"c").end();
    for length in (1..tar.len() - 1023).step_by(509) {
        refused(&format!("cut to {length}"), &tar[..length]);
    }
    let zipped = gzip(&tar);
    for length in [1, 2, 9, 12, zipped.len() / 2, zipped.len() - 8, zipped.len() - 1] {
        refused(&format!("gzip cut to {length}"), &zipped[..length]);
    }
    let mut damaged = zipped.clone();
    let at = damaged.len() - 5;
    damaged[at] ^= 1;
    refused("gzip checksum", &damaged);
    refused("gzip of no tar", &gzip(b"hello, world"));
    refused("rubbish after gzip", &[zipped.as_slice(), b"rubbish"].concat());
    for other in [&b"\x28\xb5\x2f\xfd0000"[..], b"\xfd7zXZ\x000000", b"BZh91AY"] {
        assert!(refused("compression", other).contains("not supported yet"));
    }
}

#[test]
fn a_tree_deeper_than_a_path_is_refused_and_leaves_nothing() {
    let mut tar = Tar::new();
    let mut path = String::new();
    for _ in 0..2100 {
        path.push_str("d/");
        tar = match path.len() {
            0..=99 => tar.dir(&path),
            _ => tar.pax(&[("path", path.as_bytes())]).dir("x"),
        };
    }
    refused("deep", &tar.end());
}

#[test]
fn a_blob_that_is_not_what_the_image_says_is_not_mounted() {
    let store = Store::new();
    let id = store.import(&common::small_root(), "demo");
    let layout = store.layout();
    let image = layout::images::find(&layout, "demo").unwrap();
    let layer = &image.layers()[0];
    let blob = layout.blob(&image.manifest.layers[0].digest);
    fs::remove_dir_all(layout.layer(layer)).unwrap();
    let good = fs::read(&blob).unwrap();
    let other = gzip(&Tar::new().file("evil", b"").end());
    for (bad, why) in
        [(other.as_slice(), "digest"), (&good[..good.len() - 3], "extract the layer"), (b"", "extract the layer")]
    {
        fs::write(&blob, bad).unwrap();
        let target = store.path("m");
        let said = store.fails(&["mount", "--read-only", &id, target.to_str().unwrap()]);
        assert!(said.contains(why), "{said}");
        assert_eq!((list(&layout.layers()).len(), store.temporary().len()), (0, 0));
        let output = store.command(&["fsck"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    }
    fs::write(&blob, &good).unwrap();
    store.mount("demo");
    assert!(Path::new(&layout.layer_diff(layer)).is_dir());
    store.check();
}

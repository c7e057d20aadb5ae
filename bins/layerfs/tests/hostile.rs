//! Archives that mean harm, or are broken: an error each, nothing outside of the layer, nothing left behind.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, failed, gzip, list, zstd};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is in a folder that nothing may touch: names, inodes, modes, times, contents.
fn canary(dir: &Path) -> Vec<String> {
    let look = |name: &String| {
        let stat = fs::symlink_metadata(dir.join(name)).unwrap();
        let content = fs::read(dir.join(name)).unwrap_or_default();
        format!(
            "{name} {} {:o} {} {}.{} {content:?}",
            stat.ino(),
            stat.mode(),
            stat.nlink(),
            stat.mtime(),
            stat.mtime_nsec()
        )
    };
    let mut lines: Vec<String> = list(dir).iter().map(look).collect();
    lines.push(look(&".".to_owned()));
    lines
}

/// Imports an archive that must be refused; gives what is said. `outside` is watched.
#[track_caller]
fn refused(what: &str, tar: &[u8]) -> String {
    let store = Store::new();
    for folder in ["outside/d", "root"] {
        fs::create_dir_all(store.path(folder)).unwrap();
    }
    fs::write(store.path("outside/file"), "untouched").unwrap();
    std::os::unix::fs::symlink("file", store.path("outside/link")).unwrap();
    let before = canary(&store.path("outside"));
    let said = failed(store.feed(&["import", "-", "bad"], tar));
    assert_eq!(said.lines().count(), 1, "{what}: {said}");
    assert_eq!(canary(&store.path("outside")), before, "{what}");
    assert_eq!(list(&store.path("")), ["outside", "root", "run"], "{what}");
    assert_eq!(list(&store.root().join("layers")), Vec::<String>::new(), "{what}");
    assert_eq!(list(&store.root().join("images/blobs/sha256")), Vec::<String>::new(), "{what}");
    assert_eq!(store.ok(&["ls", "--json"]).trim(), "[]", "{what}");
    store.check();
    said
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
    for other in [&b"\xfd7zXZ\x000000"[..], b"BZh91AY"] {
        assert!(refused("compression", other).contains("uncompress it before"));
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

/// 64 MiB of zeros, this many times, after the end of an archive: nothing that is written, so that it costs no disk to test.
fn bomb(times: usize) -> Vec<u8> {
    let zeros = gzip(&vec![0; 64 << 20]);
    [gzip(&Tar::new().file("a", b"").end()), zeros.repeat(times)].concat()
}

#[test]
fn ten_gigabytes_of_zeros_are_refused_before_the_second() {
    for (what, bomb) in [("gzip", bomb(160)), ("zstd", zstd(&Tar::new().file("a", b"").end(), 10 << 30))] {
        assert!(bomb.len() < 11 << 20);
        let said = refused(what, &bomb);
        assert!(said.contains("fill the disk") && said.contains("uncompress it by hand"), "{said}");
    }
}

#[test]
fn zstd_that_is_cut_or_damaged_is_refused() {
    let tar = Tar::new().file("a", &[7; 3000]).end();
    let whole = zstd(&tar, 0);
    for length in [3, 4, 5, 6, 8, 9, 100, whole.len() - 3, whole.len() - 1] {
        refused(&format!("zstd cut to {length}"), &whole[..length]);
    }
    refused("rubbish after zstd", &[whole.as_slice(), b"rubbish"].concat());
    refused("no tar", &zstd(b"hello, world", 0));
    // The bit that says that a checksum follows, and one that is wrong.
    let mut summed = whole.clone();
    summed[4] = 4;
    summed.extend([1, 2, 3, 4]);
    assert!(refused("zstd checksum", &summed).contains("checksum"));
    let mut window = whole.clone();
    window[5] = 0xff;
    refused("a window of terabytes", &window);
    refused("a frame to be skipped, cut", &[&b"\x50\x2a\x4d\x18\xff\xff\xff\xff"[..], &whole].concat());
    let mut reserved = whole;
    reserved[6] |= 6;
    refused("a block of no type", &reserved);
}

#[test]
fn maps_of_sparse_files_that_lie_are_refused() {
    let old = |entries: &[(u64, u64)], size: u64, stored: &[u8]| {
        let tar = Tar::new().member(b"s", b'S', stored, |header| {
            let gnu = header.as_gnu_mut().unwrap();
            for (slot, (offset, length)) in gnu.sparse.iter_mut().zip(entries) {
                slot.set_offset(*offset);
                slot.set_length(*length);
            }
            gnu.set_real_size(size);
        });
        tar.end()
    };
    refused("overlap", &old(&[(0, 512), (256, 512)], 4096, &[1; 1024]));
    refused("order", &old(&[(2048, 512), (0, 512)], 4096, &[1; 1024]));
    refused("beyond the end", &old(&[(4000, 512)], 4096, &[1; 512]));
    refused("more than there is", &old(&[(0, 1024)], 4096, &[1; 512]));
    refused("less than there is", &old(&[(0, 512)], 4096, &[1; 1024]));
    refused("offset and length overflow", &old(&[(u64::MAX - 5, 512)], 4096, &[1; 512]));
    refused("size overflows", &old(&[(0, 512)], u64::MAX, &[1; 512]));
    refused("extended and cut", &{
        let tar = Tar::new().member(b"s", b'S', b"", |header| header.as_gnu_mut().unwrap().set_is_extended(true));
        tar.0
    });
    for (what, records, data) in [
        ("no size", vec![("GNU.sparse.map", "0,1")], &b"x"[..]),
        ("no pairs", vec![("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,1,2")], b"x"),
        ("no numbers", vec![("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,x")], b"x"),
        ("length alone", vec![("GNU.sparse.size", "9"), ("GNU.sparse.numbytes", "1")], b"x"),
        ("offset alone", vec![("GNU.sparse.size", "9"), ("GNU.sparse.offset", "1")], b"x"),
        ("unknown", vec![("GNU.sparse.size", "9"), ("GNU.sparse.colour", "1")], b"x"),
        ("version 2", vec![("GNU.sparse.major", "2"), ("GNU.sparse.realsize", "9")], b"x"),
        ("map cut", vec![("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9")], b"5\n1\n"),
        ("map too long", vec![("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "9")], &[b'1'; 512]),
    ] {
        let records: Vec<(&str, &[u8])> = records.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        refused(what, &Tar::new().pax(&records).file("s", data).end());
    }
}

#[test]
fn more_that_could_mean_two_things_is_refused() {
    let lone = Tar::new().file("a", b"");
    let lone = [&lone.0[..], &[0; 512], &Tar::new().file("b", b"").end()].concat();
    refused("half an end mark between members", &lone);
    refused("two PAX headers", &Tar::new().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("c", b"").end());
    refused(
        "two long names",
        &Tar::new().member(b"L", b'L', b"a", |_| {}).member(b"L", b'L', b"b", |_| {}).file("c", b"").end(),
    );
    let many: Vec<(&str, &[u8])> = vec![("comment", b"x"); 100_000];
    refused("a hundred thousand records", &Tar::new().pax(&many).file("a", b"").end());
    refused("NUL in a link", &Tar::new().pax(&[("linkpath", b"a\0b")]).symlink("s", "x").end());
    refused("a time of letters", &Tar::new().pax(&[("mtime", b"now")]).file("a", b"").end());
    refused("a size of letters", &Tar::new().pax(&[("size", b"-1")]).file("a", b"").end());
    refused("a hard link to itself", &Tar::new().hard_link("a", "a").end());
    refused("a hard link to a folder of links", &Tar::new().symlink("l", "l").hard_link("a", "l/x").end());
    refused("a whiteout that climbs", &Tar::new().file("a/.wh.../x", b"").end());
    refused("a whiteout of the root", &Tar::new().dir("d").file("d/../.wh..wh..opq", b"").end());
}

#[test]
fn a_device_of_any_number_is_only_a_node_in_the_layer() {
    // Whether a container may open it is the cgroup's business. Numbers that no kernel has are refused.
    refused(
        "major",
        &Tar::new()
            .pax(&[("x", b"y")])
            .member(b"d", b'3', b"", |h| h.as_gnu_mut().unwrap().dev_major = *b"zzzzzzzz")
            .end(),
    );
    let store = Store::new();
    store.import(&Tar::new().device("mem", b'3', 1, 1).device("sda", b'4', 8, 0).end(), "demo");
    let m = store.mount("demo");
    assert_eq!(fs::symlink_metadata(m.join("mem")).unwrap().rdev(), rustix::fs::makedev(1, 1));
}

/// As docker has it: `tar -P` archives name files from the root on, and mean the image's.
#[test]
fn absolute_names_land_inside() {
    let out = tempfile::tempdir().unwrap();
    let name = format!("{}/planted", out.path().display());
    let store = Store::new();
    let tar = Tar::new().file(&name, b"x").hard_link("/second", &name).symlink("/third", &name).end();
    store.import(&tar, "demo");
    assert_eq!(list(out.path()), Vec::<String>::new());
    let m = store.mount("demo");
    assert_eq!(fs::read(m.join(&name[1..])).unwrap(), b"x");
    assert_eq!(fs::metadata(m.join("second")).unwrap().nlink(), 2);
}

/// Deeper than any path: a link halfway makes the way short again. It is imported, shown, and removed.
#[test]
fn a_tree_deeper_than_any_path_can_be_removed() {
    let store = Store::new();
    let deep = "d/".repeat(1500);
    let mut tar = Tar::new().pax(&[("path", deep.as_bytes())]).dir("x");
    for step in 0..6 {
        let (link, target) =
            (format!("l{step}"), format!("{}{deep}", if step > 0 { format!("l{}/", step - 1) } else { String::new() }));
        tar = tar.pax(&[("linkpath", target.as_bytes())]).symlink(&link, "x");
        let next = format!("{link}/{deep}");
        tar = tar.pax(&[("path", next.as_bytes())]).dir("x");
    }
    store.import(&tar.end(), "deep");
    store.ok(&["rm", "deep"]);
    assert_eq!(list(&store.root().join("layers")), Vec::<String>::new());
    store.check();
}

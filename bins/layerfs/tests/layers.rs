//! Layers as the world makes them: compressed with zstd, sparse, with links into layers below, of every attribute.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, gzip, have, list, small_root, succeeded, zstd};
use layout::Digest;
use layout::images;
use layout::oci::image::{LAYER_GZIP, LAYER_ZSTD};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

#[test]
fn zstd_is_kept_as_it_came_and_is_the_same_layer() {
    let store = Store::new();
    let tar = small_root();
    // Two frames, and two that are to be skipped, as `zstd:chunked` layers have them.
    let note = b"\x51\x2a\x4d\x18\x04\x00\x00\x00note";
    let packed = [note, zstd(&tar[..700], 0).as_slice(), &zstd(&tar[700..], 0), note].concat();
    store.import(&packed, "packed");
    let layout = store.layout();
    let image = images::find(&layout, "packed").unwrap();
    assert_eq!(image.layers(), [Digest::of(&tar)]);
    let blob = &image.manifest.layers[0];
    assert_eq!((blob.digest.clone(), blob.media_type.as_str()), (Digest::of(&packed), LAYER_ZSTD));
    store.check();
    // And extracted again from the blob.
    fs::remove_dir_all(layout.layer(&image.layers()[0])).unwrap();
    assert_eq!(list(&store.mount("packed").join("usr/lib")), ["a"]);
    store.umount();
    store.import(&gzip(&tar), "zipped");
    let zipped = images::find(&layout, "zipped").unwrap();
    assert_eq!(zipped.manifest.layers[0].digest, blob.digest, "the layer is there already, with its blob");
    store.check();
}

#[test]
fn what_the_zstd_program_writes_is_read() {
    if !have("zstd") {
        return;
    }
    let store = Store::new();
    let tar = Tar::new().file("a", &b"the same line\n".repeat(50_000)).file("b", &[0; 3_000_000]).end();
    fs::write(store.path("tar"), &tar).unwrap();
    for level in ["-1", "-3", "-19", "--ultra -22", "--long=27", "--no-check", "-B1000000 -T2"] {
        let file = store.path("tar");
        let args = level.split(' ').chain(["-q", "-c", file.to_str().unwrap()]);
        let packed = Command::new("zstd").args(args).output().unwrap();
        assert!(packed.status.success(), "{level}");
        store.import(&packed.stdout, "demo");
        let image = images::find(&store.layout(), "demo").unwrap();
        assert_eq!(image.layers(), [Digest::of(&tar)], "{level}");
        assert!(failed_when_damaged(&packed.stdout), "{level}");
    }
}

/// Whether a change of one byte in the middle is noticed.
fn failed_when_damaged(packed: &[u8]) -> bool {
    let store = Store::new();
    let mut bad = packed.to_vec();
    let at = bad.len() / 2;
    bad[at] ^= 0x55;
    // Without a checksum the digest of the content is another, at least.
    let output = store.feed(&["import", "-", "bad"], &bad);
    !output.status.success()
        || images::find(&store.layout(), "bad").unwrap().manifest.layers[0].digest == Digest::of(&bad)
}

#[test]
fn a_plain_tar_as_a_blob_is_extracted_too() {
    let store = Store::new();
    let tar = small_root();
    store.import(&tar, "demo");
    let layout = store.layout();
    let mut image = images::find(&layout, "demo").unwrap();
    assert_eq!(image.manifest.layers[0].media_type, LAYER_GZIP);
    // An image whose manifest names the tar itself.
    let blob = layout::oci::image::Descriptor::new(layout::oci::image::LAYER, Digest::of(&tar), tar.len() as u64);
    image.manifest.layers = vec![blob];
    let manifest = serde_json::to_vec(&image.manifest).unwrap();
    for content in [&tar, &manifest] {
        fs::write(layout.blob(&Digest::of(content)), content).unwrap();
    }
    let mut index = images::index(&layout).unwrap();
    index.manifests[0].digest = Digest::of(&manifest);
    index.manifests[0].size = manifest.len() as u64;
    fs::write(layout.index(), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::remove_dir_all(layout.layer(&image.layers()[0])).unwrap();
    assert_eq!(list(&store.mount("demo").join("usr/lib")), ["a"]);
    store.umount();
    store.check();
}

/// A file of 64 MiB with three pieces of data.
fn sparse_file(path: &Path) {
    let file = fs::File::create(path).unwrap();
    for (at, text) in [(0u64, "start"), (5 << 20, "middle"), ((40 << 20) + 7, "more")] {
        file.write_all_at(text.as_bytes(), at).unwrap();
    }
    file.set_len(64 << 20).unwrap();
}

#[test]
fn holes_are_holes_in_every_form_that_gnu_tar_writes() {
    if !have("tar") {
        return;
    }
    let forms: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for form in forms {
        let store = Store::new();
        let tree = store.path("tree");
        fs::create_dir(&tree).unwrap();
        sparse_file(&tree.join("sparse"));
        // More pieces than a header has room for, and than one block after it.
        let many = fs::File::create(tree.join("many")).unwrap();
        for piece in 0..60u64 {
            many.write_all_at(format!("piece {piece}").as_bytes(), piece << 16).unwrap();
        }
        fs::File::create(tree.join("hole")).unwrap().set_len(64 << 20).unwrap();
        fs::write(tree.join("full"), "full").unwrap();
        let tar = store.path("tar");
        let output =
            Command::new("tar").args(form).args(["-S", "-C"]).arg(&tree).arg("-cf").arg(&tar).arg(".").output();
        succeeded(output.unwrap());
        assert!(fs::metadata(&tar).unwrap().len() < 2 << 20, "{form:?}: the archive is sparse");
        store.import(&fs::read(&tar).unwrap(), "demo");
        let image = images::find(&store.layout(), "demo").unwrap();
        let diff = store.layout().layer_diff(&image.layers()[0]);
        assert_eq!(list(&diff), ["full", "hole", "many", "sparse"], "{form:?}");
        for name in list(&diff) {
            let (ours, theirs) = (diff.join(&name), tree.join(&name));
            let stat = fs::metadata(&ours).unwrap();
            assert_eq!(stat.len(), fs::metadata(&theirs).unwrap().len(), "{form:?} {name}");
            assert!(stat.blocks() < 2048, "{form:?} {name} takes {} blocks", stat.blocks());
            if name != "hole" {
                assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap(), "{form:?} {name}");
            }
        }
        assert_eq!(image.size(&store.layout()).unwrap() >> 20, 64 + 64 + 3);
        if form[0] == "--format=gnu" {
            store.check();
        }
    }
}

/// Adds a layer on an image, and gives its diff id.
fn add_on(store: &Store, parent: &str, tar: &[u8]) -> Digest {
    let added: serde_json::Value =
        serde_json::from_str(&succeeded(store.feed(&["add", "--parent", parent], tar))).unwrap();
    added["DiffId"].as_str().unwrap().parse().unwrap()
}

fn base(text: &str) -> Vec<u8> {
    let capability = b"\x01\x00\x00\x02\x00\x0a\x3d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    Tar::new()
        .member(b"usr", b'5', b"", |header| header.set_mode(0o2750))
        .dir("usr/lib")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("mtime", b"1234567890.123456789")])
        .member(b"usr/lib/tool", b'0', text.as_bytes(), |header| {
            header.set_mode(0o4755);
            header.set_uid(7);
        })
        .symlink("lib", "usr/lib")
        .file("other", b"")
        .end()
}

#[test]
fn a_hard_link_may_lead_to_a_file_of_a_layer_below() {
    let store = Store::new();
    let layout = store.layout();
    let tar = Tar::new().hard_link("bin", "lib/tool").hard_link("bin2", "usr/lib/tool").file("own", b"").end();
    let mut names = Vec::new();
    for text in ["one", "two"] {
        store.import(&base(text), text);
        let diff_id = add_on(&store, text, &tar);
        assert_eq!(diff_id, Digest::of(&tar));
        store.ok(&["commit", "--layer", diff_id.as_str(), "--parent", text, "--tag", &format!("{text}:linked")]);
        let image = images::find(&layout, &format!("{text}:linked")).unwrap();
        let name = images::layer_names(&layout, image.layers()).pop().unwrap();
        assert_eq!(Some(&name), images::chain_ids(image.layers()).last(), "its folder has the name of the chain");
        assert!(!layout.layer(&diff_id).exists());
        names.push(name);
    }
    assert_ne!(names[0], names[1], "one layer, on two others, is two folders");
    store.check();
    store.ok(&["gc"]);
    for round in 0..2 {
        for (text, name) in ["one", "two"].iter().zip(&names) {
            assert_eq!(layout.layer_diff(name).is_dir(), round == 0);
            let m = store.mount(&format!("{text}:linked"));
            let [a, b, c] = ["bin", "bin2", "usr/lib/tool"].map(|path| fs::metadata(m.join(path)).unwrap());
            assert!(a.ino() == b.ino() && b.ino() == c.ino() && c.nlink() == 3, "all three are one file");
            assert_eq!(fs::read_to_string(m.join("bin")).unwrap(), *text);
            assert_eq!(
                (a.mode() & 0o7777, a.uid(), a.mtime(), a.mtime_nsec()),
                (0o4755, 7, 1_234_567_890, 123_456_789)
            );
            let mut value = [0; 64];
            assert_eq!(rustix::fs::getxattr(m.join("bin"), "security.capability", &mut value).unwrap(), 20);
            assert_eq!(fs::metadata(m.join("usr")).unwrap().mode() & 0o7777, 0o2750);
            store.umount();
            fs::remove_dir_all(store.path("u")).unwrap();
        }
        // The next round extracts them again from their blob, which they share.
        names.iter().filter(|_| round == 0).for_each(|name| fs::remove_dir_all(layout.layer(name)).unwrap());
    }
    store.ok(&["rm", "two:linked"]);
    assert!(layout.layer(&names[0]).is_dir() && !layout.layer(&names[1]).exists());
    store.check();
}

/// Who loads or pulls an image has its layers in any order, so this one is only verified then, and extracted when it is mounted.
#[test]
fn an_image_with_such_a_link_is_saved_and_loaded() {
    let (ours, theirs) = (Store::new(), Store::new());
    ours.import(&base("one"), "base");
    let layer = add_on(&ours, "base", &Tar::new().hard_link("bin", "lib/tool").end());
    ours.ok(&["commit", "--layer", layer.as_str(), "--parent", "base", "--tag", "linked"]);
    let archive = ours.path("archive");
    ours.ok(&["save", "-o", archive.to_str().unwrap(), "linked"]);
    theirs.ok(&["load", "-i", archive.to_str().unwrap()]);
    let image = images::find(&theirs.layout(), "linked").unwrap();
    assert!(!theirs.layout().layer(&layer).exists());
    assert_eq!(fs::read_to_string(theirs.mount("linked").join("bin")).unwrap(), "one");
    theirs.umount();
    assert_eq!(images::layer_names(&theirs.layout(), image.layers())[1], images::chain_ids(image.layers())[1]);
    theirs.check();
}

#[test]
fn what_was_linked_to_and_deleted_is_deleted() {
    let store = Store::new();
    store.import(&base("one"), "base");
    let tar = Tar::new().hard_link("bin", "usr/lib/tool").file("usr/lib/.wh.tool", b"").end();
    let diff_id = add_on(&store, "base", &tar);
    store.ok(&["commit", "--layer", diff_id.as_str(), "--parent", "base", "--tag", "moved"]);
    let m = store.mount("moved");
    assert_eq!(fs::read_to_string(m.join("bin")).unwrap(), "one");
    assert_eq!(list(&m.join("usr/lib")), Vec::<String>::new());
    store.umount();
    for (what, link) in [
        ("missing", Tar::new().hard_link("x", "usr/nothing")),
        ("deleted", Tar::new().file("usr/lib/.wh.tool", b"").hard_link("x", "usr/lib/tool")),
        ("hidden", Tar::new().dir("usr").file("usr/.wh..wh..opq", b"").hard_link("x", "usr/lib/tool")),
        ("folder", Tar::new().hard_link("x", "usr/lib")),
        ("no parent is told", Tar::new().hard_link("x", "usr/lib/tool")),
    ] {
        let args: &[&str] = if what == "no parent is told" { &["add"] } else { &["add", "--parent", "base"] };
        let output = store.feed(args, &link.end());
        assert_eq!(output.status.code(), Some(125), "{what}");
    }
    store.check();
}

#[test]
fn the_same_layer_twice_in_an_image_is_mounted() {
    let store = Store::new();
    let base = store.import(&small_root(), "base");
    let layer = add_on(&store, "base", &Tar::new().file("usr/lib/b", b"b").end());
    let one = store.ok(&["commit", "--layer", layer.as_str(), "--parent", &base]).trim().to_owned();
    let two = store.ok(&["commit", "--layer", layer.as_str(), "--parent", &one]).trim().to_owned();
    for classic in [false, true] {
        let m = store.path("m");
        let mut args = vec!["mount", "--read-only", &two, m.to_str().unwrap()];
        args.extend(classic.then_some("--classic"));
        store.ok(&args);
        assert_eq!(list(&m.join("usr/lib")), ["a", "b"]);
        store.umount();
    }
}

#[test]
fn an_opaque_root_hides_all_layers_below() {
    let store = Store::new();
    let base = store.import(&small_root(), "base");
    let layer = add_on(&store, "base", &Tar::new().file("new", b"").file(".wh..wh..opq", b"").end());
    store.ok(&["commit", "--layer", layer.as_str(), "--parent", &base, "--tag", "only"]);
    assert_eq!(list(&store.mount("only")), ["new"]);
    store.umount();
    store.check();
}

#[test]
fn an_opaque_mark_hides_what_is_below_and_no_sibling_wherever_it_stands() {
    let store = Store::new();
    store.import(&small_root(), "base");
    let tar = Tar::new().dir("usr").file("usr/first", b"").file("usr/.wh..wh..opq", b"").file("usr/last", b"");
    let layer = add_on(&store, "base", &tar.file(".wh.etc", b"").dir("etc").file("etc/new", b"").end());
    store.ok(&["commit", "--layer", layer.as_str(), "--parent", "base", "--tag", "top"]);
    let m = store.mount("top");
    assert_eq!(
        (list(&m.join("usr")), list(&m.join("etc"))),
        (vec!["first".into(), "last".into()], vec!["new".to_owned()])
    );
}

#[test]
fn all_times_are_kept_to_the_nanosecond_whatever_the_order() {
    let store = Store::new();
    let time = |tar: Tar, path: &str| tar.pax(&[("mtime", b"1500000000.000000001")]).dir(path);
    let tar = time(time(time(Tar::new(), "a"), "a/b"), "c").symlink("to", "a/b").file("a/b/x", b"").file("c/x", b"");
    // Back into folders that were left, by another way, and into one that gets its time only later.
    let tar = tar.file("to/y", b"").file("late/x", b"").file("a/z", b"").hard_link("c/z", "a/z");
    let tar = time(tar, "late").file("a/new/folder", b"").file("c/.wh.gone", b"");
    let tar = tar.pax(&[("mtime", b"-1.5")]).file("old", b"");
    store.import(&tar.end(), "demo");
    let m = store.mount("demo");
    for path in ["a", "a/b", "c", "late"] {
        let stat = fs::metadata(m.join(path)).unwrap();
        assert_eq!((stat.mtime(), stat.mtime_nsec()), (1_500_000_000, 1), "{path}");
    }
    let old = fs::metadata(m.join("old")).unwrap();
    assert_eq!((old.mtime(), old.mtime_nsec()), (-2, 500_000_000));
}

#[test]
fn what_gnu_tar_writes_is_what_gnu_tar_read() {
    if !have("tar") {
        return;
    }
    for format in ["gnu", "posix"] {
        let store = Store::new();
        let tree = store.path("tree");
        fs::create_dir_all(tree.join("deep".repeat(40)).join("er".repeat(80))).unwrap();
        let odd = tree.join(std::ffi::OsStr::from_bytes(b"\xff\xfe\n"));
        fs::write(&odd, "odd").unwrap();
        std::os::unix::fs::lchown(&odd, Some(3_000_000_000), Some(2_097_152)).unwrap();
        fs::set_permissions(&odd, std::os::unix::fs::PermissionsExt::from_mode(0o6755)).unwrap();
        std::os::unix::fs::symlink("t".repeat(300), tree.join("link")).unwrap();
        fs::hard_link(&odd, tree.join("n".repeat(200))).unwrap();
        std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
        let mut tar = Command::new("tar");
        let tar = tar.arg(format!("--format={format}")).args(["--xattrs", "-c", "-C"]).arg(&tree).arg(".");
        let output = tar.output().unwrap();
        store.import(&output.stdout, "demo");
        let m = store.mount("demo");
        let stat = fs::metadata(m.join(odd.file_name().unwrap())).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777, stat.nlink()), (3_000_000_000, 2_097_152, 0o6755, 2));
        if format == "posix" {
            assert_eq!(stat.mtime_nsec(), fs::metadata(&odd).unwrap().mtime_nsec());
        }
        assert!(m.join("deep".repeat(40)).join("er".repeat(80)).is_dir());
        assert_eq!(fs::read_link(m.join("link")).unwrap().as_os_str().len(), 300);
        assert!(!m.join("socket").exists());
    }
}

/// It knows nothing of the layers below, so it cannot take time by them.
#[test]
fn a_diff_and_a_commit_read_the_change_alone() {
    let store = Store::new();
    let id = store.import(&small_root(), "base");
    let layout = store.layout();
    let m = store.mount("base");
    fs::write(m.join("etc/passwd"), "changed").unwrap();
    store.umount();
    // Nothing of the image is there to be read but what names it.
    fs::rename(layout.layer_diff(&images::find(&layout, "base").unwrap().layers()[0]), store.path("away")).unwrap();
    let upper = store.path("u");
    store.ok(&["commit", upper.to_str().unwrap(), "--parent", &id, "--tag", "changed"]);
    let tar = store.command(&["diff".as_ref(), upper.as_os_str()]).output().unwrap().stdout;
    let image = images::find(&layout, "changed").unwrap();
    assert_eq!(image.layers()[1], Digest::of(&tar));
    assert_eq!(image.layer_sizes(&layout).unwrap()[1], "changed".len() as u64);
}

#[test]
fn an_upper_folder_never_refers_to_the_layers_below() {
    let store = Store::new();
    store.import(&Tar::new().dir("d").file("d/f", &[1; 100_000]).file("big", &[2; 100_000]).end(), "base");
    let m = store.mount("base");
    // With redirect_dir the folder would be renamed and refer to its old place; without, mv copies.
    assert_eq!(fs::rename(m.join("d"), m.join("e")).unwrap_err().raw_os_error(), Some(18), "EXDEV");
    // With metacopy only the mode would be there.
    fs::set_permissions(m.join("big"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    store.umount();
    assert_eq!(fs::read(store.path("u/big")).unwrap(), [2; 100_000]);
    for name in ["trusted.overlay.metacopy", "trusted.overlay.redirect"] {
        assert!(rustix::fs::getxattr(store.path("u/big"), name, &mut [0u8; 64]).is_err());
    }
}

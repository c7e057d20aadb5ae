//! What an archive may hold, and what it may not.

use super::*;
use std::fs;

/// An archive of (type, name, link target or content).
fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let mut header = tar::Header::new_ustar();
        // By hand: the library refuses to write what an attacker would.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(rustix::process::getuid().as_raw().into());
        header.set_gid(rustix::process::getgid().as_raw().into());
        header.set_mtime(1_000_000);
        let is_file = *kind == EntryType::Regular;
        if !is_file {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(if is_file { text.len() as u64 } else { 0 });
        header.set_cksum();
        builder.append(&header, if is_file { text.as_bytes() } else { b"" }).unwrap();
    }
    builder.into_inner().unwrap()
}

const DIR: EntryType = EntryType::Directory;
const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

#[test]
fn files_links_and_folders_come_out() {
    use std::os::unix::fs::MetadataExt;
    let dest = tempfile::tempdir().unwrap();
    let bytes = archive(&[
        (DIR, "./", ""),
        (LINK, "bin", "usr/bin"),
        (FILE, "./usr/bin/dash", "program"),
        (LINK, "bin/sh", "dash"),
        (HARD, "usr/bin/ash", "bin/dash"),
        (DIR, "etc/", ""),
        (FILE, "/etc/hostname", "old"),
        (FILE, "etc/hostname", "new"),
    ]);
    let summary = extract(&bytes[..], dest.path()).unwrap();
    assert_eq!((summary.files, summary.bytes), (3, 13));
    let read = |path: &str| fs::read_to_string(dest.path().join(path)).unwrap();
    assert_eq!(
        (read("bin/sh"), read("bin/ash"), read("etc/hostname")),
        ("program".into(), "program".into(), "new".into())
    );
    // Also `usr`, which only the names of others speak of.
    for folder in ["", "etc", "usr", "usr/bin"] {
        assert_eq!(dest.path().join(folder).metadata().unwrap().mtime(), 1_000_000, "{folder}");
    }
}

#[test]
fn gzip_is_recognised() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive(&[(FILE, "a", "text")])).unwrap();
    let dest = tempfile::tempdir().unwrap();
    extract(&gzip.finish().unwrap()[..], dest.path()).unwrap();
    assert!(dest.path().join("a").is_file());
}

#[test]
fn other_compressions_are_named_with_the_way_around() {
    for (start, program) in OTHER {
        let dest = tempfile::tempdir().unwrap();
        let error = extract(&[start, &[0; 600]].concat()[..], dest.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{program} -dc FILE | mkrootfs tar - DIR")), "{error}");
    }
}

#[test]
fn no_entry_is_written_outside_of_the_folder() {
    let around = tempfile::tempdir().unwrap();
    let (dest, secret) = (around.path().join("dest"), around.path().join("secret"));
    fs::write(&secret, "secret").unwrap();
    let outside = around.path().to_str().unwrap();
    for entries in [
        vec![(FILE, "../evil", "x")],
        vec![(FILE, "a/../../evil", "x")],
        vec![(LINK, "out", ".."), (FILE, "out/evil", "x")],
        vec![(LINK, "out", outside), (FILE, "out/evil", "x")],
        vec![(LINK, "out", outside), (DIR, "out", ""), (FILE, "out/secret", "x")],
        vec![(LINK, "link", "../secret"), (FILE, "link", "x")],
        vec![(HARD, "mine", "../secret")],
        vec![(LINK, "out", ".."), (HARD, "mine", "out/secret"), (FILE, "mine", "x")],
    ] {
        fs::create_dir(&dest).unwrap();
        let _ = extract(&archive(&entries)[..], &dest);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "secret", "{entries:?}");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 2, "{entries:?}");
        assert!(!dest.join("mine").is_file() || fs::read_to_string(dest.join("mine")).unwrap() != "secret");
        fs::remove_dir_all(&dest).unwrap();
    }
}

#[test]
fn an_archive_cut_short_is_an_error() {
    let bytes = archive(&[(FILE, "a", &"x".repeat(2000))]);
    let dest = tempfile::tempdir().unwrap();
    assert!(extract(&bytes[..1024], dest.path()).is_err());
}

#[test]
fn the_time_may_have_a_fraction_in_an_extension() {
    use std::os::unix::fs::MetadataExt;
    assert_eq!(seconds("1700000000.25"), Some((1_700_000_000, 250_000_000)));
    assert_eq!(seconds("12"), Some((12, 0)));
    assert_eq!(seconds("-1.5"), Some((-2, 500_000_000)));
    assert_eq!(seconds("1.0000000019"), Some((1, 1)));
    for wrong in ["", "x", "1.x", "1e9", "1.-5"] {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("mtime", &b"1700000000.123456789"[..])]).unwrap();
    let bytes = [builder.into_inner().unwrap()[..1024].to_vec(), archive(&[(FILE, "a", "text")])].concat();
    let dest = tempfile::tempdir().unwrap();
    extract(&bytes[..], dest.path()).unwrap();
    let about = dest.path().join("a").metadata().unwrap();
    assert_eq!((about.mtime(), about.mtime_nsec()), (1_700_000_000, 123_456_789));
}

//! What the tests share: a store in a folder of its own, and a tar that is written byte by byte.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod archives;
pub mod http;
pub mod registry;
pub mod serve;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The tool under test: as built by cargo, or from `$CTR_BIN_DIR` where cargo is not (a virtual machine).
pub fn layerfs() -> PathBuf {
    match std::env::var_os("CTR_BIN_DIR") {
        Some(dir) => Path::new(&dir).join("layerfs"),
        None => env!("CARGO_BIN_EXE_layerfs").into(),
    }
}

/// An image store in a temporary folder, unmounted and removed when dropped.
pub struct Store {
    dir: TempDir,
}

impl Store {
    pub fn new() -> Store {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make files of any owner and mount: run them as root"
        );
        Store { dir: tempfile::tempdir().unwrap() }
    }

    /// A path beside the store, for upper folders and mount points.
    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.dir.path().join(name.as_ref())
    }

    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub fn layout(&self) -> layout::Layout {
        layout::Layout::at(&self.root(), &self.path("run")).unwrap()
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(layerfs());
        command.args(args).env("CTR_ROOT", self.root()).env("CTR_RUN", self.path("run")).stdin(Stdio::null());
        command
    }

    /// A copy of the whole store, owners, attributes and times too.
    pub fn copy(&self) -> Store {
        let copy = Store::new();
        let copied = Command::new("cp").arg("-a").arg(self.root()).arg(copy.root()).status().unwrap();
        assert!(copied.success());
        copy
    }

    /// Runs it with `input` on standard input.
    pub fn feed<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Output {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A tool that has seen enough closes its end.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// Runs it, and gives what it prints.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        succeeded(self.command(args).output().unwrap())
    }

    /// Runs it, and gives what it says when it fails.
    #[track_caller]
    pub fn fails<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        failed(self.command(args).output().unwrap())
    }

    /// Imports a tar, and gives the image's id.
    #[track_caller]
    pub fn import(&self, tar: &[u8], name: &str) -> String {
        succeeded(self.feed(&["import", "-", name], tar)).trim().to_owned()
    }

    /// Mounts an image at `m` with the upper folder `u`.
    #[track_caller]
    pub fn mount(&self, image: &str) -> PathBuf {
        let (upper, work) = (self.path("u"), self.path("w"));
        let (upper, work) = (upper.to_str().unwrap(), work.to_str().unwrap());
        let target = self.path("m");
        self.ok(&["mount", image, target.to_str().unwrap(), "--upper", upper, "--work", work]);
        target
    }

    #[track_caller]
    pub fn umount(&self) {
        self.ok(&["umount", self.path("m").to_str().unwrap()]);
    }

    /// Says that the store is whole, and that nothing is half-made.
    #[track_caller]
    pub fn check(&self) {
        self.ok(&["fsck"]);
        assert_eq!(self.temporary(), Vec::<String>::new());
    }

    /// Says that nothing is left that nobody needs, once gc has run, an hour later: half a pull and half a file of another
    /// tool have that long to be gone on with.
    #[track_caller]
    pub fn is_clean_after_gc(&self) {
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        for name in self.temporary() {
            fs::File::open(self.root().join("tmp").join(name)).unwrap().set_modified(long_ago).unwrap();
        }
        self.ok(&["gc"]);
        self.check();
        let nothing = serde_json::json!({"Blobs": 0, "Layers": 0, "Temporary": 0, "BlobBytes": 0});
        let removed: serde_json::Value = serde_json::from_str(&self.ok(&["gc", "--json"])).unwrap();
        assert_eq!(removed, nothing);
    }

    /// What is in `tmp/`.
    pub fn temporary(&self) -> Vec<String> {
        list(&self.root().join("tmp"))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whatever a failed test left mounted, the innermost first.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(4));
        for point in points.filter(|point| Path::new(point).starts_with(self.dir.path())) {
            let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

#[track_caller]
pub fn succeeded(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}{printed}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
pub fn failed(output: Output) -> String {
    assert_eq!(output.status.code(), Some(125), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// Waits until something is so; a minute, for a machine may be emulated, or busy with something else.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The names in a folder, sorted.
pub fn list(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A tar in the making. Nothing is checked: that is the point.
#[derive(Default, Clone)]
pub struct Tar(pub Vec<u8>);

/// The time that all members have.
pub const TIME: u64 = 1_600_000_000;

impl Tar {
    pub fn new() -> Tar {
        Tar::default()
    }

    /// A header, changed by `change`, and data.
    pub fn member(mut self, path: &[u8], kind: u8, data: &[u8], change: impl FnOnce(&mut tar::Header)) -> Tar {
        let mut header = tar::Header::new_gnu();
        let name = &mut header.as_old_mut().name;
        name[..path.len().min(100)].copy_from_slice(&path[..path.len().min(100)]);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(data.len() as u64);
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(TIME);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, path: &str, content: &[u8]) -> Tar {
        self.member(path.as_bytes(), b'0', content, |_| {})
    }

    pub fn dir(self, path: &str) -> Tar {
        self.member(path.as_bytes(), b'5', b"", |_| {})
    }

    pub fn symlink(self, path: &str, target: &str) -> Tar {
        self.member(path.as_bytes(), b'2', b"", |header| header.set_link_name_literal(target).unwrap())
    }

    pub fn hard_link(self, path: &str, target: &str) -> Tar {
        self.member(path.as_bytes(), b'1', b"", |header| header.set_link_name_literal(target).unwrap())
    }

    pub fn device(self, path: &str, kind: u8, major: u32, minor: u32) -> Tar {
        self.member(path.as_bytes(), kind, b"", |header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    /// PAX records for the next member.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..9).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
            write!(data, "{length} {key}=").unwrap();
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.member(b"PaxHeader", b'x', &data, |_| {})
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// A zstd frame that stores data as it is, in blocks; `zeros` more bytes are blocks of a repeated byte.
pub fn zstd(data: &[u8], zeros: u64) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    let header = |kind: u32, size: usize| ((size as u32) << 3 | kind << 1).to_le_bytes()[..3].to_vec();
    for chunk in data.chunks(BLOCK) {
        frame.extend(header(0, chunk.len()));
        frame.extend_from_slice(chunk);
    }
    for _ in 0..zeros / BLOCK as u64 {
        frame.extend(header(1, BLOCK));
        frame.push(0);
    }
    // The last block, of nothing.
    frame.extend([1, 0, 0]);
    frame
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Whether a program is there; says so where it is not. In CI nothing is skipped.
pub fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is not installed, and in CI nothing is skipped");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// The tar of a small root filesystem.
pub fn small_root() -> Vec<u8> {
    Tar::new()
        .dir("./")
        .dir("./etc")
        .file("./etc/passwd", b"root:x:0:0::/root:/bin/sh\n")
        .dir("./bin")
        .file("./bin/sh", b"#!/bin/false\n")
        .symlink("./lib", "usr/lib")
        .dir("./usr")
        .dir("./usr/lib")
        .file("./usr/lib/a", b"a")
        .end()
}

/// Makes a container of an image, as far as the store is concerned; gives its id.
pub fn container(store: &Store, image: &str) -> String {
    let id = "c0ffee".repeat(11)[..64].to_owned();
    let folder = store.root().join("containers").join(&id);
    fs::create_dir(&folder).unwrap();
    let container = serde_json::json!({"Id": id, "Created": "", "Name": "web", "Image": image, "Path": "", "Args": [],
        "Config": {}, "HostConfig": {}});
    fs::write(folder.join("container.json"), container.to_string()).unwrap();
    id
}

/// A tar of many files, so that there is a middle to be killed in.
pub fn big(files: usize, size: usize) -> Vec<u8> {
    let mut tar = Tar::new();
    for n in 0..files {
        let content: Vec<u8> = (0..size).map(|i| (i * 31 + n * 7) as u8).collect();
        tar = tar.dir(&format!("d{}", n % 50)).file(&format!("d{}/f{n}", n % 50), &content);
    }
    tar.end()
}

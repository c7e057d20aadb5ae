//! `mkrootfs debian`, with programs of this test's own in place of mmdebstrap and debootstrap: what they are asked for, and
//! what becomes of what they make. (The real ones take a minute and the network.)

#![allow(clippy::unwrap_used)]

mod common;

use common::{program, text};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Puts a script into `dir/bin`, which is then all that `mkrootfs` has for a PATH beside the system's.
fn fake(dir: &Path, name: &str, script: &str) {
    fs::create_dir_all(dir.join("bin")).unwrap();
    let file = dir.join("bin").join(name);
    // By cp(1): a file that we had open for writing while another test starts a process could not be executed.
    fs::write(dir.join("script"), format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(dir.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("cp").arg(dir.join("script")).arg(file).status().unwrap().success());
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dir.join("bin").display());
    command.arg("debian").args(args).current_dir(dir).env("PATH", path);
    command.env("XDG_CACHE_HOME", dir.join("cache")).env_remove("SOURCE_DATE_EPOCH");
    command
}

fn debian(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

/// What both fakes make, in `$root`: a package's file, a log, and the list that tells the date.
const FILL: &str = r#"
    mkdir -p "$root/usr/bin" "$root/etc" "$root/var/log" "$root/var/lib/apt/lists"
    echo program > "$root/usr/bin/program"; chmod 755 "$root/usr/bin/program"
    touch -d @1000000 "$root/usr/bin/program"
    date > "$root/var/log/dpkg.log"; uname -n > "$root/etc/hostname"; echo $$ > "$root/etc/made"
    echo made > "$root/etc/made"
    printf 'Suite: x\nDate: Sat, 11 Jan 2020 10:00:00 UTC\n' > "$root/var/lib/apt/lists/x_Release"
"#;

fn fake_debootstrap(dir: &Path) {
    let script = format!(
        "printf '%s\\n' \"$@\" > '{0}/args'\nfor word in \"$@\"; do last2=$last; last=$word; done\nroot=$last2\n{FILL}",
        dir.display()
    );
    fake(dir, "debootstrap", &script);
}

fn assert_filled(root: &Path) {
    let about = |path: &str| root.join(path).metadata().unwrap();
    assert_eq!(fs::read_to_string(root.join("usr/bin/program")).unwrap(), "program\n");
    assert_eq!((about("usr/bin/program").mtime(), about("usr/bin/program").mode() & 0o777), (1_000_000, 0o755));
    // No newer than the release, and nothing of this host.
    assert_eq!((about("etc/made").mtime(), about("etc").mtime()), (1_578_736_800, 1_578_736_800));
    assert!(!root.join("etc/hostname").exists() && !root.join("var/lib/apt/lists/x_Release").exists());
    assert_eq!(fs::read_to_string(root.join("var/log/dpkg.log")).unwrap(), "");
}

#[test]
fn debootstrap_is_asked_for_what_was_asked_of_us() {
    let dir = tempfile::tempdir().unwrap();
    fake_debootstrap(dir.path());
    let args = ["rootfs", "--installer", "debootstrap", "--suite", "trixie", "--include", "a,b", "--include", "c"];
    let output = debian(dir.path(), &[&args[..], &["--mirror", "http://mirror.example/debian", "--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let cache = dir.path().join("cache/ctr/debian/trixie");
    let asked = fs::read_to_string(dir.path().join("args")).unwrap();
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines[..2], ["--variant=minbase", &format!("--cache-dir={}", cache.display())]);
    assert_eq!(lines[2..4], ["--include=a,b,c", "trixie"]);
    assert!(
        lines[4].starts_with(dir.path().to_str().unwrap()) && lines[5] == "http://mirror.example/debian",
        "{asked}"
    );
    assert!(cache.is_dir());
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["files"], 3);
    assert_filled(&dir.path().join("rootfs"));
}

#[test]
fn mmdebstrap_writes_a_tar_which_is_extracted() {
    let dir = tempfile::tempdir().unwrap();
    // Padded to 256 KiB, which is more than a pipe holds: it is read to its end all the same.
    let archive = format!(
        "printf '%s\\n' \"$@\" > '{}/args'\nroot=$(mktemp -d)\n{FILL}\ntar -b 512 -C \"$root\" -c . && rm -r \"$root\"",
        dir.path().display()
    );
    fake(dir.path(), "mmdebstrap", &archive);
    let output = debian(dir.path(), &["rootfs", "--cache", "my debs", "--variant", "important", "--keyring", "/k.gpg"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("rootfs: 3 files, "), "{}", text(&output.stdout));
    let asked = fs::read_to_string(dir.path().join("args")).unwrap();
    let cache = dir.path().join("my debs/stable");
    for line in [
        "--format=tar",
        "--variant=important",
        "--keyring=/k.gpg",
        &format!("--setup-hook=sync-in '{}' /var/cache/apt/archives/", cache.display()),
    ] {
        assert!(asked.lines().any(|asked| asked == line), "{line}: {asked}");
    }
    assert!(asked.ends_with("stable\n-\nhttp://deb.debian.org/debian\n"), "{asked}");
    assert_filled(&dir.path().join("rootfs"));
}

#[test]
fn an_installer_that_fails_leaves_nothing_and_says_why_itself() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("cache")).unwrap();
    for name in ["debootstrap", "mmdebstrap"] {
        fake(dir.path(), name, "echo E: no such suite >&2; exit 1");
        let output = debian(dir.path(), &["rootfs", "--installer", name]);
        assert_eq!(output.status.code(), Some(125));
        let said = text(&output.stderr);
        assert!(said.contains("E: no such suite\n") && said.contains(&format!("mkrootfs: run {name}: ")), "{said}");
        assert_eq!(names(dir.path()), ["bin", "cache", "script"]);
    }
}

#[test]
fn without_an_installer_it_says_which_to_install() {
    let dir = tempfile::tempdir().unwrap();
    // Hidden by a mount of an empty folder over each program, where this host has it.
    let script = "for p in /usr/sbin/debootstrap /usr/bin/mmdebstrap; do [ ! -e $p ] || mount --bind /dev/null $p; done
        exec \"$@\"";
    let program = program();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "slave", "sh", "-c", script, "sh", program.to_str().unwrap()])
        .args(["debian", "rootfs"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(
        said,
        "mkrootfs: find mmdebstrap or debootstrap: not on this host; on Debian and its like: apt-get install mmdebstrap\n"
    );
    assert_eq!((output.status.code(), fs::read_dir(dir.path()).unwrap().count()), (Some(125), 0));
}

#[test]
fn stopped_or_killed_it_takes_the_installer_along_and_the_next_run_removes_what_is_left() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let dir = tempfile::tempdir().unwrap();
        // An installer that ignores what it can, works on, and has a helper that does.
        fake(
            dir.path(),
            "debootstrap",
            "trap '' TERM INT HUP; for last in \"$@\"; do root=$before; before=$last; done
            mkdir -p \"$root/etc\"; (while sleep 0.01; do date >> \"$root/etc/clock\"; done) & wait",
        );
        let mut child = command(dir.path(), &["rootfs", "--installer", "debootstrap"]).spawn().unwrap();
        let half = || {
            fs::read_dir(dir.path())
                .unwrap()
                .flatten()
                .find(|e| text(e.file_name().as_encoded_bytes()).ends_with(".mkrootfs"))
        };
        poll("the installer to work", || half().is_some_and(|half| half.path().join("etc/clock").exists()));
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), code);
        assert!(!dir.path().join("rootfs").exists());
        match code {
            Some(_) => assert!(half().is_none(), "{:?}", half()),
            // Nobody was left to remove it; but nobody works on it either.
            None => poll("the installer to end", || !processes_know(dir.path())),
        }
        fake_debootstrap(dir.path());
        let output = debian(dir.path(), &["rootfs", "--installer", "debootstrap"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(half().is_none() && dir.path().join("rootfs/usr/bin/program").exists());
    }
}

/// Whether a process has `dir` in its arguments.
fn processes_know(dir: &Path) -> bool {
    let dir = dir.to_str().unwrap();
    let arguments = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).unwrap_or_default();
    fs::read_dir("/proc").unwrap().flatten().any(|entry| text(&arguments(entry)).contains(dir))
}

fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited 60 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

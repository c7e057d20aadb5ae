//! A bundle in a temporary folder, with busybox for a root filesystem, and the built program to run it with.
//!
//! These tests need root. They look from inside (what the program prints) and from outside (`/proc`, the mount table).

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const APPLETS: &str = "cat chmod echo env false grep head hostname id kill ln ls mkdir mount ps pwd readlink rm sed sh sleep \
                       stat stty test touch tr true tty umount wc";

/// The built program.
pub fn program() -> PathBuf {
    match std::env::var_os("CTR_BIN_DIR") {
        Some(dir) => Path::new(&dir).join("unshare-run"),
        None => env!("CARGO_BIN_EXE_unshare-run").into(),
    }
}

/// Copies a program that is to be run, by cp(1).
///
/// A file that this process has had open for writing may for a moment still be open in a child that another test is just
/// starting, and as long as it is, it cannot be executed (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-p").arg(from).arg(to).status().unwrap().success(), "copy {}", from.display());
}

/// Writes a script that is to be run; as [`copy_program`] by another process.
pub fn write_script(path: &Path, text: &str) {
    let write = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let status = Command::new("sh").args(["-c", write, "sh"]).arg(path).arg(text).status().unwrap();
    assert!(status.success(), "write {}", path.display());
}

/// A root filesystem of busybox alone.
pub fn make_rootfs(rootfs: &Path) {
    for dir in ["bin", "etc", "root", "tmp", "proc", "sys", "dev"] {
        fs::create_dir_all(rootfs.join(dir)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("these tests need a static busybox at /bin/busybox (Debian: busybox-static)");
    copy_program(Path::new(busybox), &rootfs.join("bin/busybox"));
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv/web:/bin/sh\n").unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\nweb:x:33:\n").unwrap();
}

/// A bundle and a state folder of its own. Dropping it checks that nothing is left of its containers.
pub struct Bundle {
    dir: tempfile::TempDir,
    /// `config.json`, to be changed before it is used.
    pub config: Value,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        use std::os::unix::process::ExitStatusExt;
        Said {
            code: output.status.code().unwrap_or_else(|| 1000 + output.status.signal().unwrap_or(0)),
            out: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
            err: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        }
    }
}

impl Bundle {
    /// A bundle with docker's defaults (but no cgroup) whose program is `sh -c SCRIPT`.
    pub fn new(script: &str) -> Bundle {
        assert!(rustix::process::geteuid().is_root(), "this test makes containers as root: run it as root");
        let dir = tempfile::Builder::new().prefix("unshare-run-test-").tempdir().unwrap();
        // Users of the container must be able to reach its files.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        make_rootfs(&dir.path().join("rootfs"));
        let spec = Command::new(program()).args(["spec", "--", "sh", "-c", script]).output().unwrap();
        let mut config: Value = serde_json::from_slice(&spec.stdout).unwrap();
        config["linux"].as_object_mut().unwrap().remove("resources");
        Bundle { dir, config }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    pub fn state_root(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Other arguments.
    pub fn args(mut self, args: &[&str]) -> Bundle {
        self.config["process"]["args"] = args.iter().map(|arg| Value::from(*arg)).collect();
        self
    }

    /// The program, with this bundle's configuration on disk and a state folder of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        fs::write(self.path().join("config.json"), serde_json::to_vec(&self.config).unwrap()).unwrap();
        let mut command = Command::new(program());
        command.arg("--root").arg(self.state_root()).args(args).stdin(Stdio::null());
        command
    }

    pub fn call(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// `run`, in the foreground.
    pub fn run(&self, id: &str) -> Said {
        self.command(&["run", "--bundle", self.path().to_str().unwrap(), id]).output().unwrap().into()
    }

    /// What the program printed; it must have succeeded without a word on standard error.
    pub fn prints(&self, id: &str) -> String {
        let said = self.run(id);
        assert!(said.code == 0 && said.err.is_empty(), "{said:?}");
        said.out
    }

    /// `create`, which must succeed. Its output goes nowhere: who holds a pipe open is waited for.
    pub fn create(&self, id: &str) {
        let mut command = self.command(&["create", "--bundle", self.path().to_str().unwrap(), id]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::inherit()).status().unwrap();
        assert!(status.success(), "create {id}: {status}");
    }

    pub fn state(&self, id: &str) -> Value {
        let said = self.call(&["state", id]);
        assert_eq!(said.code, 0, "{said:?}");
        serde_json::from_str(&said.out).unwrap()
    }

    pub fn pid(&self, id: &str) -> i64 {
        self.state(id)["pid"].as_i64().unwrap()
    }

    /// Waits until a container has a status.
    pub fn await_status(&self, id: &str, status: &str) {
        until(&format!("{id} is {status}"), || self.state(id)["status"] == status);
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.state_root()).into_iter().flatten().flatten() {
            self.call(&["delete", "--force", entry.file_name().to_str().unwrap()]);
        }
        if std::thread::panicking() {
            return;
        }
        let left: Vec<_> = fs::read_dir(self.state_root()).into_iter().flatten().collect();
        assert!(left.is_empty(), "state is left: {left:?}");
        let place = self.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(place), "mounts are left: {mounts}");
        until("no process of the test is left", || processes_with(place).is_empty());
    }
}

/// The processes that have a text in their command line (a created container still has ours).
pub fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let own = entry.file_name().to_string_lossy() == std::process::id().to_string();
        if line.contains(text) && !own {
            found.push(line);
        }
    }
    found
}

/// The folders of a control group, in whichever trees: of that name, at the top or in `/ctr`.
pub fn groups_named(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = mounts.lines().filter_map(|line| line.split_once(" - "));
    let tops = lines.filter(|(_, kind)| kind.starts_with("cgroup")).map(|(mount, _)| mount.split(' ').nth(4).unwrap());
    let folders = tops.flat_map(|top| [Path::new(top).join(name), Path::new(top).join("ctr").join(name)]);
    folders.filter(|folder| folder.exists()).collect()
}

/// Waits until something is so; a minute, for a machine may be emulated, or busy with something else.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

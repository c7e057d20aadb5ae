//! A bundle of one case's own, and a runtime to make containers of it.

use ctr_tests::{Output, bin_dir, output, poll_until};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The programs of every container: busybox under these names.
const APPLETS: &str = "awk cat chmod chown cut date dd dnsdomainname echo env expr false find grep head hostname id ionice ip ipcs \
                       kill ln ls mkdir mkfifo mknod mount mv nc nsenter od ps pwd readlink rm rmdir sed setpriv sh sleep sort stat stty \
                       sync tail taskset tee test timeout touch tr true tty umount uname uniq unshare wc which xxd";

/// Who makes the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// What everybody uses: the measure.
    Runc,
    /// `unshare-run`.
    Ours,
}

impl Runtime {
    /// Both, the measure first.
    pub const BOTH: [Runtime; 2] = [Runtime::Runc, Runtime::Ours];

    /// The program.
    pub fn program(self) -> PathBuf {
        match self {
            Runtime::Runc => "runc".into(),
            Runtime::Ours => bin_dir().join("unshare-run"),
        }
    }
}

/// A bundle with busybox for its root filesystem, and a folder for the runtime's state.
///
/// When it goes, its container is removed, and what is then left of it fails the test.
pub struct Bundle {
    dir: tempfile::TempDir,
    /// Who makes the container.
    pub runtime: Runtime,
    /// `config.json`, written before each command.
    pub config: Value,
    /// The container's name, like no other's.
    pub id: String,
}

impl Bundle {
    /// Namespaces of its own but for user, cgroup and time; the usual mounts; no limits; and `true` to run.
    pub fn new(runtime: Runtime) -> Bundle {
        assert!(rustix::process::geteuid().is_root(), "this test makes containers as root: run it as root");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("oci-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix("oci-test-").tempdir().unwrap();
        // Users of the container must be able to reach its files.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        make_rootfs(&dir.path().join("rootfs"));
        let mut bundle = Bundle { dir, runtime, config: config(), id };
        bundle.script("true");
        bundle
    }

    /// Its program is `sh -c SCRIPT`.
    pub fn script(&mut self, script: &str) {
        self.config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in its root filesystem.
    pub fn in_rootfs(&self, path: &str) -> PathBuf {
        self.path().join("rootfs").join(path.trim_start_matches('/'))
    }

    /// Makes a folder in its root filesystem.
    pub fn mkdir(&self, path: &str) {
        fs::create_dir_all(self.in_rootfs(path)).unwrap();
    }

    /// Makes a file in the bundle (`rootfs/...` is in the container), with its folders.
    pub fn file(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes an executable shell script in the bundle.
    pub fn program(&self, path: &str, script: &str) {
        self.file(path, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.path().join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The text of a file in the bundle; empty where there is none.
    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_default().trim_end().to_owned()
    }

    /// The runtime, with the configuration on disk and a state folder of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        fs::write(self.path().join("config.json"), serde_json::to_vec(&self.config).unwrap()).unwrap();
        self.command_as_is(args)
    }

    /// The same with whatever is there as `config.json`.
    pub fn command_as_is(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.runtime.program());
        command.arg("--root").arg(self.path().join("state")).args(args).current_dir(self.path());
        command
    }

    /// Runs the runtime to its end.
    #[track_caller]
    pub fn call(&self, args: &[&str]) -> Output {
        output::run(&mut self.command(args), b"")
    }

    /// `run`, in the foreground.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.call(&["run", &self.id])
    }

    /// A command that leaves a process behind, which has the output: `create`, `run --detach`, `exec --detach`. What the
    /// process prints is in the bundle's file `out`, what the runtime has to say in `err`.
    #[track_caller]
    pub fn detach(&self, args: &[&str]) -> u8 {
        let file = |name: &str| fs::File::options().create(true).append(true).open(self.path().join(name)).unwrap();
        let mut command = self.command(args);
        let status = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).status().unwrap();
        layout::exit::from_status(status)
    }

    /// `create`, which must go well.
    #[track_caller]
    pub fn create(&self) {
        let code = self.detach(&["create", &self.id]);
        assert_eq!(code, 0, "create: {}", self.text("err"));
    }

    /// `run --detach`, which must go well.
    #[track_caller]
    pub fn run_detached(&self) {
        let code = self.detach(&["run", "--detach", &self.id]);
        assert_eq!(code, 0, "run --detach: {}", self.text("err"));
    }

    /// What `state` says.
    #[track_caller]
    pub fn state(&self) -> Value {
        self.call(&["state", &self.id]).ok().json()
    }

    /// The container's first process.
    #[track_caller]
    pub fn pid(&self) -> i64 {
        self.state()["pid"].as_i64().unwrap()
    }

    /// Waits until the container has a status.
    #[track_caller]
    pub fn await_status(&self, status: &str) {
        poll_until(60, &format!("the container to be {status}"), || (self.state()["status"] == status).then_some(()));
    }

    /// Waits until the container has printed this (see [`Bundle::detach`]).
    #[track_caller]
    pub fn await_output(&self, text: &str) {
        poll_until(60, &format!("the container to print {text:?}"), || self.text("out").contains(text).then_some(()));
    }

    /// What there is of the container's on this machine.
    pub fn leftovers(&self) -> Vec<String> {
        let place = self.path().to_str().unwrap();
        let mut left: Vec<String> = Vec::new();
        let states = fs::read_dir(self.path().join("state")).into_iter().flatten().flatten();
        left.extend(states.map(|entry| format!("state {}", entry.path().display())));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(place)).map(|line| format!("mount {line}")));
        left.extend(groups_named(&self.id).into_iter().map(|dir| format!("cgroup {}", dir.display())));
        left.extend(processes_of(place).into_iter().map(|process| format!("process {process}")));
        left
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = output::run(&mut self.command_as_is(&["delete", "--force", &self.id]), b"");
        if std::thread::panicking() {
            return;
        }
        let mut left = Vec::new();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::time::Instant::now() < end {
            left = self.leftovers();
            if left.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{:?} leaves behind: {left:#?}", self.runtime);
    }
}

/// The folders of a control group, in whichever tree, at its top or in `/ctr`.
pub fn groups_named(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let tops = ctr_tests::leaks::parse_mounts(&mounts).filter(|mount| mount.kind.starts_with("cgroup"));
    let folders = tops.flat_map(|mount| {
        let top = Path::new(mount.target);
        [top.join(name), top.join("ctr").join(name)]
    });
    folders.filter(|folder| folder.exists()).collect()
}

/// The processes that have a text in their command line or are in a folder below it.
pub fn processes_of(place: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let lines = numbers.filter(|entry| entry.file_name().to_string_lossy() != own).map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        (entry, String::from_utf8_lossy(&line).replace('\0', " "))
    });
    let of_place = lines.filter(|(entry, line)| {
        line.contains(place) || fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(place))
    });
    of_place.map(|(entry, line)| format!("{} {line}", entry.file_name().to_string_lossy())).collect()
}

fn make_rootfs(rootfs: &Path) {
    for dir in ["bin", "etc", "root", "tmp", "proc", "sys", "dev", "mnt"] {
        fs::create_dir_all(rootfs.join(dir)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("these tests need a static busybox (Debian: busybox-static; make setup)");
    fs::copy(busybox, rootfs.join("bin/busybox")).unwrap();
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv/web:/bin/sh\n").unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\nweb:x:33:\n").unwrap();
}

/// What a container is, written out: not by our own tool, which is what is tested here.
fn config() -> Value {
    let capabilities: Vec<String> =
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE \
         SYS_CHROOT KILL AUDIT_WRITE"
            .split_whitespace()
            .map(|name| format!("CAP_{name}"))
            .collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities}
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}]
        }
    })
}

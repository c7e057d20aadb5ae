//! A small machine within the machine, for programs that spread over it: other people's container engines, which
//! keep daemons, mounts, bridges, firewall rules and notes in `/run` and `/var/lib`.
//!
//! It has processes, mounts and a network of its own, and shares the files: what a test writes to its temporary folder
//! is seen in the cell. Its first process is a shell that waits for the end of its input. So the cell ends with whoever made
//! it, however that ends, and the kernel then ends every process in it, and with them its mounts and devices.

use crate::leaks::parse_mounts;
use crate::process::Process;
use crate::{Output, bin_dir, output};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the cell's first process does. `cat` ends when nobody holds the other end of its input any more.
const FIRST_PROCESS: &str = "\
    mount -t tmpfs -o mode=755 run /run && mount -t tmpfs -o mode=755 lib /var/lib && ip link set lo up &&
    echo ready && cat > /dev/null";

/// See the module.
pub struct Cell {
    dir: TempDir,
    keeper: Child,
    group: String,
}

impl Cell {
    /// Makes one. `name` tells its control group from others'.
    ///
    /// # Panics
    /// When this machine cannot: it needs root.
    #[track_caller]
    pub fn new(name: &str) -> Cell {
        let dir = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().expect("make a temporary folder");
        let group = format!("/ctr-test-{}", dir.path().file_name().unwrap().display());
        let mut keeper = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["--", "sh", "-c", FIRST_PROCESS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run unshare");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the cell does not come up: see what unshare and mount said");
        Cell { dir, keeper, group }
    }

    /// A folder that is seen inside and outside, and gone afterwards.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The control group that everything is to be put in, from the root of the hierarchies; removed with all
    /// that is in it.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// A program inside. Of the tools' variables it gets none: other people's engines do not set them.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let namespaces = PathBuf::from(format!("/proc/{}/ns", self.keeper.id()));
        let option = |name: &str, file: &str| format!("--{name}={}", namespaces.join(file).display());
        let mut command = Command::new("nsenter");
        command
            .args([option("mount", "mnt"), option("net", "net"), option("pid", "pid_for_children")])
            .arg(format!("--wd={}", self.path().display()))
            .arg("--")
            .arg(program);
        for variable in ["CTR_ROOT", "CTR_RUN", "CTR_BIN_DIR", "CTR_TEST_CACHE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs lines of shell inside.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        output::run(self.command("sh").args(["-c", script]), b"")
    }

    /// Starts a daemon inside, a line of shell, and waits until `answers` succeeds: then it is up.
    ///
    /// # Panics
    /// When it does not answer within a minute, with what it has logged.
    #[track_caller]
    pub fn start_daemon(&self, line: &str, mut answers: impl FnMut() -> Command) {
        let log = self.path().join("daemon.log");
        // In the background of a shell that ends: the cell's first process inherits it, and reaps it.
        self.sh(&format!("{line} > {} 2>&1 < /dev/null &", log.display())).ok();
        let end = Instant::now() + Duration::from_secs(60);
        while output::run(&mut answers(), b"").code != 0 {
            assert!(Instant::now() < end, "{line}: does not answer; its log:\n{}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes inside, as seen from outside.
    pub fn processes(&self) -> Vec<Process> {
        let namespace = |pid: u32, file: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).ok();
        let own = namespace(self.keeper.id(), "mnt").expect("the cell's mount namespace");
        // A container has mounts of its own, but comes from a runtime: the control group tells.
        let inside = |p: &Process| {
            p.pid != self.keeper.id()
                && (p.cgroups.contains(&self.group) || namespace(p.pid, "mnt").as_ref() == Some(&own))
        };
        Process::all().into_iter().filter(inside).collect()
    }

    /// Waits for what containers leave for a moment, and then there must be nothing of them: no process but the daemons,
    /// and the cell's own, and no control group but these.
    #[track_caller]
    pub fn assert_no_containers(&self, daemons: &[&str], groups: &[&str]) {
        let known = |p: &Process| ["sh", "cat"].iter().chain(daemons).any(|program| p.is(program, ""));
        let strangers = || -> Vec<String> {
            let processes = self.processes().into_iter().filter(|p| !known(p));
            let others = self.groups().into_iter().filter(|group| !groups.contains(&group.as_str()));
            processes.map(|p| format!("process {} {:?}", p.pid, p.args)).chain(others).collect()
        };
        let end = Instant::now() + Duration::from_secs(20);
        while !strangers().is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(strangers(), Vec::<String>::new(), "left of containers");
    }

    /// What is mounted inside at or below `dir`.
    pub fn mounts_below(&self, dir: &str) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", self.keeper.id())).expect("the cell's mounts");
        parse_mounts(&table).map(|m| m.target.to_owned()).filter(|target| Path::new(target).starts_with(dir)).collect()
    }

    /// What the kernel says of a control group: the content of the file `v1` in the tree of `controller`, or where there is
    /// only version 2, of the file `v2`.
    #[track_caller]
    pub fn limit(&self, group: &str, controller: &str, v1: &str, v2: &str) -> String {
        let root = Path::new(CGROUPS);
        let file =
            if is_v2() { root.join(&group[1..]).join(v2) } else { root.join(controller).join(&group[1..]).join(v1) };
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("read {}: {error}", file.display())).trim().to_owned()
    }

    /// The names of the control groups inside of the cell's own, in whatever tree they are.
    pub fn groups(&self) -> BTreeSet<String> {
        let root = PathBuf::from(CGROUPS);
        let trees = if is_v2() { vec![root] } else { folders_in(&root) };
        trees
            .iter()
            .flat_map(|tree| folders_in(&tree.join(&self.group[1..])))
            .filter_map(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()))
            .collect()
    }
}

/// Where the control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Whether there is version 2 alone.
pub fn is_v2() -> bool {
    Path::new(CGROUPS).join("cgroup.controllers").exists()
}

fn folders_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

impl Drop for Cell {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let end = Instant::now() + Duration::from_secs(10);
        while matches!(self.keeper.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // The last folders: nothing runs in them any more.
        let removed = output::run(Command::new(bin_dir().join("cgset")).args(["delete", "--kill", &self.group]), b"");
        if removed.code != 0 && !std::thread::panicking() {
            panic!("the cell's control group stays:\n{removed}");
        }
    }
}

/// Something that tests of one program share, because it takes long to make: it is there as long as one of them uses it,
/// and then gone in the ordinary way.
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    /// Nothing yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Shared<T> {
        Shared(Mutex::new(Weak::new()))
    }

    /// What there is, else what `make` makes.
    pub fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        // A test that failed in here has made nothing.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let made = Arc::new(make());
            *shared = Arc::downgrade(&made);
            made
        })
    }
}

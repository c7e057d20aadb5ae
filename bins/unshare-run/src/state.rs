//! What is on disk of a container: the folder `ROOT/ID` with `state.json`, `config.json` and `exec.fifo`.
//!
//! A process is identified by its number and the time it was started at: numbers are used again, but not at the same
//! tick. Whoever wants to signal it opens a pidfd first, compares then, and signals by the pidfd.

use crate::cgroup::Folders;
use crate::exec_fifo;
use crate::hooks::{self, HookState, Place};
use crate::rdt::Groups;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Hook, Spec};
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the specification that `config.json` follows.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// Its first process; 0 while it is being made.
    pub pid: i32,
    /// When that process was started, in ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// The folder that it was made from.
    pub bundle: PathBuf,
    /// Its root folder on the host.
    pub rootfs: PathBuf,
    /// When it was made.
    pub created: String,
    /// Its cgroup, from the hierarchy's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The folders of that, once they are made.
    #[serde(default)]
    pub cgroup_folders: Folders,
    /// Whether its first process's end leaves its other processes alive: it has no new pid namespace.
    #[serde(default)]
    pub outlived: bool,
    /// Its groups in resctrl.
    #[serde(default, skip_serializing_if = "Groups::is_empty")]
    pub rdt: Groups,
    /// Notes of the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Hooks that are yet to be run: when the program has been started, and when the container has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// See `poststart`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

impl State {
    /// The state as hooks get it. A container that has ended has no process.
    pub fn for_hooks(&self, status: Status) -> HookState<'_> {
        HookState {
            oci_version: &self.oci_version,
            id: &self.id,
            status: status.as_str(),
            pid: if status == Status::Stopped { 0 } else { self.pid },
            bundle: &self.bundle,
            annotations: &self.annotations,
        }
    }

    /// Where hooks of the runtime run: in the bundle.
    pub fn hooks_place(&self) -> Place<'_> {
        Place { folder: Some(&self.bundle), env: None }
    }

    /// Runs the hooks that follow the start of the program.
    pub fn run_poststart(&self) -> Result<()> {
        hooks::run("poststart", &self.poststart, &self.for_hooks(Status::Running), self.hooks_place())
    }
}

/// Where a container is in its life, in the specification's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits for `start`.
    Created,
    /// Its program runs.
    Running,
    /// Everything in it stands still until `resume`.
    Paused,
    /// It has ended.
    Stopped,
}

impl Status {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// The folder of one container.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The folder of a container, which need not be there.
    ///
    /// # Errors
    /// A name that would be another path, or no file name.
    pub fn new(root: &Path, id: &str) -> Result<StateDir> {
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'.');
        if id.is_empty() || id == "." || id == ".." || id.len() > 255 || !id.bytes().all(fine) {
            bail!("container name {id:?}: it must be made of letters, digits and _ + - . (at most 255)");
        }
        Ok(StateDir(root.join(id)))
    }

    /// Makes the folder: whoever makes it has the name.
    pub fn claim(root: &Path, id: &str) -> Result<StateDir> {
        let dir = StateDir::new(root, id)?;
        let make = || fs::DirBuilder::new().mode(0o700).create(&dir.0);
        let made = make().or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o711).create(root)?;
                make()
            }
            _ => Err(error),
        });
        match made {
            Ok(()) => is_ours(root).map(|()| dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("create container {id}: container with given ID already exists")
            }
            Err(error) => Err(error).with_context(|| format!("make {}", dir.0.display())),
        }
    }

    /// Says that the container is being made, for as long as we live and hold this. It comes before the state is written:
    /// so whoever finds a state without a process, and no lock, knows that its maker was killed.
    pub fn lock(&self) -> Result<OwnedFd> {
        let what = || format!("lock {}", self.0.display());
        let folder = self.open().with_context(what)?;
        flock(&folder, FlockOperation::LockExclusive).with_context(what)?;
        Ok(folder)
    }

    fn is_locked(&self) -> bool {
        let Ok(folder) = self.open() else { return false };
        flock(&folder, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }

    fn open(&self) -> rustix::io::Result<OwnedFd> {
        rustix::fs::open(&self.0, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Where the process waits for `start`; it is there exactly until then.
    pub fn exec_fifo(&self) -> PathBuf {
        self.0.join("exec.fifo")
    }

    /// Reads the state.
    pub fn state(&self) -> Result<State> {
        self.state_if_there()?.context("container does not exist")
    }

    /// Reads the state, if there is one.
    pub fn state_if_there(&self) -> Result<Option<State>> {
        let file = self.0.join("state.json");
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(|| format!("read {}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
        }
    }

    /// Publishes the state.
    pub fn write_state(&self, state: &State) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(state).context("encode state.json")?;
        write_whole(&self.0.join("state.json"), &bytes)
    }

    /// The configuration as it was when the container was made.
    pub fn config(&self) -> Result<Spec> {
        layout::publish::read_json(&self.0.join("config.json"))
    }

    /// Keeps the configuration.
    pub fn write_config(&self, spec: &Spec) -> Result<()> {
        let bytes = serde_json::to_vec(spec).context("encode config.json")?;
        write_whole(&self.0.join("config.json"), &bytes)
    }

    /// Where it is in its life.
    pub fn status(&self, state: &State) -> Status {
        match (state.pid, Process::find(state)) {
            (0, _) if self.is_locked() => Status::Creating,
            // A maker that was killed half-way.
            (0, _) | (_, None) => Status::Stopped,
            (_, Some(_)) if state.cgroup_folders.is_frozen() => Status::Paused,
            (_, Some(process)) if exec_fifo::is_held_by(&self.exec_fifo(), process.pid) => Status::Created,
            (_, Some(_)) => Status::Running,
        }
    }

    /// Removes the folder; none there is fine.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    /// The name of the user whose folder this is, for the list.
    pub fn owner(&self) -> String {
        let Ok(uid) = fs::metadata(&self.0).map(|meta| meta.uid()) else { return String::new() };
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let name = users.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)));
        name.map_or_else(|| uid.to_string(), |fields| fields[0].to_owned())
    }
}

/// A plain user's folder may be in `/tmp`, where anybody could have made it before him.
fn is_ours(root: &Path) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let owner = || fs::metadata(root).map(|meta| meta.uid()).with_context(|| format!("stat {}", root.display()));
    if own != 0 && ![0, own].contains(&owner()?) {
        bail!("use {}: it belongs to somebody else; name another by CTR_RUN or --root", root.display());
    }
    Ok(())
}

/// The containers of a root folder, by name.
pub fn all(root: &Path) -> Result<Vec<StateDir>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("list {}", root.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("list {}", root.display()))?.file_name();
        if let Some(dir) = name.to_str().and_then(|name| StateDir::new(root, name).ok())
            && dir.0.join("state.json").exists()
        {
            found.push(dir);
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// A container's first process, held so that it cannot become another one.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// What it is signalled and awaited by.
    pub pidfd: OwnedFd,
}

impl Process {
    /// The process of a state, if it still lives.
    pub fn find(state: &State) -> Option<Process> {
        let pid = Pid::from_raw(state.pid)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Now that the pidfd is held: if the start time is right, it was the right one that we opened.
        let stat = Stat::read(Path::new("/proc"), pid).ok()?;
        (stat.start_time == state.start_time && !stat.is_dead()).then_some(Process { pid, pidfd })
    }
}

/// The fields of `/proc/PID/stat` that matter here (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    state: char,
    /// In ticks since boot.
    pub start_time: u64,
}

impl Stat {
    /// Reads them.
    pub fn read(proc: &Path, pid: Pid) -> Result<Stat> {
        let path = proc.join(pid.as_raw_pid().to_string()).join("stat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Stat::parse(&text).with_context(|| format!("read {}: {text:?} has another form", path.display()))
    }

    /// The command's name is in brackets and may hold anything, brackets and spaces included: count from the last one.
    fn parse(text: &str) -> Option<Stat> {
        let mut fields = text.rsplit_once(") ")?.1.split_ascii_whitespace();
        Some(Stat { state: fields.next()?.chars().next()?, start_time: fields.nth(18)?.parse().ok()? })
    }

    /// Whether it has ended and only waits to be reaped.
    fn is_dead(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Writes a file that appears whole or not at all: beside it, then renamed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let temporary = path.with_file_name(format!(".{}.{}", name.display(), std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
        options.open(&temporary)?.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary))).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names() {
        for good in ["web", "a.b-c_d+e", "0"] {
            StateDir::new(Path::new("/r"), good).unwrap();
        }
        for bad in ["", ".", "..", "a/b", "../x", "a b", "ä", &"x".repeat(256)] {
            assert!(StateDir::new(Path::new("/r"), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_taken_once() {
        let root = tempfile::tempdir().unwrap();
        let top = root.path().join("deep/er");
        let dir = StateDir::claim(&top, "web").unwrap();
        assert!(format!("{:#}", StateDir::claim(&top, "web").unwrap_err()).contains("already exists"));
        dir.remove().unwrap();
        dir.remove().unwrap();
        StateDir::claim(&top, "web").unwrap();
    }

    #[test]
    fn the_start_time_is_found_whatever_the_commands_name() {
        let rest: String = (4..=52).map(|n| format!(" {n}")).collect();
        for name in ["sh", "a) R 1 (b", "x y z)"] {
            let stat = Stat::parse(&format!("12 ({name}) S{rest}\n")).unwrap();
            assert_eq!(stat, Stat { state: 'S', start_time: 22 });
        }
        assert_eq!(Stat::parse("nonsense"), None);
    }

    #[test]
    fn a_pid_alone_is_not_trusted() {
        let own = rustix::process::getpid();
        let start_time = Stat::read(Path::new("/proc"), own).unwrap().start_time;
        let state = State {
            oci_version: "1.2.0".to_owned(),
            id: "x".to_owned(),
            pid: own.as_raw_pid(),
            start_time,
            bundle: "/".into(),
            rootfs: "/".into(),
            created: String::new(),
            cgroup: None,
            cgroup_folders: Folders::default(),
            outlived: false,
            rdt: Groups::default(),
            annotations: BTreeMap::new(),
            poststart: Vec::new(),
            poststop: Vec::new(),
        };
        assert!(Process::find(&state).is_some());
        assert!(Process::find(&State { start_time: start_time + 1, ..state.clone() }).is_none());
        let dir = tempfile::tempdir().unwrap();
        let dir = StateDir::claim(dir.path(), "x").unwrap();
        assert_eq!(dir.status(&state), Status::Running);
        let lock = dir.lock().unwrap();
        assert_eq!(dir.status(&State { pid: 0, ..state.clone() }), Status::Creating);
        drop(lock);
        assert_eq!(dir.status(&State { pid: 0, ..state.clone() }), Status::Stopped);
        assert_eq!(dir.status(&State { start_time: 1, ..state }), Status::Stopped);
    }
}

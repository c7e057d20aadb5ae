//! The container's cgroup. To make it with its limits, and to remove it when anything is left in it, is `cgset`'s work;
//! to get into it is the process's own.
//!
//! To move a process that runs already, the kernel waits until no processor can be in the middle of a fork: about 10
//! ms. Two ways in do not need that (cgroups(7)). Into the v2 tree the process is *born*: clone3 takes a descriptor of
//! the folder (`CLONE_INTO_CGROUP`). In the v1 trees it moves *itself*, by writing 0 to `tasks`, while it has one thread.
//! The kernel asks whether he who opened the file may do that; so we open, and the new process only writes, wherever
//! it is by then.

use crate::namespaces::Namespaces;
use crate::narrate::narrate;
use anyhow::{Context, Result, bail};
use layout::exit;
use layout::oci::defaults;
use layout::oci::runtime::{NamespaceKind, Resources, Spec};
use layout::tool::{Call, Tool};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

mod folders;
pub use folders::Folders;

/// The group that all containers' groups are in, but those that are given another place.
const OURS: &str = "/ctr";

/// The ways into a group, opened.
#[derive(Debug, Default)]
pub struct Entrance {
    unified: Option<OwnedFd>,
    tasks: Vec<(PathBuf, OwnedFd)>,
}

impl Entrance {
    /// Opens them. They close when a program is executed.
    pub fn open(folders: &Folders) -> Result<Entrance> {
        let open = |path: &Path, flags: OFlags| {
            rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
                .with_context(|| format!("open {}", path.display()))
        };
        if let Some(folder) = &folders.unified {
            narrate!("the group that the new process is to be born in", "open({})", folder.display());
        }
        let unified = folders.unified.as_deref().map(|folder| open(folder, OFlags::PATH | OFlags::DIRECTORY));
        let tasks = folders.v1.iter().map(|folder| folder.join("tasks"));
        let tasks = tasks.map(|file| open(&file, OFlags::WRONLY).map(|fd| (file, fd)));
        Ok(Entrance { unified: unified.transpose()?, tasks: tasks.collect::<Result<_>>()? })
    }

    /// The folder for clone3 to make the process in.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Is not born there, but goes in later, as in the v1 trees: that is slow, but a limit of tasks does not hold whoever
    /// comes from outside.
    pub fn not_by_birth(mut self) -> Result<Entrance> {
        let Some(folder) = self.unified.take() else { return Ok(self) };
        let file = "cgroup.procs";
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let procs = rustix::fs::openat(&folder, file, flags, Mode::empty()).with_context(|| format!("open {file}"))?;
        self.tasks.push((file.into(), procs));
        Ok(self)
    }

    /// Goes in by the v1 trees. To be called by the new process itself.
    pub fn enter(self) -> Result<()> {
        for (file, fd) in self.tasks {
            narrate!("0 is whoever writes it: into the group", "write({}, \"0\")", file.display());
            rustix::io::write(&fd, b"0").with_context(|| format!("write 0 to {}", file.display()))?;
        }
        Ok(())
    }
}

/// The group's path from the hierarchy's root, if the configuration wants one.
///
/// # Errors
/// The form `slice:prefix:name`, which is for systemd, and paths that lead up.
pub fn path_of(spec: &Spec, id: &str) -> Result<Option<String>> {
    let Some(linux) = &spec.linux else { return Ok(None) };
    let path = linux.cgroups_path.as_str();
    if path.contains(':') {
        bail!("linux.cgroupsPath {path:?}: groups by way of systemd are not supported, use a path");
    }
    if path.split('/').any(|name| name == "..") {
        bail!("linux.cgroupsPath {path:?}: it must not lead up with ..");
    }
    Ok(match (path, &linux.resources) {
        // Without process numbers of its own a container ends with its group, or not at all.
        ("", None)
            if spec.root.is_some() && !Namespaces::of(spec).is_new(NamespaceKind::Pid) && is_root_of_the_machine() =>
        {
            Some(format!("{OURS}/{id}"))
        }
        ("", None) => None,
        // Who may make no group and asks for no limit gets none, as with runc.
        ("", Some(resources)) if limits_nothing(resources) && !is_root_of_the_machine() => None,
        ("", Some(_)) => Some(format!("{OURS}/{id}")),
        (path, _) => Some(format!("/{}", path.trim_start_matches('/'))),
    })
}

/// Whether there is nothing but a device list, which every configuration has. (Without power over the machine no device
/// can be made anyway.)
fn limits_nothing(resources: &Resources) -> bool {
    Resources { devices: Vec::new(), ..resources.clone() } == Resources::default()
}

/// Root, and not only of a user namespace.
fn is_root_of_the_machine() -> bool {
    let all = || std::fs::read_to_string("/proc/self/uid_map");
    let has_all = |map: String| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::geteuid().is_root() && all().is_ok_and(has_all)
}

/// What to do for who may not make groups.
fn hint() -> &'static str {
    match is_root_of_the_machine() {
        true => "",
        false => {
            " (limits need a group; root can give you one to make yours in: cgset create --delegate, then --cgroup-parent)"
        }
    }
}

/// The limits of a container: the configuration's, and as of runc a device list that says nothing of a device is no
/// permission. Docker counts on the devices that every container has, terminals above all, and podman on the denial.
///
/// Without a root of its own a process goes on using the host's devices; and only root of the machine can have a list.
fn resources(spec: &Spec) -> Resources {
    let mut resources = spec.linux.as_ref().and_then(|linux| linux.resources.clone()).unwrap_or_default();
    if spec.root.is_none() || !is_root_of_the_machine() {
        return resources;
    }
    let (deny_all, usual): (Vec<_>, Vec<_>) = defaults::device_rules().into_iter().partition(|rule| !rule.allow);
    let asked_for = std::mem::replace(&mut resources.devices, deny_all);
    resources.devices.extend(asked_for);
    for rule in usual {
        if !resources.devices.contains(&rule) {
            resources.devices.push(rule);
        }
    }
    resources
}

/// Makes the group with its limits. If that fails, nothing is left of it: `cgset` sees to that, also when we die
/// before it has answered.
pub fn create(path: &str, spec: &Spec) -> Result<Folders> {
    let json = serde_json::to_vec(&resources(spec)).context("encode linux.resources")?;
    let call = Call::new(Tool::Cgset).args(["create", path, "--resources", "-", "--json"]);
    let what = || format!("create cgroup {path}{}", hint());
    let answer = run(&call, &json).with_context(what)?;
    serde_json::from_slice(&answer).context("read the answer of cgset create").with_context(what)
}

/// Changes the group's limits: those that are given, and no others.
pub fn set(path: &str, resources: &Resources) -> Result<()> {
    let json = serde_json::to_vec(resources).context("encode linux.resources")?;
    let call = Call::new(Tool::Cgset).args(["set", path, "--resources", "-"]);
    run(&call, &json).with_context(|| format!("set cgroup {path}"))?;
    Ok(())
}

/// Stops everything in the group in its tracks.
pub fn freeze(path: &str) -> Result<()> {
    run(&Call::new(Tool::Cgset).args(["freeze", path]), b"").with_context(|| format!("freeze cgroup {path}"))?;
    Ok(())
}

/// Lets it go on.
pub fn thaw(path: &str) -> Result<()> {
    run(&Call::new(Tool::Cgset).args(["thaw", path]), b"").with_context(|| format!("thaw cgroup {path}"))?;
    Ok(())
}

/// What the group uses, as `cgset stats --json` tells.
pub fn stats(path: &str) -> Result<Value> {
    let answer = run(&Call::new(Tool::Cgset).args(["stats", path, "--json"]), b"")?;
    serde_json::from_slice(&answer).context("read the answer of cgset stats")
}

/// Sends a signal to everything in the group.
pub fn kill(path: &str, signal: i32) -> Result<()> {
    let call = Call::new(Tool::Cgset).args(["kill", path, "--signal", &signal.to_string()]);
    run(&call, b"").with_context(|| format!("kill cgroup {path}"))?;
    Ok(())
}

/// Removes the group; none there is fine. With `kill` whatever runs in it is killed first. `/ctr`, which is ours, goes
/// with the last group in it; a group of another name above it is somebody else's.
pub fn delete(path: &str, folders: &Folders, kill: bool) -> Result<()> {
    let above = if path.starts_with(&format!("{OURS}/")) { path.matches('/').count() - 1 } else { 0 };
    if !kill && folders.remove_empty(above) {
        return Ok(());
    }
    let mut call = Call::new(Tool::Cgset).args(["delete", path]);
    if kill {
        call = call.args(["--kill"]);
    }
    if above > 0 {
        call = call.args(["--parents"]);
    }
    run(&call, b"").with_context(|| format!("delete cgroup {path}"))?;
    Ok(())
}

/// Gives what it printed.
fn run(call: &Call, input: &[u8]) -> Result<Vec<u8>> {
    narrate!("its group, of which cgset knows all", "{}", call.to_shell());
    let mut command = call.command()?;
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", command.get_program().display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A cgset that has failed before reading says so by itself.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().context("wait for cgset")?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    match String::from_utf8_lossy(&output.stderr).trim_end() {
        "" => bail!("cgset: {}", output.status),
        said => Err(exit::coded(exit::TOOL, said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_made_when_one_is_asked_for() {
        let mut spec = defaults::spec();
        assert_eq!(path_of(&spec, "web").unwrap().unwrap(), "/ctr/web");
        let linux = spec.linux.as_mut().unwrap();
        linux.cgroups_path = "demo/x".to_owned();
        assert_eq!(path_of(&spec, "web").unwrap().unwrap(), "/demo/x");
        for bad in ["system.slice:ctr:web", "/ctr/../../x"] {
            spec.linux.as_mut().unwrap().cgroups_path = bad.to_owned();
            assert!(path_of(&spec, "web").is_err(), "{bad}");
        }
        assert_eq!(path_of(&Spec::default(), "web").unwrap(), None);
    }

    #[test]
    fn what_no_rule_speaks_of_is_denied_but_for_the_usual_devices() {
        let rules = |devices: serde_json::Value| {
            let mut spec = defaults::spec();
            spec.linux.as_mut().unwrap().resources =
                serde_json::from_value(serde_json::json!({"devices": devices})).unwrap();
            resources(&spec).devices
        };
        let usual = defaults::device_rules();
        if !is_root_of_the_machine() {
            assert_eq!(rules(serde_json::json!([])), []);
            return;
        }
        assert_eq!(rules(serde_json::json!([])), usual);
        assert_eq!(rules(serde_json::to_value(&usual[1..]).unwrap()), usual);
        let own = rules(serde_json::json!([{"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"}]));
        assert_eq!((&own[0], own[1].major, &own[2..]), (&usual[0], Some(10), &usual[1..]));
    }

    #[test]
    fn the_v1_trees_are_entered_by_a_0_in_tasks() {
        let dir = tempfile::tempdir().unwrap();
        let folders: Folders = serde_json::from_value(serde_json::json!({
            "Name": "/x", "Version": "hybrid", "Unified": dir.path(), "V1": [dir.path().join("memory")]
        }))
        .unwrap();
        std::fs::create_dir(&folders.v1[0]).unwrap();
        assert!(Entrance::open(&folders).is_err(), "control files are the kernel's to make");
        let tasks = folders.v1[0].join("tasks");
        std::fs::write(&tasks, "").unwrap();
        let entrance = Entrance::open(&folders).unwrap();
        assert!(entrance.unified().is_some());
        entrance.enter().unwrap();
        assert_eq!(std::fs::read_to_string(&tasks).unwrap(), "0");
        assert!(Entrance::open(&Folders::default()).unwrap().unified().is_none());
    }
}

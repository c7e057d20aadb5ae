//! A place of one test's own: everything that the tools make in it is gone with it.

use crate::process::Process;
use crate::{Output, Pty, bin_dir, image, leaks, output};
use layout::Layout;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A `CTR_ROOT` and a `CTR_RUN` in a temporary folder.
///
/// At its end its containers are removed, as a user would, with `ctr rm -f`, and its networks with `portfwd remove`.
/// What is then still mounted was left by the engine, and the test fails; so is a network that somebody is still in.
pub struct Sandbox {
    dir: TempDir,
}

impl Default for Sandbox {
    fn default() -> Self {
        Sandbox::new()
    }
}

impl Sandbox {
    /// The name of the folder that is its `CTR_ROOT`.
    pub(crate) const ROOT: &str = "ctr-root";

    /// An empty one.
    pub fn new() -> Sandbox {
        Sandbox { dir: tempfile::Builder::new().prefix("ctr-").tempdir().expect("make a temporary folder") }
    }

    /// One with the image `base` in it: a shell, coreutils and `ps`.
    #[track_caller]
    pub fn with_base() -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.import("base", false);
        sandbox
    }

    /// One with the image `python:3-slim` in it.
    #[track_caller]
    pub fn with_python() -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.import("python:3-slim", true);
        sandbox
    }

    #[track_caller]
    fn import(&self, name: &str, python: bool) {
        self.ctr([OsStr::new("import"), image::base_tar(python).as_os_str(), OsStr::new(name)]).ok();
    }

    /// A folder for the test's own files.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `$CTR_ROOT`.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join(Self::ROOT)
    }

    /// `$CTR_RUN`.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("ctr-run")
    }

    /// Where everything is in it.
    pub fn layout(&self) -> Layout {
        Layout::at(&self.root(), &self.run_dir()).expect("an absolute folder")
    }

    /// Any program with the sandbox in its environment, and the seven tools first in its `PATH`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("CTR_ROOT", self.root())
            .env("CTR_RUN", self.run_dir())
            .env("CTR_BIN_DIR", bin_dir())
            .env("PATH", format!("{}:{path}", bin_dir().display()))
            .current_dir(self.path());
        command
    }

    /// One of the seven tools, ready to be changed and run by [`Sandbox::run`].
    pub fn tool(&self, name: &str) -> Command {
        self.command(bin_dir().join(name))
    }

    /// Runs a command to its end, with nothing to read.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Output {
        output::run(command, b"")
    }

    /// Runs `ctr`.
    #[track_caller]
    pub fn ctr<I, S>(&self, args: I) -> Output
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.run(self.tool("ctr").args(args))
    }

    /// Runs `ctr` with something to read.
    #[track_caller]
    pub fn ctr_reading<I, S>(&self, args: I, input: &[u8]) -> Output
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        output::run(self.tool("ctr").args(args), input)
    }

    /// Runs `ctr` in a terminal.
    pub fn ctr_in_terminal<I, S>(&self, args: I) -> Pty
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Pty::spawn(self.tool("ctr").args(args))
    }

    /// Runs lines of shell, as a user would type them.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        self.run(self.command("sh").args(["-c", script]))
    }

    /// The processes that have this sandbox in their environment: the tools, not what runs in containers.
    pub fn processes(&self) -> Vec<Process> {
        Process::all().into_iter().filter(|p| p.ctr_root.as_deref() == Some(&self.root())).collect()
    }

    /// What there is of containers here: their folders and names, mounts, processes, run folders, and places in
    /// the network, in words.
    pub fn remains(&self) -> Vec<String> {
        let names = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name());
        let mut found = Vec::new();
        for dir in [self.root().join("containers"), self.root().join("names"), self.root().join("tmp")] {
            found.extend(names(dir.clone()).map(|name| format!("{}/{}", dir.display(), name.display())));
        }
        let run = names(self.run_dir())
            .filter(|name| name != "runtime" && !name.display().to_string().starts_with("events."))
            .chain(names(self.run_dir().join("runtime")));
        found.extend(run.map(|name| format!("run folder {}", name.display())));
        found.extend(self.mounts().iter().map(|mount| format!("mount {}", mount.display())));
        found.extend(self.processes().iter().map(|p| format!("process {} {:?}", p.pid, p.args)));
        let network = std::fs::read_to_string(self.root().join("networks/bridge.json")).unwrap_or_default();
        let network: serde_json::Value = serde_json::from_str(&network).unwrap_or_default();
        found.extend(network["Endpoints"].as_object().into_iter().flatten().map(|(id, _)| format!("endpoint of {id}")));
        found
    }

    /// What is mounted in here, the innermost first.
    pub fn mounts(&self) -> Vec<PathBuf> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("read the mount table");
        let mut targets: Vec<PathBuf> = leaks::parse_mounts(&table).map(|m| PathBuf::from(m.target)).collect();
        targets.retain(|target| target.starts_with(self.path()));
        targets.reverse();
        targets
    }

    /// The names of its networks.
    fn networks(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.layout().networks()).into_iter().flatten().flatten();
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_owned())).collect()
    }

    /// Removes all containers and networks; gives what could not be removed, in words.
    fn clear(&self) -> Vec<String> {
        let mut trouble = Vec::new();
        if let Ok(ids) = self.layout().container_ids() {
            for id in ids {
                let removed = self.ctr(["rm", "-f", id.as_str()]);
                if removed.code != 0 {
                    trouble.push(removed.to_string());
                }
            }
        }
        for network in self.networks() {
            let removed = self.run(self.tool("portfwd").args(["remove", &network]));
            if removed.code != 0 {
                trouble.push(removed.to_string());
            }
        }
        for mount in self.mounts() {
            trouble.push(format!("still mounted: {}", mount.display()));
            // Or else the folder cannot be removed, nor the next test begin on a clean machine.
            let _ = rustix::mount::unmount(&mount, rustix::mount::UnmountFlags::DETACH);
        }
        trouble
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let trouble = self.clear();
        // A test that fails already has said what is wrong; a second panic would end the whole program.
        if !trouble.is_empty() && !std::thread::panicking() {
            panic!("the engine left something behind:\n{}", trouble.join("\n"));
        }
    }
}

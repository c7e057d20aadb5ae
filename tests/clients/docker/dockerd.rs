//! A dockerd of the tests' own.

use ctr_tests::cell::Shared;
use ctr_tests::{Cell, Output, bin_dir, image, output};
use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

/// A dockerd whose only runtime for containers is ours, with the image `base`.
pub struct Docker {
    /// Where it runs.
    pub cell: Cell,
}

static SHARED: Shared<Docker> = Shared::new();

impl Docker {
    /// The one that all tests share.
    pub fn get() -> Arc<Docker> {
        SHARED.get(|| {
            let docker = Docker { cell: Cell::new("docker") };
            let line = format!(
                "dockerd --add-runtime ctr={} --default-runtime ctr --exec-opt native.cgroupdriver=cgroupfs \
                 --cgroup-parent {}",
                bin_dir().join("unshare-run").canonicalize().unwrap().display(),
                docker.cell.group()
            );
            docker.cell.start_daemon(&line, || docker.command(["version"]));
            docker.run([OsStr::new("import"), image::base_tar(false).as_os_str(), OsStr::new("base")]).ok();
            docker
        })
    }

    /// docker's command line.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.cell.command("docker");
        // Nothing of the user's: neither another daemon nor a login.
        command.env("DOCKER_CONFIG", self.cell.path().join("config")).env_remove("DOCKER_HOST").args(args);
        command
    }

    /// Runs docker's command line.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        output::run(&mut self.command(args), b"")
    }

    /// `docker run --rm base sh -c SCRIPT` with options: what it prints.
    #[track_caller]
    pub fn sh(&self, options: &[&str], script: &str) -> String {
        let all = [&["run", "--rm"], options, &["base", "sh", "-c", script]].concat();
        self.run(all).ok().text().to_owned()
    }

    /// Starts a container that sleeps until it is killed, and gives its id.
    #[track_caller]
    pub fn sleeper(&self, name: &str, options: &[&str]) -> String {
        let all = [&["run", "-d", "--name", name, "--stop-timeout", "0"], options, &["base", "sleep", "600"]].concat();
        self.run(all).ok().text().to_owned()
    }

    /// Removes a container, and looks for what is left of it.
    #[track_caller]
    pub fn remove(&self, id: &str) {
        self.run(["rm", "-f", id]).ok();
        assert_eq!(self.remains(id), Vec::<String>::new());
    }

    /// What there is of a container that was removed.
    fn remains(&self, id: &str) -> Vec<String> {
        let mut found: Vec<String> = self.cell.groups().into_iter().filter(|name| name == id).collect();
        found.extend(self.cell.mounts_below("/").into_iter().filter(|target| target.contains(id)));
        found.extend(
            self.cell
                .sh(&format!("ls -d /run/docker/runtime-*/moby/{id} 2>&-; true"))
                .stdout
                .lines()
                .map(str::to_owned),
        );
        found
    }

    /// What the kernel has as a limit for a container.
    #[track_caller]
    pub fn limit(&self, id: &str, controller: &str, v1: &str, v2: &str) -> String {
        self.cell.limit(&format!("{}/{id}", self.cell.group()), controller, v1, v2)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left = self.run(["ps", "-aq", "--no-trunc"]);
        assert!(left.text().is_empty(), "the tests leave containers: {left}");
        self.cell.assert_no_containers(&["dockerd", "containerd"], &[]);
    }
}

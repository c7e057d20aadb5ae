//! Docker, or `ctr`, in a machine within the machine, where nobody else's containers, ports and files are.

use super::normal;
use super::{Answer, Case};
use crate::{Cell, bin_dir, image, output};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Whose engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Docker's own, Debian's packages: its version is the one that the files of cases are of.
    Docker,
    /// Ours.
    Ctr,
}

/// An engine with one image, `base`.
pub struct Engine {
    cell: Cell,
    kind: Kind,
}

/// What cases may call: `eventually COMMAND...` runs it until it succeeds, for `$PATIENCE` seconds, else a minute.
const PRELUDE: &str = "
    eventually() {
        local end=$(($(date +%s) + ${PATIENCE:-60}))
        until \"$@\" > /dev/null 2>&1; do
            [ $(date +%s) -lt $end ] || { echo \"never: $*\"; return 1; }
            sleep 0.1
        done
    }";

/// What is there after a case is removed, but for the image. That all of it goes well is no case's business.
const CLEAN_UP: &str = "
    docker ps -aq | xargs -r docker rm -f
    docker volume ls -q | xargs -r docker volume rm
    docker images --format '{{.Repository}}:{{.Tag}}' | grep -v -e '^base:latest$' -e '<none>' | xargs -r docker rmi -f
    docker images -q --filter dangling=true | xargs -r docker rmi -f";

impl Engine {
    /// Starts one.
    ///
    /// # Panics
    /// When this machine cannot: it needs root, and docker's packages for docker.
    pub fn start(kind: Kind) -> Engine {
        let engine = Engine { cell: Cell::new("compat"), kind };
        let bin = engine.cell.path().join("bin");
        std::fs::create_dir(&bin).expect("make a folder for docker");
        let program = match kind {
            Kind::Docker => Path::new("/usr/bin/docker").to_owned(),
            Kind::Ctr => bin_dir().canonicalize().expect("the tools are built").join("ctr"),
        };
        symlink(program, bin.join("docker")).expect("give the engine its name");
        if kind == Kind::Docker {
            let line =
                format!("dockerd --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent {}", engine.cell.group());
            engine.cell.start_daemon(&line, || engine.command("docker version"));
        }
        output::run(&mut engine.command(&format!("docker import {} base", image::base_tar(false).display())), b"").ok();
        engine
    }

    /// A line of shell, in the folder of the case that is played.
    fn command(&self, line: &str) -> Command {
        let folder = self.cell.path();
        let case = folder.join("case");
        let mut command = self.cell.command("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", folder.join("bin").display()))
            .env("DOCKER_CONFIG", folder.join("config"))
            .env("DOCKER_BUILDKIT", "0")
            .env("CTR_BIN_DIR", bin_dir())
            .envs([("LC_ALL", "C"), ("TZ", "UTC")])
            .env_remove("DOCKER_HOST");
        let line = format!("mkdir -p {0} && cd {0}; {PRELUDE}\n{line}", case.display());
        command.args(["-c", &line]);
        command
    }

    /// Plays a case, and removes what it leaves.
    pub fn play(&self, case: &Case) -> Vec<Answer> {
        let folder = self.cell.path().join("case");
        let answers = case.steps.iter().map(|step| {
            let said = output::run(&mut self.command(&step.command), b"");
            let folder = folder.to_str().expect("a path of letters");
            normal::answer(self.kind, &said, folder)
        });
        let answers = answers.collect();
        output::run(&mut self.command(CLEAN_UP), b"");
        let _ = std::fs::remove_dir_all(&folder);
        answers
    }
}

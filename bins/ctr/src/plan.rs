//! A plan: what a command is going to do, as data.
//!
//! Each command that changes something first writes down its steps. Then the steps are either done, or
//! printed as a shell script (`ctr --explain`). The script cannot say something else than what happens,
//! because it is the same list.

mod shell;

use crate::client::Manner;
use crate::exec::session::Wanted;
use crate::protocol::Deed;
use anyhow::{Context, Result};
use layout::tool::{Call, Tool, quote, script_environment};
use layout::{ContainerId, Layout};
use nix::sys::signal::{SigSet, Signal};
use rustix::mount::MountFlags;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One step of a plan.
#[derive(Debug, Clone)]
pub enum Step {
    /// A word to the reader of the script.
    Note(String),
    /// Make a folder.
    MakeDir {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Make a folder and those that it is in, where they are missing.
    MakeDirs(PathBuf),
    /// Mount something, with options as of mount(8).
    Mount {
        /// The type.
        kind: String,
        /// The device, or the folder to bind.
        device: String,
        /// The options.
        options: String,
        /// Where.
        target: PathBuf,
    },
    /// Write a file, in a folder that nobody else looks at yet.
    Write {
        /// Which.
        path: PathBuf,
        /// Its content.
        content: String,
        /// Its permissions.
        mode: u32,
    },
    /// Make a symbolic link; fails if something is there.
    Link {
        /// Where it points.
        target: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// Rename.
    Rename {
        /// From.
        from: PathBuf,
        /// To.
        to: PathBuf,
    },
    /// Mount a filesystem in memory.
    MountTmpfs {
        /// Where.
        place: PathBuf,
        /// Its options: `size=...,mode=1777`.
        data: String,
    },
    /// Remove a file or a link, if it is there.
    RemoveFile(PathBuf),
    /// Remove a folder with everything in it, if it is there.
    RemoveTree(PathBuf),
    /// Call a tool and go on when it succeeds; what it prints is not for the user.
    Call(Call),
    /// Print a line.
    Print(String),
    /// Call a tool with this terminal's streams: it does the rest of the command.
    Foreground(Call),
    /// Call a tool on the way to something else: what it prints goes where errors go, and when it fails it has said why.
    Aside(Call),
    /// Call a tool with this terminal's streams, and whatever becomes of it, do the other steps after it.
    Between {
        /// The call.
        work: Call,
        /// What must not be left undone.
        after: Vec<Step>,
    },
    /// Have the shim start the container; attached, pass its streams on and end with its exit code.
    Start {
        /// Which container.
        id: ContainerId,
        /// How its streams come here, if they do.
        attach: Option<Manner>,
        /// The runtime's `start`.
        command: Vec<String>,
    },
    /// Run another process in a container, with a parent of its own; attached, pass its streams on and end with its exit code.
    Exec {
        /// Which container.
        id: ContainerId,
        /// Its id.
        exec: String,
        /// What is wanted.
        wanted: Wanted,
    },
    /// Have the shim of a container do something to it.
    Tell {
        /// Which container.
        id: ContainerId,
        /// What it means.
        what: Deed,
        /// The call of the runtime that does it.
        call: Call,
    },
    /// Wait until the container's shim is gone.
    WaitEnd {
        /// Which container.
        id: ContainerId,
        /// How long; for ever if nothing is said.
        within: Option<Duration>,
        /// What to do when it takes longer.
        otherwise: Option<Box<Step>>,
    },
}

impl Step {
    /// A folder with the usual permissions.
    pub fn make_dir(path: impl Into<PathBuf>) -> Step {
        Step::MakeDir { path: path.into(), mode: 0o755 }
    }

    /// A file with the usual permissions.
    pub fn write(path: impl Into<PathBuf>, content: impl Into<String>) -> Step {
        Step::Write { path: path.into(), content: content.into(), mode: 0o644 }
    }

    /// A JSON file.
    pub fn write_json<T: serde::Serialize>(path: impl Into<PathBuf>, value: &T) -> Result<Step> {
        Ok(Step::write(path, to_json(value)?))
    }

    /// Does the step. Gives the exit code of a foreground call, else 0.
    pub fn execute(&self, layout: &Layout) -> Result<u8> {
        match self {
            Step::Note(_) => {}
            Step::MakeDir { path, mode } => {
                fs::DirBuilder::new()
                    .mode(*mode)
                    .create(path)
                    // Again, because mkdir(2) takes the umask off, and mkdir -m does not.
                    .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(*mode)))
                    .with_context(|| format!("make {}", path.display()))?;
            }
            Step::MakeDirs(path) => fs::create_dir_all(path).with_context(|| format!("make {}", path.display()))?,
            Step::Mount { kind, device, options, target } => {
                crate::volume::local::mount_it(kind, device, options, target)?;
            }
            Step::Write { path, content, mode } => write_file(path, content, *mode)?,
            Step::Link { target, link } => {
                symlink(target, link).with_context(|| format!("link {}", link.display()))?;
            }
            Step::Rename { from, to } => {
                fs::rename(from, to).with_context(|| format!("rename {} to {}", from.display(), to.display()))?;
            }
            Step::MountTmpfs { place, data } => {
                let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                let data = std::ffi::CString::new(data.as_str()).context("mount options")?;
                rustix::mount::mount("shm", place, "tmpfs", flags, data.as_c_str())
                    .with_context(|| format!("mount a tmpfs on {}", place.display()))?;
            }
            Step::RemoveFile(path) => if_there(fs::remove_file(path), path)?,
            Step::RemoveTree(path) => if_there(fs::remove_dir_all(path), path)?,
            Step::Call(call) => call.run()?,
            Step::Print(line) => println!("{line}"),
            Step::Foreground(call) => return Ok(layout::exit::from_status(call.status()?)),
            Step::Aside(call) => {
                let stderr = std::io::stderr().as_fd().try_clone_to_owned().context("share standard error")?;
                let status = call.command()?.stdout(stderr).status();
                let status = status.with_context(|| format!("run {}", call.tool.name()))?;
                if !status.success() {
                    return Err(layout::exit::silent(layout::exit::from_status(status)));
                }
            }
            Step::Between { work, after } => return between(layout, work, after),
            Step::Start { id, attach, command } => {
                return Ok(crate::client::start(layout, id, attach.as_ref(), command, None)?.code());
            }
            Step::Exec { id, exec, wanted } => return crate::exec::session::run(layout, id, exec, wanted),
            Step::Tell { id, what, call } => crate::client::tell(layout, id, *what, &crate::runtime::words(call))?,
            Step::WaitEnd { id, within, otherwise } => {
                if !crate::life::wait_end(layout, id, *within)?
                    && let Some(step) = otherwise
                {
                    step.execute(layout)?;
                    crate::life::wait_end(layout, id, None)?;
                }
            }
        }
        Ok(0)
    }
}

/// `ctr shim tell`: what [`Step::Tell`] does.
fn tell(id: &ContainerId, what: Deed, call: &Call) -> Call {
    let word = match what {
        Deed::Pause => "pause",
        Deed::Unpause => "unpause",
        Deed::Kill => "kill",
        Deed::KillToRestart => "kill-to-restart",
    };
    Call::new(Tool::Ctr).args(["shim", "tell", id.as_str(), word, "--"]).args(crate::runtime::words(call))
}

/// A signal that ends the work (Ctrl-C goes to it as well) must not end us before the rest is done.
fn between(layout: &Layout, work: &Call, after: &[Step]) -> Result<u8> {
    let ending: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    ending.thread_block().context("block signals")?;
    let worked = work.status();
    let done = after.iter().try_for_each(|step| step.execute(layout).map(drop));
    ending.thread_unblock().context("unblock signals")?;
    let code = layout::exit::from_status(worked?);
    done.map(|()| code)
}

/// The steps of a command, in order.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Adds a word to the reader of the script.
    pub fn note(&mut self, text: impl Into<String>) {
        self.push(Step::Note(text.into()));
    }

    /// Adds a call.
    pub fn call(&mut self, call: Call) {
        self.push(Step::Call(call));
    }

    /// Adds the steps of another plan.
    pub fn extend(&mut self, other: Plan) {
        self.steps.extend(other.steps);
    }

    /// Does the steps up to the first that fails; gives the exit code of the last.
    pub fn execute(&self, layout: &Layout) -> Result<u8> {
        let mut code = 0;
        for step in &self.steps {
            code = step.execute(layout)?;
        }
        Ok(code)
    }

    /// The plan as a shell script that has the same effect.
    pub fn to_script(&self, layout: &Layout) -> String {
        let mut script = String::from("#!/bin/sh\nset -e\n");
        let _ = writeln!(script, "export CTR_ROOT={}", quote(&layout.root().to_string_lossy()));
        let _ = writeln!(script, "export CTR_RUN={}", quote(&layout.run().to_string_lossy()));
        script.push_str(&script_environment());
        for step in &self.steps {
            script.push_str(&step.to_shell());
            script.push('\n');
        }
        script
    }
}

/// A value as indented JSON: these files are read by people.
pub fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("encode JSON")?;
    text.push('\n');
    Ok(text)
}

fn write_file(path: &Path, content: &str, mode: u32) -> Result<()> {
    let failed = || format!("write {}", path.display());
    fs::write(path, content).with_context(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(failed)
}

fn if_there(result: std::io::Result<()>, path: &Path) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_does_what_the_plan_does() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(&dir.path().join("root"), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        let plan = |base: &Path| {
            let mut plan = Plan::default();
            plan.note("a note");
            plan.push(Step::MakeDir { path: base.join("a b"), mode: 0o700 });
            plan.push(Step::write(base.join("a b/file"), "it's $HOME\nEND\n"));
            plan.push(Step::write(base.join("bare"), "no newline"));
            plan.push(Step::Write { path: base.join("empty"), content: String::new(), mode: 0o600 });
            plan.push(Step::Link { target: "a b".into(), link: base.join("link") });
            plan.push(Step::Rename { from: base.join("bare"), to: base.join("renamed") });
            plan.push(Step::RemoveFile(base.join("empty")));
            plan.push(Step::RemoveTree(base.join("not there")));
            plan
        };
        let (direct, scripted) = (layout.tmp().join("direct"), layout.tmp().join("scripted"));
        fs::create_dir(&direct).unwrap();
        fs::create_dir(&scripted).unwrap();
        plan(&direct).execute(&layout).unwrap();
        let script = plan(&scripted).to_script(&layout);
        let status = std::process::Command::new("sh").arg("-c").arg(&script).status().unwrap();
        assert!(status.success(), "{script}");
        let diff = std::process::Command::new("diff").arg("-r").args([&direct, &scripted]).output().unwrap();
        assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
        assert_eq!(fs::metadata(scripted.join("a b")).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

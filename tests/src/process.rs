//! What /proc tells of the processes that run (proc(5)).

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A process, as it was when it was looked at.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name: the first 15 letters of the program's.
    pub name: String,
    /// The program's file name; empty for a thread of the kernel.
    pub program: String,
    /// Its command line.
    pub args: Vec<String>,
    /// Its control groups, a line each hierarchy.
    pub cgroups: String,
    /// `CTR_ROOT` in its environment.
    pub ctr_root: Option<PathBuf>,
}

impl Process {
    /// All that run. One that ends while it is looked at is left out, and so is a zombie.
    pub fn all() -> Vec<Process> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    fn read(pid: u32) -> Option<Process> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let words = |file: &str| -> Vec<Vec<u8>> {
            let bytes = fs::read(dir.join(file)).unwrap_or_default();
            bytes.split(|b| *b == 0).filter(|w| !w.is_empty()).map(<[u8]>::to_owned).collect()
        };
        let program = fs::read_link(dir.join("exe")).ok()?;
        let root = words("environ").into_iter().find_map(|v| Some(v.strip_prefix(b"CTR_ROOT=")?.to_owned()));
        Some(Process {
            pid,
            name: fs::read_to_string(dir.join("comm")).ok()?.trim_end().to_owned(),
            program: program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            args: words("cmdline").iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect(),
            cgroups: fs::read_to_string(dir.join("cgroup")).unwrap_or_default(),
            ctr_root: root.map(|root| PathBuf::from(OsString::from_vec(root))),
        })
    }

    /// Whether it is `program COMMAND...`: `("ctr", "shim")`. By its name too: where unshare-run's own file is, the
    /// inside of a container cannot tell, and so /proc cannot.
    pub fn is(&self, program: &str, command: &str) -> bool {
        (self.program == program || self.name == program)
            && (command.is_empty() || self.args.get(1).is_some_and(|word| word == command))
    }

    /// Ends it with SIGKILL, if it is still the same process, and waits until it is gone with all it held.
    pub fn kill(&self) {
        let Some(pid) = rustix::process::Pid::from_raw(self.pid as i32) else { return };
        // Through a handle: the number may have gone to another process, which the second look would tell.
        let Ok(handle) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return };
        if Process::read(self.pid).is_some_and(|now| now.args == self.args) {
            let _ = rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::KILL);
            // A handle can be read once its process has ended (pidfd_open(2)).
            let mut ended = [PollFd::new(&handle, PollFlags::IN)];
            let _ = poll(&mut ended, Some(&Timespec { tv_sec: 60, tv_nsec: 0 }));
        }
    }
}

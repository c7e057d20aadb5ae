//! In the foreground: pass signals on, wait, and end as the program ended.

use crate::create::Created;
use crate::narrate::warn;
use crate::proxy;
use crate::state::{Process, StateDir};
use anyhow::{Context, Result};
use layout::exit;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Signals as data: none interrupts anything any more, they are read from here.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes all signals that can be taken. To be called before the process is made, so that none that comes in between
    /// ends us and leaves a container without anybody to wait for it.
    pub fn take() -> Result<Signals> {
        let mut all = SigSet::all();
        // Faults are our own mistakes and must not be put off.
        for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGABRT, Signal::SIGTRAP]
        {
            all.remove(fault);
        }
        all.thread_set_mask().context("block signals")?;
        let fd =
            SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("make a signalfd")?;
        Ok(Signals(fd))
    }

    /// The signals that have come.
    pub fn pending(&self) -> Result<Vec<Pending>> {
        let mut found = Vec::new();
        while let Some(info) = self.0.read_signal().context("read the signalfd")? {
            found.push(Pending { number: info.ssi_signo as i32, from_kernel: info.ssi_code > 0 });
        }
        Ok(found)
    }
}

/// A signal that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub number: i32,
    /// Whether the kernel sent it, as it does for the terminal's keys, and not a process (sigaction(2), si_code).
    pub from_kernel: bool,
}

impl AsFd for Signals {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Who passes signals on to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// All of them.
    All,
    /// All but those of the keyboard: the program is in our session, the terminal sends it these itself.
    NotKeyboard,
}

impl Forward {
    /// Passes one signal on.
    pub fn signal(self, number: i32, process: &Process) -> Result<()> {
        let Ok(signal) = Signal::try_from(number) else { return send(number, process) };
        match signal {
            // These are about us: our child, our terminal.
            Signal::SIGCHLD
            | Signal::SIGWINCH
            | Signal::SIGTTIN
            | Signal::SIGTTOU
            | Signal::SIGURG
            | Signal::SIGPIPE => Ok(()),
            Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTSTP if self == Forward::NotKeyboard => Ok(()),
            _ => send(number, process),
        }
    }
}

/// Sends a signal by pidfd; a process that has ended needs none.
pub fn send(number: i32, process: &Process) -> Result<()> {
    let pid = process.pid.as_raw_pid();
    crate::narrate::narrate!("a signal for the program", "pidfd_send_signal({pid}, {number})");
    match crate::sys::pidfd_send_signal(&process.pidfd, number) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("send signal {number} to process {}", process.pid.as_raw_pid()))
        }
    }
}

/// Waits for a container in the foreground, then removes what is left of it, unless it is to be kept. Gives the program's exit code.
pub fn foreground(created: Created, signals: &Signals, forward: Forward, keep: bool) -> Result<u8> {
    let waited = wait(&created.process, created.master, signals, forward);
    if let Err(error) = &waited {
        // Nobody would be there to wait for it.
        warn(&format!("{error:#}: ending the container"));
        crate::create::end_child(&created.process);
    }
    if !keep {
        remove(&created.dir)?;
    }
    waited
}

/// Somebody may have deleted it already.
fn remove(dir: &StateDir) -> Result<()> {
    match dir.state_if_there()? {
        Some(state) => crate::commands::delete::remove(dir, &state),
        None => Ok(()),
    }
}

/// Waits for a child of ours, shows its terminal if we have that, and gives its exit code.
pub fn wait(process: &Process, master: Option<OwnedFd>, signals: &Signals, forward: Forward) -> Result<u8> {
    if let Some(master) = master {
        proxy::show(&master, process, signals, forward)?;
        return reap(process);
    }
    loop {
        let mut fds = [PollFd::new(&process.pidfd, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.context("wait for the process")?,
        };
        let ended = !fds[0].revents().is_empty();
        for signal in signals.pending()? {
            forward.signal(signal.number, process)?;
        }
        if ended {
            return reap(process);
        }
    }
}

fn reap(process: &Process) -> Result<u8> {
    loop {
        match waitid(WaitId::PidFd(process.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                let code = status.exit_status().map(|code| code as u8);
                let signal = status.terminating_signal().map(exit::from_signal);
                return Ok(code.or(signal).unwrap_or(exit::TOOL));
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the process"),
        }
    }
}

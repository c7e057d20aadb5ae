//! The shim's own signals, and the children that it has to wait for.

use super::supervise::Supervisor;
use crate::life;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use std::time::{Duration, Instant};

/// Longer than any machine takes to go down, and no more than clocks can add.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Supervisor {
    /// SIGTERM and the like mean that the machine goes down: the container gets its stop signal and has its `--stop-timeout` to end, and is not started
    /// again; whoever says it twice does not want to wait. The rest is ignored; the terminal is not ours.
    pub(super) fn signal(&mut self, file: &SignalFd) {
        while let Ok(Some(info)) = file.read_signal() {
            match info.ssi_signo as i32 {
                libc::SIGTERM | libc::SIGINT | libc::SIGQUIT => self.end_container(),
                libc::SIGCHLD => self.reap(),
                _ => {}
            }
        }
    }

    pub(super) fn end_container(&mut self) {
        self.shim.ends_for_good = true;
        let Some(process) = &self.shim.process else { return };
        if self.kill_at.is_some() || !self.shim.state.status.is_up() {
            return process.signal(rustix::process::Signal::KILL);
        }
        process.signal(stop_signal(&self.shim.container.config.run.stop_signal));
        let _ = self.shim.wake();
        // One that may take for ever has as long as the machine waits.
        let grace = life::grace(&self.shim.container, None).unwrap_or(FOR_EVER);
        self.kill_at = Some(Instant::now() + grace);
    }

    /// Waits for children that nobody else waits for: what the container's processes leave behind, where it shares
    /// the host's pids, comes to us (prctl(2), PR_SET_CHILD_SUBREAPER), and health checks that took too long.
    pub(super) fn reap(&self) {
        use nix::sys::wait::{Id, WaitPidFlag, waitid};
        let now = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        while let Ok(Some(pid)) = waitid(Id::All, now | WaitPidFlag::WNOWAIT).map(|status| status.pid()) {
            let probe = self.health.as_ref().and_then(|monitor| monitor.probe.as_ref());
            let ours = [self.shim.process.as_ref().map(|process| process.pid), probe.map(|probe| probe.pid)];
            if ours.contains(&Some(pid.as_raw())) {
                return;
            }
            let _ = waitid(Id::Pid(pid), now);
        }
    }
}

/// The signal that asks a container to end: by name, with or without `SIG`, or by number.
fn stop_signal(name: &str) -> rustix::process::Signal {
    let name = name.trim_start_matches("SIG");
    let number = name.parse().ok().or_else(|| format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32));
    number.and_then(rustix::process::Signal::from_named_raw).unwrap_or(rustix::process::Signal::TERM)
}

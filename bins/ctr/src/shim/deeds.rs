//! What is done to the container: started, started again, paused, sent a signal.

use super::Shim;
use super::process::Process;
use crate::protocol::Deed;
use crate::{life, runtime, signal};
use anyhow::{Result, bail};
use layout::container::Status;
use layout::events;
use std::time::Instant;

impl Shim {
    /// Somebody starts it, by the runtime's `start`: from now on it runs.
    pub fn start(&mut self, command: &[String]) -> Result<()> {
        runtime::from_words(command)?.run()?;
        self.start = command.to_vec();
        self.state.stopped_on_purpose = false;
        self.state.restart_count = 0;
        self.now_runs()
    }

    /// Its policy starts it again. What a start puts up was all taken down, and is put up again the same way.
    pub fn start_again(&mut self) -> Result<()> {
        let (layout, container) = (&self.layout, &self.container);
        life::files_plan(layout, container)?.execute(layout)?;
        let process = Process::create(layout, container, &self.create)?;
        self.state.pid = process.pid;
        self.process = Some(process);
        life::network_plan(layout, container).execute(layout)?;
        runtime::from_words(&self.start)?.run()?;
        self.now_runs()
    }

    fn now_runs(&mut self) -> Result<()> {
        self.started = Instant::now();
        self.state.status = Status::Running;
        self.state.exit_code = 0;
        self.state.oom_killed = false;
        self.state.error.clear();
        self.state.started_at = layout::time::now();
        self.publish_state()?;
        events::of_surroundings(&self.layout, &self.container, true);
        self.note("start", &[]);
        Ok(())
    }

    /// Does something to the container by a command of the runtime, and writes down what is true then.
    pub fn carry_out(&mut self, what: Deed, command: &[String]) -> Result<()> {
        let id = self.container.id.clone();
        match (what, self.state.status) {
            (Deed::Pause, Status::Paused) => bail!("Container {id} is already paused"),
            (Deed::Unpause, Status::Running) => bail!("Container {id} is not paused"),
            (Deed::Pause | Deed::Unpause, Status::Restarting) => {
                bail!("Container {id} is restarting, wait until the container is running")
            }
            (_, Status::Running | Status::Paused | Status::Restarting) => {}
            _ => bail!("Container {id} is not running"),
        }
        let call = runtime::from_words(command)?;
        match what {
            Deed::Pause => {
                call.run()?;
                self.state.status = Status::Paused;
                self.note("pause", &[]);
            }
            Deed::Unpause => {
                call.run()?;
                self.state.status = Status::Running;
                self.note("unpause", &[]);
            }
            Deed::Kill | Deed::KillToRestart => {
                let signal = command.last().map_or("", String::as_str);
                self.stays = what == Deed::KillToRestart;
                self.ends_for_good |= self.stays || self.is_an_end(signal);
                self.state.stopped_on_purpose = true;
                // First, so that it is true even if we are killed before it ends.
                self.publish_state()?;
                // One that waits for its next start has no process: the loop sees that it is not wanted any more.
                if let Some(process) = &self.process {
                    match call.run() {
                        // It has ended in this moment: there is nobody to kill any more.
                        Err(_) if process.has_ended() => {}
                        other => other?,
                    }
                    self.note("kill", &[("signal", &signal_number(signal))]);
                    self.wake()?;
                }
                return Ok(());
            }
        }
        self.publish_state()
    }

    /// Whether a signal is meant to end it, docker's rule: with a stop signal of its own, only that and SIGKILL are.
    fn is_an_end(&self, signal: &str) -> bool {
        let own = self.container.config.run.stop_signal.trim_start_matches("SIG");
        own.is_empty() || [signal_number(own), "9".to_owned()].contains(&signal_number(signal))
    }

    /// A frozen process takes no signal before it goes on.
    pub fn wake(&mut self) -> Result<()> {
        if self.state.status != Status::Paused {
            return Ok(());
        }
        runtime::resume(&self.layout, &self.container.id).run()?;
        self.state.status = Status::Running;
        self.publish_state()
    }
}

/// The number of a signal, as events tell it.
fn signal_number(word: &str) -> String {
    signal::number(word).map_or_else(|_| word.to_owned(), |number| number.to_string())
}

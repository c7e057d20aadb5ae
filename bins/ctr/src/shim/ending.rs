//! The end: what is true then, and taking down what was put up.

use super::{Shim, remove_run_dir, restart};
use crate::life;
use crate::protocol::Control;
use layout::container::Status;
use layout::tool::{Call, Tool};
use layout::{events, exit};

/// How it came to its end.
pub enum Ended {
    /// The process ended.
    Exited(u8),
    /// It was never started.
    Failed {
        /// The exit code for it.
        code: u8,
        /// Why.
        message: String,
    },
}

impl Shim {
    /// The first process has ended with `code`: writes down what is true of its end, and gives whether the container is
    /// to be started again.
    pub fn process_ended(&mut self, code: u8) -> bool {
        self.process = None;
        let ran = self.state.status.is_up();
        self.state.pid = 0;
        if !ran {
            return false;
        }
        self.state.exit_code = code.into();
        self.state.finished_at = layout::time::now();
        self.state.oom_killed = code == exit::from_signal(libc::SIGKILL) && self.ran_out_of_memory();
        if let Some(health) = &mut self.state.health {
            // Docker's word for one that nobody looks after any more.
            health.status = "unhealthy".to_owned();
        }
        if self.state.oom_killed {
            self.note("oom", &[]);
        }
        self.note("die", &[("exitCode", &code.to_string())]);
        events::of_surroundings(&self.layout, &self.container, false);
        // The policy, the name and the labels may have changed since.
        if let Ok(container) = self.layout.read_container(&self.container.id) {
            self.container = container;
        }
        let policy = &self.container.host_config.restart_policy;
        let (on_purpose, restarts) = (self.state.stopped_on_purpose, self.state.restart_count);
        !self.ends_for_good && restart::is_wanted(policy, code.into(), on_purpose, restarts)
    }

    /// Between two runs: nothing of the container is there but its folder and this process.
    pub fn wait_for_restart(&mut self) {
        self.state.status = Status::Restarting;
        self.state.restart_count += 1;
        let published = self.publish_state();
        let failures = [published.err(), life::tear_down(&self.layout, &self.container).err()];
        if let Some(error) = failures.into_iter().flatten().next() {
            // Nobody may be listening; the restart fails then, if it matters.
            self.state.error = format!("{error:#}");
        }
    }

    /// Takes everything down and writes down how it ended; the last thing to go is the run folder, with the
    /// lock in it. Gives the word for the clients.
    pub fn finish(&mut self, ended: Ended) -> Control {
        let was_up = self.state.status.is_up();
        self.process = None;
        self.state.pid = 0;
        let word = match ended {
            Ended::Exited(code) if was_up => {
                self.state.status = Status::Exited;
                self.state.exit_code = code.into();
                Control::Exited { code }
            }
            Ended::Exited(code) => self.never_started(code, "its process ended before it was started".to_owned()),
            Ended::Failed { code, message } => self.never_started(code, message),
        };
        // At once, because it is true already: taking down takes a while.
        let mut failures: Vec<String> = self.publish_state().err().map(|e| format!("{e:#}")).into_iter().collect();
        failures.extend(life::tear_down(&self.layout, &self.container).err().map(|error| format!("{error:#}")));
        if was_up && self.container.host_config.auto_remove && !self.stays {
            let removed = life::discard(&self.layout, &self.container, true);
            failures.extend(removed.err().map(|error| format!("{error:#}")));
        }
        if failures.is_empty() || !self.layout.container(&self.container.id).is_dir() {
            // If even this fails, the next command that looks finds a run folder without a shim, and cleans up. So it
            // does with a state that there was no room for.
            if !self.layout.last_state(&self.container.id).exists() {
                let _ = remove_run_dir(&self.layout, &self.container.id);
            }
            // A client that reads slowly may keep this process here; nobody else has to wait for that.
            self.lock = None;
        } else {
            // Nobody may be listening; `ctr inspect` shows it. The run folder stays, so that the next command that
            // looks tries again.
            self.state.error = failures.join("; ");
            let _ = self.publish_state();
        }
        word
    }

    /// Whether the kernel ended a process of the container for want of memory, as its cgroup has counted.
    fn ran_out_of_memory(&self) -> bool {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Stats {
            memory: Option<Memory>,
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Memory {
            oom_kills: Option<u64>,
        }
        let call = Call::new(Tool::Cgset).args(["stats", "--json"]).arg(crate::spec::cgroup(&self.container));
        let stats = call.output().ok().and_then(|json| serde_json::from_slice::<Stats>(&json).ok());
        stats.and_then(|stats| stats.memory?.oom_kills).is_some_and(|kills| kills > 0)
    }

    fn never_started(&mut self, code: u8, message: String) -> Control {
        self.state.exit_code = exit::never_ran(code).into();
        self.state.error = message.clone();
        Control::Failed { code, message }
    }
}

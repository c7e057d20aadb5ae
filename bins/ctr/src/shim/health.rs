//! Health checks: a command that is run in the container time and again, and what its exit codes come to.

use super::process;
use crate::runtime;
use anyhow::{Context, Result, bail};
use layout::container::{Config, Health, HealthCheck};
use layout::oci::healthcheck::Healthcheck;
use layout::{ContainerId, Layout, duration, time};
use rustix::fs::OFlags;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

/// What is kept of a check's output, in bytes.
const MAX_OUTPUT: usize = 4096;

/// What is kept of the past, in checks.
const MAX_LOG: usize = 5;

/// What to run, and when.
#[derive(Debug)]
pub struct Check {
    command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    retries: u32,
}

impl Check {
    /// The check of a container, if it has one.
    pub fn of(config: &Config) -> Option<Check> {
        let wanted = Healthcheck::of(&config.run)?;
        let (kind, words) = wanted.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => shell(config).into_iter().chain(words.iter().cloned()).collect(),
            _ => return None,
        };
        let or = |nanoseconds: i64, default| match u64::try_from(nanoseconds) {
            Ok(0) | Err(_) => default,
            Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
        };
        let Healthcheck { interval, timeout, start_period, retries, .. } = wanted;
        Some(Check {
            command,
            interval: or(interval, INTERVAL),
            timeout: or(timeout, TIMEOUT),
            start_period: or(start_period, Duration::ZERO),
            retries: u32::try_from(retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES),
        })
    }

    /// Adds a result to what is known, and gives the status if that is another now. A failure while the container
    /// is still coming up does not count.
    fn judge(&self, health: &mut Health, result: HealthCheck, since_start: Duration) -> Option<String> {
        let before = health.status.clone();
        if result.exit_code == 0 {
            health.failing_streak = 0;
            health.status = "healthy".to_owned();
        } else if before != "starting" || since_start >= self.start_period {
            health.failing_streak += 1;
            if health.failing_streak >= self.retries {
                health.status = "unhealthy".to_owned();
            }
        }
        health.log.push(result);
        let too_many = health.log.len().saturating_sub(MAX_LOG);
        health.log.drain(..too_many);
        (health.status != before).then(|| health.status.clone())
    }
}

/// The shell of the image's `SHELL`, else sh.
fn shell(config: &Config) -> Vec<String> {
    let images = config.run.extra.get("Shell").and_then(|shell| serde_json::from_value(shell.clone()).ok());
    images.filter(|shell: &Vec<String>| !shell.is_empty()).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()])
}

/// The checks of a container that runs.
#[derive(Debug)]
pub struct Monitor {
    check: Check,
    started: Instant,
    next: Instant,
    /// The check that is under way.
    pub probe: Option<Probe>,
}

impl Monitor {
    /// For a container that has just been started. The first check comes after one interval.
    pub fn new(check: Check) -> Monitor {
        let now = Instant::now();
        Monitor { next: now + check.interval, started: now, check, probe: None }
    }

    /// When there is something to do next, if nothing happens before.
    pub fn deadline(&self) -> Instant {
        self.probe.as_ref().map_or(self.next, |probe| probe.deadline)
    }

    /// Does what is due: begins a check, or ends one that takes too long. Gives the status when it has changed.
    pub fn tick(&mut self, layout: &Layout, id: &ContainerId, health: &mut Health) -> Option<String> {
        let now = Instant::now();
        if now < self.deadline() {
            return None;
        }
        if let Some(mut probe) = self.probe.take() {
            let _ = rustix::process::pidfd_send_signal(&probe.pidfd, rustix::process::Signal::KILL);
            let limit = duration::format(self.check.timeout.as_nanos() as i64);
            probe.output.text = format!("Health check exceeded timeout ({limit})").into_bytes();
            return self.conclude(health, probe, -1);
        }
        let began = time::now();
        match Probe::begin(layout, id, &self.check, began.clone()) {
            Ok(probe) => {
                self.probe = Some(probe);
                None
            }
            Err(error) => {
                let output = format!("{error:#}");
                self.note(health, HealthCheck { start: began, end: time::now(), exit_code: -1, output })
            }
        }
    }

    /// The check's process has ended.
    pub fn probe_ended(&mut self, health: &mut Health) -> Option<String> {
        let mut probe = self.probe.take()?;
        probe.output.read();
        let code = process::exit_code(&probe.pidfd);
        self.conclude(health, probe, code.into())
    }

    fn conclude(&mut self, health: &mut Health, probe: Probe, exit_code: i32) -> Option<String> {
        let text = &probe.output.text;
        let mut output = String::from_utf8_lossy(&text[..text.len().min(MAX_OUTPUT)]).into_owned();
        if text.len() > MAX_OUTPUT {
            output.push_str("...");
        }
        self.note(health, HealthCheck { start: probe.began, end: time::now(), exit_code, output })
    }

    fn note(&mut self, health: &mut Health, result: HealthCheck) -> Option<String> {
        self.next = Instant::now() + self.check.interval;
        self.check.judge(health, result, self.started.elapsed())
    }
}

/// A check that is under way.
#[derive(Debug)]
pub struct Probe {
    /// Its process, our child.
    pub pid: i32,
    /// See above.
    pub pidfd: OwnedFd,
    /// What it writes.
    pub output: Output,
    began: String,
    deadline: Instant,
}

impl Probe {
    /// Begins one. The runtime does not stay: its process becomes our child, as the container's own.
    fn begin(layout: &Layout, id: &ContainerId, check: &Check, began: String) -> Result<Probe> {
        let pid_file = layout.run_dir(id).join("health.pid");
        let (stream, end) = std::io::pipe().context("make a pipe for the health check")?;
        let call = runtime::runtime(layout).args(["exec", "--detach", "--pid-file"]).arg(&pid_file);
        let mut command = call.arg(id.as_str()).args(&check.command).command()?;
        command.stdin(Stdio::null()).stdout(end.try_clone().context("share a pipe")?).stderr(end);
        let status = command.status().context("run the health check");
        // Or else the pipe stays open at this end.
        drop(command);
        rustix::fs::fcntl_setfl(&stream, OFlags::NONBLOCK).context("make a pipe non-blocking")?;
        let mut output = Output { stream: Some(stream.into()), text: Vec::new() };
        output.read();
        if !status?.success() {
            bail!("{}", String::from_utf8_lossy(&output.text).trim_end());
        }
        let (pid, pidfd) = process::open_child(&pid_file)?;
        Ok(Probe { pid, pidfd, output, began, deadline: Instant::now() + check.timeout })
    }
}

/// What a check writes.
#[derive(Debug)]
pub struct Output {
    /// Where it comes from; none when it has closed that.
    pub stream: Option<OwnedFd>,
    text: Vec<u8>,
}

impl Output {
    /// Reads what there is; only its begin is kept, and one byte more, which tells that there was more.
    pub fn read(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(stream) = &self.stream {
            match rustix::io::read(stream, &mut buffer) {
                Ok(n) if n > 0 => {
                    let room = (MAX_OUTPUT + 1).saturating_sub(self.text.len());
                    self.text.extend_from_slice(&buffer[..n.min(room)]);
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
                _ => self.stream = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start_period: u64) -> Check {
        let second = Duration::from_secs(1);
        let start_period = Duration::from_secs(start_period);
        Check { command: Vec::new(), interval: second, timeout: second, start_period, retries: 2 }
    }

    fn result(exit_code: i32) -> HealthCheck {
        HealthCheck { exit_code, ..HealthCheck::default() }
    }

    #[test]
    fn so_many_failures_in_a_row_are_unhealthy_and_one_success_is_healthy() {
        let (check, mut health) = (check(0), Health { status: "starting".into(), ..Health::default() });
        let mut judge = |code| check.judge(&mut health, result(code), Duration::ZERO);
        assert_eq!(judge(1), None);
        assert_eq!(judge(0).as_deref(), Some("healthy"));
        assert_eq!((judge(1), judge(1).as_deref()), (None, Some("unhealthy")));
        assert_eq!((judge(-1), judge(0).as_deref()), (None, Some("healthy")));
        assert_eq!((health.log.len(), health.failing_streak), (MAX_LOG, 0));
    }

    #[test]
    fn failures_while_it_comes_up_do_not_count() {
        let (check, mut health) = (check(10), Health { status: "starting".into(), ..Health::default() });
        for _ in 0..5 {
            assert_eq!(check.judge(&mut health, result(1), Duration::from_secs(9)), None);
        }
        assert_eq!((health.failing_streak, health.status.as_str()), (0, "starting"));
        check.judge(&mut health, result(1), Duration::from_secs(10));
        assert_eq!(check.judge(&mut health, result(1), Duration::from_secs(11)).as_deref(), Some("unhealthy"));
    }
}

//! One bash for a whole lesson, fed a step at a time.
//!
//! Each step is written to a file that bash reads in (`. step`), so that `cd`, variables and background jobs last
//! from step to step, while the step itself has nothing to read. After it, bash prints a mark with the exit
//! code: what came before the mark is the step's output, whoever else still holds the pipe open.

use ctr_tests::Sandbox;
use std::fs;
use std::io::{PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// No step of a lesson takes longer, even in a machine that is emulated.
const DEADLINE: Duration = Duration::from_secs(90);

/// A shell with a lesson's environment.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    output: Receiver<Vec<u8>>,
    step_file: PathBuf,
    mark: String,
}

impl Shell {
    /// Starts it in `$LESSON_DIR`, a new folder of the sandbox.
    pub fn new(sandbox: &Sandbox) -> Shell {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = super::in_lesson(sandbox, "bash");
        command.args(["--norc", "--noprofile"]);
        // A group of its own, so that what it leaves running can be ended with it.
        let mut child = command
            .process_group(0)
            .stdin(std::process::Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .expect("start bash");
        let stdin = child.stdin.take().unwrap();
        let mark = format!("\n-- end of step in shell {} --", child.id());
        Shell { child, stdin, output: follow(reader), step_file: sandbox.path().join("step"), mark }
    }

    /// Runs one step; gives what it printed, with `[exit N]` at the end if it failed.
    ///
    /// # Errors
    /// In words: it took too long, or it ended the shell.
    pub fn run(&mut self, step: &str) -> Result<String, String> {
        fs::write(&self.step_file, step).unwrap();
        let line = format!(
            ". '{}' </dev/null; printf '{} %s\\n' $?\n",
            self.step_file.display(),
            self.mark.replace('\n', "\\n")
        );
        self.stdin.write_all(line.as_bytes()).map_err(|error| format!("the shell is gone: {error}"))?;
        let end = Instant::now() + DEADLINE;
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((before, after)) = text.split_once(&self.mark)
                && let Some((code, _)) = after.split_once('\n')
            {
                return Ok(shown(before, code.trim()));
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(more) => bytes.extend(more),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("still runs after {DEADLINE:?}; so far:\n{text}"));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(format!("it ended the shell; its output:\n{text}")),
            }
        }
    }
}

/// What a terminal would show of a step, and its exit code.
fn shown(output: &str, code: &str) -> String {
    let mut shown = output.to_owned();
    if !shown.is_empty() && !shown.ends_with('\n') {
        shown.push('\n');
    }
    if code != "0" {
        shown.push_str(&format!("[exit {code}]\n"));
    }
    shown
}

/// Reads the pipe on a thread of its own: only so can waiting for it have an end.
fn follow(mut pipe: PipeReader) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The group is still ours: its leader is our child, which nobody has waited for.
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

#[test]
fn a_shell_remembers_from_step_to_step_and_gives_exit_codes() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::new(&sandbox);
    assert_eq!(shell.run("x=1; mkdir d; cd d\n").unwrap(), "");
    assert_eq!(shell.run("echo $x; basename $PWD; echo no >&2; (exit 3)\n").unwrap(), "1\nd\nno\n[exit 3]\n");
    assert_eq!(shell.run("printf unfinished; cat").unwrap(), "unfinished\n");
}

#[test]
fn a_background_job_delays_nothing_and_is_ended_with_the_shell() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::new(&sandbox);
    let pid = shell.run("sleep 300 & echo $!").unwrap();
    drop(shell);
    let status = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
    // A zombie (Z) waits for whoever inherited it.
    ctr_tests::poll_until(60, "the job to end", || match fs::read_to_string(&status) {
        Ok(stat) if !stat.contains(") Z ") => None,
        _ => Some(()),
    });
}

#[test]
fn a_step_that_ends_the_shell_is_an_error() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::new(&sandbox);
    assert!(shell.run("echo bye; exit 0").unwrap_err().contains("it ended the shell; its output:\nbye"));
}

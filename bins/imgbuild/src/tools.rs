//! Running the sibling tools: each call is shown when asked for, waited for together with the signals, and
//! what it says when it fails becomes the error.

use crate::signals::{Event, Signals};
use anyhow::{Context, Result, bail};
use layout::exit;
use layout::tool::{Call, quote};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// How long after a signal a child that should stop is asked again.
const STOP_AGAIN: Duration = Duration::from_millis(200);

/// Starts tools and waits for them.
#[derive(Debug)]
pub struct Tools {
    /// What may end the build meanwhile.
    pub signals: Signals,
    /// Whether each call is printed on standard error as a line of shell.
    pub verbose: bool,
}

impl Tools {
    /// Runs a call and gives what it printed.
    ///
    /// # Errors
    /// It failed: with what it said.
    pub fn output(&self, call: &Call) -> Result<Vec<u8>> {
        self.show(call);
        self.capture(call, Stdio::null(), |_| Ok(()))
    }

    /// As [`Tools::output`], with a text as its standard input.
    pub fn output_of(&self, call: &Call, input: &str) -> Result<Vec<u8>> {
        if self.verbose {
            eprintln!("printf %s {} | {call}", quote(input));
        }
        let mut file = memory_file("input")?;
        file.write_all(input.as_bytes()).and_then(|()| file.rewind()).context("write a tool's input")?;
        self.capture(call, file.into(), |_| Ok(()))
    }

    /// As [`Tools::output`], with what `write` writes as its standard input; `what` says what
    /// that is.
    pub fn output_fed(
        &self,
        call: &Call,
        what: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Vec<u8>> {
        if self.verbose {
            eprintln!("# tar.pipe: {what}\n{call} < tar.pipe");
        }
        self.capture(call, Stdio::piped(), write)
    }

    /// Runs a call with `output` as its standard output and error; its exit status is the answer. When a signal
    /// comes, `stop` is called, and the call is waited for still.
    pub fn run(&self, call: &Call, output: &File, stop: impl Fn()) -> Result<ExitStatus> {
        self.show(call);
        let name = call.tool.name();
        let duplicate = || output.try_clone().context("duplicate the output");
        let mut command = call.command()?;
        command.stdin(Stdio::null()).stdout(duplicate()?).stderr(duplicate()?);
        let mut child = command.spawn().with_context(|| format!("run {name}"))?;
        self.wait(&mut child, name, stop)
    }

    /// Runs a call with `output` as its standard output. A signal ends it.
    ///
    /// # Errors
    /// It failed: with what it said.
    pub fn pass(&self, call: &Call, output: &File) -> Result<()> {
        self.show(call);
        let name = call.tool.name();
        let mut command = call.command()?;
        let mut err = memory_file("errors")?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("duplicate the output")?)
            .stderr(err.try_clone().context("duplicate")?);
        let mut child = command.spawn().with_context(|| format!("run {name}"))?;
        let pid = Pid::from_child(&child);
        let status = self.wait(&mut child, name, || terminate(pid))?;
        self.signals.check()?;
        let said = String::from_utf8_lossy(&read_back(&mut err)?).trim_end().to_owned();
        if !status.success() {
            return Err(exit::coded(exit::TOOL, if said.is_empty() { format!("{name}: {status}") } else { said }));
        }
        if !said.is_empty() {
            eprintln!("{said}");
        }
        Ok(())
    }

    /// Stopping: runs a call whatever signals came; that it fails is expected when there is nothing to stop (yet).
    pub fn try_quietly(&self, call: &Call) {
        self.show(call);
        let _ = call.run();
    }

    /// Cleaning up: runs a call whatever signals came, and complains on standard error when it fails.
    pub fn clean_up(&self, call: &Call) {
        self.show(call);
        if let Err(error) = call.run() {
            eprintln!("imgbuild: {call}: {error:#}");
        }
    }

    fn show(&self, call: &Call) {
        if self.verbose {
            eprintln!("{call}");
        }
    }

    fn capture(&self, call: &Call, input: Stdio, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Vec<u8>> {
        self.signals.check()?;
        let name = call.tool.name();
        // Files in memory rather than pipes: nobody has to empty them for the child to go on.
        let (mut out, mut err) = (memory_file("output")?, memory_file("errors")?);
        let mut command = call.command()?;
        command
            .stdin(input)
            .stdout(out.try_clone().context("duplicate")?)
            .stderr(err.try_clone().context("duplicate")?);
        let mut child = command.spawn().with_context(|| format!("run {name}"))?;
        let written = match child.stdin.take() {
            Some(mut pipe) => write(&mut pipe),
            None => Ok(()),
        };
        if written.is_err() {
            // What it got is not the whole: it must not take it for that.
            terminate(Pid::from_child(&child));
        }
        let status = self.wait(&mut child, name, || {})?;
        self.signals.check()?;
        if status.success() {
            written?;
            return read_back(&mut out);
        }
        let said = String::from_utf8_lossy(&read_back(&mut err)?).trim_end().to_owned();
        match written {
            // Its own complaint explains a broken pipe; any other error of ours comes first.
            Err(error) if !is_broken_pipe(&error) => Err(error),
            _ if said.is_empty() => bail!("{name}: {status}"),
            _ => Err(exit::coded(exit::TOOL, said)),
        }
    }

    fn wait(&self, child: &mut Child, name: &str, stop: impl Fn()) -> Result<ExitStatus> {
        // The child is not reaped yet, so its pid is its own.
        let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).with_context(|| format!("watch {name}"))?;
        let mut patience = None;
        loop {
            match self.signals.wait(&pidfd, patience)? {
                Event::Readable => break,
                // Asked again and again: the first time may have been too early for it to have an effect.
                Event::Signal | Event::Nothing => stop(),
            }
            patience = Some(STOP_AGAIN);
        }
        child.wait().with_context(|| format!("wait for {name}"))
    }
}

/// Ends a child that has not been waited for.
fn terminate(child: Pid) {
    // A child that has ended already is what is wanted.
    let _ = pidfd_open(child, PidfdFlags::empty()).and_then(|fd| pidfd_send_signal(&fd, Signal::TERM));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(kind))
}

/// A file that is nowhere but in memory (memfd_create(2)).
pub fn memory_file(name: &str) -> Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC).context("make a file in memory")?.into())
}

fn read_back(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context("read a tool's output")?;
    Ok(bytes)
}

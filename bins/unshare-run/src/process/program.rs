//! The program, and the last steps before it: closing files, and the system call filter.
//!
//! The filter comes as late as it can, as it holds for us too: whatever we did after it, a profile would have to
//! allow. With `no_new_privs` nothing is left to do after it but execve(2). Without, loading takes `CAP_SYS_ADMIN`, so that goes
//! only then: capset(2), execve(2). (If somebody else decides about calls, he must have been told how before any is made: then it is loaded
//! while the parent is still there to tell him, and what comes after is his to allow as well.)

use super::capabilities::Sets;
use super::find_program::exec_error;
use crate::narrate::narrate;
use crate::protocol::{Channel, Report};
use crate::seccomp::Filter;
use crate::sys;
use anyhow::{Context, Result};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::CString;
use std::path::PathBuf;

/// A program that is found and ready to be executed.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<CString>,
    env: Vec<CString>,
    /// The filter that is yet to be loaded.
    filter: Option<Filter>,
    /// The capabilities that are right once it is.
    sets: Option<Sets>,
    /// By what somebody else decides about calls; it closes with execve.
    listener: Option<OwnedFd>,
}

impl Program {
    /// A program that is to run under a filter, and from then on with other capabilities.
    pub fn new(
        path: PathBuf,
        args: &[String],
        env: &[String],
        filter: Option<&Filter>,
        sets: Option<Sets>,
    ) -> Result<Program> {
        let c_strings = |texts: &[String]| -> Result<Vec<CString>> {
            let c_string = |text: &String| CString::new(text.as_str()).with_context(|| format!("{text:?} holds a NUL"));
            texts.iter().map(c_string).collect()
        };
        let (args, env) = (c_strings(args)?, c_strings(env)?);
        Ok(Program { path, args, env, filter: filter.cloned(), sets, listener: None })
    }

    /// The environment that it will have.
    pub fn environment(&self) -> Vec<String> {
        self.env.iter().map(|variable| variable.to_string_lossy().into_owned()).collect()
    }

    /// Tells the parent that all is done. If somebody else decides about its system calls the filter is loaded now.
    pub fn get_ready(&mut self, channel: &Channel) -> Result<()> {
        if self.filter.as_ref().is_some_and(Filter::notifies) {
            narrate!("what it may ask the kernel for", "{}", self.confinement());
            self.load_filter()?;
        }
        channel.report(&Report::Ready(self.listener.as_ref().map(AsRawFd::as_raw_fd)))
    }

    /// Takes on what the program is under: the filter, and capabilities that were needed for that no more. Once.
    pub fn confine(&mut self) -> Result<()> {
        if self.filter.is_some() {
            narrate!("what it may ask the kernel for", "{}", self.confinement());
        }
        self.take_on_confinement()
    }

    fn take_on_confinement(&mut self) -> Result<()> {
        self.load_filter()?;
        self.sets.take().map_or(Ok(()), |sets| sets.drop_the_rest())
    }

    /// The calls of that, as the story has them.
    fn confinement(&self) -> String {
        let filter = self.filter.as_ref().map(|filter| format!("{filter} "));
        let sets = self.sets.map(|sets| format!("{sets} "));
        filter.unwrap_or_default() + &sets.unwrap_or_default()
    }

    fn load_filter(&mut self) -> Result<()> {
        if let Some(filter) = self.filter.take() {
            self.listener = filter.load()?;
        }
        Ok(())
    }

    /// Executes it; it keeps standard input, output, error and the next `preserve` descriptors. Returns only to say why not.
    pub fn execute(mut self, preserve: u32) -> anyhow::Error {
        if let Err(error) = sys::close_on_exec_from(3).and_then(|()| sys::keep_on_exec(3..3 + preserve as i32)) {
            return anyhow::Error::new(error).context("close all other files");
        }
        let path = match CString::new(self.path.as_os_str().as_encoded_bytes()) {
            Ok(path) => path,
            Err(error) => return error.into(),
        };
        // Told at once, as the filter may not let us write.
        let confinement = self.confinement();
        narrate!("from here on it is the program", "{confinement}execve({}, {:?})", self.path.display(), self.args);
        if let Err(error) = self.take_on_confinement() {
            return error;
        }
        match nix::unistd::execve(&path, &self.args, &self.env) {
            Ok(never) => match never {},
            Err(errno) => exec_error(&self.path, Errno::from_raw_os_error(errno as i32)),
        }
    }
}

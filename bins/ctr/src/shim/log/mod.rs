//! What a container writes, written down: docker's log drivers.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`options`] | `--log-driver` and `--log-opt`: which there are, and what they mean |
//! | [`lines`] | from bytes as they come to lines |
//! | [`json`], [`local`] | the formats of docker's json-file and local drivers |
//! | [`file`] | a file of one of these formats |
//! | [`rotate`] | the older files: their numbers, and compressing them |
//! | [`journald`], [`syslog`] | sending lines to the machine's own log |
//! | [`tag`] | what a line says of the container that it comes from |
//!
//! What is sent elsewhere is kept in a file as well, in the local format: `ctr logs` shows it (docker calls that a cache).

pub mod file;
pub mod journald;
pub mod json;
pub mod lines;
pub mod local;
pub mod options;
pub mod rotate;
pub mod syslog;
pub mod tag;

use crate::protocol::Kind;
use anyhow::Result;
use file::LogFile;
use journald::Journald;
use layout::Layout;
use layout::container::Container;
use lines::{Line, Lines};
use options::{Driver, Options};
use syslog::Syslog;

/// The log of a container, open for more.
pub struct Log {
    stdout: Lines,
    stderr: Lines,
    file: Option<LogFile>,
    remote: Option<Remote>,
}

/// Where lines go that do not stay here.
enum Remote {
    Journald(Journald),
    Syslog(Syslog),
}

impl Log {
    /// Opens the log of a container.
    ///
    /// # Errors
    /// In docker's words where an option makes no sense, or there is nobody to send to.
    pub fn open(layout: &Layout, container: &Container) -> Result<Log> {
        let options = Options::of(&container.host_config.log_config)?;
        let remote = match &options.driver {
            Driver::Journald => Some(Remote::Journald(Journald::connect(container, &options)?)),
            Driver::Syslog(to) => Some(Remote::Syslog(Syslog::connect(container, &options, to)?)),
            Driver::JsonFile | Driver::Local | Driver::None => None,
        };
        let file = LogFile::open(layout, container, &options)?;
        Ok(Log { stdout: Lines::default(), stderr: Lines::default(), file, remote })
    }

    /// Takes what came on a stream; whole lines are written, the rest waits for its end.
    pub fn write(&mut self, stream: Kind, bytes: &[u8]) -> Result<()> {
        let (lines, name) = match stream {
            Kind::Stderr => (&mut self.stderr, "stderr"),
            _ => (&mut self.stdout, "stdout"),
        };
        let time = layout::time::now();
        let (file, remote) = (&mut self.file, &mut self.remote);
        lines.split(bytes, |text, part| Self::line(file, remote, &Line { stream: name, time: &time, text, part }));
        self.flush()
    }

    /// Writes the last lines that had no newline.
    pub fn finish(&mut self) -> Result<()> {
        let time = layout::time::now();
        let (file, remote) = (&mut self.file, &mut self.remote);
        for (lines, name) in [(&mut self.stdout, "stdout"), (&mut self.stderr, "stderr")] {
            lines.rest(|text, part| Self::line(file, remote, &Line { stream: name, time: &time, text, part }));
        }
        self.flush()
    }

    fn line(file: &mut Option<LogFile>, remote: &mut Option<Remote>, line: &Line) {
        if let Some(file) = file {
            file.add(line);
        }
        match remote {
            Some(Remote::Journald(journald)) => journald.send(line),
            Some(Remote::Syslog(syslog)) => syslog.send(line),
            None => {}
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), LogFile::flush)
    }
}

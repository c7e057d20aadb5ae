//! What a container writes, written down: docker's log drivers.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`options`] | `--log-driver` and `--log-opt`: which there are, and what they mean |
//! | [`lines`] | from bytes as they come to lines |
//! | [`json`], [`local`] | the formats of docker's json-file and local drivers |
//! | [`file`] | a file of one of these formats |
//! | [`rotate`] | the older files: their numbers, and compressing them |
//! | [`journald`], [`syslog`] | the messages that the machine's own log takes |
//! | [`remote`], [`connection`] | sending them, without waiting for it |
//! | [`tag`] | what a line says of the container that it comes from |
//!
//! What is sent elsewhere is kept in a file as well, in the local format: `ctr logs` shows it (docker calls that a cache).

pub mod connection;
pub mod file;
pub mod journald;
pub mod json;
pub mod lines;
pub mod local;
pub mod options;
pub mod remote;
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
use remote::Remote;
use syslog::Syslog;

/// The log of a container, open for more.
pub struct Log {
    stdout: Lines,
    stderr: Lines,
    file: Option<LogFile>,
    remote: Option<(Remote, Message)>,
}

/// How lines are put that do not stay here.
enum Message {
    Journald(Journald),
    Syslog(Syslog),
}

impl Message {
    /// None where the daemon does not take such a line.
    fn encode(&self, line: &Line) -> Option<Vec<u8>> {
        match self {
            Message::Journald(journald) => Some(journald.encode(line)),
            Message::Syslog(_) if line.text.is_empty() => None,
            Message::Syslog(syslog) => Some(syslog.encode(line)),
        }
    }
}

impl Log {
    /// Opens the log of a container.
    ///
    /// # Errors
    /// In docker's words where an option makes no sense, or there is nobody to send to.
    pub fn open(layout: &Layout, container: &Container) -> Result<Log> {
        let options = Options::of(&container.host_config.log_config)?;
        let remote = match &options.driver {
            Driver::Journald => {
                let remote = Remote::start(options.buffer, journald::connect)?;
                Some((remote, Message::Journald(Journald::new(container, &options)?)))
            }
            Driver::Syslog(to) => {
                let message = Message::Syslog(Syslog::new(container, &options, to)?);
                let to = to.clone();
                Some((Remote::start(options.buffer, move || syslog::connect(&to))?, message))
            }
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
        let (file, remote) = (&mut self.file, &self.remote);
        lines.split(bytes, |text, part| Self::line(file, remote, &Line { stream: name, time: &time, text, part }));
        self.flush()
    }

    /// Writes the last lines that had no newline.
    pub fn finish(&mut self) -> Result<()> {
        let time = layout::time::now();
        let (file, remote) = (&mut self.file, &self.remote);
        for (lines, name) in [(&mut self.stdout, "stdout"), (&mut self.stderr, "stderr")] {
            lines.rest(|text, part| Self::line(file, remote, &Line { stream: name, time: &time, text, part }));
        }
        if let Some((remote, _)) = remote {
            remote.finish();
        }
        self.flush()
    }

    fn line(file: &mut Option<LogFile>, remote: &Option<(Remote, Message)>, line: &Line) {
        if let Some(file) = file {
            file.add(line);
        }
        if let Some((remote, message)) = remote {
            if let Some(lost) = remote.take_lost() {
                let text = format!("ctr: {lost} lines of output are missing here: they were not taken in time");
                let told = Line { stream: "stderr", text: text.as_bytes(), part: None, ..*line };
                message.encode(&told).into_iter().for_each(|message| remote.add(message));
            }
            message.encode(line).into_iter().for_each(|message| remote.add(message));
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), LogFile::flush)
    }
}

//! `--verbose`: each step with its system call, for lessons; and the log file of `--log`.
//!
//! A line is what could be seen in strace, and after `#` why it is done. The parent and the child write to
//! the same place, so the process number tells them apart.

use crate::cli::{Global, LogFormat};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

static STORY: OnceLock<Place> = OnceLock::new();
static LOG: OnceLock<(File, LogFormat)> = OnceLock::new();

/// Where the story goes.
enum Place {
    /// To a file, as lines for people.
    File(File),
    /// To the log, as objects for programs: who reads it for errors must not meet lines of another form.
    Log,
}

/// Tells a step: the system call, then why. The text is only made when somebody listens.
macro_rules! narrate {
    ($reason:expr, $($call:tt)*) => {
        if $crate::narrate::is_on() {
            $crate::narrate::say(&format!($($call)*), $reason);
        }
    };
}
pub(crate) use narrate;

/// Opens the log file and decides where the story goes. Called once, before any process is made.
pub fn set_up(global: &Global) -> Result<()> {
    if let Some(path) = &global.log {
        let file = File::options().append(true).create(true).open(path);
        let file = file.with_context(|| format!("open log {}", path.display()))?;
        if global.debug {
            let _ = STORY.set(match global.log_format {
                LogFormat::Json => Place::Log,
                LogFormat::Text => Place::File(file.try_clone().context("duplicate the log file")?),
            });
        }
        let _ = LOG.set((file, global.log_format));
    }
    if global.verbose || (global.debug && global.log.is_none()) {
        // A duplicate: the container's process keeps telling when its standard error has become a terminal.
        let stderr = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3).context("duplicate standard error")?;
        let _ = STORY.set(Place::File(stderr.into()));
    }
    Ok(())
}

/// Whether anybody listens.
pub fn is_on() -> bool {
    STORY.get().is_some()
}

/// Tells one step. A story that cannot be told stops no container.
pub fn say(call: &str, reason: &str) {
    let line = format!("[{}] {call:<72} # {reason}", std::process::id());
    match STORY.get() {
        Some(Place::File(file)) => drop((&mut &*file).write_all(format!("{line}\n").as_bytes())),
        Some(Place::Log) => log("debug", &line),
        None => {}
    }
}

/// Warns on standard error and in the log file.
pub fn warn(message: &str) {
    eprintln!("unshare-run: warning: {message}");
    log("warning", message);
}

/// Writes a line to the log file, if there is one, in the form that containerd and docker read.
pub fn log(level: &str, message: &str) {
    if let Some((file, format)) = LOG.get() {
        let line = match format {
            LogFormat::Text => format!("time=\"{}\" level={level} msg={message:?}\n", layout::time::now()),
            LogFormat::Json => {
                format!("{}\n", serde_json::json!({"level": level, "msg": message, "time": layout::time::now()}))
            }
        };
        let _ = (&mut &*file).write_all(line.as_bytes());
    }
}

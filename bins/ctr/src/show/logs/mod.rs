//! `ctr logs`: the log's files, put back into the two streams that they came from.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`entries`] | reading entries from a file, and finding the last ones |
//! | [`files`] | the files of a log, over which it is rotated |
//! | [`follow`] | waiting for more |

mod entries;
mod files;
mod follow;

use super::when;
use crate::cli;
use crate::shim::log::file::place;
use crate::shim::log::options::Options;
use anyhow::{Context, Result, bail};
use entries::{Entry, Reader};
use files::Files;
use jiff::Timestamp;
use layout::Layout;
use std::io::Write;

/// Prints a container's log, and with `--follow` goes on until the container ends.
pub fn logs(layout: &Layout, args: &cli::Logs) -> Result<u8> {
    let now = Timestamp::now();
    // No time, or none to end with, is no limit.
    let no_limit = |text: &str, option| text.is_empty() || (text == "0" && option == "until");
    let time = |text: &Option<String>, option| {
        let text = text.as_deref().filter(|text| !no_limit(text, option));
        text.map(|text| when::parse(text, option, now)).transpose()
    };
    let mut printer = Printer {
        since: time(&args.since, "since")?,
        until: time(&args.until, "until")?,
        timestamps: args.timestamps,
        details: args.details,
        waiting: Vec::new(),
    };
    let id = layout.find_container(&args.container)?;
    let options = Options::of(&layout.read_container(&id)?.host_config.log_config)?;
    let Some((path, is_json)) = place(layout, &id, &options) else {
        bail!("configured logging driver does not support reading");
    };
    let files = Files { path, is_json };
    // Docker takes what is no number, or less than none, for all.
    let tail = args.tail.parse::<u64>().ok();
    let Some(mut reader) = files.open(tail)?.print(&mut printer)? else {
        // Never started: nothing was written.
        return Ok(0);
    };
    if args.follow {
        follow::follow(layout, &id, &files, &mut reader, &mut printer)?;
    }
    printer.flush()?;
    Ok(0)
}

/// What is printed of an entry, and whether.
struct Printer {
    since: Option<i128>,
    until: Option<i128>,
    timestamps: bool,
    details: bool,
    /// For standard output, and not written yet.
    waiting: Vec<u8>,
}

impl Printer {
    /// Prints an entry. Each is looked at by itself: where the clock was set back, times do not only grow.
    fn print(&mut self, entry: &Entry) -> Result<()> {
        let time = entry.time.as_nanosecond();
        if self.since.is_some_and(|since| time < since) || self.until.is_some_and(|until| time > until) {
            return Ok(());
        }
        let mut text = Vec::new();
        if self.timestamps {
            text.extend_from_slice(format!("{:.9} ", entry.time).as_bytes());
        }
        if self.details {
            let pairs: Vec<String> = entry.attrs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text.extend_from_slice(pairs.join(",").as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(&entry.text);
        if entry.is_error {
            self.flush()?;
            return std::io::stderr().write_all(&text).context("print the log");
        }
        self.waiting.append(&mut text);
        if self.waiting.len() >= 64 << 10 { self.flush() } else { Ok(()) }
    }

    /// Prints all that a file has now.
    fn print_all(&mut self, reader: &mut Reader) -> Result<()> {
        while let Some(entry) = reader.next()? {
            self.print(&entry)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&self.waiting).and_then(|()| stdout.flush()).context("print the log")?;
        self.waiting.clear();
        Ok(())
    }

    /// Whether nothing that is written from now on is to be printed.
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Timestamp::now().as_nanosecond() > until)
    }
}

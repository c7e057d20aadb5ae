//! `ctr logs`: the log file, put back into the two streams that it came from.

use crate::{cli, life};
use anyhow::{Context, Result, bail};
use layout::container::Status;
use layout::{ContainerId, Layout};
use serde::Deserialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::time::Duration;

/// How often `--follow` looks for more.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An entry of the log.
#[derive(Deserialize)]
struct Entry {
    log: String,
    stream: String,
    time: String,
}

/// Prints a container's log, and with `--follow` goes on until the container ends.
pub fn logs(layout: &Layout, args: &cli::Logs) -> Result<u8> {
    let id = layout.find_container(&args.container)?;
    let path = layout.container_dir(&id).log(&id);
    let file = match File::open(&path) {
        Ok(file) => file,
        // Never started: nothing was written.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("open the log {}", path.display())),
    };
    let mut lines = Lines { file: BufReader::new(file), line: String::new() };
    let tail = match args.tail.as_str() {
        "all" => None,
        number => Some(number.parse::<usize>().with_context(|| format!("read --tail {number}"))?),
    };
    let printed = match tail {
        Some(count) => last(&mut lines, count)?.iter().try_for_each(|line| print_entry(line, args.timestamps)),
        None => print_all(&mut lines, args.timestamps),
    };
    let printed =
        printed.and_then(|()| if args.follow { follow(layout, &id, &mut lines, args.timestamps) } else { Ok(()) });
    match printed {
        // Whoever reads our output (`| head`) has had enough.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => {
            Ok(0)
        }
        other => other.map(|()| 0),
    }
}

/// The whole lines of a file that somebody may still be writing.
struct Lines {
    file: BufReader<File>,
    line: String,
}

impl Lines {
    /// The next whole line. A line whose end is not written yet waits for its rest.
    fn next(&mut self) -> Result<Option<String>> {
        self.file.read_line(&mut self.line).context("read the log")?;
        Ok(self.line.ends_with('\n').then(|| std::mem::take(&mut self.line)))
    }
}

fn print_all(lines: &mut Lines, timestamps: bool) -> Result<()> {
    while let Some(line) = lines.next()? {
        print_entry(&line, timestamps)?;
    }
    Ok(())
}

fn last(lines: &mut Lines, count: usize) -> Result<VecDeque<String>> {
    let mut kept = VecDeque::new();
    while let Some(line) = lines.next()? {
        kept.push_back(line);
        if kept.len() > count {
            kept.pop_front();
        }
    }
    Ok(kept)
}

fn follow(layout: &Layout, id: &ContainerId, lines: &mut Lines, timestamps: bool) -> Result<()> {
    loop {
        // Asked first: what is written between the question and the reading is then still read.
        let goes_on = layout.container(id).is_dir() && life::state(layout, id)?.status == Status::Running;
        print_all(lines, timestamps)?;
        if !goes_on {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn print_entry(line: &str, timestamps: bool) -> Result<()> {
    let Ok(entry) = serde_json::from_str::<Entry>(line) else {
        bail!("read the log: not an entry of the json-file format: {line:?}");
    };
    let time = match layout::time::parse(&entry.time) {
        Some(time) if timestamps => format!("{time:.9} "),
        _ => String::new(),
    };
    let text = format!("{time}{}", entry.log);
    match entry.stream.as_str() {
        "stderr" => std::io::stderr().write_all(text.as_bytes())?,
        _ => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()?;
        }
    }
    Ok(())
}

//! A file of log lines, and its rotation: when it is big enough it gets the number 1, that with the number 1 gets 2, and
//! so on; the last goes.

use super::lines::Line;
use super::options::{Driver, Options};
use super::{json, local, tag};
use anyhow::{Context, Result};
use layout::container::Container;
use layout::{ContainerId, Layout};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Lines are gathered up to so many bytes before they are written.
const GATHERED: usize = 64 << 10;

/// The formats of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Docker's json-file, with what goes before the time of each line.
    Json(String),
    /// Docker's local.
    Local,
}

/// Where the log of a container is, and whether it is in JSON; none where it is kept nowhere.
pub fn place(layout: &Layout, id: &ContainerId, options: &Options) -> Option<(PathBuf, bool)> {
    let dir = layout.container_dir(id);
    let path = match options.driver {
        Driver::JsonFile => dir.log(id),
        Driver::Local => dir.local_log(),
        Driver::Journald | Driver::Syslog(_) | Driver::None => dir.cached_log(),
    };
    options.has_file.then_some((path, options.driver == Driver::JsonFile))
}

/// The file with a number; 0 is the one that is written to.
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => PathBuf::from(format!("{}.{number}", path.display())),
    }
}

/// A log file, open for more.
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: Option<u64>,
    files: u32,
    format: Format,
    /// Lines that are not written yet, whole.
    gathered: Vec<u8>,
    gathered_lines: u64,
    /// How many lines could not be written, and why.
    lost: Option<(u64, String)>,
    told: bool,
}

impl LogFile {
    /// Opens it, and makes it where it is missing.
    pub fn open(layout: &Layout, container: &Container, options: &Options) -> Result<Option<LogFile>> {
        let Some((path, is_json)) = place(layout, &container.id, options) else { return Ok(None) };
        if let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) {
            fs::DirBuilder::new().mode(0o700).create(dir).with_context(|| format!("make {}", dir.display()))?;
        }
        let file = open(&path)?;
        let format = if is_json { Format::Json(json_attributes(container, options)?) } else { Format::Local };
        let size = file.metadata().with_context(|| format!("look at the log {}", path.display()))?.len();
        let (limit, files) = (options.size, options.files);
        let (gathered, gathered_lines, lost, told) = (Vec::new(), 0, None, false);
        Ok(Some(LogFile { path, file, size, limit, files, format, gathered, gathered_lines, lost, told }))
    }

    /// Adds a line; it is written at the latest with [`LogFile::flush`].
    pub fn add(&mut self, line: &Line) {
        if self.limit.is_some_and(|limit| self.size + self.gathered.len() as u64 >= limit) {
            self.write();
            // Where there is no room for another file, this one just grows on.
            let _ = self.rotate();
        }
        if self.lost.is_some() && self.gathered.is_empty() {
            self.tell(line);
        }
        self.format.encode(&mut self.gathered, line);
        self.gathered_lines += 1;
        if self.gathered.len() >= GATHERED {
            self.write();
        }
    }

    /// Writes what is gathered.
    ///
    /// # Errors
    /// How much was lost, and why: as long as that is not told in the log itself.
    pub fn flush(&mut self) -> Result<()> {
        self.write();
        match &self.lost {
            None => Ok(()),
            Some((lines, why)) => anyhow::bail!("{lines} lines of output are not in the log: {why}"),
        }
    }

    /// A line about what is missing, where it is missing. It comes before the first line that can be written again.
    fn tell(&mut self, next: &Line) {
        let Some((lines, why)) = &self.lost else { return };
        let text = format!("ctr: {lines} lines of output are missing here: {why}");
        let line = Line { stream: "stderr", time: next.time, text: text.as_bytes(), part: None };
        self.format.encode(&mut self.gathered, &line);
        self.told = true;
    }

    fn write(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        match self.file.write_all(&self.gathered) {
            Ok(()) => {
                self.size += self.gathered.len() as u64;
                if std::mem::take(&mut self.told) {
                    self.lost = None;
                }
            }
            Err(error) => {
                // Half a line must not stay: what follows would be unreadable.
                let _ = self.file.set_len(self.size);
                let (lines, why) = self.lost.get_or_insert((0, String::new()));
                *lines += self.gathered_lines;
                *why = error.to_string();
                self.told = false;
            }
        }
        self.gathered.clear();
        self.gathered_lines = 0;
    }

    fn rotate(&mut self) -> Result<()> {
        let rename = |from: &Path, to: &Path| match fs::rename(from, to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("rename the log {}", from.display()))
            }
            _ => Ok(()),
        };
        // A new file first: without it nothing is renamed. Who reads the old one can read it to its end.
        let new = self.path.with_extension("log.new");
        let file = open(&new)?;
        for number in (0..self.files.saturating_sub(1)).rev() {
            rename(&numbered(&self.path, number), &numbered(&self.path, number + 1))?;
        }
        rename(&new, &self.path)?;
        self.file = file;
        self.size = 0;
        Ok(())
    }
}

impl Format {
    fn encode(&self, out: &mut Vec<u8>, line: &Line) {
        match self {
            Format::Json(attributes) => json::encode(out, line, attributes),
            Format::Local => local::encode(out, line),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let file = File::options().append(true).create(true).mode(0o640).open(path);
    file.with_context(|| format!("open the log {}", path.display()))
}

/// What of the container goes with each line.
fn json_attributes(container: &Container, options: &Options) -> Result<String> {
    let mut attributes = tag::attributes(container, options);
    if let Some(template) = options.given.get("tag").filter(|tag| !tag.is_empty()) {
        attributes.insert("tag".to_owned(), tag::tag(container, template)?);
    }
    if attributes.is_empty() {
        return Ok(String::new());
    }
    Ok(format!("\"attrs\":{},", serde_json::to_string(&attributes).context("encode JSON")?))
}

//! A file of log lines.

use super::lines::Line;
use super::options::{Driver, Options};
use super::{json as json_file, local, rotate, tag};
use crate::show::template::to_json;
use anyhow::{Context, Result};
use layout::container::Container;
use layout::{ContainerId, Layout};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

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

/// A log file, open for more.
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: Option<u64>,
    files: u32,
    compress: bool,
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
        let file = rotate::open(&path)?;
        let format = if is_json { Format::Json(json_attributes(container, options)?) } else { Format::Local };
        let size = file.metadata().with_context(|| format!("look at the log {}", path.display()))?.len();
        let (limit, files, compress) = (options.size, options.files, options.compress);
        let (gathered, gathered_lines, lost, told) = (Vec::new(), 0, None, false);
        Ok(Some(LogFile { path, file, size, limit, files, compress, format, gathered, gathered_lines, lost, told }))
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
        let Some(file) = rotate::rotate(&self.path, &self.file, self.files)? else { return Ok(()) };
        self.file = file;
        self.size = 0;
        if self.compress { rotate::start_compressing(&self.path) } else { Ok(()) }
    }
}

impl Format {
    fn encode(&self, out: &mut Vec<u8>, line: &Line) {
        match self {
            Format::Json(attributes) => json_file::encode(out, line, attributes),
            Format::Local => local::encode(out, line),
        }
    }
}

/// What of the container goes with each line.
fn json_attributes(container: &Container, options: &Options) -> Result<String> {
    let mut attributes = tag::attributes(container, options)?;
    if let Some(template) = options.given.get("tag").filter(|tag| !tag.is_empty()) {
        attributes.insert("tag".to_owned(), tag::tag(container, template)?);
    }
    if attributes.is_empty() {
        return Ok(String::new());
    }
    Ok(format!("\"attrs\":{},", to_json(&json!(attributes), true)))
}

//! Where an archive is written to: standard output, or a file that appears whole or not at all.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// See the module.
#[derive(Debug)]
pub struct OutputFile(To);

#[derive(Debug)]
enum To {
    /// Standard output, or something that is there and no regular file.
    Stream(File),
    /// A new file beside the one that it replaces in the end.
    Temporary(NamedTempFile, PathBuf),
}

impl OutputFile {
    /// Opens it; without a file it is standard output.
    ///
    /// # Errors
    /// Standard output is a terminal (docker's words), or the file's folder is not there.
    pub fn open(file: Option<&Path>, failed_to: &str) -> Result<OutputFile> {
        let Some(file) = file else {
            let stdout = io::stdout();
            if rustix::termios::isatty(&stdout) {
                bail!("cowardly refusing to save to a terminal. Use the -o flag or redirect");
            }
            return Ok(OutputFile(To::Stream(
                stdout.as_fd().try_clone_to_owned().context("open standard output")?.into(),
            )));
        };
        let failed = || format!("invalid output path {}", file.display());
        // /dev/null stays what it is, and so does a pipe.
        if file.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Ok(OutputFile(To::Stream(File::options().write(true).open(file).with_context(failed)?)));
        }
        let file = std::path::absolute(file).with_context(failed)?;
        let folder =
            file.parent().filter(|_| !file.is_dir()).with_context(|| format!("{}: it is a folder", failed()))?;
        if !folder.is_dir() {
            bail!("failed to {failed_to}: invalid output path: directory {folder:?} does not exist");
        }
        let temporary = tempfile::Builder::new().prefix(".layerfs-").tempfile_in(folder).with_context(failed)?;
        Ok(OutputFile(To::Temporary(temporary, file)))
    }

    /// It is whole: gives it its name.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            To::Stream(_) => Ok(()),
            To::Temporary(temporary, file) => {
                let persisted = temporary.persist(&file).map(drop).map_err(|error| error.error);
                persisted.with_context(|| format!("write {}", file.display()))
            }
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            To::Stream(file) => file.write(bytes),
            To::Temporary(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            To::Stream(file) => file.flush(),
            To::Temporary(file, _) => file.flush(),
        }
    }
}

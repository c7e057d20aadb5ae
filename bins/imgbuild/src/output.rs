//! What a build prints: the classic builder's lines.

use crate::tools::memory_file;
use anyhow::{Context, Result};
use layout::units::human_size_with;
use layout::{ContainerId, Digest};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;

/// Where the lines go: to standard output, or with `--quiet` into memory until they are needed.
#[derive(Debug)]
pub struct Output {
    file: File,
    quiet: bool,
}

impl Output {
    /// The output of a build.
    pub fn new(quiet: bool) -> Result<Output> {
        let file = match quiet {
            true => memory_file("build output")?,
            false => std::io::stdout().as_fd().try_clone_to_owned().context("duplicate standard output")?.into(),
        };
        Ok(Output { file, quiet })
    }

    /// The file behind it, for the commands of RUN: both of their streams go to the one that docker has.
    pub fn file(&self) -> &File {
        &self.file
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.file.write_all(format!("{text}\n").as_bytes()).context("write to standard output")
    }

    /// `Sending build context to Docker daemon  3.072kB`: docker's words, whoever the files are for.
    pub fn context(&mut self, bytes: u64) -> Result<()> {
        self.line(&format!("Sending build context to Docker daemon {:>8}", human_size_with(bytes, 4)))
    }

    /// `Step 1/7 : FROM python:3-slim`
    pub fn step(&mut self, number: usize, of: usize, source: &str) -> Result<()> {
        self.line(&format!("Step {number}/{of} : {source}"))
    }

    /// ` ---> Using cache`
    pub fn using_cache(&mut self) -> Result<()> {
        self.line(" ---> Using cache")
    }

    /// ` ---> Running in 363f11978b86`
    pub fn running(&mut self, id: &ContainerId) -> Result<()> {
        self.line(&format!(" ---> Running in {}", id.short()))
    }

    /// `Removing intermediate container 363f11978b86`
    pub fn removing(&mut self, id: &ContainerId) -> Result<()> {
        self.line(&format!("Removing intermediate container {}", id.short()))
    }

    /// ` ---> c55347aa7def`; nothing after the arrow for `scratch`.
    pub fn image(&mut self, id: Option<&Digest>) -> Result<()> {
        self.line(&format!(" ---> {}", id.map_or("", Digest::short)))
    }

    /// `[Warning] One or more build-args [X] were not consumed`
    pub fn unused_args(&mut self, names: &[String]) -> Result<()> {
        self.line(&format!("[Warning] One or more build-args [{}] were not consumed", names.join(" ")))
    }

    /// A remark on the Dockerfile.
    pub fn warning(&mut self, text: &str) -> Result<()> {
        self.line(&format!("[WARNING]: {text}"))
    }

    /// `Successfully built c55347aa7def`; with `--quiet` the id alone.
    pub fn built(&mut self, id: &Digest) -> Result<()> {
        if self.quiet {
            return writeln!(std::io::stdout(), "{id}").context("write to standard output");
        }
        self.line(&format!("Successfully built {}", id.short()))
    }

    /// `Successfully tagged pythonweb:latest`
    pub fn tagged(&mut self, name: &str) -> Result<()> {
        self.line(&format!("Successfully tagged {name}"))
    }

    /// A build failed: what `--quiet` held back is shown after all, on standard error.
    pub fn failed(&mut self) {
        if self.quiet && self.file.rewind().is_ok() {
            // Nobody is left to be told that the complaint could not be printed.
            let _ = std::io::copy(&mut self.file, &mut std::io::stderr());
        }
    }
}

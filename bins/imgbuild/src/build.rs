//! A build: the Dockerfile's steps one after the other, each from the cache or done anew.

use crate::args::BuildArgs;
use crate::cache;
use crate::cli::Cli;
use crate::commit::{CommandFailed, Doer};
use crate::context::BuildContext;
use crate::dockerfile::{self, Dockerfile, Instruction, ParseError, Step};
use crate::metadata;
use crate::output::Output;
use crate::plan::{self, Planned};
use crate::signals::Signals;
use crate::stage::Stage;
use crate::store::Store;
use crate::tools::Tools;
use anyhow::{Context, Result, bail};
use layout::images::Image;
use layout::tool::{Call, Tool};
use layout::{Digest, Layout, Reference, exit};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The exit code when Dockerfile or context are at fault, which is docker's.
const BUILD_FAILED: u8 = 1;

/// What to build, and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that COPY takes from.
    pub context: PathBuf,
    /// The Dockerfile.
    pub dockerfile: PathBuf,
    /// The image's names.
    pub tags: Vec<Reference>,
    /// `--build-arg`.
    pub build_args: BTreeMap<String, String>,
    /// Whether no step is taken from the cache.
    pub no_cache: bool,
    /// Whether only the id is printed.
    pub quiet: bool,
    /// Whether the calls of other tools are shown.
    pub verbose: bool,
}

impl Config {
    /// The command line with what is left out filled in.
    pub fn from_cli(cli: Cli) -> Result<Config> {
        if cli.context == Path::new("-") || cli.context.to_string_lossy().contains("://") {
            bail!(
                "a context that is no folder (standard input, a URL) is not there yet: give a folder, as in `imgbuild .`"
            );
        }
        let mut build_args = BTreeMap::new();
        for arg in cli.build_args {
            match arg.split_once('=') {
                Some((name, value)) => drop(build_args.insert(name.to_owned(), value.to_owned())),
                // Without a value: the environment's, if it has one.
                None => build_args.extend(std::env::var(&arg).ok().map(|value| (arg, value))),
            }
        }
        Ok(Config {
            dockerfile: cli.file.unwrap_or_else(|| cli.context.join("Dockerfile")),
            context: cli.context,
            tags: cli.tags,
            build_args,
            no_cache: cli.no_cache,
            quiet: cli.quiet,
            verbose: cli.verbose,
        })
    }
}

/// Builds, and gives the exit code: a failed RUN's own.
pub fn run(layout: &Layout, config: &Config) -> Result<u8> {
    let signals = Signals::block()?;
    let (path, text) = read_dockerfile(config)?;
    let context =
        BuildContext::walk(&config.context, &path).map_err(|error| failed("unable to prepare context", error))?;
    let mut output = Output::new(config.quiet)?;
    output.context(context.tar_size)?;
    let file = dockerfile::parse(&text).map_err(|error| located(&config.dockerfile, &error))?;
    for warning in &file.warnings {
        output.warning(warning)?;
    }
    let tools = Tools { signals, verbose: config.verbose };
    let doer = Doer { layout, tools: &tools, context: &context };
    let stage = Stage { args: BuildArgs::new(config.build_args.clone()), ..Stage::default() };
    let mut build = Build { config, file: &file, doer, store: Store::open(layout)?, stage, output };
    match build.all_steps() {
        Ok(()) => Ok(0),
        Err(error) => {
            build.output.failed();
            match error.downcast_ref::<CommandFailed>() {
                // The command's failure, not ours: docker's line, as it is, and the command's exit code.
                Some(failed) => {
                    eprintln!("{failed}");
                    Ok(failed.code)
                }
                None => Err(error),
            }
        }
    }
}

/// Reads the Dockerfile; gives its path without links, too.
fn read_dockerfile(config: &Config) -> Result<(PathBuf, String)> {
    let file = &config.dockerfile;
    if !config.context.is_dir() {
        let path = config.context.display().to_string();
        bail!(exit::coded(BUILD_FAILED, format!("unable to prepare context: path {path:?} not found")));
    }
    let read = || -> Result<(PathBuf, Vec<u8>)> { Ok((fs::canonicalize(file)?, fs::read(file)?)) };
    let (path, bytes) = read().map_err(|error| failed(&format!("read {}", file.display()), error))?;
    if bytes.is_empty() {
        bail!(exit::coded(BUILD_FAILED, format!("the Dockerfile ({}) cannot be empty", file.display())));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((path, text)),
        Err(error) => {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
            bail!(exit::coded(BUILD_FAILED, format!("{}:{line}: this is no UTF-8 text", file.display())));
        }
    }
}

/// Dockerfile or context are at fault: an error with docker's exit code for that.
pub fn build_failed(error: anyhow::Error) -> anyhow::Error {
    exit::coded(BUILD_FAILED, format!("{error:#}"))
}

/// As [`build_failed`], with what was tried.
fn failed(what: &str, error: anyhow::Error) -> anyhow::Error {
    exit::coded(BUILD_FAILED, format!("{what}: {error:#}"))
}

/// `./Dockerfile:3:1: dockerfile parse error line 3: unknown instruction: RUNN: did you mean RUN?`
fn located(file: &Path, error: &ParseError) -> anyhow::Error {
    let place = error.position.map(|position| format!(":{}:{}", position.line, position.column)).unwrap_or_default();
    exit::coded(BUILD_FAILED, format!("{}{place}: {error}", file.display()))
}

/// A build that is under way.
struct Build<'a> {
    config: &'a Config,
    file: &'a Dockerfile,
    doer: Doer<'a>,
    /// Where base images come from; also the cache.
    store: Store<'a>,
    stage: Stage,
    output: Output,
}

impl Build<'_> {
    fn all_steps(&mut self) -> Result<()> {
        let steps = &self.file.steps;
        for (index, step) in steps.iter().enumerate() {
            self.doer.tools.signals.check()?;
            self.output.step(index + 1, steps.len(), &step.source)?;
            self.step(step)?;
        }
        let unused = self.stage.args.unused();
        if !unused.is_empty() {
            self.output.unused_args(&unused)?;
        }
        let Some(image) = self.stage.image.clone() else {
            bail!(exit::coded(BUILD_FAILED, "No image was generated. Is your Dockerfile empty?"));
        };
        self.output.built(&image)?;
        for tag in self.config.tags.iter().map(Reference::familiar) {
            // A build that found everything done finds its name given, too.
            if !self.store.is_named(&image, &tag)? {
                self.doer.tag(&image, &tag)?;
            }
            self.output.tagged(&tag)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let place = format!("{}:{}", self.config.dockerfile.display(), step.line);
        let wrong = |error: anyhow::Error| failed(&place, error);
        let escape = self.file.escape;
        let instruction = step.instruction.expand(|word| self.stage.expand(word, escape)).map_err(wrong)?;
        match &instruction {
            Instruction::From { image, .. } => {
                self.from(image).map_err(wrong)?;
                return self.output.image(self.stage.image.as_ref());
            }
            Instruction::Arg(args) => {
                for (name, default) in args {
                    self.stage.args.declare(name, default.as_deref());
                }
                if !self.stage.args.in_stage() {
                    return Ok(());
                }
            }
            Instruction::Maintainer(who) => self.stage.author = Some(who.clone()),
            _ => {}
        }
        let planned = plan::plan(&instruction, &self.stage, self.doer.context).map_err(wrong)?;
        let image = match self.cached(&planned)? {
            Some(image) => {
                self.output.using_cache()?;
                image
            }
            None => self.doer.carry_out(&planned, &self.stage, &mut self.output).with_context(|| place.clone())?,
        };
        self.output.image(Some(&image))?;
        self.stage.cmd_is_ours |= matches!(instruction, Instruction::Cmd(_));
        self.stage.config = planned.config;
        self.stage.image = Some(image);
        Ok(())
    }

    fn cached(&self, planned: &Planned) -> Result<Option<Digest>> {
        if self.config.no_cache {
            return Ok(None);
        }
        let parent = self.stage.image.as_ref();
        let candidates = self.store.children(parent)?;
        let found = cache::find(&candidates, parent, &planned.created_by, &planned.config);
        Ok(found.map(|image| image.id.clone()))
    }

    /// Gets an image from its registry.
    fn pull(&self, name: &str) -> Result<Image> {
        let call = Call::new(Tool::Layerfs).args(["pull", "--status-only", name]);
        self.doer.tools.pass(&call, self.output.file())?;
        self.store.base(name)?.with_context(|| format!("No such image: {name}"))
    }

    /// FROM: the stage begins with an image that is there or can be pulled, or with nothing.
    fn from(&mut self, name: &str) -> Result<()> {
        self.stage.args.enter_stage();
        if name != "scratch" {
            let base = match self.store.base(name)? {
                Some(base) => base,
                None => self.pull(name)?,
            };
            let triggers = base.config.config.extra.get("OnBuild").and_then(|triggers| triggers.as_array());
            if triggers.is_some_and(|triggers| !triggers.is_empty()) {
                bail!("the image {name} has ONBUILD triggers, and running them is not there yet");
            }
            self.stage.image = Some(base.id);
            self.stage.config = base.config.config;
        }
        metadata::set_default_path(&mut self.stage.config);
        Ok(())
    }
}

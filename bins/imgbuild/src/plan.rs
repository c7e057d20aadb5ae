//! What a step would do, before anything is done: the text that the cache knows it by, the configuration that
//! results, and the work that is left when the cache does not have it.

use crate::context::BuildContext;
use crate::copy::sources::{self, Selection};
use crate::dockerfile::{Command, Instruction, Transfer};
use crate::metadata;
use crate::paths;
use crate::stage::Stage;
use anyhow::{Result, bail};
use layout::oci::image::RunConfig;

/// A step that is understood and not yet done.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its line in the image's history. Together with the parent image this is the cache's key.
    pub created_by: String,
    /// The configuration of the image that it makes.
    pub config: RunConfig,
    /// How to make it.
    pub work: Work,
}

/// What there is to do.
#[derive(Debug, Clone)]
pub enum Work {
    /// Nothing but to store the configuration.
    Configuration,
    /// Make sure that the working folder exists.
    Workdir,
    /// Put files into the image.
    Copy { selection: Selection, transfer: Transfer },
    /// Run a command on the image.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// Variables that the image's environment does not have.
        env: Vec<(String, String)>,
    },
}

/// Plans a step after FROM. Variables are expanded already.
///
/// # Errors
/// Whatever is wrong with the instruction here: no such file, no such port, ...
pub fn plan(instruction: &Instruction, stage: &Stage, context: &BuildContext) -> Result<Planned> {
    let mut config = stage.config.clone();
    let (created_by, work) = match instruction {
        Instruction::Copy(transfer) => copy("COPY", transfer, context)?,
        Instruction::Add(transfer) => copy("ADD", transfer, context)?,
        Instruction::Workdir(folder) => {
            config.working_dir = paths::join(&config.working_dir, folder);
            (format!("/bin/sh -c #(nop) WORKDIR {}", config.working_dir), Work::Workdir)
        }
        Instruction::Run(command) => run(command, stage)?,
        other => (metadata::apply(other, &mut config, stage.cmd_is_ours)?, Work::Configuration),
    };
    Ok(Planned { created_by, config, work })
}

/// The text of a COPY holds the digest of what it copies, so that other contents are another key.
fn copy(keyword: &str, transfer: &Transfer, context: &BuildContext) -> Result<(String, Work)> {
    let selection = sources::select(context, transfer, keyword)?;
    let chown = transfer.chown.iter().map(|owner| format!("--chown={owner} ")).collect::<String>();
    let text = format!("/bin/sh -c #(nop) {keyword} {chown}{} in {} ", selection.digest, transfer.destination);
    Ok((text, Work::Copy { selection, transfer: transfer.clone() }))
}

/// The text of a RUN holds the ARGs that it can see, `|2 A=b C=d /bin/sh -c ...`: another value, another key.
fn run(command: &Command, stage: &Stage) -> Result<(String, Work)> {
    let argv = command.argv();
    if argv.is_empty() {
        bail!("RUN has no command");
    }
    let env = stage.args.in_key(|name| metadata::get_env(&stage.config.env, name).is_some());
    let mut text = argv.join(" ");
    if !env.is_empty() {
        let args: String = env.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        text = format!("|{} {args}{text}", env.len());
    }
    let env = env.into_iter().chain(stage.args.predefined()).collect();
    Ok((text, Work::Run { argv, env }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::BuildArgs;
    use std::path::Path;

    fn planned(instruction: Instruction, stage: &Stage) -> Planned {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "a").unwrap();
        let context = BuildContext::walk(dir.path(), Path::new("/none")).unwrap();
        plan(&instruction, stage, &context).unwrap()
    }

    #[test]
    fn run_is_known_by_its_command_and_the_args_that_it_sees() {
        let given = [("A", "b c"), ("HTTP_PROXY", "p")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut stage = Stage { args: BuildArgs::new(given.into()), ..Stage::default() };
        stage.args.enter_stage();
        let shell = Instruction::Run(Command::Shell("echo $A".into()));
        assert_eq!(planned(shell.clone(), &stage).created_by, "/bin/sh -c echo $A");
        stage.args.declare("Z", Some("z"));
        stage.args.declare("A", None);
        stage.args.declare("NONE", None);
        let with_args = planned(shell.clone(), &stage);
        assert_eq!(with_args.created_by, "|2 A=b c Z=z /bin/sh -c echo $A");
        let Work::Run { env, .. } = with_args.work else { panic!("RUN runs") };
        assert_eq!(env.len(), 3, "the proxy is in the environment and not in the key: {env:?}");
        metadata::set_env(&mut stage.config.env, "A", "from env");
        assert_eq!(planned(shell, &stage).created_by, "|1 Z=z /bin/sh -c echo $A");
        let exec = Instruction::Run(Command::Exec(vec!["echo".into(), "exec  form".into()]));
        assert_eq!(planned(exec, &Stage::default()).created_by, "echo exec  form");
    }

    #[test]
    fn copy_is_known_by_the_digest_of_its_files() {
        let mut transfer = Transfer { sources: vec!["a".into()], destination: "/x/".into(), chown: None };
        let text = planned(Instruction::Copy(transfer.clone()), &Stage::default()).created_by;
        let (start, rest) = text.split_at("/bin/sh -c #(nop) COPY file:".len());
        assert_eq!(start, "/bin/sh -c #(nop) COPY file:");
        assert_eq!(&rest[64..], " in /x/ ");
        transfer.chown = Some("web".into());
        let owned = planned(Instruction::Add(transfer), &Stage::default()).created_by;
        assert!(owned.starts_with("/bin/sh -c #(nop) ADD --chown=web file:"), "{owned}");
    }

    #[test]
    fn workdir_builds_on_the_one_before() {
        let mut stage = Stage::default();
        for (folder, expected) in [("x", "/x"), ("y/", "/x/y"), ("../z", "/x/z"), ("/abs", "/abs")] {
            let planned = planned(Instruction::Workdir(folder.into()), &stage);
            assert_eq!(planned.created_by, format!("/bin/sh -c #(nop) WORKDIR {expected}"));
            stage.config = planned.config;
        }
    }
}

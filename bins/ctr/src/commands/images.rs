//! The commands about images that a tool does as a whole, and the two that make an image or an archive of a container.

use super::diff::made_by_the_engine;
use super::{Engine, failed_as_docker};
use crate::cli::{Build, Commit, Export, ImagePrune, Import, Load, Login, Rmi, Save};
use crate::plan::{Plan, Step};
use crate::{life, registry, runtime};
use anyhow::{Context, Result, bail};
use layout::container::{Container, Status};
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::{Digest, Layout, Reference, events, exit, images};
use std::io::{BufRead, Write};

/// `layerfs rm`.
pub fn rmi(args: &Rmi) -> Call {
    Call::new(Tool::Layerfs)
        .arg("rm")
        .args(args.force.then_some("--force"))
        .args(args.no_prune.then_some("--no-prune"))
        .args(&args.images)
}

/// `layerfs import`.
pub fn import(args: &Import) -> Call {
    Call::new(Tool::Layerfs)
        .arg("import")
        .args(args.change.iter().flat_map(|change| ["--change", change]))
        .args(args.message.iter().flat_map(|message| ["--message", message]))
        .args(args.platform.iter().flat_map(|platform| ["--platform", platform]))
        .arg(&args.file)
        .args(&args.name)
}

/// `layerfs save`.
pub fn save(args: &Save) -> Call {
    Call::new(Tool::Layerfs)
        .arg("save")
        .args(args.output.iter().flat_map(|file| ["--output".into(), file.clone().into_os_string()]))
        .args(args.platform.iter().flat_map(|platform| ["--platform", platform]))
        .args(&args.images)
}

/// `layerfs load`.
pub fn load(args: &Load) -> Call {
    Call::new(Tool::Layerfs)
        .arg("load")
        .args(args.input.iter().flat_map(|file| ["--input".into(), file.clone().into_os_string()]))
        .args(args.platform.iter().flat_map(|platform| ["--platform", platform]))
        .args(args.quiet.then_some("--quiet"))
}

/// `imgbuild`.
pub fn build(args: &Build) -> Result<Call> {
    if !args.rm {
        bail!("--rm=false: a step's container is not kept, its image is (ctr images -a)");
    }
    Ok(Call::new(Tool::Imgbuild)
        .args(args.tag.iter().flat_map(|tag| ["--tag", tag]))
        .args(args.file.iter().flat_map(|file| ["--file".into(), file.clone().into_os_string()]))
        .args(args.build_arg.iter().flat_map(|value| ["--build-arg", value]))
        .args(args.no_cache.then_some("--no-cache"))
        .args(args.quiet.then_some("--quiet"))
        .arg(&args.context))
}

impl Engine {
    /// `ctr login`: the password goes to the tool by a pipe, where nobody else sees it.
    pub(super) fn login(&self, args: &Login) -> Result<u8> {
        let call = registry::login(args);
        match &args.password {
            Some(_) if args.username.is_none() => bail!("Must provide --username with --password"),
            Some(password) if !self.explain => Ok(failed_as_docker(registry::log_in(&call, password)?)),
            _ => self.pass_on(call),
        }
    }

    /// `ctr image prune`: asks, as docker does, and removes.
    pub(super) fn image_prune(&self, args: &ImagePrune) -> Result<u8> {
        let warning = match args.all {
            true => "WARNING! This will remove all images without at least one container associated to them.",
            false => "WARNING! This will remove all dangling images.",
        };
        if !self.explain && !args.force && !confirmed(warning)? {
            println!("Total reclaimed space: 0B");
            return Ok(0);
        }
        self.pass_on(
            Call::new(Tool::Layerfs)
                .arg("prune")
                .args(args.all.then_some("--all"))
                .args(args.filter.iter().flat_map(|filter| ["--filter", filter])),
        )
    }

    /// `ctr export`: the container's files in one archive, whether it runs or not.
    pub(super) fn export(&self, args: &Export) -> Result<u8> {
        let container = self.container_named(&args.container)?;
        let dir = self.layout.container_dir(&container.id);
        let export = Call::new(Tool::Layerfs)
            .arg("export")
            .args(args.output.iter().flat_map(|file| ["--output".into(), file.clone().into_os_string()]))
            .arg(dir.rootfs());
        // Nobody starts or removes it meanwhile; one that runs is mounted as long as it does.
        let _operation = self.hold(&container)?;
        if life::state(&self.layout, &container.id)?.status.is_up() {
            return self.pass_on(export).inspect(|code| self.note(&container, "export", *code));
        }
        if !self.explain {
            life::recover(&self.layout, &container.id)?;
        }
        let mut plan = Plan::default();
        plan.note("it does not run, so its root is mounted for as long as it is read");
        plan.call(life::mount_call(&self.layout, &container));
        let umount = Call::new(Tool::Layerfs).arg("umount").arg(dir.rootfs());
        plan.push(Step::Between { work: export, after: vec![Step::Call(umount)] });
        self.as_docker_ends(&plan).inspect(|code| self.note(&container, "export", *code))
    }

    /// `ctr commit`: an image of what the container changed, and of how it was run.
    pub(super) fn commit(&self, args: &Commit) -> Result<u8> {
        let container = self.container_named(&args.container)?;
        let _operation = self.hold(&container)?;
        let state = life::state(&self.layout, &container.id)?;
        let file = self.layout.tmp().join(format!("commit-{}.json", container.id.short()));
        let commit = commit_call(&self.layout, &container, args, &file)?;
        let mut plan = Plan::default();
        plan.note("what the image is to run by default: what the container does");
        plan.push(Step::write_json(&file, &container.config.run)?);
        let mut after = vec![Step::RemoveFile(file)];
        let freezes = args.pause && state.status == Status::Running;
        if freezes {
            plan.note("nothing changes while it is read: the container's processes are frozen");
            plan.call(runtime::pause(&self.layout, &container.id));
            after.insert(0, Step::Call(runtime::resume(&self.layout, &container.id)));
        }
        plan.push(Step::Between { work: commit, after });
        let code = self.as_docker_ends(&plan)?;
        if freezes {
            ["pause", "unpause"].iter().for_each(|action| self.note(&container, action, code));
        }
        self.note_commit(&container, args, code);
        Ok(code)
    }

    /// Notes a commit, with the image's name and id if it was given a name.
    fn note_commit(&self, container: &Container, args: &Commit, code: u8) {
        if code != 0 || self.explain {
            return;
        }
        let name = args.name.as_deref().and_then(|name| Reference::parse_name(name).ok()).map(|name| name.familiar());
        let image = name.as_deref().and_then(|name| images::lookup(&self.layout, name).ok().flatten());
        let id = image.map(|image| image.id);
        let more = [
            ("comment", Some(args.message.as_deref().unwrap_or_default())),
            ("imageID", id.as_ref().map(Digest::as_str)),
            ("imageRef", name.as_deref()),
        ];
        let more: Vec<(&str, &str)> = more.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        events::of_container(&self.layout, container, "commit", &more);
    }

    fn container_named(&self, name: &str) -> Result<Container> {
        let id = self.layout.find_container(name).map_err(super::ends_with_one)?;
        self.layout.read_container(&id)
    }

    /// Holds the container as `start` and `rm` do.
    pub(super) fn hold(&self, container: &Container) -> Result<Option<Lock>> {
        if self.explain {
            return Ok(None);
        }
        let held = Lock::on_dir(&self.layout.container(&container.id))?;
        held.with_context(|| format!("No such container: {}", container.name)).map(Some)
    }

    /// Does a plan or shows it; the tools fail with 125, docker's commands about images with 1.
    pub(super) fn as_docker_ends(&self, plan: &Plan) -> Result<u8> {
        if self.explain {
            return self.explained(plan);
        }
        match plan.execute(&self.layout).map_err(super::ends_with_one)? {
            exit::TOOL => Ok(1),
            code => Ok(code),
        }
    }
}

fn commit_call(layout: &Layout, container: &Container, args: &Commit, config: &std::path::Path) -> Result<Call> {
    let command = container.config.run.cmd.clone().unwrap_or_default().join(" ");
    Ok(Call::new(Tool::Layerfs)
        .arg("commit")
        .arg(layout.container_dir(&container.id).upper())
        .args(["--step", "--parent", container.image.as_str(), "--config"])
        .arg(config)
        .args(["--created-by", &command])
        .args(args.author.iter().flat_map(|author| ["--author", author]))
        .args(args.message.iter().flat_map(|message| ["--comment", message]))
        .args(args.change.iter().flat_map(|change| ["--change", change]))
        .args(args.name.iter().flat_map(|name| ["--tag", name]))
        .args(
            made_by_the_engine(layout, container)?
                .iter()
                .flat_map(|path| ["--without".into(), path.clone().into_os_string()]),
        ))
}

/// Docker's question before it removes many things at once.
pub(super) fn confirmed(warning: &str) -> Result<bool> {
    print!("{warning}\nAre you sure you want to continue? [y/N] ");
    std::io::stdout().flush().context("write to standard output")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

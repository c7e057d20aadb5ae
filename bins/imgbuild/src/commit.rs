//! Doing a step: its work, and the image that it leaves.

use crate::build::build_failed;
use crate::bundle::Bundle;
use crate::context::BuildContext;
use crate::copy::destination::Destination;
use crate::copy::layer::{LayerTar, Owner};
use crate::copy::sources::Selection;
use crate::dockerfile::Transfer;
use crate::output::Output;
use crate::paths;
use crate::plan::{Planned, Work};
use crate::run_step::RunStep;
use crate::stage::Stage;
use crate::tools::Tools;
use anyhow::{Context, Result, anyhow};
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::{ContainerId, Digest, Layout, rootfs};
use serde::Deserialize;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What doing a step takes.
pub struct Doer<'a> {
    /// Where the images are.
    pub layout: &'a Layout,
    /// How tools are run.
    pub tools: &'a Tools,
    /// Where files come from.
    pub context: &'a BuildContext,
}

/// A RUN's command ended with a code that is not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFailed {
    /// The command as one line.
    pub command: String,
    /// Its exit code.
    pub code: u8,
}

impl std::fmt::Display for CommandFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "The command '{}' returned a non-zero code: {}", self.command, self.code)
    }
}

impl std::error::Error for CommandFailed {}

/// Where a new image's files come from.
enum Layer<'a> {
    /// Nothing but the configuration is new.
    None,
    /// A layer that `layerfs add` has stored.
    Stored(Digest),
    /// The upper folder of an overlay.
    Upper(&'a Path),
}

/// What `layerfs add` prints, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Added {
    diff_id: Digest,
}

impl Doer<'_> {
    /// Does a step and gives the image that it leaves.
    ///
    /// # Errors
    /// [`CommandFailed`] when a RUN's command failed; then, as on any error, nothing is left of the step.
    pub fn carry_out(&self, planned: &Planned, stage: &Stage, output: &mut Output) -> Result<Digest> {
        let image = stage.image.as_ref();
        if let Work::Copy { selection, transfer } = &planned.work {
            // Between being stored and being in an image the layer must not be taken for rubbish.
            let _held = Lock::shared(&self.layout.gc_lock())?;
            let layer = self.copy(selection, transfer, stage)?;
            return self.commit(planned, stage, Layer::Stored(layer));
        }
        // Docker makes a container for each of these steps and prints its id, even where nothing runs in it.
        let id = ContainerId::random()?;
        output.running(&id)?;
        let done = match &planned.work {
            Work::Run { argv, env } => {
                let mut bundle = Bundle::mount(self.layout, self.tools, image)?;
                let step = RunStep { id: &id, argv, config: &stage.config, env };
                let code = step.run(self.layout, self.tools, &mut bundle, output.file())?;
                if code != 0 {
                    return Err(CommandFailed { command: argv.join(" "), code }.into());
                }
                self.commit(planned, stage, Layer::Upper(&bundle.upper()))?
            }
            Work::Workdir => {
                let _held = Lock::shared(&self.layout.gc_lock())?;
                let layer = self.workdir(&planned.config.working_dir, image)?;
                self.commit(planned, stage, layer.map_or(Layer::None, Layer::Stored))?
            }
            Work::Configuration | Work::Copy { .. } => self.commit(planned, stage, Layer::None)?,
        };
        output.removing(&id)?;
        Ok(done)
    }

    /// COPY: the files as a layer, in the order in which they are read.
    fn copy(&self, selection: &Selection, transfer: &Transfer, stage: &Stage) -> Result<Digest> {
        let bundle = Bundle::mount(self.layout, self.tools, stage.image.as_ref())?;
        let root = bundle.rootfs();
        let owner = transfer.chown.as_deref().map_or(Ok(Owner::default()), |spec| find_owner(&root, spec))?;
        let to = Destination::find(&root, &stage.config.working_dir, &transfer.destination).map_err(build_failed)?;
        if selection.sources.iter().any(|source| source.is_dir) {
            to.folders_of_dir().map_err(build_failed)?;
        }
        let what = format!("{} as a tar with the paths of {}", transfer.sources.join(" "), transfer.destination);
        self.add(stage.image.as_ref(), &what, |out| {
            let mut tar = LayerTar::new(out, &root);
            tar.copy(self.context, selection, &to, owner, &|| self.tools.signals.check())?;
            tar.finish().map(drop)
        })
    }

    /// WORKDIR: a layer with the folders that are missing, if any are.
    fn workdir(&self, folder: &str, image: Option<&Digest>) -> Result<Option<Digest>> {
        let bundle = Bundle::mount(self.layout, self.tools, image)?;
        let root = bundle.rootfs();
        let place = paths::resolve(&root, Path::new(folder)).map_err(build_failed)?;
        if place.exists() && !place.is_dir {
            return Err(build_failed(anyhow!("{folder} is not a directory")));
        }
        if place.exists() {
            return Ok(None);
        }
        let layer = self.add(image, &format!("the folder {folder} as a tar"), |out| {
            let mut tar = LayerTar::new(out, &root);
            tar.folders(&place, Owner::default(), Owner::default())?;
            tar.finish().map(drop)
        })?;
        Ok(Some(layer))
    }

    /// `layerfs add`: stores the tar that `write` writes, and that `what` describes.
    fn add(
        &self,
        parent: Option<&Digest>,
        what: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Digest> {
        let mut call = Call::new(Tool::Layerfs).arg("add");
        if let Some(parent) = parent {
            call = call.args(["--parent", parent.as_str()]);
        }
        let printed = self.tools.output_fed(&call, what, |pipe| {
            let mut buffered = BufWriter::with_capacity(128 << 10, pipe);
            write(&mut buffered)?;
            buffered.flush().context("write to layerfs add")
        })?;
        let added: Added = serde_json::from_slice(&printed).context("read what layerfs add printed")?;
        Ok(added.diff_id)
    }

    /// `layerfs commit --step`: the image of this step.
    fn commit(&self, planned: &Planned, stage: &Stage, layer: Layer) -> Result<Digest> {
        let mut call = Call::new(Tool::Layerfs).arg("commit");
        call = match layer {
            Layer::None => call.arg("--empty-layer"),
            Layer::Stored(diff_id) => call.args(["--layer", diff_id.as_str()]),
            Layer::Upper(upper) => call.arg(upper),
        };
        call = call.args(["--parent", stage.image.as_ref().map_or("scratch", Digest::as_str)]);
        call = call.args(["--config", "-", "--created-by", &planned.created_by, "--step"]);
        if let Some(author) = &stage.author {
            call = call.args(["--author", author]);
        }
        let config = serde_json::to_string(&planned.config).context("encode the image's configuration")?;
        let printed = self.tools.output_of(&call, &config)?;
        let printed = String::from_utf8_lossy(&printed);
        printed.trim().parse().context("read what layerfs commit printed")
    }

    /// `layerfs tag`.
    pub fn tag(&self, image: &Digest, name: &str) -> Result<()> {
        self.tools.output(&Call::new(Tool::Layerfs).args(["tag", image.as_str(), name])).map(drop)
    }
}

/// Resolves `--chown` by the image's own users and groups. Without a group the group has the user's number, as
/// docker's reference says.
fn find_owner(root: &Path, spec: &str) -> Result<Owner> {
    let user = rootfs::find_user(root, spec)
        .context("unable to convert uid/gid chown string to host mapping")
        .map_err(build_failed)?;
    let gid = if spec.contains(':') { user.gid } else { user.uid };
    Ok(Owner { uid: user.uid, gid })
}

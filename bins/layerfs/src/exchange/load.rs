//! `layerfs load`: the images in an archive, of docker's form or of the OCI's.

use super::stage::Stage;
use super::verify::{self, Verified, Verifier};
use super::{MANIFEST_JSON, docker_archive, oci_archive};
use crate::cli::LoadArgs;
use crate::image::{import, store};
use crate::layer::compression::{Compression, Decoder};
use crate::output;
use anyhow::{Context, Result, bail};
use layout::oci::image::{ImageConfig, Platform};
use layout::{Layout, events, images};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Loads, and prints the images' names.
pub fn run(layout: &Layout, args: &LoadArgs) -> Result<()> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let input = match &args.input {
        Some(file) => import::open_input(file)?,
        None if rustix::termios::isatty(std::io::stdin()) => bail!("requested load from stdin, but stdin is empty"),
        None => import::open_input(Path::new("-"))?,
    };
    let _held = store::hold(layout)?;
    let (images, moved) = load(layout, input, platform.as_ref()).context("load the archive")?;
    moved.iter().try_for_each(output::line)?;
    for image in &images {
        let config = images::read_blob::<ImageConfig>(layout, &image.id).ok();
        let labels = config.as_ref().and_then(|config| config.config.labels.as_ref());
        events::of_image(layout, "load", image.id.as_str(), image.id.as_str(), labels);
        if image.names.is_empty() {
            output::line(format!("Loaded image ID: {}", image.id))?;
        }
        image.names.iter().try_for_each(|name| output::line(format!("Loaded image: {name}")))?;
    }
    Ok(())
}

fn load(layout: &Layout, input: File, platform: Option<&Platform>) -> Result<(Vec<Verified>, Vec<String>)> {
    let stage = Stage::read(layout, plain(input)?)?;
    let found = if oci_archive::is_one(&stage) {
        // Where both forms are there, this one has the manifests too, and so their digests stay.
        oci_archive::find(&stage, platform)?
    } else if stage.has(MANIFEST_JSON) {
        docker_archive::find(&stage, platform)?
    } else {
        bail!(what_else(&stage))
    };
    let mut verifier = Verifier::new(layout, &stage);
    let images = found.into_iter().map(|image| verifier.image(image)).collect::<Result<Vec<_>>>()?;
    let (blobs, layers) = verifier.finish();
    stage.publish(layout, blobs)?;
    for layer in layers {
        layer.publish(layout)?;
    }
    let moved = verify::list(layout, &images)?;
    Ok((images, moved))
}

/// The archive itself may be compressed.
fn plain(mut input: File) -> Result<Box<dyn Read>> {
    let mut start = Vec::new();
    (&mut input).take(6).read_to_end(&mut start).context("read the archive")?;
    let compression = Compression::of(&start)?;
    Ok(Box::new(Decoder::new(compression, std::io::Cursor::new(start).chain(input))))
}

/// What is to be said of an archive that holds no images, or none that can be read.
fn what_else(stage: &Stage) -> String {
    if stage.is_empty() {
        return "it is empty".to_owned();
    }
    if stage.has("repositories") {
        return "it was saved by a docker before 1.10, whose images had no digests: load it with a docker from 1.10 to 24 \
                and save it again"
            .to_owned();
    }
    let hint = match ["etc", "usr", "bin"].iter().any(|folder| stage.has_folder(folder)) {
        true => ": it looks like a root filesystem, which `import` makes an image of",
        false => "",
    };
    format!("it has neither docker's manifest.json nor an OCI image layout (oci-layout, index.json){hint}")
}

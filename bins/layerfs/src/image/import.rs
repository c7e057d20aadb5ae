//! `layerfs import`: a root filesystem's tar becomes an image of one layer.

use crate::cli::ImportArgs;
use crate::{
    image::{self, change, store},
    layer, output,
};
use anyhow::{Context, Result, anyhow};
use layout::oci::image::{History, ImageConfig, Platform, RunConfig};
use layout::{Layout, Reference, events, time};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;

/// Imports and prints the image's id.
pub fn run(layout: &Layout, args: &ImportArgs) -> Result<()> {
    // Whatever can be wrong with the words is found before gigabytes are read.
    let name = args.reference.as_deref().map(Reference::parse_name).transpose()?;
    let mut config = RunConfig::default();
    for instruction in &args.changes {
        change::apply(&mut config, instruction)?;
    }
    let platform = args.platform.as_deref().map_or_else(|| Ok(Platform::host()), Platform::parse)?;
    refuse_address(&args.file)?;
    let input = open_input(&args.file)?;

    let _held = store::hold(layout)?;
    let layer = layer::store(layout, input).with_context(|| format!("import {}", args.file.display()))?;
    let created = time::now();
    let image = ImageConfig {
        created: Some(created.clone()),
        architecture: platform.architecture,
        os: platform.os,
        extra: platform.variant.map(|variant| ("variant".to_owned(), variant.into())).into_iter().collect(),
        config,
        rootfs: layout::oci::image::RootFs { diff_ids: vec![layer.diff_id], ..Default::default() },
        history: vec![History { created: Some(created), comment: Some(args.message.clone()), ..Default::default() }],
        ..Default::default()
    };
    let id = image::publish(layout, &image, vec![layer.blob], name.as_slice(), None)?;
    events::of_image(layout, "import", id.as_str(), id.as_str(), image.config.labels.as_ref());
    output::line(id)
}

/// Docker's `import` downloads; that is another program's work.
fn refuse_address(file: &Path) -> Result<()> {
    let address = file.to_str().filter(|file| file.starts_with("http://") || file.starts_with("https://"));
    match address {
        Some(address) => anyhow::bail!(
            "import {address}: nothing is downloaded here, but what another program downloads can be read \
             (curl -fL {address} | layerfs import -)"
        ),
        None => Ok(()),
    }
}

/// Opens the file that an argument names; `-` is standard input.
pub fn open_input(file: &Path) -> Result<File> {
    if file == Path::new("-") {
        return Ok(std::io::stdin().as_fd().try_clone_to_owned().context("open standard input")?.into());
    }
    File::open(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("open {}: no such file or directory", file.display()),
        _ => anyhow!("open {}: {error}", file.display()),
    })
}
